/*
 * tree_node.h: accounts of a volume that nobody has to serve: a node of its own in a private,
 * temporary directory, made of what is on the backend, as it is now or was at a time.
 *
 * Nothing is written to the backend: it has to be one that refuses it (read_only_backend.h).
 * Accounts may be loaded and unloaded by many threads; all else is for one.
 */
#ifndef MAILFS_TRANSFER_TREE_NODE_H
#define MAILFS_TRANSFER_TREE_NODE_H

#include <stdatomic.h>
#include "backends/backend.h"
#include "fs/fs.h"
#include "replication/catalogue.h"
#include "util/uuid.h"

struct tree_node;

struct tree_node_options {
	struct backend *backend; /* outlives it */
	struct uuid volume;
	uint32_t account_depth;
	const char *parent_directory; /* in which the private one is made; NULL: TMPDIR or /tmp */
	int64_t not_after_ms;         /* catalogue_options; 0: as it is */
	const atomic_bool *stopping;  /* NULL: never */
	bool without_root; /* the root account is not loaded yet: tree_node_open_root() */
};

/* Loads the journals' heads and the root account, whose tree says which accounts there are; if that
 * has nothing as old as not_after_ms, then as it is now. Blocks. *ret_message: malloc()ed. -ENOENT:
 * there is no root account: the volume was never replicated. Errors of catalogue_load(), of
 * restore_account() and node_open(). */
int tree_node_open(
	const struct tree_node_options *options, struct tree_node **ret, char **ret_message);

/* What tree_node_open() leaves to do with without_root. On failure there are no names. */
int tree_node_open_root(struct tree_node *tree, char **ret_message);

/* Reads the journals' heads anew. No account may be being loaded. */
int tree_node_reload(struct tree_node *tree, char **ret_message);

/* Removes the directory. NULL is allowed. */
void tree_node_close(struct tree_node *tree);

struct fs *tree_node_fs(struct tree_node *tree); /* NULL before tree_node_open_root() */
struct node *tree_node_node(struct tree_node *tree);
const struct catalogue *tree_node_catalogue(const struct tree_node *tree);

struct tree_node_account {
	uint32_t account;
	char *name; /* "user", "domain/user", "" for the root account; owned by the list */
};
struct tree_node_accounts {
	struct tree_node_account *accounts; /* in the order of the tree, without the root account */
	size_t n, capacity;
};

/* All that the root account's tree names. -ENOMEM, errors of fs.h. */
int tree_node_list(struct tree_node *tree, struct tree_node_accounts *ret);
int tree_node_list_of(struct fs *fs, struct tree_node_accounts *ret); /* of any filesystem */
void tree_node_list_done(struct tree_node_accounts *accounts);

/* The account of this name; slashes around it do not count. -ENOENT: there is none, -EINVAL: it is
 * no name of an account; with *ret_message. */
int tree_node_find(struct tree_node *tree, const char *name, uint32_t *ret, char **ret_message);

struct tree_node_state {
	int64_t time_ms;   /* of the cut that is loaded */
	bool is_early;     /* there were later changes up to not_after_ms, which are gone */
	bool is_uncertain; /* the last changes may be missing (catalogue.h) */
};

/* Loads an account; the root account is loaded already. -ENOENT: it has nothing (that is old
 * enough): *ret_message lists what there is. */
int tree_node_load(
	struct tree_node *tree, uint32_t account, struct tree_node_state *ret, char **ret_message);

/* Drops what is local of it. */
int tree_node_unload(struct tree_node *tree, uint32_t account);

#endif
