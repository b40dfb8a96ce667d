#include <config.h>
#include "fs/fs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "fs/entry.h"
#include "fs/fs_private.h"

/* A name's inode. It may be removed before the caller has locked it. */
static int resolve(struct fs *fs, uint64_t parent, const char *name, uint64_t *ret)
{
	struct inode_lock_set locks;
	struct inode directory;
	struct entry entry;
	int r;

	inode_locks_read(fs->node->locks, parent, &locks);
	r = fs_load_directory(fs, parent, &directory);
	if (r == 0)
		r = entry_find(fs, parent, name, &entry);
	inode_locks_release(&locks);
	if (r == 0)
		*ret = entry.ino;
	return r;
}

int fs_refer(struct fs *fs, uint64_t ino, struct fs_attributes *ret)
{
	struct inode_lock_set locks;
	struct inode inode;
	int r;

	inode_locks_read(fs->node->locks, ino, &locks);
	r = node_load_inode(fs->node, ino, &inode);
	if (r == 0 && inode.nlink == 0)
		r = -ENOENT;
	if (r == 0)
		r = inode_refs_take(fs->node->refs, ino);
	inode_locks_release(&locks);
	if (r == 0)
		fs_fill_attributes(&inode, ret);
	return r;
}

/* The kernel holds the directory while it looks a name up: a wait for one account would hold up
 * the others. Whoever then asks for anything of the account waits, without the directory. The
 * kernel also keeps it from being removed meanwhile. */
static int refer_absent(struct fs *fs, uint64_t ino, struct fs_attributes *ret)
{
	int r = inode_refs_take(fs->node->refs, ino);

	*ret = (struct fs_attributes){.ino = ino, .mode = S_IFDIR, .nlink = 2};
	return r < 0 ? r : 1;
}

int fs_lookup(struct fs *fs, uint64_t parent, const char *name, struct fs_attributes *ret)
{
	uint64_t ino = 0;
	int r = fs_check_name(name);

	if (r == 0)
		r = resolve(fs, parent, name, &ino);
	if (r < 0)
		return r;
	r = fs_enter_entry(fs, parent, ino);
	if (r < 0)
		return r == -EINPROGRESS ? refer_absent(fs, ino, ret) : r;
	r = fs_refer(fs, ino, ret);
	fs_leave_entry(fs, parent, ino);
	return r;
}

int fs_readlink(struct fs *fs, uint64_t ino, char *target, size_t size_bytes)
{
	struct key key = key_symlink(ino);
	struct store_value value;
	int r = store_get(fs->node->store, STORE_META, &key, &value);

	if (r < 0)
		return r == -ENOENT ? -EINVAL : r;
	if (value.size_bytes >= size_bytes)
		r = -ENAMETOOLONG;
	if (r == 0) {
		memcpy(target, value.data, value.size_bytes);
		target[value.size_bytes] = '\0';
	}
	store_value_done(&value);
	return r;
}
