/*
 * nfs_record.h: objects for compare-and-swap, as directories of generations: tree_layout.h says how
 * and why that is safe. What it rests on is exclusive at an NFS server too: LINK, SYMLINK and
 * RENAME of a directory (RFC 1813, 3.3.10, 3.3.14, 3.3.15); nothing is cached here, so what one
 * reads is what the server has. The winner of a LINK knows its own generation by its handle, for
 * two files never have the same one (RFC 1813, 2.5).
 *
 * A request whose answer is lost is asked again. LINK and SYMLINK then find what they made
 * themselves, which is seen by the file's number, or not needed to be known; RENAME of a directory
 * finds its source gone, and looks whether its own incarnation is in place.
 */
#ifndef MAILFS_BACKENDS_NFS_NFS_RECORD_H
#define MAILFS_BACKENDS_NFS_NFS_RECORD_H

#include "backends/nfs/nfs_internal.h"
#include "backends/nfs/nfs_temporary.h"

#define NFS_RECORD_MAX_ATTEMPTS 1000

struct nfs_record_state {
	char incarnation[TREE_INCARNATION_BYTES]; /* "": the directory is empty or absent */
	struct nfs_handle chain;                  /* of +<incarnation> */
	uint64_t lowest, highest;
	bool is_present;      /* the highest generation is no tombstone */
	struct nfs_node node; /* the highest generation */
};

/* Looks at the record. 0; -ENOTDIR: there is an ordinary object; -EISDIR: there is an ordinary
 * directory; -NFS_STALE_HANDLE: of `parent`. An absent directory is a success. */
int nfs_record_read(struct nfs_task *task, struct nfs_backend *nb, const struct nfs_handle *parent,
	const char *name, struct nfs_record_state *ret);

/* Puts a record: -EEXIST, -ESTALE, -EOPNOTSUPP (there is an ordinary object), -EISDIR (there is an
 * ordinary directory). Completes the call when that succeeds, and cleans up. */
int nfs_record_put(struct nfs_task *task, struct nfs_call *call, const struct nfs_handle *parent);

/* Removes it and its directory. Success also when there is none; -EISDIR. */
int nfs_record_remove(struct nfs_task *task, struct nfs_backend *nb,
	const struct nfs_handle *parent, const char *name);

/* Makes the record unless `name` exists: -EEXIST. */
int nfs_record_create(struct nfs_task *task, struct nfs_call *call, const struct nfs_handle *parent,
	struct backend_version *ret_version);

/* Removes what is left of a removed record: 0 if `name` is free now, -EEXIST if there is a living
 * record, -EISDIR if there is an ordinary directory. */
int nfs_record_clear(struct nfs_task *task, struct nfs_backend *nb, const struct nfs_handle *parent,
	const char *name);

/* Removes a cleared incarnation or an unfinished record from TREE_TEMPORARY. */
void nfs_record_discard(struct nfs_task *task, struct nfs_backend *nb,
	const struct nfs_handle *temporary, const char *name);

#endif
