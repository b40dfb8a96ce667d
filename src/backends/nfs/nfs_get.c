#include <config.h>
#include "backends/nfs/nfs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include "backends/nfs/nfs_record.h"
#include "backends/nfs/nfs_status.h"

/* The record's current generation. */
static int find_record(struct nfs_task *task, struct nfs_call *call,
	const struct nfs_handle *directory, struct nfs_node *ret)
{
	struct nfs_record_state state;
	int r = nfs_record_read(task, call->nb, directory, tree_name_of(call->key), &state);

	if (r == -ENOTDIR)
		return -EAGAIN; /* an ordinary object now */
	if (r < 0)
		return r == -EISDIR ? -ENOENT : r;
	if (!state.is_present)
		return -ENOENT;
	nfs_describe(&state.node.attributes, &call->result);
	tree_record_version(state.incarnation, state.highest, &call->result.version);
	*ret = state.node;
	return 0;
}

static int find_once(struct nfs_task *task, struct nfs_call *call, struct nfs_node *ret)
{
	struct nfs_backend *nb = call->nb;
	struct nfs_handle directory;
	int r = nfs_directory_of_key(task, nb, call->key, false, &directory);

	if (r < 0)
		return r == -ENOTDIR ? -ENOENT : r;
	r = nfs_rpc_lookup(task, &nb->export, &directory, tree_name_of(call->key), ret);
	if (r == -ENOENT && nfs_directory_is_gone(task, nb, &directory))
		return -NFS_STALE_HANDLE;
	if (r < 0)
		return r;
	if (ret->attributes.type == NFS_DIRECTORY)
		return find_record(task, call, &directory, ret);
	if (ret->attributes.type != NFS_FILE)
		return -ELOOP;
	nfs_describe(&ret->attributes, &call->result);
	return 0;
}

/* From one handle, so that what is read is one whole state of the object. */
static int read_range(struct nfs_task *task, struct nfs_call *call, const struct nfs_node *node)
{
	uint64_t total = node->attributes.size_bytes;
	size_t size = call->size_bytes;
	int r;

	if (call->offset > total)
		return -ERANGE;
	if (size > total - call->offset)
		size = (size_t)(total - call->offset);
	if (size == 0)
		return 0;
	call->result.data = malloc(size);
	if (call->result.data == NULL)
		return -ENOMEM;
	r = nfs_rpc_read(
		task, &call->nb->export, &node->handle, call->offset, call->result.data, size);
	if (r == 0)
		call->result.data_size_bytes = size;
	return r;
}

/* The object was replaced or removed, or a directory's handle is out of date: begin anew. */
static bool begins_anew(struct nfs_task *task, struct nfs_call *call, int error)
{
	if (error == -NFS_STALE_HANDLE)
		nfs_directories_renew(task, call->nb);
	if (error < 0)
		backend_result_done(&call->result);
	return error == -NFS_STALE_HANDLE || error == -EAGAIN;
}

int nfs_get(struct nfs_task *task, struct nfs_call *call)
{
	struct nfs_node node;
	int r = -EAGAIN;

	for (int i = 0; i < NFS_MAX_ATTEMPTS && begins_anew(task, call, r); i++) {
		r = find_once(task, call, &node);
		if (r == 0)
			r = read_range(task, call, &node);
	}
	if (r < 0)
		backend_result_done(&call->result);
	return r == -EAGAIN ? -EBUSY : r;
}

int nfs_head(struct nfs_task *task, struct nfs_call *call)
{
	struct nfs_node node;
	int r = -EAGAIN;

	for (int i = 0; i < NFS_MAX_ATTEMPTS && begins_anew(task, call, r); i++)
		r = find_once(task, call, &node);
	if (r == 0)
		call->result.modified_ms = nfs_modified_ms(&node.attributes);
	return r == -EAGAIN ? -EBUSY : r;
}

/* -EISDIR and the like: what is there? */
static int remove_record(
	struct nfs_task *task, struct nfs_call *call, const struct nfs_handle *directory, int error)
{
	const char *name = tree_name_of(call->key);
	struct nfs_node node;
	int r = nfs_rpc_lookup(task, &call->nb->export, directory, name, &node);

	if (r < 0)
		return r;
	if (node.attributes.type != NFS_DIRECTORY)
		return error;
	r = nfs_record_remove(task, call->nb, directory, name);
	return r == -EISDIR || r == -ENOTDIR ? 0 : r;
}

static int remove_once(struct nfs_task *task, struct nfs_call *call)
{
	struct nfs_backend *nb = call->nb;
	struct nfs_handle directory;
	int r = nfs_directory_of_key(task, nb, call->key, false, &directory);

	if (r < 0)
		return r;
	r = nfs_rpc_remove(task, &nb->export, &directory, tree_name_of(call->key));
	if (r == -ENOENT && nfs_directory_is_gone(task, nb, &directory))
		return -NFS_STALE_HANDLE;
	if (r == -EISDIR || r == -EACCES || r == -EINVAL || r == -EEXIST || r == -ENOTEMPTY)
		r = remove_record(task, call, &directory, r);
	return r;
}

int nfs_remove(struct nfs_task *task, struct nfs_call *call)
{
	int r = -EAGAIN;

	for (int i = 0; i < NFS_MAX_ATTEMPTS && begins_anew(task, call, r); i++)
		r = remove_once(task, call);
	return r == -ENOENT || r == -ENOTDIR ? 0 : r;
}
