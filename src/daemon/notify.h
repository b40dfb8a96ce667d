/*
 * notify.h: tells systemd what the service is doing (sd_notify(3), without libsystemd).
 */
#ifndef MAILFS_DAEMON_NOTIFY_H
#define MAILFS_DAEMON_NOTIFY_H

/* Sends lines of VARIABLE=VALUE to the socket in $NOTIFY_SOCKET. Success also without one, and
 * then nothing happens. Does not block. Negative errno. */
int notify_send(const char *lines);

#endif
