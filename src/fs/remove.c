#include <config.h>
#include "fs/fs.h"

#include <errno.h>
#include "fs/entry.h"
#include "fs/fs_private.h"

static int check_removable(const struct inode *inode, bool directory)
{
	if (directory != inode_is_directory(inode))
		return directory ? -ENOTDIR : -EISDIR;
	return directory && inode->entries > 0 ? -ENOTEMPTY : 0;
}

static int commit_removal(struct fs *fs, struct inode *parent, const char *name,
	const struct entry *entry, struct inode *inode)
{
	struct timespec now = fs_now();
	bool directory = inode_is_directory(inode);
	struct transaction t;
	int r = transaction_begin(fs->node, &t);

	if (r < 0)
		return r;
	entry_remove(&t, parent, name, entry);
	parent->nlink -= directory ? 1 : 0;
	fs_touch_directory(parent, &now);
	inode->ctime = now;
	inode->nlink--;
	if (directory || inode->nlink == 0)
		fs_note_orphan(&t, inode);
	transaction_put_inode(&t, parent);
	transaction_put_inode(&t, inode);
	return transaction_commit(&t);
}

/* -EAGAIN: the name leads elsewhere now. */
static int remove_locked(struct fs *fs, uint64_t parent_ino, const char *name, uint64_t ino,
	bool directory, bool *ret_last)
{
	struct inode parent, inode;
	struct entry entry;
	int r = fs_load_directory(fs, parent_ino, &parent);

	if (r == 0)
		r = entry_find(fs, parent_ino, name, &entry);
	if (r == 0 && entry.ino != ino)
		r = -EAGAIN;
	if (r == 0)
		r = node_load_inode(fs->node, ino, &inode);
	if (r == 0)
		r = check_removable(&inode, directory);
	if (r == 0)
		r = commit_removal(fs, &parent, name, &entry, &inode);
	*ret_last = r == 0 && inode.nlink == 0;
	return r;
}

static int remove_once(struct fs *fs, uint64_t parent, const char *name, bool directory)
{
	uint64_t inos[2] = {parent, 0};
	struct inode_lock_set locks;
	bool last = false;
	int r = entry_peek(fs, parent, name, &inos[1]);

	if (r == 0)
		r = fs_enter_entry(fs, parent, inos[1]);
	if (r < 0)
		return r;
	inode_locks_write(fs->node->locks, inos, 2, &locks);
	r = remove_locked(fs, parent, name, inos[1], directory, &last);
	inode_locks_release(&locks);
	if (last)
		fs_end_if_unused(fs, inos[1]);
	fs_leave_entry(fs, parent, inos[1]);
	return r;
}

static int remove_name(struct fs *fs, uint64_t parent, const char *name, bool directory)
{
	int r = fs_check_name(name);

	if (r == 0)
		r = fs_check_change(fs);
	if (r < 0)
		return r;
	do
		r = remove_once(fs, parent, name, directory);
	while (r == -EAGAIN);
	if (r == 0 && directory && key_ino_account(parent) == KEY_ROOT_ACCOUNT)
		fs_resolve_acks(fs);
	return r;
}

int fs_unlink(struct fs *fs, uint64_t parent, const char *name)
{
	return remove_name(fs, parent, name, false);
}

int fs_rmdir(struct fs *fs, uint64_t parent, const char *name)
{
	return remove_name(fs, parent, name, true);
}
