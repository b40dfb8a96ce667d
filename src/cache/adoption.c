#include <config.h>
#include "cache/adoption.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_uploader.h"
#include "cache/damaged_record.h"
#include "cache/node_private.h"
#include "cache/replay.h"
#include "cache/replay_private.h"
#include "cache/torn_write.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/failpoint.h"
#include "util/list.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/map64.h"

/* Requests that run are counted by account, hashed: two accounts in one slot wait for each other.
 */
#define RUNNING_SLOTS 4096
#define LOOK_AGAIN_MS 1

#define FIRST_PAUSE_MS 1000
#define LONGEST_PAUSE_MS 30000

/* Accounts of which nothing is here are noted so many at a time. */
#define NOTES_IN_A_BATCH 1024

/* Behind the public places: it is here, and about to go. */
enum { LEAVING = ADOPTION_FAILED + 1, PLACES };

struct waiter {
	struct list_node node;
	adoption_done_fn *done;
	void *arg;
};

/* Of an account that is not simply here. */
struct adoptee {
	int place;
	int error;         /* of one that failed */
	uint64_t retry_ms; /* monotonic: when it may be tried again */
	uint32_t pause_ms;
	bool has_dropped_uploads; /* of one that leaves */
	struct list_node waiters;
};

struct adoption {
	struct node *node;
	_Atomic uint64_t n_adoptees; /* changes under lock */
	_Atomic uint32_t running[RUNNING_SLOTS];
	struct lock lock;
	struct lock_condition quiet; /* nobody is being called any more */
	struct map64 adoptees;       /* account + 1 -> struct adoptee *; protected by lock */
	uint64_t counts[PLACES];     /* protected by lock */
	uint64_t n_waiters;          /* protected by lock */
	unsigned int calling;        /* threads that call waiters; protected by lock */
	bool ended;                  /* protected by lock */
};

struct adoption *adoption_new(struct node *node)
{
	struct adoption *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->node = node;
	lock_init(&a->lock);
	lock_condition_init(&a->quiet);
	map64_init(&a->adoptees);
	return a;
}

void adoption_free(struct adoption *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->adoptees.capacity; i++) {
		if (a->adoptees.slots[i].key != 0)
			free((void *)(uintptr_t)a->adoptees.slots[i].value);
	}
	map64_done(&a->adoptees);
	lock_condition_done(&a->quiet);
	lock_done(&a->lock);
	free(a);
}

/* ---- the map */

static struct adoptee *find_locked(struct adoption *a, uint32_t account) REQUIRES(a->lock)
{
	uint64_t *place = map64_find(&a->adoptees, (uint64_t)account + 1);

	return place == NULL ? NULL : (struct adoptee *)(uintptr_t)*place;
}

static void move_locked(struct adoption *a, struct adoptee *x, int place) REQUIRES(a->lock)
{
	a->counts[x->place]--;
	a->counts[place]++;
	x->place = place;
}

static struct adoptee *add_locked(struct adoption *a, uint32_t account, int place) REQUIRES(a->lock)
{
	struct adoptee *x = calloc(1, sizeof(*x));
	uint64_t *slot = x == NULL ? NULL : map64_insert(&a->adoptees, (uint64_t)account + 1);

	if (slot == NULL) {
		free(x);
		return NULL;
	}
	*slot = (uint64_t)(uintptr_t)x;
	x->place = place;
	list_init(&x->waiters);
	a->counts[place]++;
	atomic_fetch_add(&a->n_adoptees, 1);
	return x;
}

/* It is here. Its waiters were taken. */
static void remove_locked(struct adoption *a, uint32_t account, struct adoptee *x) REQUIRES(a->lock)
{
	a->counts[x->place]--;
	map64_remove(&a->adoptees, (uint64_t)account + 1);
	free(x);
	atomic_fetch_sub(&a->n_adoptees, 1);
}

/* ---- waiters */

static void take_waiters_locked(struct adoption *a, struct adoptee *x, struct list_node *ret)
	REQUIRES(a->lock)
{
	list_splice(ret, &x->waiters);
	a->calling++;
}

static void call(struct adoption *a, struct list_node *waiters, int error)
{
	struct list_node *node;
	uint64_t n = 0;

	for (; (node = list_take_first(waiters)) != NULL; n++) {
		struct waiter *w = LIST_ENTRY(node, struct waiter, node);

		w->done(w->arg, error);
		free(w);
	}
	lock_acquire(&a->lock);
	a->n_waiters -= n;
	a->calling--;
	lock_condition_broadcast(&a->quiet);
	lock_release(&a->lock);
}

void adoption_end_waits(struct node *node)
{
	struct adoption *a = node->adoption;
	struct list_node waiters;

	list_init(&waiters);
	lock_acquire(&a->lock);
	a->ended = true;
	a->calling++;
	for (size_t i = 0; i < a->adoptees.capacity; i++) {
		if (a->adoptees.slots[i].key != 0)
			list_splice(
				&waiters, &((struct adoptee *)(uintptr_t)a->adoptees.slots[i].value)
						   ->waiters);
	}
	lock_release(&a->lock);
	call(a, &waiters, -ECANCELED);
	lock_acquire(&a->lock);
	while (a->calling > 0)
		lock_condition_wait(&a->quiet, &a->lock);
	lock_release(&a->lock);
}

/* ---- who serves requests */

int adoption_check(struct node *node, uint32_t account)
{
	struct adoption *a = node->adoption;
	bool is_here;

	if (atomic_load(&a->n_adoptees) == 0)
		return 0;
	lock_acquire(&a->lock);
	is_here = find_locked(a, account) == NULL;
	lock_release(&a->lock);
	return is_here ? 0 : -EINPROGRESS;
}

static _Atomic uint32_t *running_of(struct adoption *a, uint32_t account)
{
	return &a->running[map64_hash((uint64_t)account + 1) % RUNNING_SLOTS];
}

/* First it counts, then it looks; an eviction first puts the account into the map and then looks at
 * the counts. So one of them sees the other. */
int adoption_enter(struct node *node, uint32_t account)
{
	struct adoption *a = node->adoption;
	int r;

	atomic_fetch_add(running_of(a, account), 1);
	r = adoption_check(node, account);
	if (r < 0)
		atomic_fetch_sub(running_of(a, account), 1);
	return r;
}

void adoption_hold(struct node *node, uint32_t account)
{
	atomic_fetch_add(running_of(node->adoption, account), 1);
}

void adoption_leave(struct node *node, uint32_t account)
{
	atomic_fetch_sub(running_of(node->adoption, account), 1);
}

/* 0: it is here; -EINPROGRESS: the waiter is queued, *ret_load: and the account is to be loaded. */
static int enqueue_locked(struct adoption *a, uint32_t account, struct waiter *w, bool *ret_load)
	REQUIRES(a->lock)
{
	struct adoptee *x = find_locked(a, account);

	if (x == NULL)
		return 0;
	if (a->ended)
		return -ECANCELED;
	if (x->place == ADOPTION_FAILED && clock_monotonic_ms() < x->retry_ms)
		return x->error;
	if (a->n_waiters >= ADOPTION_MAX_WAITERS)
		return -ENOBUFS;
	*ret_load = x->place == ADOPTION_ABSENT || x->place == ADOPTION_FAILED;
	if (*ret_load && a->node->replication.load == NULL)
		return -EIO;
	if (*ret_load)
		move_locked(a, x, ADOPTION_LOADING);
	list_append(&x->waiters, &w->node);
	a->n_waiters++;
	return -EINPROGRESS;
}

void adoption_wait(struct node *node, uint32_t account, adoption_done_fn *done, void *arg)
{
	struct adoption *a = node->adoption;
	struct waiter *w = malloc(sizeof(*w));
	bool load = false;
	int r;

	if (w == NULL) {
		done(arg, -ENOMEM);
		return;
	}
	*w = (struct waiter){.done = done, .arg = arg};
	lock_acquire(&a->lock);
	r = enqueue_locked(a, account, w, &load);
	lock_release(&a->lock);
	if (r != -EINPROGRESS) {
		free(w);
		done(arg, r);
	} else if (load) {
		node->replication.load(node->replication.arg, account);
	}
}

/* ---- what replication says */

static void note_failure_locked(struct adoption *a, struct adoptee *x, int error) REQUIRES(a->lock)
{
	uint32_t pause_ms = x->pause_ms == 0 ? FIRST_PAUSE_MS : 2 * x->pause_ms;

	move_locked(a, x, ADOPTION_FAILED);
	x->error = error;
	x->pause_ms = pause_ms < LONGEST_PAUSE_MS ? pause_ms : LONGEST_PAUSE_MS;
	x->retry_ms = clock_monotonic_ms() + x->pause_ms;
}

/* Whether it was about to go. What is noted as to be uploaded goes back to the uploader, while
 * nobody can add to it. */
static bool stay(struct adoption *a, uint32_t account)
{
	struct adoptee *x;
	bool was_leaving, has_dropped;
	int r;

	lock_acquire(&a->lock);
	x = find_locked(a, account);
	was_leaving = x != NULL && x->place == LEAVING;
	has_dropped = was_leaving && x->has_dropped_uploads;
	lock_release(&a->lock);
	r = has_dropped ? replay_clean_resume(a->node, account) : 0;
	if (r < 0)
		log_error("the uploads of account %" PRIu32
			  " cannot be queued again (%s): they wait for the next start",
			account, strerror(-r));
	return was_leaving;
}

void adoption_finish(struct node *node, uint32_t account, int error)
{
	struct adoption *a = node->adoption;
	struct list_node waiters;
	struct adoptee *x;
	bool was_leaving = stay(a, account);

	list_init(&waiters);
	lock_acquire(&a->lock);
	x = find_locked(a, account);
	if (x == NULL) {
		lock_release(&a->lock);
		return;
	}
	take_waiters_locked(a, x, &waiters);
	if (error < 0 && !was_leaving)
		note_failure_locked(a, x, error);
	else
		remove_locked(a, account, x);
	lock_release(&a->lock);
	if (error < 0 && error != -ECANCELED && !was_leaving)
		log_error("account %" PRIu32
			  " cannot be loaded (%s): what asks for it gets an error, "
			  "and it is tried again after a pause",
			account, strerror(-error));
	call(a, &waiters, error);
}

/* ---- leaving */

/* Only those who came before: the account is in the map. */
static int wait_for_requests(struct adoption *a, uint32_t account, uint64_t deadline_ms)
{
	while (atomic_load(running_of(a, account)) > 0) {
		if (clock_monotonic_ms() >= deadline_ms)
			return -EBUSY;
		clock_sleep_ms(LOOK_AGAIN_MS);
	}
	return 0;
}

int adoption_begin_eviction(struct node *node, uint32_t account, uint32_t timeout_ms)
{
	struct adoption *a = node->adoption;
	uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
	struct adoptee *x;
	int r = 0;

	lock_acquire(&a->lock);
	x = find_locked(a, account);
	if (x != NULL)
		r = x->place == LEAVING || x->place == ADOPTION_LOADING ? -EBUSY : -ENOENT;
	else if (add_locked(a, account, LEAVING) == NULL)
		r = -ENOMEM;
	lock_release(&a->lock);
	if (r < 0)
		return r;
	r = wait_for_requests(a, account, deadline_ms);
	if (r == 0)
		(void)torn_writes_settle(node->torn_writes, account);
	if (r == 0)
		r = body_uploader_drop(node->uploader, account, deadline_ms);
	if (r < 0) {
		adoption_finish(node, account, 0);
		return r;
	}
	lock_acquire(&a->lock);
	x = find_locked(a, account);
	if (x != NULL)
		x->has_dropped_uploads = true;
	lock_release(&a->lock);
	return 0;
}

/* ---- what is on the backend only */

/* -EBUSY; *ret_was: its place, to go back to. From now on nobody uses it. */
static int begin_drop(struct adoption *a, uint32_t account, int *ret_was)
{
	struct adoptee *x;
	int r = 0;

	lock_acquire(&a->lock);
	x = find_locked(a, account);
	*ret_was = x == NULL ? ADOPTION_HERE : x->place;
	if (x == NULL)
		r = add_locked(a, account, LEAVING) == NULL ? -ENOMEM : 0;
	else if (x->place == ADOPTION_LOADING)
		r = -EBUSY;
	lock_release(&a->lock);
	return r;
}

static void end_drop(struct adoption *a, uint32_t account, int was, bool is_absent)
{
	struct adoptee *x;
	bool load;

	if (!is_absent && was == ADOPTION_HERE)
		adoption_finish(a->node, account, 0);
	if (!is_absent)
		return;
	lock_acquire(&a->lock);
	x = find_locked(a, account);
	/* Somebody has come meanwhile: it is needed again at once. */
	load = x != NULL && !list_is_empty(&x->waiters) && a->node->replication.load != NULL;
	if (x != NULL) {
		move_locked(a, x, load ? ADOPTION_LOADING : ADOPTION_ABSENT);
		x->pause_ms = 0;
		x->has_dropped_uploads = false;
	}
	lock_release(&a->lock);
	if (load)
		a->node->replication.load(a->node->replication.arg, account);
}

/* What is left of it, when that fails, does not count, and goes at the next start or when the
 * account is loaded. */
static int drop(struct adoption *a, uint32_t account)
{
	bool is_absent = false;
	int was, r = begin_drop(a, account, &was);

	if (r < 0)
		return r;
	r = replay_clean_expect(a->node, account, &is_absent);
	end_drop(a, account, was, is_absent);
	return r;
}

/* Those of which nothing is here, together. */
static int note_absent(struct adoption *a, const uint32_t *accounts, size_t n)
{
	struct store_batch *batch = store_batch_new(a->node->store);
	int r = batch == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct key key = key_node_account(KEY_NODE_ABSENT, accounts[i]);

		store_batch_put(batch, STORE_META, &key, "", 0);
	}
	if (r == 0 && n > 0)
		r = store_write(a->node->store, batch);
	store_batch_free(batch);
	lock_acquire(&a->lock);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (find_locked(a, accounts[i]) == NULL &&
			add_locked(a, accounts[i], ADOPTION_ABSENT) == NULL)
			r = -ENOMEM;
	}
	lock_release(&a->lock);
	return r;
}

static int place_of(struct adoption *a, uint32_t account)
{
	struct adoptee *x;
	int place;

	lock_acquire(&a->lock);
	x = find_locked(a, account);
	place = x == NULL ? ADOPTION_HERE : x->place;
	lock_release(&a->lock);
	return place;
}

int adoption_expect(struct node *node, const uint32_t *accounts, size_t n_accounts)
{
	struct adoption *a = node->adoption;
	uint32_t empty[NOTES_IN_A_BATCH];
	size_t n_empty = 0;
	int r = 0;

	for (size_t i = 0; i < n_accounts && r == 0; i++) {
		int place = accounts[i] > KEY_ACCOUNT_MAX ? -EINVAL : place_of(a, accounts[i]);

		if (place < 0)
			r = place;
		else if (place == ADOPTION_ABSENT || place == ADOPTION_FAILED)
			continue; /* there is nothing, and that is noted */
		else if (place != ADOPTION_HERE)
			r = drop(a, accounts[i]);
		else {
			r = replay_clean_has_records(node, accounts[i]);
			if (r > 0)
				r = drop(a, accounts[i]);
			else if (r == 0)
				empty[n_empty++] = accounts[i];
		}
		if (r == 0 && (n_empty == NOTES_IN_A_BATCH)) {
			r = note_absent(a, empty, n_empty);
			n_empty = 0;
		}
	}
	return r == 0 ? note_absent(a, empty, n_empty) : r;
}

int adoption_recover(struct adoption *a)
{
	struct key from = key_node(KEY_NODE_ABSENT), to = key_node_end(KEY_NODE_ABSENT);
	struct store_iterator *it = store_iterator_new(a->node->store, STORE_META, &from, &to);
	int r = it == NULL ? -ENOMEM : 0;

	lock_acquire(&a->lock);
	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it)) {
		size_t key_bytes, tail_bytes = 0;
		const uint8_t *key = store_iterator_key(it, &key_bytes);
		const uint8_t *tail = key_node_tail(key, key_bytes, &tail_bytes);
		struct decoder d = decoder_over(tail, tail == NULL ? 0 : tail_bytes);
		uint32_t account = decode_u32(&d);

		if (!decoder_ok(&d) || decoder_left_bytes(&d) > 0 || account > KEY_ACCOUNT_MAX)
			damaged_record_say(it, "an account that is not here: ignored");
		else if (add_locked(a, account, ADOPTION_ABSENT) == NULL)
			r = -ENOMEM;
	}
	lock_release(&a->lock);
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	return r;
}

/* ---- figures */

enum adoption_place adoption_place(struct node *node, uint32_t account, int *ret_error)
{
	struct adoption *a = node->adoption;
	struct adoptee *x;
	int place, error;

	lock_acquire(&a->lock);
	x = find_locked(a, account);
	place = x == NULL || x->place == LEAVING ? ADOPTION_HERE : x->place;
	error = place == ADOPTION_FAILED ? x->error : 0;
	lock_release(&a->lock);
	if (ret_error != NULL)
		*ret_error = error;
	return (enum adoption_place)place;
}

void adoption_get_figures(struct node *node, struct adoption_figures *ret)
{
	struct adoption *a = node->adoption;

	lock_acquire(&a->lock);
	*ret = (struct adoption_figures){
		.absent = a->counts[ADOPTION_ABSENT],
		.loading = a->counts[ADOPTION_LOADING],
		.failed = a->counts[ADOPTION_FAILED],
		.waiters = a->n_waiters,
	};
	lock_release(&a->lock);
}
