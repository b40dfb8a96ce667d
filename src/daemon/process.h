/*
 * process.h: what the daemon asks of the system for itself. All of it is best effort.
 */
#ifndef MAILFS_DAEMON_PROCESS_H
#define MAILFS_DAEMON_PROCESS_H

/* Raises the limit of open files as far as allowed, asks the kernel to sacrifice others first when
 * memory runs out, and keeps what the daemon creates from other users (umask). */
void process_prepare(void);

#endif
