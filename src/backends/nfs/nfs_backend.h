/*
 * nfs_backend.h: objects as files on an NFS server, spoken to directly: no mount, no root, and no
 * process that hangs in the kernel.
 *
 * NFS version 3 with AUTH_SYS over TCP, by libnfs' RPC layer, from one thread, up to NFS_MAX_CALLS
 * calls at once. nfs_settings.h has the URL and the options, tree_layout.h says how objects and
 * records lie there (as below a file:// backend on a kernel's mount of the same directory, which
 * may be used at the same time). No attributes or data are cached, only handles of directories.
 *
 * Durable on return of a put: content, name, and every directory above it, if the server keeps to
 * RFC 1813 (a Linux export with `async` does not).
 *
 * When the server is away, calls wait for it until their deadlines (-ETIMEDOUT), and go on when it
 * is back, also after its grace period. A call that ends by its deadline may still take place.
 */
#ifndef MAILFS_BACKENDS_NFS_NFS_BACKEND_H
#define MAILFS_BACKENDS_NFS_NFS_BACKEND_H

#include <stdbool.h>
#include "backends/backend.h"

#define NFS_BACKEND_MAX_OBJECT_BYTES (5ULL << 30)
#define NFS_BACKEND_MAX_DELETE_MANY 1000
#define NFS_BACKEND_SPACE_TIMEOUT_MS 5000

/* `rest` is the URL behind "nfs://". Talks to the server, for NFS_OPEN_TIMEOUT_MS at most, and
 * starts the thread. On failure *ret_message says what, where and what to do: -EINVAL, -EOPNOTSUPP
 * (version 4), -EHOSTUNREACH, -ENOENT, -EACCES, -EROFS, -ENOSPC, -ENOMEM and others. */
int nfs_backend_open(
	const char *rest, const char *const *options, struct backend **ret, char **ret_message);

/* Whether the driver has the option "name" or "name=value". */
bool nfs_backend_has_option(const char *option);

#endif
