/*
 * nfs_put.c: how an object appears.
 *
 * CREATE and WRITE of a file with a name of its own in TREE_TEMPORARY, then LINK to the key's name
 * or, when something is there that may be replaced, RENAME. Most objects are new, and servers do a
 * LINK sooner than a RENAME (measured on NFS-Ganesha: twice as many puts in a second); the
 * temporary name is removed when the caller has his answer. NFS servers do what changes a directory
 * before they answer, on stable storage (RFC 1813, 4.7 and 4.8), so nothing is to be synced.
 */
#include <config.h>
#include "backends/nfs/nfs_internal.h"

#include <errno.h>
#include "backends/nfs/nfs_record.h"
#include "backends/nfs/nfs_temporary.h"

#define MAX_STALE 4 /* attempts, when directories are gone */

/* Something else has the name. -EAGAIN: what stood in the way is gone. */
static int make_way(
	struct nfs_task *task, const struct nfs_call *call, const struct nfs_handle *directory)
{
	const char *name = tree_name_of(call->key);
	struct nfs_node node;
	int r = nfs_rpc_lookup(task, &call->nb->export, directory, name, &node);

	if (r < 0)
		return r == -ENOENT ? -EAGAIN : r;
	if (node.attributes.type != NFS_DIRECTORY)
		return call->condition.type == BACKEND_IF_ABSENT ? -EEXIST : -EAGAIN;
	r = nfs_record_clear(task, call->nb, directory, name);
	return r == 0 ? -EAGAIN : r;
}

/* Gives the file its name. */
static int publish(struct nfs_task *task, const struct nfs_call *call, struct nfs_temporary *t,
	const struct nfs_handle *directory)
{
	const char *name = tree_name_of(call->key);
	int r = -EAGAIN;

	for (int i = 0; i < NFS_MAX_ATTEMPTS && r == -EAGAIN; i++) {
		r = nfs_task_check(task);
		if (r < 0)
			return r;
		r = nfs_temporary_link(task, call->nb, t, directory, name);
		if (r == -EEXIST && call->condition.type == BACKEND_ALWAYS)
			r = nfs_temporary_rename(task, call->nb, t, directory, name);
		if (r == -EEXIST || r == -EISDIR || r == -ENOTEMPTY)
			r = make_way(task, call, directory);
	}
	return r == -EAGAIN ? -EBUSY : r;
}

static int put_file(
	struct nfs_task *task, struct nfs_call *call, const struct nfs_handle *directory)
{
	struct nfs_backend *nb = call->nb;
	struct nfs_temporary t;
	int r = nfs_temporary_make(task, nb, call->parts, call->n_parts, &t);

	if (r == 0)
		r = publish(task, call, &t, directory);
	if (r == 0) {
		nfs_describe(&t.node.attributes, &call->result);
		call->result.object_size_bytes = 0;
		nfs_call_complete(task, call, 0);
	} else {
		nfs_call_give_up(task, call, r);
	}
	nfs_temporary_done(task, nb, &t);
	return r;
}

static int put_in(struct nfs_task *task, struct nfs_call *call, const struct nfs_handle *directory)
{
	bool always = call->condition.type == BACKEND_ALWAYS;
	int r;

	if (!call->condition.record && call->condition.type != BACKEND_IF_VERSION) {
		r = put_file(task, call, directory);
		if (r != -EEXIST || !always)
			return r;
	}
	return nfs_record_put(task, call, directory);
}

int nfs_put(struct nfs_task *task, struct nfs_call *call)
{
	struct nfs_backend *nb = call->nb;
	int r = -ENOENT;

	for (int i = 0; i < MAX_STALE && task->call != NULL && nfs_is_stale(r); i++) {
		struct nfs_handle directory;

		if (i > 0)
			nfs_directories_renew(task, nb);
		r = nfs_directory_of_key(task, nb, call->key, true, &directory);
		if (r == 0)
			r = put_in(task, call, &directory);
	}
	return r == -ENOENT ? -EIO : r;
}
