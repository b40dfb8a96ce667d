/*
 * listen.h: a listening unix socket, also where the path is longer than a socket address holds.
 */
#ifndef MAILFS_CONTROL_LISTEN_H
#define MAILFS_CONTROL_LISTEN_H

/* A non-blocking socket, mode 0600, listening at `path`; a socket that is there already is removed,
 * so the caller has to know (by a lock) that nobody uses it. The descriptor, or negative errno. */
int control_listen(const char *path);

#endif
