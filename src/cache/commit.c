#include <config.h>
#include "cache/commit.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "util/list.h"
#include "util/lock.h"
#include "util/log.h"

/* After so many rounds a leader lets the next one who comes take over. */
#define LEAD_ROUNDS 64

struct waiter {
	struct list_node node;
	uint64_t lsn;
	commit_done_fn *done;
	void *arg;
};

struct commit {
	struct store *store;
	_Atomic uint64_t last_lsn;   /* of the newest change */
	_Atomic uint64_t synced_lsn; /* everything up to here is durable */
	struct lock sync_lock;       /* held while the store syncs; before lock */
	struct lock lock;
	struct list_node waiters; /* protected by lock */
	uint64_t leader;          /* number of who leads, or 0; protected by lock */
	uint64_t last_leader;     /* the newest number given out; protected by lock */
	unsigned int rounds;      /* that the leader has made; protected by lock */
	int error;                /* sticks; protected by lock */
	_Atomic uint64_t syncs, waits, covered;
};

struct commit *commit_new(struct store *store)
{
	struct commit *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->store = store;
	lock_init(&c->sync_lock);
	lock_init(&c->lock);
	list_init(&c->waiters);
	return c;
}

void commit_free(struct commit *c)
{
	if (c == NULL)
		return;
	lock_done(&c->lock);
	lock_done(&c->sync_lock);
	free(c);
}

uint64_t commit_note_change(struct commit *c)
{
	return atomic_fetch_add(&c->last_lsn, 1) + 1;
}

static int sync_locked(struct commit *c) REQUIRES(c->sync_lock)
{
	uint64_t covers = atomic_load(&c->last_lsn);
	int r;

	lock_acquire(&c->lock);
	r = c->error;
	lock_release(&c->lock);
	if (r < 0)
		return r;
	r = store_sync(c->store);
	atomic_fetch_add(&c->syncs, 1);
	if (r == 0) {
		atomic_store(&c->synced_lsn, covers);
		return 0;
	}
	log_error("a commit failed: until mailfs is restarted every fsync will fail");
	lock_acquire(&c->lock);
	c->error = r;
	lock_release(&c->lock);
	return r;
}

uint64_t commit_last_lsn(const struct commit *c)
{
	return atomic_load(&c->last_lsn);
}

/* Syncs once; everything noted before it began is durable afterwards. One at a time: the kernel
 * reports a failed write to one caller only, and the next one would be told that all is well. */
static int sync_store(struct commit *c)
{
	int r;

	lock_acquire(&c->sync_lock);
	r = sync_locked(c);
	lock_release(&c->sync_lock);
	return r;
}

static void answer(struct list_node *waiters, int error)
{
	struct list_node *node;

	while ((node = list_take_first(waiters)) != NULL) {
		struct waiter *w = LIST_ENTRY(node, struct waiter, node);

		w->done(w->arg, error);
		free(w);
	}
}

/* Takes what waits by now; false when there is nothing more for this leader to do. */
static bool take_batch(struct commit *c, uint64_t leader, struct list_node *batch)
{
	bool mine;

	lock_acquire(&c->lock);
	mine = c->leader == leader;
	if (mine && list_is_empty(&c->waiters)) {
		c->leader = 0;
		mine = false;
	}
	if (mine) {
		c->rounds++;
		list_splice(batch, &c->waiters);
	}
	lock_release(&c->lock);
	return mine;
}

/* One round: all who have come until the sync begins. A sync of another thread that it has to wait
 * for only makes these more. */
static bool lead_round(struct commit *c, uint64_t leader)
{
	struct list_node batch;
	int error = 0;
	bool goes_on;

	list_init(&batch);
	lock_acquire(&c->sync_lock);
	goes_on = take_batch(c, leader, &batch);
	if (goes_on)
		error = sync_locked(c);
	lock_release(&c->sync_lock);
	answer(&batch, error);
	return goes_on;
}

/* Queues the waiter: 0 when durable already, the error that sticks, or -EINPROGRESS. *ret_leader is
 * not 0 when the caller has to lead: nobody did, or the one who does has done enough. That one is
 * on its way to the end of a round, so there is always somebody who serves the waiters. */
static int enqueue(struct commit *c, struct waiter *w, uint64_t *ret_leader)
{
	int r = -EINPROGRESS;

	lock_acquire(&c->lock);
	if (c->error < 0) {
		r = c->error;
	} else if (w->lsn <= atomic_load(&c->synced_lsn)) {
		r = 0;
	} else {
		list_append(&c->waiters, &w->node);
		if (c->leader == 0 || c->rounds >= LEAD_ROUNDS) {
			*ret_leader = c->leader = ++c->last_leader;
			c->rounds = 0;
		}
	}
	lock_release(&c->lock);
	return r;
}

void commit_wait(struct commit *c, uint64_t lsn, commit_done_fn *done, void *arg)
{
	struct waiter *w = malloc(sizeof(*w));
	uint64_t leader = 0;
	int r;

	atomic_fetch_add(&c->waits, 1);
	if (w == NULL) {
		done(arg, -ENOMEM);
		return;
	}
	*w = (struct waiter){.lsn = lsn, .done = done, .arg = arg};
	r = enqueue(c, w, &leader);
	if (r != -EINPROGRESS) {
		if (r == 0)
			atomic_fetch_add(&c->covered, 1);
		free(w);
		done(arg, r);
		return;
	}
	while (leader != 0 && lead_round(c, leader))
		;
}

/* On its own, beside the group: a background thread that led would serve the waiters that keep
 * coming, for as long as they come, and never do its own work. */
int commit_now(struct commit *c)
{
	int r;

	atomic_fetch_add(&c->waits, 1);
	lock_acquire(&c->lock);
	r = c->error;
	lock_release(&c->lock);
	if (r < 0)
		return r;
	if (atomic_load(&c->last_lsn) <= atomic_load(&c->synced_lsn)) {
		atomic_fetch_add(&c->covered, 1);
		return 0;
	}
	return sync_store(c);
}

void commit_get_figures(struct commit *c, struct commit_figures *ret)
{
	lock_acquire(&c->lock);
	ret->error = c->error;
	lock_release(&c->lock);
	ret->syncs = atomic_load(&c->syncs);
	ret->waits = atomic_load(&c->waits);
	ret->covered = atomic_load(&c->covered);
}
