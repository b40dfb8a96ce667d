/*
 * mount_question.h: what one may ask the daemon behind a mount, by ioctl(2) on the mount's root.
 *
 * Only root and the user who mounted it get an answer (-EACCES to others). A filesystem of another
 * kind gives -ENOTTY. The numbers are fixed for ever: mailfs-admin and umount of one version ask a
 * daemon of another.
 */
#ifndef MAILFS_UTIL_MOUNT_QUESTION_H
#define MAILFS_UTIL_MOUNT_QUESTION_H

#include <limits.h>
#include <stdint.h>
#include <sys/ioctl.h>

struct mount_answer {
	uint32_t pid;
	char control_socket[PATH_MAX]; /* NUL-terminated */
};

#define MOUNT_QUESTION _IOR('m', 0x4d, struct mount_answer)

/* Asks. Hangs when the mount hangs. -ENOTCONN: its daemon has died. */
int mount_question_ask(const char *mountpoint, struct mount_answer *ret);

#endif
