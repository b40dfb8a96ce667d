/*
 * file_backend.h: objects as files below a directory, local or mounted (NFS, v3 or v4).
 *
 * tree_layout.h says how objects and records lie there.
 *
 * Durable on return of a put: content, name, and every directory above it. A removal is not synced:
 * after a power failure a removed object may be there again.
 *
 * Many processes on many machines may use one directory; nothing rests on locks or clocks. On NFS
 * the attribute cache of the client is asked past where an answer would otherwise be stale.
 */
#ifndef MAILFS_BACKENDS_FILE_FILE_BACKEND_H
#define MAILFS_BACKENDS_FILE_FILE_BACKEND_H

#include "backends/backend.h"

#define FILE_BACKEND_THREADS 16
#define FILE_BACKEND_MAX_OBJECT_BYTES (5ULL << 30)
#define FILE_BACKEND_MAX_DELETE_MANY 1000

/* `path` is an existing directory that this process may write to; the file system's clock is used
 * for the age of leftovers. Starts threads. On failure *ret_message says what, where and what to
 * do: -ENOENT, -ENOTDIR, -EACCES, -EROFS, -ENOSPC, -ENOMEM and others. */
int file_backend_open(const char *path, struct backend **ret, char **ret_message);

#endif
