#include <config.h>
#include "fs/account_names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "fs/entry.h"
#include "fs/fs_private.h"

/* ---- one name */

/* The next component of a path; false: there is none. */
static bool next_component(const char **path, char component[FS_NAME_MAX_BYTES + 2])
{
	size_t n;

	*path += strspn(*path, "/");
	n = strcspn(*path, "/");
	/* One that is too long stays so, for fs_check_name(). */
	(void)snprintf(component, FS_NAME_MAX_BYTES + 2, "%.*s", (int)n, *path);
	*path += n;
	return n > 0;
}

/* Not fs_lookup(): the kernel gets no reference, and the entry's account is not asked for. */
static int find_entry(struct fs *fs, uint64_t directory, const char *name, struct entry *ret)
{
	struct inode_lock_set locks;
	struct inode inode;
	int r = fs_check_name(name);

	if (r < 0)
		return r;
	inode_locks_read(fs->node->locks, directory, &locks);
	r = fs_load_directory(fs, directory, &inode);
	if (r == 0)
		r = entry_find(fs, directory, name, ret);
	inode_locks_release(&locks);
	return r;
}

/* The entry of the account's directory; *ret_parent: where it is. */
static int find(struct fs *fs, const char *name, struct entry *ret, uint64_t *ret_parent)
{
	char component[FS_NAME_MAX_BYTES + 2];
	struct entry entry = {.ino = FS_ROOT_INO};
	uint32_t depth = 0;
	int r = 0;

	while (r == 0 && next_component(&name, component)) {
		if (++depth > fs->node->account_depth)
			return -EINVAL;
		*ret_parent = entry.ino;
		r = find_entry(fs, entry.ino, component, &entry);
	}
	if (r < 0)
		return r == -ENOTDIR || r == -ENAMETOOLONG ? -ENOENT : r;
	if (depth == 0 || depth < fs->node->account_depth)
		return -EINVAL;
	if (key_ino_account(entry.ino) == KEY_ROOT_ACCOUNT)
		return -ENOENT; /* a file among the accounts */
	*ret = entry;
	return 0;
}

int account_names_find(struct fs *fs, const char *name, uint32_t *ret)
{
	struct entry entry;
	uint64_t parent;
	int r;

	if (strcmp(name, ACCOUNT_NAMES_ROOT) == 0) {
		*ret = ACCOUNT_NAMES_ROOT_NUMBER;
		return 0;
	}
	r = find(fs, name, &entry, &parent);
	if (r == 0)
		*ret = key_ino_account(entry.ino);
	return r;
}

int account_names_entry(
	struct fs *fs, const char *name, uint64_t *ret_directory, const char **ret_name)
{
	const char *slash = strrchr(name, '/');
	struct entry entry;
	uint64_t parent;
	int r = find(fs, name, &entry, &parent);

	if (r < 0)
		return r;
	*ret_directory = parent;
	*ret_name = slash != NULL ? slash + 1 : name;
	return 0;
}

/* ---- all */

struct walk {
	struct fs *fs;
	account_names_take_fn *take;
	void *arg;
	char path[ACCOUNT_NAMES_MAX_BYTES];
	size_t path_bytes;
	bool ended; /* by the receiver */
	int error;
};

static bool walk_entry(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	struct walk *w = arg;
	size_t before = w->path_bytes;
	int n;

	(void)next;
	(void)attributes;
	if (!S_ISDIR(mode) || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return true;
	n = snprintf(
		w->path + before, sizeof(w->path) - before, "%s%s", before > 0 ? "/" : "", name);
	if (n < 0 || (size_t)n >= sizeof(w->path) - before)
		return true; /* deeper than accounts can be named */
	w->path_bytes += (size_t)n;
	if (key_ino_account(ino) != KEY_ROOT_ACCOUNT)
		w->ended = !w->take(w->arg, w->path, key_ino_account(ino));
	else
		w->error = fs_readdir(w->fs, ino, 0, false, walk_entry, w);
	w->path_bytes = before;
	w->path[before] = '\0';
	if (w->error == -ENOENT || w->error == -ENOTDIR)
		w->error = 0; /* removed meanwhile */
	return !w->ended && w->error == 0;
}

int account_names_list(struct fs *fs, account_names_take_fn *take, void *arg)
{
	struct walk w = {.fs = fs, .take = take, .arg = arg};
	int r;

	/* One account is all there is. */
	if (fs->node->account_depth == 0)
		return 0;
	r = fs_readdir(fs, FS_ROOT_INO, 0, false, walk_entry, &w);
	return w.error < 0 ? w.error : r;
}
