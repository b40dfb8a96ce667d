/*
 * nfs_temporary.h: files that are whole and on stable storage, but have no key yet.
 */
#ifndef MAILFS_BACKENDS_NFS_NFS_TEMPORARY_H
#define MAILFS_BACKENDS_NFS_NFS_TEMPORARY_H

#include "backends/nfs/nfs_internal.h"

struct nfs_temporary {
	struct nfs_handle directory; /* TREE_TEMPORARY, as it was found */
	struct nfs_node node;
	char name[TREE_NAME_BYTES]; /* "" when it has none any more */
};

/* Makes and writes one. On failure *ret is to be given to nfs_temporary_done() too. */
int nfs_temporary_make(struct nfs_task *task, struct nfs_backend *nb, const struct iovec *parts,
	int n_parts, struct nfs_temporary *ret);

/* Gives it a second name. -EEXIST when something else has it; -EIO when a lost answer leaves that
 * unknown. */
int nfs_temporary_link(struct nfs_task *task, struct nfs_backend *nb, struct nfs_temporary *t,
	const struct nfs_handle *directory, const char *name);

/* Gives it this name instead, in place of another file's. -EEXIST, -EISDIR or -ENOTEMPTY when there
 * is a directory. */
int nfs_temporary_rename(struct nfs_task *task, struct nfs_backend *nb, struct nfs_temporary *t,
	const struct nfs_handle *directory, const char *name);

/* Removes the name it still has. Calls the server. */
void nfs_temporary_done(
	struct nfs_task *task, struct nfs_backend *nb, const struct nfs_temporary *t);

#endif
