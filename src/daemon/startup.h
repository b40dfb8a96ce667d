/*
 * startup.h: the whole stack, in its order, from command line to exit status.
 *
 *   backend, volume, state directory, node, replicator, fs, session, control server, mount, serve
 *
 * and the end is its mirror image. This is the only place that knows it.
 */
#ifndef MAILFS_DAEMON_STARTUP_H
#define MAILFS_DAEMON_STARTUP_H

#include "config/mount_options.h"
#include "daemon/background.h"

/* Mounts and serves until umount, SIGTERM or SIGINT; brings everything to a clean end and returns
 * the exit status. Reports to the waiting parent when the mount serves or has failed. */
int startup_run(const struct mount_options *options, struct background *background);

#endif
