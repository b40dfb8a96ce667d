#include <config.h>
#include "fs/fs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "fs/entry.h"
#include "fs/fs_private.h"

/* One end of a rename: a name in a directory, and what it leads to. */
struct end {
	struct inode *directory;
	const char *name;
	struct entry entry;
	bool exists;
	struct inode inode;
};

struct renaming {
	struct fs *fs;
	uint64_t parents[2];
	const char *names[2];
	unsigned int flags;
	struct inode directories[2]; /* the second is not used when both are the same */
	struct end ends[2];
	struct timespec now;
	bool publishes;
	uint64_t lsn;
	uint64_t ended; /* the inode that lost its last name, or 0 */
};

/* What a name leads to, to know what to lock; 0 for nothing. */
static int peek(struct fs *fs, uint64_t parent, const char *name, uint64_t *ret)
{
	int r;

	*ret = 0;
	r = entry_peek(fs, parent, name, ret);
	return r == -ENOENT ? 0 : r;
}

static int load_end(struct renaming *n, int i, uint64_t expected)
{
	struct end *end = &n->ends[i];
	int r = entry_find(n->fs, n->parents[i], n->names[i], &end->entry);

	end->name = n->names[i];
	end->exists = r == 0;
	if (r == -ENOENT)
		return expected == 0 ? 0 : -EAGAIN;
	if (r < 0)
		return r;
	if (end->entry.ino != expected)
		return -EAGAIN;
	return node_load_inode(n->fs->node, expected, &end->inode);
}

/* -EAGAIN: the names lead elsewhere than they did when we looked. */
static int load(struct renaming *n, const uint64_t inos[2])
{
	int same = n->parents[0] == n->parents[1];
	int r = fs_load_directory(n->fs, n->parents[0], &n->directories[0]);

	if (r == 0 && !same)
		r = fs_load_directory(n->fs, n->parents[1], &n->directories[1]);
	n->ends[0].directory = &n->directories[0];
	n->ends[1].directory = &n->directories[same ? 0 : 1];
	if (r == 0)
		r = load_end(n, 0, inos[0]);
	if (r == 0)
		r = load_end(n, 1, inos[1]);
	return r;
}

/* In the root account directories keep their depth, or they would begin or cease to be accounts. */
static bool may_change_depth(const struct fs *fs, const struct end *from, const struct end *to)
{
	return !from->exists || !inode_is_directory(&from->inode) ||
	       key_ino_account(from->directory->ino) != KEY_ROOT_ACCOUNT ||
	       fs->node->account_depth == 0 || from->directory->depth == to->directory->depth;
}

static int check_replacement(const struct inode *from, const struct inode *to)
{
	if (inode_is_directory(from) && !inode_is_directory(to))
		return -ENOTDIR;
	if (!inode_is_directory(from) && inode_is_directory(to))
		return -EISDIR;
	return inode_is_directory(to) && to->entries > 0 ? -ENOTEMPTY : 0;
}

/* Whether the inode is the directory itself or above it, within its account: what lies above that
 * has nothing that could move below. Under the tree lock. */
static int is_above(struct renaming *n, uint64_t ino, uint64_t directory, bool *ret)
{
	uint32_t account = key_ino_account(directory);
	struct inode inode;
	int r = 0;

	*ret = false;
	while (r == 0 && !*ret && directory != FS_ROOT_INO &&
		key_ino_account(directory) == account) {
		struct key key = key_inode(directory);
		struct store_value value;

		*ret = directory == ino;
		r = store_get(n->fs->node->store, STORE_META, &key, &value);
		if (r < 0)
			return r;
		r = record_decode_inode(directory, value.data, value.size_bytes, &inode);
		store_value_done(&value);
		directory = inode.parent;
	}
	return r;
}

/* A directory must not move below itself. */
static int check_cycle(struct renaming *n, const struct end *from, const struct end *to)
{
	bool above;
	int r;

	if (!from->exists || !inode_is_directory(&from->inode) || from->directory == to->directory)
		return 0;
	r = is_above(n, from->inode.ino, to->directory->ino, &above);
	return r < 0 ? r : above ? -EINVAL : 0;
}

static int check(struct renaming *n)
{
	struct end *from = &n->ends[0], *to = &n->ends[1];
	bool exchange = n->flags & RENAME_EXCHANGE;
	int r;

	if (!from->exists || (exchange && !to->exists))
		return -ENOENT;
	if (to->exists && (n->flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!may_change_depth(n->fs, from, to) || (exchange && !may_change_depth(n->fs, to, from)))
		return -EXDEV;
	r = check_cycle(n, from, to);
	if (r == 0 && exchange)
		r = check_cycle(n, to, from);
	if (r == 0 && to->exists && !exchange && from->inode.ino != to->inode.ino)
		r = check_replacement(&from->inode, &to->inode);
	return r;
}

/* `moved` has the name `to` now: its class, its parent, its ctime. */
static int settle(struct renaming *n, struct transaction *t, struct inode *moved,
	const struct end *from, const struct end *to)
{
	uint8_t old_kind = from->directory->directory_kind,
		new_kind = to->directory->directory_kind;
	struct file_traits before = file_class_file(old_kind, from->name);
	struct file_traits after = file_class_file(new_kind, to->name);

	moved->ctime = n->now;
	moved->parent = to->directory->ino;
	if (inode_is_directory(moved)) {
		if (key_ino_local(moved->ino) != KEY_INO_LOCAL_ROOT)
			moved->directory_kind = (uint8_t)file_class_directory(new_kind, to->name);
		return 0;
	}
	if (!S_ISREG(moved->mode))
		return 0;
	n->publishes |= file_class_rename_publishes(&before, &after);
	if (moved->nlink > 1 && moved->deferral == 0)
		after.deferral = NULL; /* a name that is left may be one that must not wait */
	if (moved->nlink > 1 && after.class == FILE_CLASS_TEMPORARY)
		after.class = moved->file_class;
	return fs_apply_traits(t, moved, &after);
}

static void move_directory_link(struct end *from, struct end *to, const struct inode *moved)
{
	if (inode_is_directory(moved) && from->directory != to->directory) {
		from->directory->nlink--;
		to->directory->nlink++;
	}
}

static int exchange(struct renaming *n, struct transaction *t)
{
	struct end *a = &n->ends[0], *b = &n->ends[1];
	int r;

	entry_replace(t, a->directory, a->name, &a->entry, b->inode.ino, b->inode.mode);
	entry_replace(t, b->directory, b->name, &b->entry, a->inode.ino, a->inode.mode);
	move_directory_link(a, b, &a->inode);
	move_directory_link(b, a, &b->inode);
	r = settle(n, t, &a->inode, a, b);
	if (r == 0)
		r = settle(n, t, &b->inode, b, a);
	transaction_put_inode(t, &a->inode);
	transaction_put_inode(t, &b->inode);
	return r;
}

static void drop_replaced(struct renaming *n, struct transaction *t, struct end *to)
{
	bool directory = inode_is_directory(&to->inode);

	to->inode.ctime = n->now;
	to->inode.nlink--;
	to->directory->nlink -= directory ? 1 : 0;
	if (directory || to->inode.nlink == 0) {
		fs_note_orphan(t, &to->inode);
		n->ended = to->inode.ino;
	}
	transaction_put_inode(t, &to->inode);
}

static int move(struct renaming *n, struct transaction *t)
{
	struct end *from = &n->ends[0], *to = &n->ends[1];
	int r;

	entry_remove(t, from->directory, from->name, &from->entry);
	if (to->exists) {
		drop_replaced(n, t, to);
		entry_replace(
			t, to->directory, to->name, &to->entry, from->inode.ino, from->inode.mode);
	} else {
		entry_add(t, to->directory, to->name, from->inode.ino, from->inode.mode);
	}
	move_directory_link(from, to, &from->inode);
	r = settle(n, t, &from->inode, from, to);
	transaction_put_inode(t, &from->inode);
	return r;
}

static int apply(struct renaming *n)
{
	struct inode *a = n->ends[0].directory, *b = n->ends[1].directory;
	struct transaction t;
	int r = transaction_begin(n->fs->node, &t);

	if (r < 0)
		return r;
	n->now = fs_now();
	r = n->flags & RENAME_EXCHANGE ? exchange(n, &t) : move(n, &t);
	fs_touch_directory(a, &n->now);
	fs_touch_directory(b, &n->now);
	transaction_put_inode(&t, a);
	if (b != a)
		transaction_put_inode(&t, b);
	if (r == 0)
		r = transaction_commit(&t);
	else
		transaction_abort(&t);
	n->lsn = a->changed_lsn;
	return r;
}

static int rename_locked(struct renaming *n, const uint64_t inos[2])
{
	int r = load(n, inos);

	if (r == 0)
		r = check(n);
	if (r < 0)
		return r;
	/* Two names of one file: nothing is to be done, says POSIX. */
	if (n->ends[1].exists && n->ends[0].inode.ino == n->ends[1].inode.ino)
		return 0;
	return apply(n);
}

static int rename_once(struct renaming *n)
{
	uint64_t inos[INODE_LOCKS_MAX] = {n->parents[0], n->parents[1], 0, 0};
	struct inode_lock_set locks;
	int r = peek(n->fs, n->parents[0], n->names[0], &inos[2]);

	if (r == 0)
		r = peek(n->fs, n->parents[1], n->names[1], &inos[3]);
	if (r == 0)
		r = fs_enter_entry(n->fs, n->parents[0], inos[2]);
	if (r < 0)
		return r;
	r = fs_enter_entry(n->fs, n->parents[1], inos[3]);
	if (r == 0) {
		inode_locks_write(n->fs->node->locks, inos, INODE_LOCKS_MAX, &locks);
		r = rename_locked(n, &inos[2]);
		inode_locks_release(&locks);
		if (r == 0 && n->ended != 0)
			fs_end_if_unused(n->fs, n->ended);
		fs_leave_entry(n->fs, n->parents[1], inos[3]);
	}
	fs_leave_entry(n->fs, n->parents[0], inos[2]);
	return r;
}

static int check_arguments(const struct renaming *n)
{
	int r = fs_check_name(n->names[0]);

	if (r == 0)
		r = fs_check_name(n->names[1]);
	if (r == 0 && ((n->flags & ~(unsigned int)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0 ||
			      n->flags == (RENAME_NOREPLACE | RENAME_EXCHANGE)))
		r = -EINVAL;
	if (r == 0 && key_ino_account(n->parents[0]) != key_ino_account(n->parents[1]))
		r = -EXDEV;
	return r;
}

static int rename_until_settled(struct renaming *n)
{
	int r;

	do
		r = rename_once(n);
	while (r == -EAGAIN);
	return r;
}

static int rename_between(struct renaming *n)
{
	int r;

	lock_acquire(&n->fs->tree_lock);
	r = rename_until_settled(n);
	lock_release(&n->fs->tree_lock);
	return r;
}

void fs_rename(struct fs *fs, const struct fs_caller *caller, uint64_t parent, const char *name,
	uint64_t new_parent, const char *new_name, unsigned int flags, fs_done_fn *done, void *arg)
{
	struct renaming n = {
		.fs = fs,
		.parents = {parent, new_parent},
		.names = {name, new_name},
		.flags = flags,
	};
	int r = check_arguments(&n);

	if (r == 0)
		r = fs_check_change(fs);
	if (r == 0)
		r = parent == new_parent ? rename_until_settled(&n) : rename_between(&n);
	if (r == 0 && key_ino_account(parent) == KEY_ROOT_ACCOUNT)
		fs_resolve_acks(fs);
	if (r == 0 && n.publishes && publisher_syncs(fs, caller->thread, new_parent, new_name)) {
		fs_owe(fs, parent, n.lsn);
		n.publishes = false;
	}
	if (r == 0 && n.publishes)
		fs_wait_for_commit(fs, parent, n.lsn, done, arg);
	else
		fs_reply_error(done, arg, r);
}
