/*
 * find_daemon.h: from what the user names to the daemon's control socket.
 */
#ifndef MAILFS_ADMIN_FIND_DAEMON_H
#define MAILFS_ADMIN_FIND_DAEMON_H

/* `target` is a mountpoint (the mount's root tells its daemon's socket), the URL of a volume that
 * is mounted once in this mount namespace, a state directory or a socket; the last two also work
 * when the mount hangs. *ret is malloc()ed. -ENOENT, -ENOTCONN when the mount's daemon is dead,
 * -EACCES, -EEXIST, … with *ret_message. */
int find_daemon(const char *target, char **ret, char **ret_message);

#endif
