/*
 * body_uploader_queue.c: which bodies wait for the uploader, and who for them.
 */
#include <config.h>
#include "cache/body_uploader.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "cache/body_uploader_private.h"
#include "cache/key.h"
#include "cache/node_private.h"
#include "util/clock.h"
#include "util/log.h"

/* Most are due last; a new one is, unless it failed before or goes on at once. */
void body_uploader_push_locked(struct body_uploader *u, struct list_node *list,
	struct uploader_entry *q, uint64_t due_ms) REQUIRES(u->lock)
{
	struct list_node *before = list->previous;

	q->due_ms = due_ms;
	while (before != list && LIST_ENTRY(before, struct uploader_entry, node)->due_ms > due_ms)
		before = before->previous;
	list_prepend(before, &q->node);
	lock_condition_signal(&u->changed);
}

static struct uploader_entry *find_locked(struct body_uploader *u, uint64_t ino) REQUIRES(u->lock)
{
	const uint64_t *place = map64_find(&u->places, ino);

	return place != NULL ? (struct uploader_entry *)(uintptr_t)*place : NULL;
}

/* In no list yet. NULL without memory. */
static struct uploader_entry *add_locked(struct body_uploader *u, uint64_t ino) REQUIRES(u->lock)
{
	struct uploader_entry *q = calloc(1, sizeof(*q));
	uint64_t *place = q != NULL ? map64_insert(&u->places, ino) : NULL;

	if (place == NULL) {
		free(q);
		return NULL;
	}
	*place = (uint64_t)(uintptr_t)q;
	list_init(&q->node);
	list_init(&q->waiters);
	q->ino = ino;
	q->since_ms = clock_monotonic_ms();
	return q;
}

void body_uploader_remove_locked(struct body_uploader *u, struct uploader_entry *q)
	REQUIRES(u->lock)
{
	map64_remove(&u->places, q->ino);
	free(q);
}

/* Begins without its delay. */
static void hurry_locked(struct body_uploader *u, struct uploader_entry *q) REQUIRES(u->lock)
{
	if (q->is_busy) {
		q->now = true;
		return;
	}
	if (q->pause_ms > 0) /* it failed: its pause goes on */
		return;
	list_remove(&q->node);
	body_uploader_push_locked(u, &u->queue, q, 0);
}

void body_uploader_enqueue(struct body_uploader *u, uint64_t ino, bool now)
{
	struct uploader_entry *q;

	lock_acquire(&u->lock);
	q = find_locked(u, ino);
	if (q != NULL) {
		q->again = q->again || q->is_busy;
		if (now)
			hurry_locked(u, q);
	} else {
		q = add_locked(u, ino);
		if (q != NULL) {
			u->n_queued++;
			body_uploader_push_locked(
				u, &u->queue, q, now ? 0 : q->since_ms + u->delay_ms);
		}
	}
	lock_release(&u->lock);
	/* The record in the store stays, so the next start uploads it. */
	if (q == NULL)
		log_error("no memory to queue an upload: it waits for the next start");
}

bool body_uploader_claim(struct body_uploader *u, uint64_t ino)
{
	struct uploader_entry *q = NULL;

	lock_acquire(&u->lock);
	if (find_locked(u, ino) == NULL)
		q = add_locked(u, ino);
	if (q != NULL)
		q->is_busy = q->is_claimed = true;
	lock_release(&u->lock);
	return q != NULL;
}

void body_uploader_answer(struct list_node *waiters, int error)
{
	struct list_node *node;

	while ((node = list_take_first(waiters)) != NULL) {
		struct uploader_waiter *w = LIST_ENTRY(node, struct uploader_waiter, node);

		w->done(w->arg, error);
		free(w);
	}
}

void body_uploader_release(struct body_uploader *u, uint64_t ino)
{
	struct uploader_entry *q;
	bool waits; /* somebody for this */

	lock_acquire(&u->lock);
	q = find_locked(u, ino);
	waits = q != NULL && (q->again || q->is_dropped);
	if (q != NULL && q->again && !q->is_dropped) {
		q->is_busy = q->is_claimed = q->again = false;
		u->n_queued++;
		body_uploader_push_locked(
			u, &u->queue, q, q->now ? 0 : clock_monotonic_ms() + u->delay_ms);
		q->now = false;
	} else if (q != NULL) {
		body_uploader_remove_locked(u, q);
	}
	if (waits)
		lock_condition_broadcast(&u->changed);
	lock_release(&u->lock);
}

static void add_waiter_locked(struct body_uploader *u, struct uploader_entry *q,
	struct uploader_waiter *w) REQUIRES(u->lock)
{
	w->until_ms = clock_monotonic_ms() + BODY_UPLOADER_HURRY_MS;
	list_append(&q->waiters, &w->node);
	if (w->until_ms < u->expire_ms) {
		u->expire_ms = w->until_ms;
		lock_condition_signal(&u->changed);
	}
	hurry_locked(u, q);
}

/* Of one body; the first of them has waited longest. */
static void expire_one_locked(struct body_uploader *u, struct uploader_entry *q, uint64_t now_ms,
	struct list_node *ret_waiters) REQUIRES(u->lock)
{
	while (!list_is_empty(&q->waiters)) {
		struct uploader_waiter *w =
			LIST_ENTRY(q->waiters.next, struct uploader_waiter, node);

		if (w->until_ms > now_ms) {
			u->expire_ms = w->until_ms < u->expire_ms ? w->until_ms : u->expire_ms;
			return;
		}
		list_remove(&w->node);
		list_append(ret_waiters, &w->node);
	}
}

void body_uploader_expire_locked(struct body_uploader *u, struct list_node *ret_waiters)
	REQUIRES(u->lock)
{
	uint64_t now_ms = clock_monotonic_ms();

	if (now_ms < u->expire_ms)
		return;
	u->expire_ms = UINT64_MAX;
	for (size_t i = 0; i < u->places.capacity; i++) {
		if (u->places.slots[i].key != 0)
			expire_one_locked(u,
				(struct uploader_entry *)(uintptr_t)u->places.slots[i].value,
				now_ms, ret_waiters);
	}
}

void body_uploader_hurry(struct node *node, uint64_t ino, body_uploader_done_fn *done, void *arg)
{
	struct body_uploader *u = node->uploader;
	struct uploader_waiter *w = calloc(1, sizeof(*w));
	struct uploader_entry *q;
	int error = w == NULL ? -ENOMEM : 0;

	lock_acquire(&u->lock);
	q = find_locked(u, ino);
	if (q != NULL && q->is_claimed)
		q = NULL; /* what the packer has is small: the journal has it */
	if (q != NULL && u->stopping)
		error = -ECANCELED;
	if (error == 0 && q != NULL) {
		*w = (struct uploader_waiter){.done = done, .arg = arg};
		add_waiter_locked(u, q, w);
		w = NULL;
	}
	lock_release(&u->lock);
	if (q != NULL && error == 0)
		return;
	free(w);
	done(arg, error);
}

/* ---- all of an account's */

struct account_wait {
	_Atomic uint32_t left;
	_Atomic int error;
	body_uploader_done_fn *done;
	void *arg;
};

static void one_done(void *arg, int error)
{
	struct account_wait *wait = arg;

	if (error < 0)
		atomic_store(&wait->error, error);
	if (atomic_fetch_sub(&wait->left, 1) > 1)
		return;
	wait->done(wait->arg, atomic_load(&wait->error));
	free(wait);
}

/* Those that failed wait for their pause, and nobody waits for them. */
static bool may_hurry(const struct body_uploader *u, size_t i, uint32_t account)
{
	const struct uploader_entry *q =
		(const struct uploader_entry *)(uintptr_t)u->places.slots[i].value;

	return u->places.slots[i].key != 0 && key_ino_account(q->ino) == account &&
	       !q->is_claimed && q->pause_ms == 0;
}

static int hurry_account_locked(
	struct body_uploader *u, uint32_t account, struct account_wait *wait) REQUIRES(u->lock)
{
	struct uploader_waiter *w;

	for (size_t i = 0; i < u->places.capacity; i++) {
		struct uploader_entry *q =
			(struct uploader_entry *)(uintptr_t)u->places.slots[i].value;

		if (!may_hurry(u, i, account))
			continue;
		w = calloc(1, sizeof(*w));
		if (w == NULL)
			return -ENOMEM;
		*w = (struct uploader_waiter){.done = one_done, .arg = wait};
		atomic_fetch_add(&wait->left, 1);
		add_waiter_locked(u, q, w);
	}
	return 0;
}

void body_uploader_hurry_account(
	struct node *node, uint32_t account, body_uploader_done_fn *done, void *arg)
{
	struct body_uploader *u = node->uploader;
	struct account_wait *wait;
	bool is_needed = false;
	int r = 0;

	lock_acquire(&u->lock);
	if (!u->stopping && u->pause_until_ms <= clock_monotonic_ms()) {
		for (size_t i = 0; i < u->places.capacity && !is_needed; i++)
			is_needed = may_hurry(u, i, account);
	}
	wait = is_needed ? malloc(sizeof(*wait)) : NULL;
	if (wait != NULL) {
		*wait = (struct account_wait){.left = 1, .done = done, .arg = arg};
		r = hurry_account_locked(u, account, wait);
	}
	lock_release(&u->lock);
	if (wait == NULL)
		done(arg, 0);
	else
		one_done(wait, r);
}

/* ---- an account leaves */

/* Moves the account's from one list to another. */
static void move_account_locked(struct list_node *from, struct list_node *to, uint32_t account)
{
	struct list_node all, *node;

	list_init(&all);
	list_splice(&all, from);
	while ((node = list_take_first(&all)) != NULL) {
		struct uploader_entry *q = LIST_ENTRY(node, struct uploader_entry, node);

		list_append(key_ino_account(q->ino) == account ? to : from, node);
	}
}

/* In flight, or with the packer. */
static bool mark_busy_locked(struct body_uploader *u, uint32_t account, bool is_dropped)
	REQUIRES(u->lock)
{
	bool found = false;

	for (size_t i = 0; i < u->places.capacity; i++) {
		struct uploader_entry *q =
			(struct uploader_entry *)(uintptr_t)u->places.slots[i].value;

		if (u->places.slots[i].key == 0 || key_ino_account(q->ino) != account ||
			!q->is_busy)
			continue;
		q->is_dropped = is_dropped;
		found = true;
	}
	return found;
}

/* Takes what waits; what is under way ends. At the deadline all is as before. */
static int drop_locked(struct body_uploader *u, uint32_t account, uint64_t deadline_ms,
	struct list_node *ret_waiters) REQUIRES(u->lock)
{
	struct list_node taken, *node;
	int r = 0;

	list_init(&taken);
	move_account_locked(&u->queue, &taken, account);
	move_account_locked(&u->retries, &taken, account);
	while (mark_busy_locked(u, account, true) && r == 0)
		r = lock_condition_wait_until(&u->changed, &u->lock, deadline_ms);
	r = r < 0 && mark_busy_locked(u, account, false) ? -EBUSY : 0;
	while ((node = list_take_first(&taken)) != NULL) {
		struct uploader_entry *q = LIST_ENTRY(node, struct uploader_entry, node);

		if (r < 0) {
			body_uploader_push_locked(
				u, q->pause_ms > 0 ? &u->retries : &u->queue, q, q->due_ms);
			continue;
		}
		u->n_queued--;
		u->n_failing -= q->pause_ms > 0;
		list_splice(ret_waiters, &q->waiters);
		body_uploader_remove_locked(u, q);
	}
	return r;
}

int body_uploader_drop(struct body_uploader *u, uint32_t account, uint64_t deadline_ms)
{
	struct list_node waiters;
	int r;

	list_init(&waiters);
	lock_acquire(&u->lock);
	r = drop_locked(u, account, deadline_ms, &waiters);
	if (u->n_failing == 0)
		u->last_error = 0;
	lock_condition_broadcast(&u->changed);
	lock_release(&u->lock);
	body_uploader_answer(&waiters, -ECANCELED);
	return r;
}
