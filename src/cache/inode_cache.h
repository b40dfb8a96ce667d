/*
 * inode_cache.h: decoded inode records in memory, bounded, least recently used out first.
 *
 * Never newer or older than the store: get and put only with the inode's lock held (inode_locks.h),
 * put only what the store has accepted. An inode that left the cache comes back with a changed_lsn
 * that is at least its own, so that a sync of it never claims too much.
 */
#ifndef MAILFS_CACHE_INODE_CACHE_H
#define MAILFS_CACHE_INODE_CACHE_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/record.h"

struct inode_cache;

struct inode_cache *inode_cache_new(uint64_t memory_bytes);
void inode_cache_free(struct inode_cache *cache);

bool inode_cache_get(struct inode_cache *cache, uint64_t ino, struct inode *ret);

/* A failure to remember (no memory) is harmless and not reported. */
void inode_cache_put(struct inode_cache *cache, const struct inode *inode);
void inode_cache_remove(struct inode_cache *cache, uint64_t ino);

/* What changed_lsn an inode that is not in the cache must be given. */
uint64_t inode_cache_evicted_lsn(struct inode_cache *cache);

#endif
