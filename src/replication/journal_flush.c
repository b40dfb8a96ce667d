/*
 * journal_flush.c: waiting for everything that was noted so far.
 */
#include <config.h>
#include "replication/journal.h"

#include <errno.h>
#include <stdlib.h>
#include "util/clock.h"
#include "util/lock.h"

/* How soon it is seen that the caller is to stop. */
#define LOOK_MS 200

/* Outlives the caller when he gives up. */
struct flush {
	struct lock lock;
	struct lock_condition changed;
	int references;
	bool is_done;
	int error;
};

static void flush_release(struct flush *flush)
{
	bool last;

	lock_acquire(&flush->lock);
	last = --flush->references == 0;
	lock_release(&flush->lock);
	if (!last)
		return;
	lock_condition_done(&flush->changed);
	lock_done(&flush->lock);
	free(flush);
}

static void flush_done(void *arg, int error)
{
	struct flush *flush = arg;

	lock_acquire(&flush->lock);
	flush->is_done = true;
	flush->error = error;
	lock_condition_signal(&flush->changed);
	lock_release(&flush->lock);
	flush_release(flush);
}

static int wait_for(
	struct flush *flush, const _Atomic bool *stopping, void (*look)(void *arg), void *arg)
{
	int error = -ECANCELED;

	lock_acquire(&flush->lock);
	while (!flush->is_done && (stopping == NULL || !atomic_load(stopping))) {
		(void)lock_condition_wait_until(
			&flush->changed, &flush->lock, clock_monotonic_ms() + LOOK_MS);
		if (look == NULL)
			continue;
		lock_release(&flush->lock);
		look(arg);
		lock_acquire(&flush->lock);
	}
	if (flush->is_done)
		error = flush->error;
	lock_release(&flush->lock);
	return error;
}

int journal_flush_while(struct journal *j, uint32_t timeout_ms, const _Atomic bool *stopping,
	void (*look)(void *arg), void *arg)
{
	struct flush *flush = calloc(1, sizeof(*flush));
	int error;

	if (flush == NULL)
		return -ENOMEM;
	lock_init(&flush->lock);
	lock_condition_init(&flush->changed);
	flush->references = 2;
	journal_flush_begin(j, timeout_ms, flush_done, flush);
	error = wait_for(flush, stopping, look, arg);
	flush_release(flush);
	return error;
}

int journal_flush(struct journal *j, uint32_t timeout_ms)
{
	return journal_flush_while(j, timeout_ms, NULL, NULL, NULL);
}
