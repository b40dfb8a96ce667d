/*
 * daemon_watch.h: the process behind a mount, and waiting for its end.
 *
 * umount(8) of a FUSE filesystem returns while the daemon still writes what it has; whoever shuts a
 * machine down or moves a disk needs to know when that is over.
 */
#ifndef MAILFS_HELPERS_DAEMON_WATCH_H
#define MAILFS_HELPERS_DAEMON_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Asks the root of the mount for its daemon, by name of no process. Gives up after timeout_ms, also
 * when the mount hangs. -EACCES for others than root, -ENOTTY when it is no mailfs, -ETIMEDOUT,
 * -ENOTCONN when the daemon is dead. */
int daemon_watch_find(const char *mountpoint, uint32_t timeout_ms, pid_t *ret);

/* A descriptor that becomes readable when the process ends; -ESRCH when it has. */
int daemon_watch_open(pid_t pid);

/* Waits for the end, up to timeout_ms. 0, or -ETIMEDOUT. */
int daemon_watch_wait(int watch_fd, uint32_t timeout_ms);

#endif
