#include <config.h>
#include "cache/object_reaper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_object.h"
#include "cache/node_private.h"
#include "cache/transaction.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"

#define BATCH 64
#define FIRST_PAUSE_MS 1000
#define LONGEST_PAUSE_MS 60000

struct object_reaper {
	struct node *node;
	pthread_t thread;
	bool started;
	struct lock lock;
	struct lock_condition changed;
	bool work;      /* there may be records; protected by lock */
	bool busy;      /* the thread is at it; protected by lock */
	bool hurry;     /* somebody waits: the pause ends now; protected by lock */
	bool stopping;  /* protected by lock */
	int last_error; /* protected by lock */
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

/* The first records of a type that names objects. */
static int load_batch(
	struct node *node, enum key_type type, struct garbage ret[BATCH], unsigned int *ret_n)
{
	struct key from = key_node(type), to = key_node_end(type);
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &from, &to);
	unsigned int n = 0;
	int r = it == NULL ? -ENOMEM : 0;

	for (; r == 0 && n < BATCH && store_iterator_valid(it); store_iterator_next(it), n++) {
		size_t key_bytes, value_bytes, tail_bytes = 0;
		const uint8_t *key = store_iterator_key(it, &key_bytes);
		const uint8_t *tail = key_node_tail(key, key_bytes, &tail_bytes);
		const uint8_t *value = store_iterator_value(it, &value_bytes);

		if (tail == NULL || tail_bytes != UUID_BYTES)
			r = -EBADMSG;
		else
			memcpy(ret[n].object.bytes, tail, UUID_BYTES);
		if (r == 0)
			r = record_decode_object_account(value, value_bytes, &ret[n].account);
	}
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	*ret_n = n;
	return r;
}

/* After a crash: nobody is putting these any more. */
static int condemn_pending(struct node *node)
{
	struct garbage batch[BATCH];
	struct transaction t;
	unsigned int n = 0;
	int r;

	do {
		r = load_batch(node, KEY_NODE_PENDING, batch, &n);
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

static int remove_objects(struct object_reaper *reaper, const struct garbage *batch, unsigned int n)
{
	char texts[BATCH][BACKEND_KEY_MAX_BYTES];
	int r = 0;

	for (unsigned int i = 0; i < n && r == 0; i++) {
		body_object_key(batch[i].account, &batch[i].object, texts[i]);
		r = backend_remove_wait(reaper->node->backend, texts[i]);
	}
	atomic_store(&reaper->node->backend_errors[NODE_BACKEND_REMOVE], r);
	return r;
}

/* *ret_n 0: there is no garbage. */
static int reap_batch(struct object_reaper *reaper, unsigned int *ret_n)
{
	struct node *node = reaper->node;
	struct garbage batch[BATCH];
	struct transaction t;
	int r = load_batch(node, KEY_NODE_GARBAGE, batch, ret_n);

	if (r < 0 || *ret_n == 0)
		return r;
	r = commit_now(node->commit);
	if (r == 0)
		r = remove_objects(reaper, batch, *ret_n);
	if (r == 0)
		r = transaction_begin(node, &t);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < *ret_n; i++) {
		struct key key = key_node_uuid(KEY_NODE_GARBAGE, &batch[i].object);

		transaction_delete(&t, STORE_META, &key);
	}
	atomic_fetch_add(&reaper->removed, *ret_n);
	return transaction_commit(&t);
}

static bool is_stopping(struct object_reaper *reaper)
{
	bool stopping;

	lock_acquire(&reaper->lock);
	stopping = reaper->stopping;
	lock_release(&reaper->lock);
	return stopping;
}

static int reap_all(struct object_reaper *reaper)
{
	unsigned int n = 0;
	int r;

	do
		r = reap_batch(reaper, &n);
	while (r == 0 && n > 0 && !is_stopping(reaper));
	return r;
}

/* Waits for work, or after a failure for the time to try again. False: time to end. */
static bool wait_for_work(struct object_reaper *reaper, uint64_t pause_ms)
{
	uint64_t until_ms = clock_monotonic_ms() + pause_ms;
	bool goes_on;

	lock_acquire(&reaper->lock);
	reaper->busy = false;
	lock_condition_broadcast(&reaper->changed);
	if (pause_ms > 0) {
		while (!reaper->stopping && !reaper->hurry && clock_monotonic_ms() < until_ms)
			(void)lock_condition_wait_until(&reaper->changed, &reaper->lock, until_ms);
	}
	while (!reaper->stopping && !reaper->work)
		lock_condition_wait(&reaper->changed, &reaper->lock);
	reaper->work = reaper->hurry = false;
	reaper->busy = true;
	goes_on = !reaper->stopping;
	lock_release(&reaper->lock);
	return goes_on;
}

static void *run(void *arg)
{
	struct object_reaper *reaper = arg;
	uint64_t pause_ms = 0;
	int r;

	while (wait_for_work(reaper, pause_ms)) {
		r = reap_all(reaper);
		lock_acquire(&reaper->lock);
		if (r < 0 && reaper->last_error == 0)
			log_warning("removing objects from the backend fails (%s): it will be "
				    "tried again",
				strerror(-r));
		reaper->last_error = r;
		reaper->work = reaper->work || r < 0;
		lock_release(&reaper->lock);
		pause_ms = r == 0 ? 0 : pause_ms == 0 ? FIRST_PAUSE_MS : pause_ms * 2;
		if (pause_ms > LONGEST_PAUSE_MS)
			pause_ms = LONGEST_PAUSE_MS;
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
	reaper->hurry = reaper->work;
	lock_condition_broadcast(&reaper->changed);
	while ((reaper->work || reaper->busy) && r == 0)
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
