/*
 * backend_options.h: what is left of the mount's options belongs to the backend, or to nobody.
 */
#ifndef MAILFS_DAEMON_BACKEND_OPTIONS_H
#define MAILFS_DAEMON_BACKEND_OPTIONS_H

#include "config/mount_options.h"

/* -EINVAL with *ret_message for an option that the URL's backend does not have; with `sloppy` it is
 * dropped with a warning. Opens nothing. */
int backend_options_check(struct mount_options *options, char **ret_message);

#endif
