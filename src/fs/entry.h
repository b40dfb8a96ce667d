/*
 * entry.h: names in directories. Called with the directory's lock held.
 */
#ifndef MAILFS_FS_ENTRY_H
#define MAILFS_FS_ENTRY_H

#include "cache/record.h"
#include "cache/transaction.h"
#include "fs/fs.h"

/*
 * Listings go from the newest entry to the oldest: a cookie counts up for every name that is added,
 * a position (what programs see as the offset) counts down. So a listing ends even if names are
 * added for every name it gives, and what was there all the time comes exactly once.
 */
#define ENTRY_POSITION_END (UINT64_C(1) << 62)

static inline uint64_t entry_position(uint64_t cookie)
{
	return ENTRY_POSITION_END - cookie;
}

static inline uint64_t entry_cookie_at(uint64_t position)
{
	return ENTRY_POSITION_END - position;
}

/* -ENOENT. The entry's name is not filled in. */
int entry_find(struct fs *fs, uint64_t directory, const char *name, struct entry *ret);

/* The inode that a name leads to; takes the directory's lock and releases it, so that the answer is
 * only good for knowing what to lock. -ENOENT. */
int entry_peek(struct fs *fs, uint64_t directory, const char *name, uint64_t *ret);

/* A new name; counts it in the directory, whose inode the caller puts. */
void entry_add(struct transaction *t, struct inode *directory, const char *name, uint64_t ino,
	uint32_t mode);

/* The name leads to another inode from now on, at the same place in the directory. */
void entry_replace(struct transaction *t, const struct inode *directory, const char *name,
	const struct entry *old, uint64_t ino, uint32_t mode);
void entry_remove(
	struct transaction *t, struct inode *directory, const char *name, const struct entry *old);

#endif
