/*
 * mountpoint.h: is this a place where the volume can be mounted?
 */
#ifndef MAILFS_DAEMON_MOUNTPOINT_H
#define MAILFS_DAEMON_MOUNTPOINT_H

/* The mountpoint as an absolute path (/dev/fd/N stays as it is), malloc()ed. As with mount(8) it
 * has to be a directory and need not be empty. -ENOENT, -ENOTDIR, -EACCES; -ENOTCONN when a dead
 * filesystem is there; -EBUSY when `url` is mounted there already. */
int mountpoint_resolve(const char *given, const char *url, char **ret, char **ret_message);

/* -ELOOP when `path`, which the daemon itself needs, is the mountpoint or below it: it would wait
 * for itself. `what` names it in the message. The path need not exist yet. */
int mountpoint_keep_clear(
	const char *mountpoint, const char *path, const char *what, char **ret_message);

#endif
