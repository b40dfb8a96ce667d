#include <config.h>
#include "cache/body_use.h"

#include <stdatomic.h>
#include <stdlib.h>
#include "util/clock.h"
#include "util/lock.h"
#include "util/map64.h"

#define RECENT_SLOTS 65536

struct body_use {
	_Atomic uint64_t recent[RECENT_SLOTS]; /* hash of an inode and when it was noted */
	struct lock lock;                      /* of all below; no other lock is taken inside */
	uint64_t inos[BODY_USE_MAX];           /* a ring */
	size_t first, n;
};

struct body_use *body_use_new(void)
{
	struct body_use *u = calloc(1, sizeof(*u));

	if (u != NULL)
		lock_init(&u->lock);
	return u;
}

void body_use_free(struct body_use *u)
{
	if (u == NULL)
		return;
	lock_done(&u->lock);
	free(u);
}

/* Two threads at once may both be told "no"; that costs a little. */
static bool was_recent(struct body_use *u, uint64_t ino)
{
	uint64_t hash = map64_hash(ino);
	uint64_t period = 1 + clock_monotonic_ms() / BODY_USE_GRANULARITY_MS;
	_Atomic uint64_t *slot = &u->recent[hash % RECENT_SLOTS];
	uint64_t mark = (hash & ~UINT64_C(0xffffffff)) | (period & 0xffffffff);

	if (atomic_load_explicit(slot, memory_order_relaxed) == mark)
		return true;
	atomic_store_explicit(slot, mark, memory_order_relaxed);
	return false;
}

bool body_use_note(struct body_use *u, uint64_t ino)
{
	bool is_first;

	if (was_recent(u, ino))
		return false;
	lock_acquire(&u->lock);
	is_first = u->n == 0;
	if (u->n < BODY_USE_MAX)
		u->inos[(u->first + u->n++) % BODY_USE_MAX] = ino;
	lock_release(&u->lock);
	return is_first;
}

size_t body_use_take(struct body_use *u, uint64_t *inos, size_t max)
{
	size_t n;

	lock_acquire(&u->lock);
	for (n = 0; n < max && u->n > 0; n++, u->n--) {
		inos[n] = u->inos[u->first];
		u->first = (u->first + 1) % BODY_USE_MAX;
	}
	lock_release(&u->lock);
	return n;
}
