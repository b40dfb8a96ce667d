/*
 * nfs_directory.h: handles of the directories that hold keys, kept to spare a LOOKUP for each part
 * of each key.
 *
 * A kept handle may be out of date: the server then answers -NFS_STALE_HANDLE (or -ENOENT, when it
 * still has the removed directory); who meets that calls nfs_directories_renew() and begins anew.
 */
#ifndef MAILFS_BACKENDS_NFS_NFS_DIRECTORY_H
#define MAILFS_BACKENDS_NFS_NFS_DIRECTORY_H

#include "backends/nfs/nfs_rpc.h"

#define NFS_DIRECTORY_SLOTS 4096

struct nfs_backend;

/* Each path has one slot; the last one that came has it. */
struct nfs_directories {
	struct nfs_known_directory *slots[NFS_DIRECTORY_SLOTS];
};

/* Frees all. */
void nfs_directories_forget(struct nfs_directories *ds);

/* Forgets all; if the root's own handle is out of date, asks the server to mount it again. */
void nfs_directories_renew(struct nfs_task *task, struct nfs_backend *nb);

/* The directory of this path below the root ("": the root); made if missing, with all above it, if
 * `make` says so. -ENOENT, -ENOTDIR. */
int nfs_directory_find(struct nfs_task *task, struct nfs_backend *nb, const char *path, bool make,
	struct nfs_handle *ret);

/* The same for the directory that holds `key`. */
int nfs_directory_of_key(struct nfs_task *task, struct nfs_backend *nb, const char *key, bool make,
	struct nfs_handle *ret);

/* After -ENOENT: whether that is because the directory itself was removed. */
bool nfs_directory_is_gone(
	struct nfs_task *task, struct nfs_backend *nb, const struct nfs_handle *directory);

#endif
