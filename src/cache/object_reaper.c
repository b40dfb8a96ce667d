#include <config.h>
#include "cache/object_reaper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_object.h"
#include "cache/damaged_record.h"
#include "cache/failed_removals.h"
#include "cache/node_private.h"
#include "cache/transaction.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"

#define BATCH 64
#define FIRST_PAUSE_MS 1000
#define LONGEST_PAUSE_MS 60000

/* Different objects that fail one after the other: then it is the backend. */
#define FAILURES_IN_A_ROW 4

/* Objects that have failed before are tried again so many at a time, between the others. */
#define RETRIES_AT_ONCE 4

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
	bool said_damaged;             /* of garbage records; the thread's own */
	_Atomic uint64_t removed;
};

struct object_reaper *object_reaper_new(struct node *node)
{
	struct object_reaper *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->node = node;
	lock_init(&r->lock);
	lock_condition_init(&r->changed);
	return r;
}

struct garbage {
	struct uuid object;
	uint32_t account;
};

static int decode_at(const struct store_iterator *it, struct garbage *ret)
{
	size_t key_bytes, value_bytes, tail_bytes = 0;
	const uint8_t *key = store_iterator_key(it, &key_bytes);
	const uint8_t *tail = key_node_tail(key, key_bytes, &tail_bytes);
	const uint8_t *value = store_iterator_value(it, &value_bytes);

	if (tail == NULL || tail_bytes != UUID_BYTES)
		return -EBADMSG;
	memcpy(ret->object.bytes, tail, UUID_BYTES);
	return record_decode_object_account(value, value_bytes, &ret->account);
}

/* A scan over the records of a type that names objects. */
struct scan {
	enum key_type type;
	struct key next;     /* where it goes on */
	const char *damaged; /* what to say of a damaged record; NULL: nothing */
};

static struct scan scan_from_start(enum key_type type, const char *damaged)
{
	return (struct scan){.type = type, .next = key_node(type), .damaged = damaged};
}

/* The next records; fewer than BATCH: there are no more. */
static int load_batch(
	struct node *node, struct scan *scan, struct garbage ret[BATCH], unsigned int *ret_n)
{
	struct key to = key_node_end(scan->type);
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &scan->next, &to);
	unsigned int n = 0;
	int r = it == NULL ? -ENOMEM : 0;

	for (; r == 0 && n < BATCH && store_iterator_valid(it); store_iterator_next(it)) {
		if (decode_at(it, &ret[n]) == 0)
			n++;
		else if (scan->damaged != NULL)
			damaged_record_say(it, scan->damaged);
	}
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	if (r == 0 && n > 0) {
		scan->next = key_node_uuid(scan->type, &ret[n - 1].object);
		scan->next = key_behind(&scan->next);
	}
	*ret_n = n;
	return r;
}

/* After a crash: nobody is putting these any more. */
static int condemn_pending(struct node *node)
{
	struct scan scan = scan_from_start(KEY_NODE_PENDING,
		"an object that was being put: if it is on the backend it stays there");
	struct garbage batch[BATCH];
	struct transaction t;
	unsigned int n = 0;
	int r;

	do {
		r = load_batch(node, &scan, batch, &n);
		if (r == 0)
			r = transaction_begin(node, &t);
		if (r < 0)
			return r;
		for (unsigned int i = 0; i < n; i++) {
			struct key key = key_node_uuid(KEY_NODE_PENDING, &batch[i].object);

			transaction_delete(&t, STORE_META, &key);
			transaction_put_garbage(&t, batch[i].account, &batch[i].object);
		}
		r = transaction_commit(&t);
	} while (r == 0 && n == BATCH);
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
	kept = failed_removals_note(&reaper->failed, &g->object, g->account, clock_monotonic_ms());
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
		body_object_key(batch[i].account, &batch[i].object, text);
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
	r = remove_objects(reaper, batch, n, &n_removed);
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

static int reap_new(struct object_reaper *reaper)
{
	struct scan scan = scan_from_start(KEY_NODE_GARBAGE,
		reaper->said_damaged ? NULL
				     : "an object that is not needed: it stays on the backend");
	struct garbage batch[BATCH];
	unsigned int n = 0;
	int r;

	do {
		r = load_batch(reaper->node, &scan, batch, &n);
		if (r == 0)
			r = reap_batch(reaper, batch, without_failed(reaper, batch, n));
	} while (r == 0 && n == BATCH && !is_stopping(reaper));
	reaper->said_damaged = reaper->said_damaged || n < BATCH;
	return r;
}

static unsigned int take_due_locked(struct object_reaper *reaper, struct garbage *ret)
	REQUIRES(reaper->lock)
{
	const struct failed_removal *first = failed_removals_first(&reaper->failed);

	if (first == NULL || first->due_ms > clock_monotonic_ms())
		return 0;
	*ret = (struct garbage){.object = first->object, .account = first->account};
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
	int r = condemn_pending(reaper->node);

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
	lock_condition_broadcast(&reaper->changed);
	while ((reaper->work || reaper->busy || reaper->failed.n > 0) && r == 0)
		r = lock_condition_wait_until(&reaper->changed, &reaper->lock, deadline_ms);
	if (r < 0 && reaper->last_error < 0)
		r = reaper->last_error;
	lock_release(&reaper->lock);
	return r;
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
	lock_done(&reaper->lock);
	free(reaper);
}
