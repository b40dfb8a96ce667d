/*
 * nfs_open.h: the first talk with the server: mounts, looks at the directory, and proves that one
 * may write there.
 */
#ifndef MAILFS_BACKENDS_NFS_NFS_OPEN_H
#define MAILFS_BACKENDS_NFS_NFS_OPEN_H

#include "backends/nfs/nfs_internal.h"

#define NFS_OPEN_TIMEOUT_MS 30000

/* Finds the server's addresses, in the caller's thread. -EHOSTUNREACH with a message. */
int nfs_open_resolve(struct nfs_backend *nb, char **ret_message);

/* The rest, as a call of the loop; its target is a `char *` for the message. */
nfs_call_fn nfs_open_run;

#endif
