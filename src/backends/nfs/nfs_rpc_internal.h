/*
 * nfs_rpc_internal.h: between our types and those of libnfs.
 */
#ifndef MAILFS_BACKENDS_NFS_NFS_RPC_INTERNAL_H
#define MAILFS_BACKENDS_NFS_NFS_RPC_INTERNAL_H

#include <nfsc/libnfs-raw-nfs.h>
#include "backends/nfs/nfs_request.h"
#include "backends/nfs/nfs_rpc.h"

/* They point to what is given, which must live until the request is sent. */
nfs_fh3 nfs_rpc_handle(const struct nfs_handle *handle);
diropargs3 nfs_rpc_where(const struct nfs_handle *directory, const char *name);

/* False when it is absent or too long. */
bool nfs_rpc_take_handle(const nfs_fh3 *from, struct nfs_handle *ret);
bool nfs_rpc_take_optional_handle(const post_op_fh3 *from, struct nfs_handle *ret);

/* False when the server did not give them. */
bool nfs_rpc_take_attributes(const post_op_attr *from, struct nfs_attributes *ret);

#endif
