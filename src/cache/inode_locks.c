#include <config.h>
#include "cache/inode_locks.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include "util/map64.h"

#define STRIPES 1024

struct inode_locks {
	pthread_rwlock_t stripes[STRIPES];
};

struct inode_locks *inode_locks_new(void)
{
	struct inode_locks *locks = calloc(1, sizeof(*locks));

	if (locks == NULL)
		return NULL;
	for (int i = 0; i < STRIPES; i++)
		pthread_rwlock_init(&locks->stripes[i], NULL);
	return locks;
}

void inode_locks_free(struct inode_locks *locks)
{
	if (locks == NULL)
		return;
	for (int i = 0; i < STRIPES; i++)
		pthread_rwlock_destroy(&locks->stripes[i]);
	free(locks);
}

static uint16_t stripe_of(uint64_t ino)
{
	return (uint16_t)(map64_hash(ino) % STRIPES);
}

void inode_locks_read(struct inode_locks *locks, uint64_t ino, struct inode_lock_set *ret)
{
	*ret = (struct inode_lock_set){.locks = locks, .n = 1, .stripes = {stripe_of(ino)}};
	pthread_rwlock_rdlock(&locks->stripes[ret->stripes[0]]);
}

/* Inserts into the sorted set unless it is there. */
static void add_stripe(struct inode_lock_set *set, uint16_t stripe)
{
	unsigned int i = set->n;

	for (unsigned int k = 0; k < set->n; k++) {
		if (set->stripes[k] == stripe)
			return;
	}
	for (; i > 0 && set->stripes[i - 1] > stripe; i--)
		set->stripes[i] = set->stripes[i - 1];
	set->stripes[i] = stripe;
	set->n++;
}

void inode_locks_write(
	struct inode_locks *locks, const uint64_t *inos, unsigned int n, struct inode_lock_set *ret)
{
	*ret = (struct inode_lock_set){.locks = locks};
	assert(n <= INODE_LOCKS_MAX);
	for (unsigned int i = 0; i < n; i++) {
		if (inos[i] != 0)
			add_stripe(ret, stripe_of(inos[i]));
	}
	for (unsigned int i = 0; i < ret->n; i++)
		pthread_rwlock_wrlock(&locks->stripes[ret->stripes[i]]);
}

void inode_locks_release(struct inode_lock_set *set)
{
	for (unsigned int i = set->n; i-- > 0;)
		pthread_rwlock_unlock(&set->locks->stripes[set->stripes[i]]);
	set->n = 0;
}
