#include <config.h>
#include "fs/fs.h"

#include <errno.h>
#include <string.h>
#include "fs/fs_private.h"

#define DOT_OFFSET 1
#define DOT_DOT_OFFSET 2

/* Dead records before the first entry (mail that passed through new/) are worth remembering. */
#define REMEMBER_FROM_COOKIES 32

struct scan {
	struct fs *fs;
	struct inode directory;
	bool with_attributes;
	fs_entry_fn *take;
	void *arg;
};

/* The entry with its attributes and a reference; -ENOENT when it has just been removed. */
static int refer(struct scan *s, uint64_t ino, struct fs_attributes *ret)
{
	struct inode_lock_set locks;
	struct inode inode;
	int r;

	inode_locks_read(s->fs->node->locks, ino, &locks);
	r = node_load_inode(s->fs->node, ino, &inode);
	if (r == 0 && inode.nlink == 0)
		r = -ENOENT;
	if (r == 0)
		r = inode_refs_take(s->fs->node->refs, ino);
	inode_locks_release(&locks);
	if (r == 0)
		fs_fill_attributes(&inode, ret);
	return r;
}

/* 1: taken, 0: the receiver is full, or an error. */
static int give(struct scan *s, const struct entry *entry)
{
	struct fs_attributes attributes;
	int r;

	if (!s->with_attributes)
		return s->take(s->arg, entry->name, entry->ino, entry->mode, entry->cookie, NULL);
	r = refer(s, entry->ino, &attributes);
	if (r < 0)
		return r == -ENOENT ? 1 : r;
	if (s->take(s->arg, entry->name, entry->ino, entry->mode, entry->cookie, &attributes))
		return 1;
	fs_forget(s->fs, entry->ino, 1);
	return 0;
}

static bool give_dots(struct scan *s, uint64_t offset)
{
	const struct inode *d = &s->directory;

	if (offset < DOT_OFFSET && !s->take(s->arg, ".", d->ino, S_IFDIR, DOT_OFFSET, NULL))
		return false;
	return offset >= DOT_DOT_OFFSET ||
	       s->take(s->arg, "..", d->parent, S_IFDIR, DOT_DOT_OFFSET, NULL);
}

/* No entry has a smaller cookie, and none will: cookies only grow. */
static void remember_first(struct scan *s, uint64_t cookie)
{
	struct inode_lock_set locks;
	struct inode now;

	inode_locks_write(s->fs->node->locks, &s->directory.ino, 1, &locks);
	if (node_load_inode(s->fs->node, s->directory.ino, &now) == 0 && now.nlink > 0) {
		now.first_cookie = cookie;
		inode_cache_put(s->fs->node->inodes, &now);
	}
	inode_locks_release(&locks);
}

static int give_entries(struct scan *s, struct store_iterator *it)
{
	struct entry entry;
	int r = 1;

	for (; r > 0 && store_iterator_valid(it); store_iterator_next(it)) {
		size_t value_bytes;
		const uint8_t *value = store_iterator_value(it, &value_bytes);

		r = record_decode_entry(value, value_bytes, &entry);
		if (r == 0)
			r = give(s, &entry);
	}
	return r > 0 ? store_iterator_error(it) : r;
}

/* The iterator sees the directory as it is now; it needs no lock afterwards. */
static int begin(struct scan *s, uint64_t ino, uint64_t offset, struct store_iterator **ret)
{
	struct key from, to = key_end_of(KEY_COOKIE, ino);
	struct inode_lock_set locks;
	uint64_t first;
	int r;

	inode_locks_read(s->fs->node->locks, ino, &locks);
	r = node_load_inode(s->fs->node, ino, &s->directory);
	if (r == 0 && !inode_is_directory(&s->directory))
		r = -ENOTDIR;
	if (r == 0) {
		first = offset + 1 > s->directory.first_cookie ? offset + 1
							       : s->directory.first_cookie;
		from = key_cookie(ino, first);
		*ret = store_iterator_new(s->fs->node->store, STORE_META, &from, &to);
		r = *ret == NULL ? -ENOMEM : 0;
	}
	inode_locks_release(&locks);
	return r;
}

/* The cookie of the first entry at all, or where new ones will begin. */
static uint64_t first_cookie(const struct scan *s, const struct store_iterator *it)
{
	size_t key_bytes;
	const uint8_t *key;

	if (!store_iterator_valid(it))
		return s->directory.next_cookie;
	key = store_iterator_key(it, &key_bytes);
	return key_tail_number(key, key_bytes);
}

int fs_readdir(struct fs *fs, uint64_t ino, uint64_t offset, bool with_attributes,
	fs_entry_fn *take, void *arg)
{
	struct scan s = {
		.fs = fs, .with_attributes = with_attributes, .take = take, .arg = arg};
	struct store_iterator *it = NULL;
	uint64_t first;
	int r;

	if (offset >= INT64_MAX)
		return 0;
	r = begin(&s, ino, offset, &it);
	if (r < 0)
		return r;
	first = first_cookie(&s, it);
	if (offset < FS_FIRST_COOKIE && first > s.directory.first_cookie + REMEMBER_FROM_COOKIES)
		remember_first(&s, first);
	r = s.directory.nlink > 0 && !give_dots(&s, offset) ? 0 : give_entries(&s, it);
	store_iterator_free(it);
	return r;
}
