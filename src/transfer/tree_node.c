#include <config.h>
#include "transfer/tree_node.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/key.h"
#include "cache/node.h"
#include "cache/replay.h"
#include "replication/restore.h"
#include "transfer/fs_calls.h"
#include "transfer/tree_times.h"
#include "util/cleanup.h"
#include "util/file_io.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/message.h"

#define BODY_CACHE_BYTES (UINT64_C(256) << 20)
#define MEMORY_BYTES (UINT64_C(64) << 20)

struct tree_node {
	struct tree_node_options options;
	char *directory;
	struct catalogue *catalogue;
	struct node *node;
	struct fs *fs;
	struct tree_node_state root;
};

struct fs *tree_node_fs(struct tree_node *tree)
{
	return tree->fs;
}

struct node *tree_node_node(struct tree_node *tree)
{
	return tree->node;
}

const struct catalogue *tree_node_catalogue(const struct tree_node *tree)
{
	return tree->catalogue;
}

/* ---- loading one account */

struct wait {
	struct lock lock;
	struct lock_condition answered;
	bool is_done;
	struct restore_result result;
	char *message;
};

static void note_result(void *arg, const struct restore_result *result)
{
	struct wait *w = arg;

	lock_acquire(&w->lock);
	w->result = *result;
	w->message = result->message != NULL ? strdup(result->message) : NULL;
	w->is_done = true;
	lock_condition_signal(&w->answered);
	lock_release(&w->lock);
}

static int restore_one(
	struct tree_node *tree, const struct catalogue *catalogue, uint32_t account, struct wait *w)
{
	struct restore_options options = {.node = tree->node,
		.backend = tree->options.backend,
		.catalogue = catalogue,
		.n_threads = 1,
		.accepts_uncertain = true};
	struct restore *restore;
	int r = restore_new(&options, &restore);

	if (r < 0)
		return r;
	r = restore_account(restore, account, BACKEND_PREFETCH, note_result, w);
	lock_acquire(&w->lock);
	while (r == 0 && !w->is_done)
		lock_condition_wait(&w->answered, &w->lock);
	lock_release(&w->lock);
	restore_stop(restore);
	restore_free(restore);
	return r < 0 ? r : w->result.error;
}

static int load_from(struct tree_node *tree, const struct catalogue *catalogue, uint32_t account,
	struct tree_node_state *ret, char **ret_message)
{
	struct wait w = {.is_done = false};
	int r;

	lock_init(&w.lock);
	lock_condition_init(&w.answered);
	r = restore_one(tree, catalogue, account, &w);
	lock_condition_done(&w.answered);
	lock_done(&w.lock);
	*ret = (struct tree_node_state){.time_ms = w.result.time_ms,
		.is_early = w.result.is_early,
		.is_uncertain = w.result.is_uncertain};
	if (r < 0 && w.message == NULL)
		return message_set(ret_message, r, "account %" PRIu32 " cannot be loaded: %s",
			account, strerror(-r));
	*ret_message = w.message;
	return r;
}

int tree_node_load(
	struct tree_node *tree, uint32_t account, struct tree_node_state *ret, char **ret_message)
{
	int r;

	*ret_message = NULL;
	if (account == KEY_ROOT_ACCOUNT) {
		*ret = tree->root;
		return 0;
	}
	r = load_from(tree, tree->catalogue, account, ret, ret_message);
	if (r == -ENOENT) {
		free(*ret_message);
		return tree_times_complain(
			tree->catalogue, account, tree->options.not_after_ms, ret_message);
	}
	return r;
}

int tree_node_unload(struct tree_node *tree, uint32_t account)
{
	struct replay *replay;
	int r = replay_begin(tree->node, account, &replay);

	if (r == 0)
		replay_abort(replay);
	return r;
}

/* ---- life */

static int load_catalogue(const struct tree_node *tree, int64_t not_after_ms,
	struct catalogue **ret, char **ret_message)
{
	struct catalogue_options options = {.backend = tree->options.backend,
		.priority = BACKEND_PREFETCH,
		.volume = tree->options.volume,
		.cancelled = tree->options.stopping,
		.not_after_ms = not_after_ms};
	int r = catalogue_load(&options, ret, ret_message);

	if (r < 0 && *ret_message == NULL)
		return message_set(ret_message, r, "the journals cannot be read: %s", strerror(-r));
	return r;
}

/* Which accounts there are changes less often than the accounts. */
static int load_root_as_it_is(struct tree_node *tree, char **ret_message)
{
	struct catalogue *catalogue;
	int r = load_catalogue(tree, 0, &catalogue, ret_message);

	if (r < 0)
		return r;
	r = load_from(tree, catalogue, KEY_ROOT_ACCOUNT, &tree->root, ret_message);
	catalogue_free(catalogue);
	return r;
}

static int load_root(struct tree_node *tree, char **ret_message)
{
	int r = load_from(tree, tree->catalogue, KEY_ROOT_ACCOUNT, &tree->root, ret_message);

	if (r == -ENOENT && tree->options.not_after_ms != 0) {
		free(*ret_message);
		*ret_message = NULL;
		r = load_root_as_it_is(tree, ret_message);
	}
	if (r == -ENOENT) {
		free(*ret_message);
		return message_set(ret_message, r,
			"the backend has no journal and no checkpoint of the root account: "
			"nothing was ever replicated to it");
	}
	return r;
}

static int make_directory(struct tree_node *tree, char **ret_message)
{
	const char *parent = tree->options.parent_directory;

	if (parent == NULL)
		parent = getenv("TMPDIR");
	if (parent == NULL || *parent == '\0')
		parent = "/tmp";
	if (asprintf(&tree->directory, "%s/mailfs-tree-XXXXXX", parent) < 0) {
		tree->directory = NULL;
		return -ENOMEM;
	}
	if (mkdtemp(tree->directory) == NULL) {
		int r = message_set(ret_message, -errno,
			"cannot make a temporary directory in '%s': %s; name another with "
			"--state-dir",
			parent, strerror(errno));

		free(tree->directory);
		tree->directory = NULL;
		return r;
	}
	return 0;
}

static int open_node(struct tree_node *tree, char **ret_message)
{
	char path[4096];
	struct node_options options = {.directory = path,
		.backend = tree->options.backend,
		.account_depth = tree->options.account_depth,
		.cache_size_bytes = BODY_CACHE_BYTES,
		.memory_bytes = MEMORY_BYTES,
		.commit_interval_ms = UINT32_MAX}; /* nothing is to be put */

	if (snprintf(path, sizeof(path), "%s/db", tree->directory) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return node_open(&options, &tree->node, ret_message);
}

int tree_node_open_root(struct tree_node *tree, char **ret_message)
{
	int r;

	*ret_message = NULL;
	r = load_root(tree, ret_message);
	return r < 0 ? r : fs_open(tree->node, &tree->fs);
}

int tree_node_reload(struct tree_node *tree, char **ret_message)
{
	struct catalogue *fresh;
	int r = load_catalogue(tree, tree->options.not_after_ms, &fresh, ret_message);

	if (r < 0)
		return r;
	catalogue_free(tree->catalogue);
	tree->catalogue = fresh;
	return 0;
}

int tree_node_open(
	const struct tree_node_options *options, struct tree_node **ret, char **ret_message)
{
	struct tree_node *tree = calloc(1, sizeof(*tree));
	int r;

	*ret_message = NULL;
	if (tree == NULL)
		return -ENOMEM;
	tree->options = *options;
	r = load_catalogue(tree, options->not_after_ms, &tree->catalogue, ret_message);
	if (r == 0)
		r = make_directory(tree, ret_message);
	if (r == 0)
		r = open_node(tree, ret_message);
	if (r == 0 && !options->without_root)
		r = tree_node_open_root(tree, ret_message);
	if (r < 0) {
		tree_node_close(tree);
		return r;
	}
	*ret = tree;
	return 0;
}

void tree_node_close(struct tree_node *tree)
{
	int r;

	if (tree == NULL)
		return;
	if (tree->fs != NULL)
		fs_close(tree->fs);
	if (tree->node != NULL)
		node_close(tree->node);
	catalogue_free(tree->catalogue);
	if (tree->directory != NULL) {
		r = file_io_remove_tree(tree->directory);
		if (r < 0)
			log_warning("'%s' cannot be removed: %s", tree->directory, strerror(-r));
	}
	free(tree->directory);
	free(tree);
}
