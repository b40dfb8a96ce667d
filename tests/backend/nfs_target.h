/*
 * nfs_target.h: an NFS backend over a new directory in the export that MAILFS_TEST_NFS_URL names,
 * as a target of the battery.
 */
#ifndef MAILFS_TESTS_BACKEND_NFS_TARGET_H
#define MAILFS_TESTS_BACKEND_NFS_TARGET_H

#include <nfsc/libnfs.h>
#include "battery.h"

extern const struct battery_target nfs_target;

/* Ends the program as skipped, with a message, when MAILFS_TEST_NFS_URL is not set. */
void nfs_target_require(void);

/* The URL of the directory of the test at hand. */
const char *nfs_target_url(void);

/* libnfs by itself, as another client; ended by nfs_destroy_context(). Paths begin in the export.
 */
struct nfs_context *nfs_target_client(void);

/* The path of a name in the directory of the test at hand, for that client. Static memory. */
const char *nfs_target_path(const char *name);

/* Removes a file or a directory with all that is in it. */
void nfs_target_remove(struct nfs_context *client, const char *path);

#endif
