/*
 * nfs_status.h: what an NFS or MOUNT server answers, as errno, in one table (RFC 1813, 2.6, 5.1).
 */
#ifndef MAILFS_BACKENDS_NFS_NFS_STATUS_H
#define MAILFS_BACKENDS_NFS_NFS_STATUS_H

#include <errno.h>

/* Within the driver only: a file handle that the server does not know any more, for which -ESTALE
 * is not used, as that is a version in backend.h; and a directory cookie that is void. */
#define NFS_STALE_HANDLE EREMCHG
#define NFS_BAD_COOKIE EBADE

/* Of an nfsstat3: 0 or negative errno. -EBUSY: ask again later (NFS3ERR_JUKEBOX, and a server in
 * its grace period). */
int nfs_status_error(int status);

/* Of a mountstat3: 0 or negative errno. */
int nfs_status_mount_error(int status);

/* Of an answer that the RPC layer refused, as libnfs says it; 0: it is none, but the end of the
 * connection. */
int nfs_status_rpc_error(const char *text);

/* An error as backend.h names it: the driver's own ones become -EIO. */
int nfs_status_outward(int error);

#endif
