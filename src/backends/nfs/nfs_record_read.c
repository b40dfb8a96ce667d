#include <config.h>
#include "backends/nfs/nfs_record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "backends/nfs/nfs_status.h"

#define MAX_ATTEMPTS 100
#define FIRST_ENTRIES_BYTES 1024 /* ".", "..", and the one that counts */

/* ---- the record's directory */

struct first_entry {
	struct nfs_entry entry;
	char name[TREE_NAME_BYTES];
	bool is_there;
};

static bool take_first(const struct nfs_entry *entry, void *arg)
{
	struct first_entry *first = arg;

	first->entry = *entry;
	snprintf(first->name, sizeof(first->name), "%s", entry->name);
	first->is_there = true;
	return false;
}

/* Finds the one incarnation; "" when the directory is empty. */
static int read_incarnation(struct nfs_task *task, struct nfs_backend *nb,
	const struct nfs_handle *record, struct nfs_record_state *state)
{
	struct first_entry first = {.is_there = false};
	struct nfs_node node;
	int r = nfs_rpc_read_directory(
		task, &nb->export, record, FIRST_ENTRIES_BYTES, take_first, &first);

	if (r < 0 || !first.is_there)
		return r;
	if (!tree_is_incarnation(first.name))
		return -EISDIR;
	if (first.entry.has_handle) {
		state->chain = first.entry.node.handle;
	} else {
		r = nfs_rpc_lookup(task, &nb->export, record, first.name, &node);
		if (r < 0)
			return r;
		state->chain = node.handle;
	}
	memcpy(state->incarnation, first.name, strlen(first.name) + 1);
	return 0;
}

/* ---- the generations */

struct chain_reading {
	struct nfs_record_state *state;
	bool has_node;
};

static bool take_generation(const struct nfs_entry *entry, void *arg)
{
	struct chain_reading *reading = arg;
	struct nfs_record_state *state = reading->state;
	uint64_t generation;

	if (!tree_generation_parse(entry->name, &generation))
		return true;
	if (state->lowest == 0 || generation < state->lowest)
		state->lowest = generation;
	if (generation > state->highest) {
		state->highest = generation;
		reading->has_node = entry->has_handle && entry->has_attributes;
		state->node = entry->node;
	}
	return true;
}

static int read_chain(struct nfs_task *task, struct nfs_backend *nb, struct nfs_record_state *state)
{
	struct chain_reading reading = {.state = state};
	char name[TREE_GENERATION_BYTES];
	int r;

	r = nfs_rpc_read_directory(task, &nb->export, &state->chain, 0, take_generation, &reading);
	if (r < 0)
		return r;
	if (state->highest == 0)
		return -ENOENT;
	if (!reading.has_node) {
		tree_generation_name(state->highest, name);
		r = nfs_rpc_lookup(task, &nb->export, &state->chain, name, &state->node);
	}
	state->is_present = state->node.attributes.type != NFS_SYMLINK;
	return r;
}

/* -EAGAIN: it changed meanwhile. */
static int read_once(struct nfs_task *task, struct nfs_backend *nb, const struct nfs_handle *parent,
	const char *name, struct nfs_record_state *state)
{
	struct nfs_node record;
	int r = nfs_rpc_lookup(task, &nb->export, parent, name, &record);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (record.attributes.type != NFS_DIRECTORY)
		return -ENOTDIR;
	r = read_incarnation(task, nb, &record.handle, state);
	if (r == 0 && state->incarnation[0] != '\0')
		r = read_chain(task, nb, state);
	return nfs_is_stale(r) ? -EAGAIN : r;
}

int nfs_record_read(struct nfs_task *task, struct nfs_backend *nb, const struct nfs_handle *parent,
	const char *name, struct nfs_record_state *ret)
{
	int r = -EAGAIN;

	for (int attempt = 0; attempt < MAX_ATTEMPTS && r == -EAGAIN; attempt++) {
		struct nfs_record_state state = {.lowest = 0};

		r = read_once(task, nb, parent, name, &state);
		if (r == 0)
			*ret = state;
	}
	return r == -EAGAIN ? -EBUSY : r;
}
