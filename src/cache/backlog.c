#include <config.h>
#include "cache/backlog.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "cache/node_private.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"

/* Moments at which the total is known; when there are so many every second one is forgotten. */
#define MOMENTS 256
#define BETWEEN_MOMENTS_MS 1000

/* A node whose backlog is full says so now and then. */
#define SAY_AGAIN_MS 60000

struct moment {
	uint64_t at_ms, total_bytes;
};

struct backlog {
	struct node *node;
	uint64_t limit_bytes, limit_age_ms;
	_Atomic uint64_t total_bytes; /* changed since the start */
	_Atomic uint64_t next_look_ms;
	_Atomic uint64_t bytes, age_ms, refused;
	_Atomic uint32_t delay_ms;
	_Atomic bool is_full;
	struct lock lock;
	struct moment moments[MOMENTS]; /* protected by lock */
	unsigned int n_moments;         /* protected by lock */
	uint64_t said_ms;               /* protected by lock; 0: not since it was well */
};

struct backlog *backlog_new(struct node *node, uint64_t limit_bytes, uint64_t limit_age_ms)
{
	struct backlog *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->node = node;
	b->limit_bytes = limit_bytes != 0 ? limit_bytes : BACKLOG_DEFAULT_BYTES;
	b->limit_age_ms = limit_age_ms != 0 ? limit_age_ms : BACKLOG_DEFAULT_AGE_MS;
	lock_init(&b->lock);
	return b;
}

void backlog_free(struct backlog *b)
{
	if (b == NULL)
		return;
	lock_done(&b->lock);
	free(b);
}

void backlog_note(struct backlog *b, uint64_t bytes)
{
	atomic_fetch_add_explicit(&b->total_bytes, bytes, memory_order_relaxed);
}

static void remember_locked(struct backlog *b, uint64_t now_ms, uint64_t total) REQUIRES(b->lock)
{
	if (b->n_moments > 0 && now_ms < b->moments[b->n_moments - 1].at_ms + BETWEEN_MOMENTS_MS)
		return;
	if (b->n_moments == MOMENTS) {
		for (unsigned int i = 0; i < MOMENTS / 2; i++)
			b->moments[i] = b->moments[2 * i];
		b->n_moments = MOMENTS / 2;
	}
	b->moments[b->n_moments++] = (struct moment){.at_ms = now_ms, .total_bytes = total};
}

/* What was changed since a moment, rather too much than too little; moments before it go. */
static uint64_t changed_since_locked(struct backlog *b, uint64_t since_ms, uint64_t total)
	REQUIRES(b->lock)
{
	unsigned int before = 0;

	while (before + 1 < b->n_moments && b->moments[before + 1].at_ms <= since_ms)
		before++;
	memmove(b->moments, &b->moments[before], (b->n_moments - before) * sizeof(b->moments[0]));
	b->n_moments -= before;
	return b->n_moments == 0 ? total : total - b->moments[0].total_bytes;
}

static uint32_t delay_for(uint64_t value, uint64_t limit)
{
	uint64_t half = limit / 2, over = value > half ? value - half : 0;

	if (over >= half)
		return BACKLOG_MAX_DELAY_MS;
	/* In this order, so that nothing overflows. */
	return (uint32_t)((double)over / (double)(half > 0 ? half : 1) * BACKLOG_MAX_DELAY_MS);
}

static void say_locked(struct backlog *b, bool is_full, uint64_t now_ms) REQUIRES(b->lock)
{
	if (is_full && (b->said_ms == 0 || now_ms >= b->said_ms + SAY_AGAIN_MS)) {
		log_error("the backend is behind by %" PRIu64 " MB and %" PRIu64
			  " s: changes are refused (no space left) until it has caught up",
			atomic_load(&b->bytes) >> 20, atomic_load(&b->age_ms) / 1000);
		b->said_ms = now_ms;
	} else if (!is_full && b->said_ms != 0) {
		log_warning("the backend has caught up: changes are accepted again");
		b->said_ms = 0;
	}
}

static void look_locked(struct backlog *b, uint64_t now_ms, uint64_t age_ms) REQUIRES(b->lock)
{
	uint64_t total = atomic_load(&b->total_bytes), bytes;
	uint32_t by_bytes, by_age;
	bool is_full;

	remember_locked(b, now_ms, total);
	bytes = changed_since_locked(b, now_ms > age_ms ? now_ms - age_ms : 0, total);
	if (age_ms == 0)
		bytes = 0;
	by_bytes = delay_for(bytes, b->limit_bytes);
	by_age = delay_for(age_ms, b->limit_age_ms);
	is_full = bytes >= b->limit_bytes || age_ms >= b->limit_age_ms;
	atomic_store(&b->bytes, bytes);
	atomic_store(&b->age_ms, age_ms);
	atomic_store(&b->delay_ms, by_bytes > by_age ? by_bytes : by_age);
	atomic_store(&b->is_full, is_full);
	say_locked(b, is_full, now_ms);
}

/* By one of those who come, when it is time. */
static void look(struct backlog *b)
{
	const struct node_replication *replication = &b->node->replication;
	uint64_t now_ms = clock_monotonic_ms(), due_ms = atomic_load(&b->next_look_ms), age_ms;

	if (replication->lag == NULL || now_ms < due_ms ||
		!atomic_compare_exchange_strong(
			&b->next_look_ms, &due_ms, now_ms + BACKLOG_LOOK_MS))
		return;
	age_ms = replication->lag(replication->arg);
	lock_acquire(&b->lock);
	look_locked(b, now_ms, age_ms);
	lock_release(&b->lock);
}

int backlog_check(struct backlog *b)
{
	look(b);
	if (!atomic_load(&b->is_full))
		return 0;
	atomic_fetch_add(&b->refused, 1);
	return -ENOSPC;
}

uint32_t backlog_delay_ms(struct backlog *b)
{
	look(b);
	return atomic_load(&b->delay_ms);
}

void backlog_get_figures(struct backlog *b, struct backlog_figures *ret)
{
	look(b);
	*ret = (struct backlog_figures){
		.bytes = atomic_load(&b->bytes),
		.age_ms = atomic_load(&b->age_ms),
		.is_full = atomic_load(&b->is_full),
		.refused = atomic_load(&b->refused),
	};
}
