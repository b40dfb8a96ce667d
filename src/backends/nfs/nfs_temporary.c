#include <config.h>
#include "backends/nfs/nfs_temporary.h"

#include <errno.h>
#include "backends/nfs/nfs_status.h"

int nfs_temporary_make(struct nfs_task *task, struct nfs_backend *nb, const struct iovec *parts,
	int n_parts, struct nfs_temporary *ret)
{
	int r;

	ret->name[0] = '\0';
	r = nfs_directory_find(task, nb, TREE_TEMPORARY, true, &ret->directory);
	if (r < 0)
		return r;
	nfs_unique_name(nb, ret->name);
	r = nfs_rpc_create(task, &nb->export, &ret->directory, ret->name, &ret->node.handle);
	if (r == 0)
		r = nfs_rpc_write(task, &nb->export, &ret->node.handle, parts, n_parts,
			&ret->node.attributes);
	return r;
}

/* The temporary's own name keeps its file number from being used again. */
static bool is_ours(const struct nfs_temporary *t, const struct nfs_node *node)
{
	return node->attributes.type == NFS_FILE &&
	       node->attributes.fileid == t->node.attributes.fileid &&
	       node->attributes.fsid == t->node.attributes.fsid;
}

int nfs_temporary_link(struct nfs_task *task, struct nfs_backend *nb, struct nfs_temporary *t,
	const struct nfs_handle *directory, const char *name)
{
	bool is_repeated;
	struct nfs_node node;
	int r = nfs_rpc_link(task, &nb->export, &t->node.handle, directory, name, &is_repeated);

	if (r != -EEXIST || !is_repeated)
		return r;
	r = nfs_rpc_lookup(task, &nb->export, directory, name, &node);
	if (r < 0) /* there was something, and it is gone: ours, perhaps */
		return r == -ENOENT ? -EIO : r;
	return is_ours(t, &node) ? 0 : -EEXIST;
}

/* Nobody but ourselves takes the name away, so if it is gone, the lost RENAME has taken place. */
int nfs_temporary_rename(struct nfs_task *task, struct nfs_backend *nb, struct nfs_temporary *t,
	const struct nfs_handle *directory, const char *name)
{
	bool is_repeated;
	struct nfs_node node;
	int r = nfs_rpc_rename(
		task, &nb->export, &t->directory, t->name, directory, name, &is_repeated);

	if (r == -ENOENT && is_repeated &&
		nfs_rpc_lookup(task, &nb->export, &t->directory, t->name, &node) == -ENOENT)
		r = 0;
	if (r == 0)
		t->name[0] = '\0';
	return r;
}

void nfs_temporary_done(
	struct nfs_task *task, struct nfs_backend *nb, const struct nfs_temporary *t)
{
	if (t->name[0] != '\0')
		(void)nfs_rpc_remove(task, &nb->export, &t->directory, t->name);
}
