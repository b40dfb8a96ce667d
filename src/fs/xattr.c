#include <config.h>
#include "fs/fs.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>
#include "fs/fs_private.h"

#define LIST_MAX_BYTES 65536

/* ACLs (system.*) would have to be enforced, not only stored. */
static int check_xattr_name(const char *name)
{
	static const char *const namespaces[] = {"user.", "trusted.", "security."};

	if (strlen(name) > FS_NAME_MAX_BYTES)
		return -ERANGE;
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		size_t n = strlen(namespaces[i]);

		if (strncmp(name, namespaces[i], n) == 0)
			return name[n] == '\0' ? -EINVAL : 0;
	}
	return -EOPNOTSUPP;
}

static int load(struct fs *fs, uint64_t ino, const char *name, struct store_value *ret)
{
	struct key key = key_xattr(ino, name);
	int r = store_get(fs->node->store, STORE_META, &key, ret);

	return r == -ENOENT ? -ENODATA : r;
}

/* The inode changes with its attributes: ctime, and the flag that there may be some. */
static int commit_change(struct fs *fs, struct transaction *t, uint64_t ino)
{
	struct inode inode;
	int r = node_load_inode(fs->node, ino, &inode);

	if (r < 0) {
		transaction_abort(t);
		return r;
	}
	inode.ctime = fs_now();
	inode.flags |= INODE_HAS_XATTR;
	transaction_put_inode(t, &inode);
	return transaction_commit(t);
}

static int set_locked(struct fs *fs, uint64_t ino, const char *name, const void *value,
	size_t size_bytes, int flags)
{
	struct key key = key_xattr(ino, name);
	struct store_value old;
	struct transaction t;
	int r = load(fs, ino, name, &old);

	if (r == 0)
		store_value_done(&old);
	else if (r != -ENODATA)
		return r;
	if (r == 0 && (flags & XATTR_CREATE))
		return -EEXIST;
	if (r == -ENODATA && (flags & XATTR_REPLACE))
		return -ENODATA;
	r = transaction_begin(fs->node, &t);
	if (r < 0)
		return r;
	transaction_put(&t, STORE_META, &key, value, size_bytes);
	return commit_change(fs, &t, ino);
}

int fs_setxattr(struct fs *fs, uint64_t ino, const char *name, const void *value, size_t size_bytes,
	int flags)
{
	struct inode_lock_set locks;
	int r = check_xattr_name(name);

	if (r == 0 && size_bytes > FS_XATTR_VALUE_MAX_BYTES)
		r = -E2BIG;
	if (r == 0)
		r = fs_check_growth(fs);
	if (r < 0)
		return r;
	inode_locks_write(fs->node->locks, &ino, 1, &locks);
	r = set_locked(fs, ino, name, value, size_bytes, flags);
	inode_locks_release(&locks);
	return r;
}

ssize_t fs_getxattr(struct fs *fs, uint64_t ino, const char *name, void *value, size_t size_bytes)
{
	struct inode_lock_set locks;
	struct store_value found;
	struct inode inode;
	ssize_t r = check_xattr_name(name);

	if (r < 0)
		return r;
	inode_locks_read(fs->node->locks, ino, &locks);
	r = node_load_inode(fs->node, ino, &inode);
	if (r == 0)
		r = inode.flags & INODE_HAS_XATTR ? load(fs, ino, name, &found) : -ENODATA;
	inode_locks_release(&locks);
	if (r < 0)
		return r;
	r = (ssize_t)found.size_bytes;
	if (size_bytes > 0 && found.size_bytes > size_bytes)
		r = -ERANGE;
	else if (size_bytes > 0)
		memcpy(value, found.data, found.size_bytes);
	store_value_done(&found);
	return r;
}

/* Names one after the other, each with its NUL. */
static ssize_t list_names(struct fs *fs, uint64_t ino, char *names, size_t size_bytes)
{
	struct key from = key_xattr(ino, ""), to = key_end_of(KEY_XATTR, ino);
	struct store_iterator *it = store_iterator_new(fs->node->store, STORE_META, &from, &to);
	size_t used = 0;
	int r = it == NULL ? -ENOMEM : 0;

	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it)) {
		size_t key_bytes, tail_bytes = 0;
		const uint8_t *key = store_iterator_key(it, &key_bytes);
		const uint8_t *tail = key_tail(key, key_bytes, &tail_bytes);

		if (tail == NULL)
			r = -EBADMSG;
		else if (used + tail_bytes + 1 > LIST_MAX_BYTES)
			r = -E2BIG;
		else if (size_bytes > 0 && used + tail_bytes + 1 > size_bytes)
			r = -ERANGE;
		else if (size_bytes > 0) {
			memcpy(names + used, tail, tail_bytes);
			names[used + tail_bytes] = '\0';
		}
		used += tail_bytes + 1;
	}
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	return r < 0 ? r : (ssize_t)used;
}

ssize_t fs_listxattr(struct fs *fs, uint64_t ino, char *names, size_t size_bytes)
{
	struct inode_lock_set locks;
	struct inode inode;
	ssize_t r;

	inode_locks_read(fs->node->locks, ino, &locks);
	r = node_load_inode(fs->node, ino, &inode);
	if (r == 0 && (inode.flags & INODE_HAS_XATTR))
		r = list_names(fs, ino, names, size_bytes);
	inode_locks_release(&locks);
	return r;
}

static int remove_locked(struct fs *fs, uint64_t ino, const char *name)
{
	struct key key = key_xattr(ino, name);
	struct store_value old;
	struct transaction t;
	int r = load(fs, ino, name, &old);

	if (r < 0)
		return r;
	store_value_done(&old);
	r = transaction_begin(fs->node, &t);
	if (r < 0)
		return r;
	transaction_delete(&t, STORE_META, &key);
	return commit_change(fs, &t, ino);
}

int fs_removexattr(struct fs *fs, uint64_t ino, const char *name)
{
	struct inode_lock_set locks;
	int r = check_xattr_name(name);

	if (r == 0)
		r = fs_check_change(fs);
	if (r < 0)
		return r;
	inode_locks_write(fs->node->locks, &ino, 1, &locks);
	r = remove_locked(fs, ino, name);
	inode_locks_release(&locks);
	return r;
}
