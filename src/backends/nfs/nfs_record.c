#include <config.h>
#include "backends/nfs/nfs_record.h"

#include <errno.h>
#include <string.h>
#include "backends/nfs/nfs_status.h"

/* Forgets old generations, the lowest first: the proof in tree_layout.h rests on that order. */
static void forget_old(
	struct nfs_task *task, struct nfs_backend *nb, const struct nfs_record_state *state)
{
	uint64_t highest = state->highest + 1;
	char name[TREE_GENERATION_BYTES];

	for (uint64_t g = state->lowest;
		g + TREE_KEEP_GENERATIONS < highest && g - state->lowest < TREE_MAX_FORGOTTEN;
		g++) {
		int r;

		tree_generation_name(g, name);
		r = nfs_rpc_remove(task, &nb->export, &state->chain, name);
		if (r < 0 && r != -ENOENT)
			return;
	}
}

struct highest {
	uint64_t generation;
};

static bool note_highest(const struct nfs_entry *entry, void *arg)
{
	struct highest *highest = arg;
	uint64_t generation;

	if (tree_generation_parse(entry->name, &generation) && generation > highest->generation)
		highest->generation = generation;
	return true;
}

/* After the LINK of generation highest + 1: was that generation's place never taken before? */
static int confirm(
	struct nfs_task *task, struct nfs_backend *nb, const struct nfs_record_state *state)
{
	char name[TREE_GENERATION_BYTES];
	struct highest highest = {.generation = 0};
	struct nfs_node node;
	int r;

	tree_generation_name(state->highest, name);
	r = nfs_rpc_lookup(task, &nb->export, &state->chain, name, &node);
	if (r == 0 && nfs_handle_is_equal(&node.handle, &state->node.handle))
		return 0;
	if (r < 0 && !nfs_is_stale(r))
		return r;
	r = nfs_rpc_read_directory(task, &nb->export, &state->chain, 0, note_highest, &highest);
	if (r == 0 && highest.generation != state->highest + 1)
		r = -EIO;
	return r == -ENOENT ? -EIO : r;
}

/* Adds the next generation behind state->highest: -EEXIST when somebody else did. */
static int append(
	struct nfs_task *task, struct nfs_call *call, const struct nfs_record_state *state)
{
	struct nfs_backend *nb = call->nb;
	char name[TREE_GENERATION_BYTES];
	struct nfs_temporary t;
	int r = nfs_temporary_make(task, nb, call->parts, call->n_parts, &t);

	tree_generation_name(state->highest + 1, name);
	if (r == 0)
		r = nfs_task_check(task);
	if (r == 0) {
		r = nfs_temporary_link(task, nb, &t, &state->chain, name);
		if (nfs_is_stale(r)) /* the incarnation was cleared and discarded */
			r = -EEXIST;
	}
	if (r == 0 && call->condition.type == BACKEND_IF_VERSION)
		r = confirm(task, nb, state);
	if (r == 0) {
		tree_record_version(state->incarnation, state->highest + 1, &call->result.version);
		nfs_call_complete(task, call, 0);
		forget_old(task, nb, state);
	} else {
		nfs_call_give_up(task, call, r);
	}
	nfs_temporary_done(task, nb, &t);
	return r;
}

static int create(struct nfs_task *task, struct nfs_call *call, const struct nfs_handle *parent)
{
	int r = nfs_record_clear(task, call->nb, parent, tree_name_of(call->key));

	if (r == 0)
		r = nfs_record_create(task, call, parent, &call->result.version);
	if (r == 0)
		nfs_call_complete(task, call, 0);
	return r == -EEXIST ? -EAGAIN : r;
}

/* One attempt; -EAGAIN when the state changed. */
static int put_once(struct nfs_task *task, struct nfs_call *call, const struct nfs_handle *parent)
{
	const struct backend_condition *condition = &call->condition;
	bool compare = condition->type == BACKEND_IF_VERSION;
	struct backend_version current = {.text = ""};
	struct nfs_record_state state;
	int r = nfs_record_read(task, call->nb, parent, tree_name_of(call->key), &state);

	if (r == -ENOTDIR)
		return condition->type == BACKEND_IF_ABSENT ? -EEXIST : -EOPNOTSUPP;
	if (r < 0)
		return r;
	if (state.is_present)
		tree_record_version(state.incarnation, state.highest, &current);
	if (compare && strcmp(current.text, condition->version.text) != 0)
		return -ESTALE;
	if (!state.is_present)
		return create(task, call, parent);
	if (condition->type == BACKEND_IF_ABSENT)
		return -EEXIST;
	r = append(task, call, &state);
	if (r == -EEXIST)
		return compare ? -ESTALE : -EAGAIN;
	return r;
}

int nfs_record_put(struct nfs_task *task, struct nfs_call *call, const struct nfs_handle *parent)
{
	const struct backend_condition *condition = &call->condition;
	int r = -EAGAIN;

	if (condition->type == BACKEND_IF_VERSION && condition->version.text[0] == '\0')
		return -ESTALE;
	for (int attempt = 0; attempt < NFS_RECORD_MAX_ATTEMPTS && r == -EAGAIN; attempt++)
		r = put_once(task, call, parent);
	return r == -EAGAIN ? -EBUSY : r;
}

/* Adds a tombstone. -EAGAIN when somebody else added something, or we did and do not know it. */
static int bury(struct nfs_task *task, struct nfs_backend *nb, const struct nfs_record_state *state)
{
	char name[TREE_GENERATION_BYTES];
	int r;

	tree_generation_name(state->highest + 1, name);
	r = nfs_rpc_symlink(task, &nb->export, &state->chain, name, TREE_TOMBSTONE);
	return r == -EEXIST || nfs_is_stale(r) ? -EAGAIN : r;
}

int nfs_record_remove(struct nfs_task *task, struct nfs_backend *nb,
	const struct nfs_handle *parent, const char *name)
{
	int r = -EAGAIN;

	for (int attempt = 0; attempt < NFS_RECORD_MAX_ATTEMPTS && r == -EAGAIN; attempt++) {
		struct nfs_record_state state;

		r = nfs_record_read(task, nb, parent, name, &state);
		if (r == 0 && state.is_present)
			r = bury(task, nb, &state);
	}
	if (r < 0)
		return r == -EAGAIN ? -EBUSY : r;
	/* -EEXIST: it was made anew at once, which is somebody else's. */
	r = nfs_record_clear(task, nb, parent, name);
	return r == -EEXIST ? 0 : r;
}
