#include <config.h>
#include "cache/object_reaper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/change_set.h"
#include "cache/failed_removals.h"
#include "cache/garbage.h"
#include "cache/node_private.h"
#include "cache/shipped_wait.h"
#include "cache/transaction.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/lock.h"
#include "util/log.h"

#define FIRST_PAUSE_MS 1000
#define LONGEST_PAUSE_MS 60000

/* Different objects that fail one after the other: then it is the backend. */
#define FAILURES_IN_A_ROW 4

/* Objects that have failed before are tried again so many at a time, between the others. */
#define RETRIES_AT_ONCE 4

/* With a journal: so many wait for it together, and so long after they were found, so that what
 * they wait for is there anyway and no segment is cut for them. */
#define ROUND 256
#define SETTLE_MS 2000

struct object_reaper {
	struct node *node;
	pthread_t thread;
	bool started;
	struct lock lock;
	struct lock_condition changed;
	bool work;                     /* there may be new records; protected by lock */
	bool busy;                     /* the thread is at it; protected by lock */
	bool stopping;                 /* protected by lock */
	uint64_t pause_ms;             /* when it is the backend that fails; protected by lock */
	uint64_t pause_until_ms;       /* protected by lock */
	struct failed_removals failed; /* protected by lock */
	int last_error;                /* protected by lock */
	unsigned int flushing;         /* callers that wait; protected by lock */
	uint64_t look_ms;              /* when to look again; UINT64_MAX; protected by lock */
	uint64_t journal_pause_ms;     /* after it did not answer well; the thread's own */
	struct lock replication_lock;  /* the next two; before the journal's own */
	struct node_replication replication;
	bool said_damaged; /* of garbage records; the thread's own */
	_Atomic uint64_t removed;
};

struct object_reaper *object_reaper_new(struct node *node)
{
	struct object_reaper *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->node = node;
	r->look_ms = UINT64_MAX;
	lock_init(&r->lock);
	lock_init(&r->replication_lock);
	lock_condition_init(&r->changed);
	return r;
}

static bool is_stopping(struct object_reaper *reaper)
{
	bool stopping;

	lock_acquire(&reaper->lock);
	stopping = reaper->stopping;
	lock_release(&reaper->lock);
	return stopping;
}

static void note_failure(struct object_reaper *reaper, const struct garbage *g, int error)
{
	char id[UUID_TEXT_BYTES];
	bool first, kept;

	lock_acquire(&reaper->lock);
	first = !failed_removals_has(&reaper->failed, &g->object);
	kept = failed_removals_note(&reaper->failed, &g->object, &g->record, clock_monotonic_ms());
	/* Of all the backend's objects the log does not speak one by one. */
	first = first && kept && reaper->pause_ms == 0;
	reaper->last_error = error;
	lock_release(&reaper->lock);
	atomic_store(&reaper->node->backend_errors[NODE_BACKEND_REMOVE], error);
	if (!first)
		return;
	uuid_format(&g->object, id);
	log_warning("object %s cannot be removed from the backend (%s): it will be tried again, "
		    "the others go on",
		id, strerror(-error));
}

static void note_removed(struct object_reaper *reaper, const struct garbage *g)
{
	lock_acquire(&reaper->lock);
	failed_removals_forget(&reaper->failed, &g->object);
	lock_release(&reaper->lock);
	atomic_fetch_add(&reaper->removed, 1);
}

/* Those removed come first in the batch then; *ret_n of them. An error is that of the backend, when
 * it is not the fault of single objects. */
static int remove_objects(
	struct object_reaper *reaper, struct garbage *batch, unsigned int n, unsigned int *ret_n)
{
	unsigned int in_a_row = 0;
	int r = 0;

	*ret_n = 0;
	for (unsigned int i = 0; i < n && in_a_row < FAILURES_IN_A_ROW; i++) {
		char text[BACKEND_KEY_MAX_BYTES];

		if (is_stopping(reaper))
			return 0;
		garbage_key(&batch[i], text);
		r = backend_remove_wait(reaper->node->backend, text);
		if (r < 0) {
			in_a_row++;
			note_failure(reaper, &batch[i], r);
			continue;
		}
		in_a_row = 0;
		note_removed(reaper, &batch[i]);
		batch[(*ret_n)++] = batch[i];
	}
	return in_a_row == FAILURES_IN_A_ROW ? r : 0;
}

static int forget_records(struct node *node, const struct garbage *batch, unsigned int n)
{
	struct transaction t;
	int r = transaction_begin(node, &t);

	if (r < 0)
		return r;
	for (unsigned int i = 0; i < n; i++) {
		struct key key = key_node_uuid(KEY_NODE_GARBAGE, &batch[i].object);

		transaction_delete(&t, STORE_META, &key);
	}
	return transaction_commit(&t);
}

static int reap_batch(struct object_reaper *reaper, struct garbage *batch, unsigned int n)
{
	unsigned int n_removed = 0;
	int r = n == 0 ? 0 : commit_now(reaper->node->commit), stored = 0;

	if (r < 0 || n == 0)
		return r;
	failpoint("reaper.remove");
	r = remove_objects(reaper, batch, n, &n_removed);
	failpoint("reaper.removed");
	if (n_removed > 0)
		stored = forget_records(reaper->node, batch, n_removed);
	return r < 0 ? r : stored;
}

/* Leaves out those that have failed: they have their own times. */
static unsigned int without_failed(
	struct object_reaper *reaper, struct garbage *batch, unsigned int n)
{
	unsigned int kept = 0;

	lock_acquire(&reaper->lock);
	for (unsigned int i = 0; i < n; i++) {
		if (!failed_removals_has(&reaper->failed, &batch[i].object))
			batch[kept++] = batch[i];
	}
	lock_release(&reaper->lock);
	return kept;
}

/* ---- with a journal */

/* What one look at all garbage leaves for later. */
struct later {
	struct garbage waiting[ROUND]; /* for the journal */
	unsigned int n_waiting;
	uint64_t due_ms; /* since 1970: when the next of the others may go; UINT64_MAX */
};

static bool may_go(struct object_reaper *reaper, const struct garbage *g,
	const struct node_replication *replication, struct later *later)
{
	uint64_t due_ms = g->record.dead_ms + replication->retention_ms;

	if (reaper->node->changes == NULL || g->record.state == OBJECT_UNUSED)
		return true;
	if (replication->wait == NULL)
		return false;
	if (g->record.state == OBJECT_WAITS) {
		if (later->n_waiting < ROUND)
			later->waiting[later->n_waiting++] = *g;
		return false; /* what has no room now has it in the next look */
	}
	if (due_ms > (uint64_t)clock_realtime_ms()) {
		later->due_ms = due_ms < later->due_ms ? due_ms : later->due_ms;
		return false;
	}
	return true;
}

/* Leaves those in the batch whose time has come. */
static unsigned int without_early(
	struct object_reaper *reaper, struct garbage *batch, unsigned int n, struct later *later)
{
	unsigned int kept = 0;
	struct node_replication replication;

	lock_acquire(&reaper->replication_lock);
	replication = reaper->replication;
	lock_release(&reaper->replication_lock);
	for (unsigned int i = 0; i < n; i++) {
		if (may_go(reaper, &batch[i], &replication, later))
			batch[kept++] = batch[i];
	}
	return kept;
}

/* From now on nothing that can be restored newer than this refers to it. One that is no garbage any
 * more (replay.h) stays alone. */
static int mark_dead(struct node *node, const struct garbage *g)
{
	struct key key = key_node_uuid(KEY_NODE_GARBAGE, &g->object);
	struct object_record record = g->record;
	uint8_t data[RECORD_SMALL_BYTES];
	struct store_value value;
	struct transaction t;
	int r = store_get(node->store, STORE_META, &key, &value);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	store_value_done(&value);
	r = transaction_begin(node, &t);
	if (r < 0)
		return r;
	record.state = OBJECT_DEAD;
	record.dead_ms = (uint64_t)clock_realtime_ms();
	transaction_put(&t, STORE_META, &key, data, record_encode_object(&record, data));
	return transaction_commit(&t);
}

static bool asks_to_stop(void *arg)
{
	return is_stopping(arg);
}

/* A while, unless somebody flushes. */
static void settle(struct object_reaper *reaper)
{
	uint64_t until_ms = clock_monotonic_ms() + SETTLE_MS;

	lock_acquire(&reaper->lock);
	while (!reaper->stopping && reaper->flushing == 0 &&
		lock_condition_wait_until(&reaper->changed, &reaper->lock, until_ms) == 0)
		;
	lock_release(&reaper->lock);
}

static void look_again(struct object_reaper *reaper, uint64_t in_ms)
{
	uint64_t at_ms = clock_monotonic_ms() + in_ms;

	lock_acquire(&reaper->lock);
	if (at_ms < reaper->look_ms)
		reaper->look_ms = at_ms;
	lock_release(&reaper->lock);
}

/* The numbers of changes are of this process: what is from before it has smaller ones. */
static int wait_for_journal(struct object_reaper *reaper, const struct later *later)
{
	uint64_t lsn;
	int r;

	/* A record is seen before its change has its number. */
	change_set_pass(reaper->node->changes);
	lsn = commit_last_lsn(reaper->node->commit);
	settle(reaper);
	r = shipped_wait(
		&reaper->replication, &reaper->replication_lock, lsn, asks_to_stop, reaper);
	if (r == -EAGAIN)
		return 0; /* object_reaper_set_replication() begins anew */
	if (r < 0) {
		reaper->journal_pause_ms = reaper->journal_pause_ms == 0
						   ? FIRST_PAUSE_MS
						   : reaper->journal_pause_ms * 2;
		if (reaper->journal_pause_ms > LONGEST_PAUSE_MS)
			reaper->journal_pause_ms = LONGEST_PAUSE_MS;
		look_again(reaper, reaper->journal_pause_ms);
		return 0;
	}
	reaper->journal_pause_ms = 0;
	failpoint("reaper.shipped");
	for (unsigned int i = 0; i < later->n_waiting && r == 0; i++)
		r = mark_dead(reaper->node, &later->waiting[i]);
	if (r == 0)
		object_reaper_wake(reaper); /* they may go at once */
	return r;
}

static int see_later(struct object_reaper *reaper, const struct later *later)
{
	uint64_t now_ms = (uint64_t)clock_realtime_ms();

	if (later->due_ms != UINT64_MAX)
		look_again(reaper, later->due_ms > now_ms ? later->due_ms - now_ms : 0);
	return later->n_waiting > 0 ? wait_for_journal(reaper, later) : 0;
}

/* ---- the turns */

static int reap_new(struct object_reaper *reaper)
{
	struct garbage_scan scan = garbage_scan(KEY_NODE_GARBAGE,
		reaper->said_damaged ? NULL
				     : "an object that is not needed: it stays on the backend");
	struct later *later = calloc(1, sizeof(*later));
	struct garbage batch[GARBAGE_BATCH];
	unsigned int n = 0, ready;
	int r = later == NULL ? -ENOMEM : 0;

	if (r < 0)
		return r;
	later->due_ms = UINT64_MAX;
	do {
		r = garbage_load(reaper->node, &scan, batch, &n);
		ready = r == 0 ? without_early(reaper, batch, n, later) : 0;
		if (r == 0)
			r = reap_batch(reaper, batch, without_failed(reaper, batch, ready));
	} while (r == 0 && n == GARBAGE_BATCH && !is_stopping(reaper));
	reaper->said_damaged = reaper->said_damaged || n < GARBAGE_BATCH;
	if (r == 0 && !is_stopping(reaper))
		r = see_later(reaper, later);
	free(later);
	return r;
}

static unsigned int take_due_locked(struct object_reaper *reaper, struct garbage *ret)
	REQUIRES(reaper->lock)
{
	const struct failed_removal *first = failed_removals_first(&reaper->failed);

	if (first == NULL || first->due_ms > clock_monotonic_ms())
		return 0;
	*ret = (struct garbage){.object = first->object, .record = first->record};
	return 1;
}

/* Each one that fails again gets a later time, so the next is another. */
static int retry_failed(struct object_reaper *reaper)
{
	struct garbage one;
	unsigned int n = 1;
	int r = 0;

	for (int i = 0; i < RETRIES_AT_ONCE && n > 0 && r == 0; i++) {
		lock_acquire(&reaper->lock);
		n = take_due_locked(reaper, &one);
		lock_release(&reaper->lock);
		r = reap_batch(reaper, &one, n);
	}
	return r;
}

/* When there is something to do; never: UINT64_MAX. */
static uint64_t next_ms_locked(struct object_reaper *reaper) REQUIRES(reaper->lock)
{
	const struct failed_removal *first = failed_removals_first(&reaper->failed);
	uint64_t due_ms = reaper->work ? 0 : first != NULL ? first->due_ms : UINT64_MAX;

	if (reaper->look_ms < due_ms)
		due_ms = reaper->look_ms;
	return due_ms > reaper->pause_until_ms ? due_ms : reaper->pause_until_ms;
}

/* False: time to end. */
static bool wait_for_work(struct object_reaper *reaper)
{
	uint64_t next_ms;
	bool goes_on;

	lock_acquire(&reaper->lock);
	reaper->busy = false;
	lock_condition_broadcast(&reaper->changed);
	while (!reaper->stopping && (next_ms = next_ms_locked(reaper)) > clock_monotonic_ms()) {
		if (next_ms == UINT64_MAX)
			lock_condition_wait(&reaper->changed, &reaper->lock);
		else
			(void)lock_condition_wait_until(&reaper->changed, &reaper->lock, next_ms);
	}
	reaper->work = false;
	reaper->look_ms = UINT64_MAX;
	reaper->busy = true;
	goes_on = !reaper->stopping;
	lock_release(&reaper->lock);
	return goes_on;
}

/* After a turn: `r` is an error of the backend as a whole, or of the store. */
static void end_turn(struct object_reaper *reaper, int r)
{
	bool fails_anew = false;

	lock_acquire(&reaper->lock);
	if (r < 0) {
		fails_anew = reaper->pause_ms == 0;
		reaper->pause_ms = fails_anew ? FIRST_PAUSE_MS : reaper->pause_ms * 2;
		if (reaper->pause_ms > LONGEST_PAUSE_MS)
			reaper->pause_ms = LONGEST_PAUSE_MS;
		reaper->pause_until_ms = clock_monotonic_ms() + reaper->pause_ms;
		reaper->work = true;
	} else {
		reaper->pause_ms = reaper->pause_until_ms = 0;
	}
	if (r < 0 || reaper->failed.n == 0)
		reaper->last_error = r;
	if (r == 0 && reaper->failed.n == 0)
		atomic_store(&reaper->node->backend_errors[NODE_BACKEND_REMOVE], 0);
	lock_release(&reaper->lock);
	if (fails_anew)
		log_warning("removing objects from the backend fails (%s): it will be tried again",
			strerror(-r));
}

static void *run(void *arg)
{
	struct object_reaper *reaper = arg;
	int r;

	while (wait_for_work(reaper)) {
		r = reap_new(reaper);
		if (r == 0)
			r = retry_failed(reaper);
		end_turn(reaper, r);
	}
	return NULL;
}

int object_reaper_start(struct object_reaper *reaper)
{
	int r = garbage_condemn_pending(reaper->node);

	reaper->work = true;
	if (r == 0)
		r = -pthread_create(&reaper->thread, NULL, run, reaper);
	reaper->started = r == 0;
	if (reaper->started)
		pthread_setname_np(reaper->thread, "mfs-reap");
	return r;
}

void object_reaper_wake(struct object_reaper *reaper)
{
	lock_acquire(&reaper->lock);
	reaper->work = true;
	lock_condition_broadcast(&reaper->changed);
	lock_release(&reaper->lock);
}

int object_reaper_flush(struct object_reaper *reaper, uint64_t deadline_ms)
{
	int r = 0;

	lock_acquire(&reaper->lock);
	failed_removals_hurry(&reaper->failed);
	reaper->pause_until_ms = 0;
	reaper->flushing++;
	lock_condition_broadcast(&reaper->changed);
	while ((reaper->work || reaper->busy || reaper->failed.n > 0) && r == 0)
		r = lock_condition_wait_until(&reaper->changed, &reaper->lock, deadline_ms);
	if (r < 0 && reaper->last_error < 0)
		r = reaper->last_error;
	reaper->flushing--;
	lock_release(&reaper->lock);
	return r;
}

void object_reaper_set_replication(
	struct object_reaper *reaper, const struct node_replication *replication)
{
	lock_acquire(&reaper->replication_lock);
	reaper->replication = *replication;
	lock_release(&reaper->replication_lock);
	object_reaper_wake(reaper);
}

uint64_t object_reaper_removed(struct object_reaper *reaper)
{
	return atomic_load(&reaper->removed);
}

void object_reaper_stop(struct object_reaper *reaper)
{
	if (reaper == NULL || !reaper->started)
		return;
	lock_acquire(&reaper->lock);
	reaper->stopping = true;
	lock_condition_broadcast(&reaper->changed);
	lock_release(&reaper->lock);
	pthread_join(reaper->thread, NULL);
	reaper->started = false;
}

void object_reaper_free(struct object_reaper *reaper)
{
	if (reaper == NULL)
		return;
	lock_condition_done(&reaper->changed);
	lock_done(&reaper->replication_lock);
	lock_done(&reaper->lock);
	free(reaper);
}
