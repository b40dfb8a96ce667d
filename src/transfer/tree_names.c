/*
 * tree_names.c: which accounts the root account's tree names (tree_node.h).
 */
#include <config.h>
#include "transfer/tree_node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/key.h"
#include "transfer/fs_calls.h"
#include "util/message.h"

struct listing {
	struct tree_node_accounts *accounts;
	struct tree_node_accounts directories; /* of the root account: `account` is not used */
	const char *above;
	int error;
};

static int add_name(
	struct tree_node_accounts *list, uint32_t account, const char *above, const char *name)
{
	size_t capacity = list->capacity ? list->capacity * 2 : 64;
	struct tree_node_account *bigger;
	char *text;

	if (list->n == list->capacity) {
		bigger = reallocarray(list->accounts, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		list->accounts = bigger;
		list->capacity = capacity;
	}
	if (asprintf(&text, "%s%s%s", above, *above != '\0' ? "/" : "", name) < 0)
		return -ENOMEM;
	list->accounts[list->n++] = (struct tree_node_account){.account = account, .name = text};
	return 0;
}

static bool take_entry(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	struct listing *listing = arg;

	(void)next;
	(void)attributes;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || !S_ISDIR(mode))
		return true;
	listing->error = add_name(key_ino_account(ino) != KEY_ROOT_ACCOUNT ? listing->accounts
									   : &listing->directories,
		key_ino_account(ino), listing->above, name);
	return listing->error == 0;
}

static int list_directory(struct fs *fs, const char *path, struct listing *listing)
{
	struct fs_attributes a;
	int r = fs_calls_find(fs, FS_ROOT_INO, path, &a);

	if (r < 0)
		return r;
	listing->above = path;
	r = fs_readdir(fs, a.ino, 0, false, take_entry, listing);
	if (*path != '\0')
		fs_forget(fs, a.ino, 1);
	return r < 0 ? r : listing->error;
}

int tree_node_list_of(struct fs *fs, struct tree_node_accounts *ret)
{
	struct listing listing = {.accounts = ret};
	int r;

	*ret = (struct tree_node_accounts){0};
	r = list_directory(fs, "", &listing);
	/* Accounts are at most two levels deep; below the first level are no directories of the
	 * root account that could lead to more. */
	for (size_t i = 0; r == 0 && i < listing.directories.n; i++) {
		struct listing below = {.accounts = ret};

		r = list_directory(fs, listing.directories.accounts[i].name, &below);
		tree_node_list_done(&below.directories);
	}
	tree_node_list_done(&listing.directories);
	if (r < 0)
		tree_node_list_done(ret);
	return r;
}

int tree_node_list(struct tree_node *tree, struct tree_node_accounts *ret)
{
	return tree_node_list_of(tree_node_fs(tree), ret);
}

void tree_node_list_done(struct tree_node_accounts *accounts)
{
	for (size_t i = 0; i < accounts->n; i++)
		free(accounts->accounts[i].name);
	free(accounts->accounts);
	*accounts = (struct tree_node_accounts){0};
}

/* Where another account begins nothing of it may have been loaded, so that only the name counts. */
struct search {
	const char *name;
	uint64_t ino;
};

static bool match_entry(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	struct search *search = arg;

	(void)mode;
	(void)next;
	(void)attributes;
	if (strcmp(name, search->name) != 0)
		return true;
	search->ino = ino;
	return false;
}

/* Directory after directory; ends where another account begins. */
static int resolve(struct fs *fs, const char *name, uint64_t *ret_ino, const char **ret_rest)
{
	char part[FS_NAME_MAX_BYTES + 1];
	struct search search = {.name = part};
	int r = 0;

	*ret_ino = FS_ROOT_INO;
	while (r == 0 && *name != '\0' && key_ino_account(*ret_ino) == KEY_ROOT_ACCOUNT) {
		size_t n = strcspn(name, "/");

		if (n > FS_NAME_MAX_BYTES)
			return -ENAMETOOLONG;
		memcpy(part, name, n);
		part[n] = '\0';
		name += n + strspn(name + n, "/");
		search.ino = 0;
		r = fs_readdir(fs, *ret_ino, 0, false, match_entry, &search);
		if (r == 0 && search.ino == 0)
			r = -ENOENT;
		*ret_ino = search.ino;
	}
	*ret_rest = name;
	return r;
}

int tree_node_find(struct tree_node *tree, const char *name, uint32_t *ret, char **ret_message)
{
	const char *begin = name + strspn(name, "/"), *rest;
	uint64_t ino;
	int r = resolve(tree_node_fs(tree), begin, &ino, &rest);

	if (r == -ENOENT)
		return message_set(ret_message, r, "there is no account '%s'", name);
	if (r < 0)
		return message_set(ret_message, r, "cannot look for '%s': %s", name, strerror(-r));
	*ret = key_ino_account(ino);
	if (*rest != '\0' || (*ret == KEY_ROOT_ACCOUNT && *begin != '\0'))
		return message_set(ret_message, -EINVAL,
			"'%s' is no account: an account is the first directory below which the "
			"volume keeps a tree as one (mailfs-admin format --account-depth)",
			name);
	return 0;
}
