#include <config.h>
#include "fs/fs.h"

#include <errno.h>
#include <string.h>
#include "fs/entry.h"
#include "fs/fs_private.h"

#define DOT_OFFSET 1
#define DOT_DOT_OFFSET 2

/* Dead records behind the last entry (mail that passed through new/) are worth remembering. */
#define REMEMBER_FROM_COOKIES 32

struct scan {
	struct fs *fs;
	struct inode directory;
	uint64_t lowest_cookie; /* of the entries given so far */
	bool with_attributes;
	fs_entry_fn *take;
	void *arg;
};

/* 1: taken, 0: the receiver is full, or an error. */
static int give(struct scan *s, const struct entry *entry)
{
	uint64_t next = entry_position(entry->cookie);
	struct fs_attributes attributes;
	int r;

	if (!s->with_attributes)
		return s->take(s->arg, entry->name, entry->ino, entry->mode, next, NULL);
	r = fs_enter_entry(s->fs, s->directory.ino, entry->ino);
	if (r == 0) {
		r = fs_refer(s->fs, entry->ino, &attributes);
		fs_leave_entry(s->fs, s->directory.ino, entry->ino);
	}
	/* Who asks for this file gets the error, or waits; the others can be listed. */
	if (r == -EBADMSG || r == -EINPROGRESS)
		return s->take(s->arg, entry->name, entry->ino, entry->mode, next, NULL);
	if (r < 0)
		return r == -ENOENT ? 1 : r;
	if (s->take(s->arg, entry->name, entry->ino, entry->mode, next, &attributes))
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
static void remember_first(struct scan *s)
{
	struct inode_lock_set locks;
	struct inode now;

	inode_locks_write(s->fs->node->locks, &s->directory.ino, 1, &locks);
	if (node_load_inode(s->fs->node, s->directory.ino, &now) == 0 && now.nlink > 0) {
		now.first_cookie = s->lowest_cookie;
		inode_cache_put(s->fs->node->inodes, &now);
	}
	inode_locks_release(&locks);
}

/* 1: all entries were given. */
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
		s->lowest_cookie = entry.cookie;
	}
	if (r > 0 && store_iterator_error(it) < 0)
		return store_iterator_error(it);
	return r;
}

/* The iterator sees the directory as it is now; it needs no lock afterwards. */
static int begin(struct scan *s, uint64_t ino, uint64_t offset, struct store_iterator **ret)
{
	struct inode_lock_set locks;
	struct key from, to;
	int r;

	inode_locks_read(s->fs->node->locks, ino, &locks);
	r = node_load_inode(s->fs->node, ino, &s->directory);
	if (r == 0 && !inode_is_directory(&s->directory))
		r = -ENOTDIR;
	if (r == 0) {
		s->lowest_cookie = offset < DOT_DOT_OFFSET + 1 ? s->directory.next_cookie
							       : entry_cookie_at(offset);
		from = key_cookie(ino, offset + 1);
		to = key_cookie(ino, entry_position(s->directory.first_cookie) + 1);
		*ret = store_iterator_new(s->fs->node->store, STORE_META, &from, &to);
		r = *ret == NULL ? -ENOMEM : 0;
	}
	inode_locks_release(&locks);
	return r;
}

int fs_readdir(struct fs *fs, uint64_t ino, uint64_t offset, bool with_attributes,
	fs_entry_fn *take, void *arg)
{
	struct scan s = {.fs = fs, .with_attributes = with_attributes, .take = take, .arg = arg};
	struct store_iterator *it = NULL;
	int r;

	if (offset >= ENTRY_POSITION_END)
		return 0;
	r = begin(&s, ino, offset, &it);
	if (r < 0)
		return r;
	r = s.directory.nlink > 0 && !give_dots(&s, offset) ? 0 : give_entries(&s, it);
	store_iterator_free(it);
	if (r > 0 && s.lowest_cookie > s.directory.first_cookie + REMEMBER_FROM_COOKIES)
		remember_first(&s);
	return r < 0 ? r : 0;
}
