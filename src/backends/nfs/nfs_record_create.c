/*
 * nfs_record_create.c: the two ends of a record's life: its directory appears whole, and goes
 * whole.
 */
#include <config.h>
#include "backends/nfs/nfs_record.h"

#include <errno.h>
#include <string.h>
#include "backends/nfs/nfs_status.h"

/* A directory under a name that nobody else uses: if it is there, a lost request made it. */
static int make_directory(struct nfs_task *task, struct nfs_backend *nb,
	const struct nfs_handle *parent, const char *name, struct nfs_handle *ret)
{
	struct nfs_node node;
	int r = nfs_rpc_mkdir(task, &nb->export, parent, name, ret);

	if (r != -EEXIST)
		return r;
	r = nfs_rpc_lookup(task, &nb->export, parent, name, &node);
	if (r == 0)
		*ret = node.handle;
	return r;
}

/* A record that is being made, in TREE_TEMPORARY. */
struct unfinished {
	struct nfs_handle temporary;
	char name[TREE_NAME_BYTES];
	char incarnation[TREE_INCARNATION_BYTES];
};

static int build(struct nfs_task *task, const struct nfs_call *call, const struct unfinished *u)
{
	struct nfs_backend *nb = call->nb;
	struct nfs_handle record, chain, file;
	struct nfs_attributes attributes;
	char name[TREE_GENERATION_BYTES];
	int r = make_directory(task, nb, &u->temporary, u->name, &record);

	tree_generation_name(1, name);
	if (r == 0)
		r = make_directory(task, nb, &record, u->incarnation, &chain);
	if (r == 0)
		r = nfs_rpc_create(task, &nb->export, &chain, name, &file);
	if (r == 0)
		r = nfs_rpc_write(
			task, &nb->export, &file, call->parts, call->n_parts, &attributes);
	return r == 0 ? nfs_task_check(task) : r;
}

/* RENAME, and -EEXIST when the place is taken. */
static int move_in(struct nfs_task *task, const struct nfs_call *call,
	const struct nfs_handle *parent, const struct unfinished *u)
{
	const struct nfs_export *e = &call->nb->export;
	const char *name = tree_name_of(call->key);
	struct nfs_node record, chain;
	bool is_repeated;
	int r = nfs_rpc_rename(task, e, &u->temporary, u->name, parent, name, &is_repeated);

	if (r == -EEXIST || r == -ENOTEMPTY || r == -ENOTDIR)
		return -EEXIST;
	if (r != -ENOENT || !is_repeated)
		return r;
	r = nfs_rpc_lookup(task, e, parent, name, &record);
	if (r == 0)
		r = nfs_rpc_lookup(task, e, &record.handle, u->incarnation, &chain);
	return r;
}

int nfs_record_create(struct nfs_task *task, struct nfs_call *call, const struct nfs_handle *parent,
	struct backend_version *ret_version)
{
	struct nfs_backend *nb = call->nb;
	struct unfinished u;
	int r = tree_incarnation_make(u.incarnation);

	if (r == 0)
		r = nfs_directory_find(task, nb, TREE_TEMPORARY, true, &u.temporary);
	if (r < 0)
		return r;
	nfs_unique_name(nb, u.name);
	r = build(task, call, &u);
	if (r == 0)
		r = move_in(task, call, parent, &u);
	if (r == 0) {
		tree_record_version(u.incarnation, 1, ret_version);
		return 0;
	}
	nfs_call_give_up(task, call, r);
	nfs_record_discard(task, nb, &u.temporary, u.name);
	return r;
}

/* Moves the incarnation out of the way; it has a tombstone, so nobody adds to it any more. */
static int move_out(struct nfs_task *task, struct nfs_backend *nb, const struct nfs_handle *parent,
	const char *name, const struct nfs_record_state *state)
{
	struct nfs_handle temporary;
	struct nfs_node record;
	char unique[TREE_NAME_BYTES];
	int r = nfs_rpc_lookup(task, &nb->export, parent, name, &record);

	if (r == 0)
		r = nfs_directory_find(task, nb, TREE_TEMPORARY, true, &temporary);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	nfs_unique_name(nb, unique);
	r = nfs_rpc_rename(
		task, &nb->export, &record.handle, state->incarnation, &temporary, unique, NULL);
	if (r == 0)
		nfs_record_discard(task, nb, &temporary, unique);
	return nfs_is_stale(r) ? 0 : r;
}

int nfs_record_clear(struct nfs_task *task, struct nfs_backend *nb, const struct nfs_handle *parent,
	const char *name)
{
	struct nfs_record_state state;
	int r = nfs_record_read(task, nb, parent, name, &state);

	if (r < 0)
		return r;
	if (state.is_present)
		return -EEXIST;
	if (state.incarnation[0] != '\0')
		r = move_out(task, nb, parent, name, &state);
	if (r == 0)
		r = nfs_rpc_rmdir(task, &nb->export, parent, name);
	if (r == -ENOTEMPTY)
		return -EEXIST;
	return r == -ENOENT ? 0 : r;
}

/* ---- discarding */

struct range {
	uint64_t lowest, highest;
};

static bool note_range(const struct nfs_entry *entry, void *arg)
{
	struct range *range = arg;
	uint64_t generation;

	if (!tree_generation_parse(entry->name, &generation))
		return true;
	if (range->lowest == 0 || generation < range->lowest)
		range->lowest = generation;
	if (generation > range->highest)
		range->highest = generation;
	return true;
}

/* The generations lowest first, then whatever else is there. */
static void discard_chain(struct nfs_task *task, struct nfs_backend *nb,
	const struct nfs_handle *parent, const char *name)
{
	struct range range = {.lowest = 0};
	char generation[TREE_GENERATION_BYTES];
	struct nfs_node node;
	int r = nfs_rpc_lookup(task, &nb->export, parent, name, &node);

	if (r == 0)
		r = nfs_rpc_read_directory(task, &nb->export, &node.handle, 0, note_range, &range);
	for (uint64_t g = range.lowest;
		r == 0 && g != 0 && g <= range.highest && g - range.lowest < TREE_MAX_FORGOTTEN;
		g++) {
		tree_generation_name(g, generation);
		r = nfs_rpc_remove(task, &nb->export, &node.handle, generation);
		if (r == -ENOENT)
			r = 0;
	}
	(void)nfs_rpc_rmdir(task, &nb->export, parent, name);
}

struct incarnation {
	char name[TREE_INCARNATION_BYTES];
};

static bool note_incarnation(const struct nfs_entry *entry, void *arg)
{
	struct incarnation *incarnation = arg;

	if (tree_is_incarnation(entry->name))
		memcpy(incarnation->name, entry->name, strlen(entry->name) + 1);
	return false;
}

void nfs_record_discard(struct nfs_task *task, struct nfs_backend *nb,
	const struct nfs_handle *temporary, const char *name)
{
	struct incarnation incarnation = {.name = ""};
	struct nfs_node node;

	if (nfs_rpc_lookup(task, &nb->export, temporary, name, &node) < 0)
		return;
	if (nfs_rpc_read_directory(
		    task, &nb->export, &node.handle, 0, note_incarnation, &incarnation) == 0 &&
		incarnation.name[0] != '\0')
		discard_chain(task, nb, &node.handle, incarnation.name);
	discard_chain(task, nb, temporary, name);
}
