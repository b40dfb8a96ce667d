#include <config.h>
#include "cache/inode_cache.h"

#include <stdatomic.h>
#include <stdlib.h>
#include "util/list.h"
#include "util/lock.h"
#include "util/map64.h"

#define SHARDS 16
#define MIN_INODES_PER_SHARD 64

struct cached {
	struct list_node lru;
	struct inode inode;
};

struct shard {
	struct lock lock;
	struct map64 places;   /* ino -> struct cached *; protected by lock */
	struct list_node lru;  /* oldest first; protected by lock */
	size_t count, maximum; /* count protected by lock */
};

struct inode_cache {
	struct shard shards[SHARDS];
	_Atomic uint64_t evicted_lsn;
};

struct inode_cache *inode_cache_new(uint64_t memory_bytes)
{
	struct inode_cache *cache = calloc(1, sizeof(*cache));
	size_t each = sizeof(struct cached) + 2 * sizeof(struct map64_slot);

	if (cache == NULL)
		return NULL;
	for (int i = 0; i < SHARDS; i++) {
		struct shard *shard = &cache->shards[i];

		lock_init(&shard->lock);
		map64_init(&shard->places);
		list_init(&shard->lru);
		shard->maximum = (size_t)(memory_bytes / SHARDS / each);
		if (shard->maximum < MIN_INODES_PER_SHARD)
			shard->maximum = MIN_INODES_PER_SHARD;
	}
	return cache;
}

void inode_cache_free(struct inode_cache *cache)
{
	struct list_node *node;

	if (cache == NULL)
		return;
	for (int i = 0; i < SHARDS; i++) {
		struct shard *shard = &cache->shards[i];

		while ((node = list_take_first(&shard->lru)) != NULL)
			free(LIST_ENTRY(node, struct cached, lru));
		map64_done(&shard->places);
		lock_done(&shard->lock);
	}
	free(cache);
}

static struct shard *shard_of(struct inode_cache *cache, uint64_t ino)
{
	return &cache->shards[map64_hash(ino) >> 60];
}

static struct cached *find_locked(struct shard *shard, uint64_t ino) REQUIRES(shard->lock)
{
	uint64_t *place = map64_find(&shard->places, ino);

	return place == NULL ? NULL : (struct cached *)(uintptr_t)*place;
}

bool inode_cache_get(struct inode_cache *cache, uint64_t ino, struct inode *ret)
{
	struct shard *shard = shard_of(cache, ino);
	struct cached *cached;

	lock_acquire(&shard->lock);
	cached = find_locked(shard, ino);
	if (cached != NULL) {
		list_remove(&cached->lru);
		list_append(&shard->lru, &cached->lru);
		*ret = cached->inode;
	}
	lock_release(&shard->lock);
	return cached != NULL;
}

static void raise_evicted_lsn(struct inode_cache *cache, uint64_t lsn)
{
	uint64_t seen = atomic_load(&cache->evicted_lsn);

	while (seen < lsn && !atomic_compare_exchange_weak(&cache->evicted_lsn, &seen, lsn))
		;
}

static void drop_locked(struct inode_cache *cache, struct shard *shard, struct cached *cached)
	REQUIRES(shard->lock)
{
	raise_evicted_lsn(cache, cached->inode.changed_lsn);
	map64_remove(&shard->places, cached->inode.ino);
	list_remove(&cached->lru);
	shard->count--;
	free(cached);
}

static struct cached *add_locked(struct inode_cache *cache, struct shard *shard, uint64_t ino)
	REQUIRES(shard->lock)
{
	struct cached *cached;
	uint64_t *place;

	if (shard->count >= shard->maximum)
		drop_locked(cache, shard, LIST_ENTRY(shard->lru.next, struct cached, lru));
	cached = calloc(1, sizeof(*cached));
	place = cached == NULL ? NULL : map64_insert(&shard->places, ino);
	if (place == NULL) {
		free(cached);
		return NULL;
	}
	*place = (uint64_t)(uintptr_t)cached;
	list_init(&cached->lru);
	shard->count++;
	return cached;
}

void inode_cache_put(struct inode_cache *cache, const struct inode *inode)
{
	struct shard *shard = shard_of(cache, inode->ino);
	struct cached *cached;

	lock_acquire(&shard->lock);
	cached = find_locked(shard, inode->ino);
	if (cached == NULL)
		cached = add_locked(cache, shard, inode->ino);
	if (cached != NULL) {
		cached->inode = *inode;
		list_remove(&cached->lru);
		list_append(&shard->lru, &cached->lru);
	} else {
		raise_evicted_lsn(cache, inode->changed_lsn);
	}
	lock_release(&shard->lock);
}

void inode_cache_remove(struct inode_cache *cache, uint64_t ino)
{
	struct shard *shard = shard_of(cache, ino);
	struct cached *cached;

	lock_acquire(&shard->lock);
	cached = find_locked(shard, ino);
	if (cached != NULL)
		drop_locked(cache, shard, cached);
	lock_release(&shard->lock);
}

uint64_t inode_cache_evicted_lsn(struct inode_cache *cache)
{
	return atomic_load(&cache->evicted_lsn);
}
