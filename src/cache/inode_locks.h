/*
 * inode_locks.h: who may read or change an inode and what hangs on it.
 *
 * A fixed number of read-write locks, to which inodes are mapped by hash. The lock of a file covers
 * its record, content, extents and upload record; the lock of a directory also its entries. Held
 * across calls of the store (they are short), never across a wait for disk sync or backend.
 * Order: all inodes of one operation are locked in one call, which sorts them; nobody takes a
 * second set while holding one. See doc/locking.md.
 */
#ifndef MAILFS_CACHE_INODE_LOCKS_H
#define MAILFS_CACHE_INODE_LOCKS_H

#include <stdbool.h>
#include <stdint.h>

#define INODE_LOCKS_MAX 16

struct inode_locks;

/* What one operation holds. */
struct inode_lock_set {
	struct inode_locks *locks;
	unsigned int n;
	uint16_t stripes[INODE_LOCKS_MAX];
};

struct inode_locks *inode_locks_new(void);
void inode_locks_free(struct inode_locks *locks);

void inode_locks_read(struct inode_locks *locks, uint64_t ino, struct inode_lock_set *ret);

/* Exclusive. At most INODE_LOCKS_MAX inodes; zeros and repetitions are allowed. */
void inode_locks_write(struct inode_locks *locks, const uint64_t *inos, unsigned int n,
	struct inode_lock_set *ret);
void inode_locks_release(struct inode_lock_set *set);

#endif
