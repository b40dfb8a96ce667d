#include <config.h>
#include "backends/nfs/nfs_internal.h"

#include <errno.h>
#include <string.h>
#include "backends/nfs/nfs_record.h"
#include "backends/nfs/nfs_status.h"
#include "backends/tree_listing.h"

struct listing {
	struct tree_listing tree;
	struct nfs_task *task;
	struct nfs_backend *nb;
};

/* One directory that is read. */
struct reading {
	const struct listing *listing;
	struct tree_names *names;
	struct tree_names bare; /* names whose attributes the server left out */
	int error;
};

static int add_name(
	struct reading *reading, const char *name, const struct nfs_attributes *attributes)
{
	struct tree_name template = {
		.name = (char *)(uintptr_t)name,
		.is_directory = attributes->type == NFS_DIRECTORY,
		.size_bytes = attributes->size_bytes,
		.modified_ms = nfs_modified_ms(attributes),
	};

	if (attributes->type != NFS_FILE && attributes->type != NFS_DIRECTORY)
		return 0;
	return tree_names_add(reading->names, &reading->listing->tree, &template);
}

static bool take_entry(const struct nfs_entry *entry, void *arg)
{
	struct reading *reading = arg;
	struct tree_name bare = {.name = (char *)(uintptr_t)entry->name};

	/* .nfs…: removed, but open on a machine that has mounted it */
	if (!tree_listing_is_key_name(&reading->listing->tree, entry->name) ||
		strncmp(entry->name, ".nfs", 4) == 0)
		return true;
	if (entry->has_attributes)
		reading->error = add_name(reading, entry->name, &entry->node.attributes);
	else
		reading->error = tree_names_keep(&reading->bare, &bare);
	return reading->error == 0;
}

/* Asks for what READDIR did not tell. */
static int look_up_bare(struct reading *reading, const struct nfs_handle *directory)
{
	const struct listing *l = reading->listing;
	int r = 0;

	for (size_t i = 0; i < reading->bare.n && r == 0; i++) {
		const char *name = reading->bare.names[i].name;
		struct nfs_node node;

		r = nfs_rpc_lookup(l->task, &l->nb->export, directory, name, &node);
		if (r == 0)
			r = add_name(reading, name, &node.attributes);
		else if (r == -ENOENT)
			r = 0;
	}
	return r;
}

static int read_names_once(
	const struct listing *l, const struct nfs_handle *directory, struct tree_names *ret)
{
	struct reading reading = {.listing = l, .names = ret};
	int r = nfs_rpc_read_directory(l->task, &l->nb->export, directory, 0, take_entry, &reading);

	if (r == 0)
		r = reading.error;
	if (r == 0)
		r = look_up_bare(&reading, directory);
	tree_names_done(&reading.bare);
	return r;
}

/* The wanted names of the directory, sorted. */
static int read_names(
	const struct listing *l, const struct nfs_handle *directory, struct tree_names *ret)
{
	int r = -NFS_BAD_COOKIE;

	for (int i = 0; i < NFS_MAX_ATTEMPTS && r == -NFS_BAD_COOKIE; i++) {
		tree_names_done(ret);
		*ret = (struct tree_names){.n = 0};
		r = read_names_once(l, directory, ret);
	}
	tree_names_sort(ret);
	return r;
}

/* A record is an object; a directory that is none, or has vanished, is not. */
static int visit_record(struct listing *l, const struct nfs_handle *directory, const char *name)
{
	struct nfs_record_state state;
	int r = nfs_record_read(l->task, l->nb, directory, name, &state);

	if (r == -EISDIR || r == -ENOTDIR || r == -NFS_STALE_HANDLE)
		return 0;
	if (r < 0 || !state.is_present)
		return r;
	return tree_listing_add(&l->tree, name, state.node.attributes.size_bytes,
		nfs_modified_ms(&state.node.attributes));
}

static int visit(struct listing *l, const struct nfs_handle *directory);

static int go_down(struct listing *l, const struct nfs_handle *directory, const char *name)
{
	char plain[TREE_NAME_BYTES];
	struct nfs_node node;
	size_t key_size;
	int r;

	memcpy(plain, name, strlen(name));
	plain[strlen(name) - 1] = '\0';
	r = nfs_rpc_lookup(l->task, &l->nb->export, directory, plain, &node);
	if (r < 0)
		return nfs_is_stale(r) ? 0 : r;
	if (node.attributes.type != NFS_DIRECTORY)
		return 0;
	key_size = tree_listing_enter(&l->tree, name);
	r = visit(l, &node.handle);
	tree_listing_leave(&l->tree, key_size);
	return nfs_is_stale(r) ? 0 : r;
}

static int visit_all(
	struct listing *l, const struct nfs_handle *directory, const struct tree_names *names)
{
	int r = 0;

	for (size_t i = 0; i < names->n && r == 0 && !l->tree.is_full; i++) {
		const struct tree_name *name = &names->names[i];

		if (name->name[strlen(name->name) - 1] == '/')
			r = go_down(l, directory, name->name);
		else if (name->is_directory)
			r = visit_record(l, directory, name->name);
		else
			r = tree_listing_add(
				&l->tree, name->name, name->size_bytes, name->modified_ms);
	}
	return r;
}

/* At most 256 deep, as keys are: NFS_STACK_BYTES is made for that. */
static int visit(struct listing *l, const struct nfs_handle *directory)
{
	struct tree_names names = {.n = 0};
	int r = read_names(l, directory, &names);

	if (r == 0)
		r = visit_all(l, directory, &names);
	tree_names_done(&names);
	return r;
}

static int list_once(struct nfs_task *task, struct nfs_call *call)
{
	struct listing l = {.task = task, .nb = call->nb};
	char path[BACKEND_KEY_MAX_BYTES + 2];
	struct nfs_handle directory;
	size_t size;
	int r;

	tree_listing_init(&l.tree, call->key, call->continuation, call->size_bytes, &call->result);
	size = strlen(l.tree.key);
	memcpy(path, l.tree.key, size + 1);
	if (size > 0)
		path[size - 1] = '\0';
	r = nfs_directory_find(task, call->nb, path, false, &directory);
	if (r == 0)
		r = visit(&l, &directory);
	return r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

int nfs_list(struct nfs_task *task, struct nfs_call *call)
{
	int r = -NFS_STALE_HANDLE;

	for (int i = 0; i < NFS_MAX_ATTEMPTS && r == -NFS_STALE_HANDLE; i++) {
		r = list_once(task, call);
		if (r < 0)
			backend_result_done(&call->result);
		if (r == -NFS_STALE_HANDLE)
			nfs_directories_renew(task, call->nb);
	}
	return r;
}
