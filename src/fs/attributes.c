#include <config.h>
#include "fs/fs.h"

#include <errno.h>
#include "cache/file_data.h"
#include "fs/fs_private.h"

int fs_getattr(struct fs *fs, uint64_t ino, struct fs_attributes *ret)
{
	struct inode_lock_set locks;
	struct inode inode;
	int r;

	inode_locks_read(fs->node->locks, ino, &locks);
	r = node_load_inode(fs->node, ino, &inode);
	inode_locks_release(&locks);
	if (r == 0)
		fs_fill_attributes(&inode, ret);
	return r;
}

static int set_size(struct transaction *t, const struct fs_caller *caller, struct inode *inode,
	uint64_t size_bytes, const struct timespec *now)
{
	if (inode_is_directory(inode))
		return -EISDIR;
	if (!S_ISREG(inode->mode))
		return -EINVAL;
	if (size_bytes > FS_FILE_MAX_BYTES)
		return -EFBIG;
	if (caller->uid != 0)
		fs_clear_privileges(inode);
	inode->mtime = *now;
	return file_data_resize(t, inode, size_bytes);
}

static void set_owner_and_mode(
	struct inode *inode, unsigned int set, const struct fs_attributes *values)
{
	if (set & FS_SET_UID)
		inode->uid = values->uid;
	if (set & FS_SET_GID)
		inode->gid = values->gid;
	if (set & FS_SET_MODE)
		inode->mode = (inode->mode & S_IFMT) | (values->mode & ~(uint32_t)S_IFMT);
	else if (set & (FS_SET_UID | FS_SET_GID))
		fs_clear_privileges(inode);
}

static void set_times(struct inode *inode, unsigned int set, const struct fs_attributes *values,
	const struct timespec *now)
{
	if (set & FS_SET_ATIME_NOW)
		inode->atime = *now;
	else if (set & FS_SET_ATIME)
		inode->atime = values->atime;
	if (set & FS_SET_MTIME_NOW)
		inode->mtime = *now;
	else if (set & FS_SET_MTIME)
		inode->mtime = values->mtime;
	inode->ctime = set & FS_SET_CTIME ? values->ctime : *now;
}

static int setattr_locked(struct fs *fs, const struct fs_caller *caller, uint64_t ino,
	unsigned int set, const struct fs_attributes *values, struct inode *ret)
{
	struct timespec now = fs_now();
	struct transaction t;
	int r = node_load_inode(fs->node, ino, ret);

	if (r == 0)
		r = transaction_begin(fs->node, &t);
	if (r < 0)
		return r;
	if (set & FS_SET_SIZE)
		r = set_size(&t, caller, ret, values->size_bytes, &now);
	if (r < 0) {
		transaction_abort(&t);
		return r;
	}
	set_owner_and_mode(ret, set, values);
	set_times(ret, set, values, &now);
	transaction_put_inode(&t, ret);
	return transaction_commit(&t);
}

void fs_setattr(struct fs *fs, const struct fs_caller *caller, uint64_t ino, unsigned int set,
	const struct fs_attributes *values, fs_done_fn *done, void *arg)
{
	struct fs_attributes attributes;
	struct fs_reply reply = {.attributes = &attributes};
	struct inode_lock_set locks;
	struct inode inode;

	reply.error = fs_check_change(fs);
	if (reply.error < 0) {
		done(arg, &reply);
		return;
	}
	inode_locks_write(fs->node->locks, &ino, 1, &locks);
	reply.error = setattr_locked(fs, caller, ino, set, values, &inode);
	inode_locks_release(&locks);
	if (reply.error == 0)
		fs_fill_attributes(&inode, &attributes);
	done(arg, &reply);
}
