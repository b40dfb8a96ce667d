#include <config.h>
#include "cache/inode_refs.h"

#include <errno.h>
#include <stdlib.h>
#include "util/lock.h"
#include "util/map64.h"

#define SHARDS 64
#define ORPHAN_BIT 1u /* lowest bit of a value; the count is above it */

struct shard {
	struct lock lock;
	struct map64 counts; /* protected by lock */
};

struct inode_refs {
	struct shard shards[SHARDS];
};

struct inode_refs *inode_refs_new(void)
{
	struct inode_refs *refs = calloc(1, sizeof(*refs));

	if (refs == NULL)
		return NULL;
	for (int i = 0; i < SHARDS; i++) {
		lock_init(&refs->shards[i].lock);
		map64_init(&refs->shards[i].counts);
	}
	return refs;
}

void inode_refs_free(struct inode_refs *refs)
{
	if (refs == NULL)
		return;
	for (int i = 0; i < SHARDS; i++) {
		map64_done(&refs->shards[i].counts);
		lock_done(&refs->shards[i].lock);
	}
	free(refs);
}

static struct shard *shard_of(struct inode_refs *refs, uint64_t ino)
{
	return &refs->shards[map64_hash(ino) >> 58];
}

int inode_refs_take(struct inode_refs *refs, uint64_t ino)
{
	struct shard *shard = shard_of(refs, ino);
	uint64_t *value;

	lock_acquire(&shard->lock);
	value = map64_insert(&shard->counts, ino);
	if (value != NULL)
		*value += 2;
	lock_release(&shard->lock);
	return value == NULL ? -ENOMEM : 0;
}

bool inode_refs_drop(struct inode_refs *refs, uint64_t ino, uint64_t count)
{
	struct shard *shard = shard_of(refs, ino);
	bool last_of_orphan = false;
	uint64_t *value;

	lock_acquire(&shard->lock);
	value = map64_find(&shard->counts, ino);
	if (value != NULL && *value / 2 > count) {
		*value -= 2 * count;
	} else if (value != NULL) {
		last_of_orphan = (*value & ORPHAN_BIT) != 0;
		map64_remove(&shard->counts, ino);
	}
	lock_release(&shard->lock);
	return last_of_orphan;
}

bool inode_refs_orphan(struct inode_refs *refs, uint64_t ino)
{
	struct shard *shard = shard_of(refs, ino);
	uint64_t *value;

	lock_acquire(&shard->lock);
	value = map64_find(&shard->counts, ino);
	if (value != NULL)
		*value |= ORPHAN_BIT;
	lock_release(&shard->lock);
	return value == NULL;
}
