#include <config.h>
#include "cache/body_uploader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_map.h"
#include "cache/body_uploader_private.h"
#include "cache/node_private.h"
#include "cache/upload_task.h"
#include "util/clock.h"
#include "util/list.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/map64.h"

#define MAX_IN_FLIGHT 32

/* An upload gets its time by its size, on a line that it shares with MAX_IN_FLIGHT others. */
#define SLOWEST_BYTES_PER_MS 32

/* Not started singly, so that one commit makes the pending records of many durable. */
#define WAVE (MAX_IN_FLIGHT / 2)
#define BETWEEN_WAVES_MS 100
#define FIRST_PAUSE_MS 500
#define LONGEST_PAUSE_MS 30000

/* Different bodies that fail for the first time, with no success between: then it is the backend.
 */
#define FAILURES_IN_A_ROW 4

struct body_uploader *body_uploader_new(struct node *node, uint64_t delay_ms)
{
	struct body_uploader *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->node = node;
	u->delay_ms = delay_ms;
	u->expire_ms = UINT64_MAX;
	lock_init(&u->lock);
	lock_condition_init(&u->changed);
	list_init(&u->queue);
	list_init(&u->retries);
	map64_init(&u->places);
	return u;
}

static uint64_t next_pause_ms(uint64_t pause_ms)
{
	if (pause_ms == 0)
		return FIRST_PAUSE_MS;
	return pause_ms * 2 < LONGEST_PAUSE_MS ? pause_ms * 2 : LONGEST_PAUSE_MS;
}

/* One that fails waits alone, so that it does not delay the others. What to say, or NULL. */
static const char *note_failure_locked(struct body_uploader *u, struct uploader_entry *q, int error,
	uint64_t now_ms) REQUIRES(u->lock)
{
	const char *what = NULL;

	u->last_error = error;
	if (q->pause_ms == 0) {
		u->n_failing++;
		u->failures_in_a_row++;
		if (u->failures_in_a_row < FAILURES_IN_A_ROW)
			what = "this body waits, the others go on";
		else if (u->failures_in_a_row == FAILURES_IN_A_ROW)
			what = "and so do others: all wait";
	}
	q->pause_ms = next_pause_ms(q->pause_ms);
	if (u->failures_in_a_row >= FAILURES_IN_A_ROW && now_ms >= u->pause_until_ms) {
		u->pause_ms = next_pause_ms(u->pause_ms);
		u->pause_until_ms = now_ms + u->pause_ms;
	}
	return what;
}

static void note_success_locked(struct body_uploader *u, struct uploader_entry *q) REQUIRES(u->lock)
{
	if (q->pause_ms > 0)
		u->n_failing--;
	q->pause_ms = 0;
	u->failures_in_a_row = 0;
	u->pause_ms = u->pause_until_ms = 0;
	if (u->n_failing == 0)
		u->last_error = 0;
}

/* The end of one body's turn: it leaves, or is queued again. */
static void end_turn(
	struct body_uploader *u, struct uploader_entry *q, bool again, uint64_t delay_ms, int error)
{
	uint64_t now_ms = clock_monotonic_ms(), ino = q->ino;
	const char *what = NULL;
	struct list_node waiters;
	bool is_urgent;

	list_init(&waiters);
	lock_acquire(&u->lock);
	u->in_flight--;
	q->is_busy = false;
	if (q->again && !again) {
		again = true;
		delay_ms = u->delay_ms;
	}
	again = again && !q->is_dropped;
	is_urgent = q->now || !list_is_empty(&q->waiters);
	q->again = q->now = false;
	if (error < 0)
		what = note_failure_locked(u, q, error, now_ms);
	if (error == 0 || !again)
		note_success_locked(u, q);
	if (error < 0 || !again)
		list_splice(&waiters, &q->waiters);
	if (error < 0 && again) {
		body_uploader_push_locked(u, &u->retries, q, now_ms + q->pause_ms);
	} else if (again) {
		body_uploader_push_locked(u, &u->queue, q, is_urgent ? 0 : now_ms + delay_ms);
	} else {
		u->n_queued--;
		body_uploader_remove_locked(u, q);
	}
	lock_condition_broadcast(&u->changed);
	lock_release(&u->lock);
	body_uploader_answer(&waiters, error);
	if (what != NULL)
		log_warning("the body of inode %" PRIu64 " cannot be uploaded (%s): %s, it will be "
			    "tried again",
			ino, strerror(-error), what);
}

struct flight {
	struct body_uploader *uploader;
	struct uploader_entry *queued;
	struct upload_task *task;
	bool is_hurried; /* somebody waits */
};

static void put_done(struct backend_result *result, void *arg)
{
	struct flight *f = arg;
	struct body_uploader *u = f->uploader;
	uint64_t delay_ms;
	bool more = false;
	int r = upload_task_finish(f->task, result->error, &more);

	atomic_store(&u->node->backend_errors[NODE_BACKEND_PUT], result->error);
	if (r == 0 && result->error == 0) {
		lock_acquire(&u->lock);
		u->objects++;
		u->objects_bytes += f->task->object.size_bytes;
		lock_release(&u->lock);
	}
	/* A body that grows all the time waits anew, or every append became an object. */
	delay_ms = f->task->changed_meanwhile ? u->delay_ms : 0;
	upload_task_free(f->task);
	end_turn(u, f->queued, more || r < 0, delay_ms, result->error < 0 ? result->error : r);
	free(f);
}

static void start_put(struct flight *f)
{
	struct upload_task *task = f->task;
	/* The id of an object is random: the condition is a second line of defence. */
	struct backend_condition condition = {
		.type = f->uploader->node->plain_puts ? BACKEND_ALWAYS : BACKEND_IF_ABSENT};
	size_t size_bytes = backend_parts_size_bytes(task->object.parts, task->object.n_parts);
	struct backend_call call = {
		.priority = f->is_hurried ? BACKEND_COMMIT : BACKEND_BACKGROUND,
		.timeout_ms =
			BACKEND_DEFAULT_TIMEOUT_MS + (uint32_t)(size_bytes / SLOWEST_BYTES_PER_MS),
		.done = put_done,
		.arg = f,
	};

	backend_put(f->uploader->node->backend, task->key, task->object.parts, task->object.n_parts,
		&condition, &call);
}

/* Prepares one body; NULL when there was nothing to do or it failed, and its turn is over. */
static struct flight *prepare(struct body_uploader *u, struct uploader_entry *q)
{
	struct flight *f = calloc(1, sizeof(*f));
	enum upload_size size = u->node->changes != NULL ? UPLOAD_LARGE : UPLOAD_ALL;
	int r = f == NULL ? -ENOMEM : upload_task_prepare(u->node, q->ino, size, &f->task);

	if (r < 0 || f->task == NULL) {
		free(f);
		end_turn(u, q, r < 0, 0, r);
		return NULL;
	}
	f->uploader = u;
	f->queued = q;
	lock_acquire(&u->lock);
	f->is_hurried = !list_is_empty(&q->waiters);
	lock_release(&u->lock);
	return f;
}

/* When the first of the list is due; UINT64_MAX: it is empty. */
static uint64_t due_ms_of(struct list_node *list)
{
	return list_is_empty(list) ? UINT64_MAX
				   : LIST_ENTRY(list->next, struct uploader_entry, node)->due_ms;
}

/* The list that is due first. A flush does not wait for what is new. */
static struct list_node *first_due_locked(struct body_uploader *u, uint64_t *ret_due_ms)
	REQUIRES(u->lock)
{
	uint64_t fresh_ms = due_ms_of(&u->queue), retry_ms = due_ms_of(&u->retries);

	if (u->flushing > 0 && fresh_ms != UINT64_MAX)
		fresh_ms = 0;
	*ret_due_ms = fresh_ms <= retry_ms ? fresh_ms : retry_ms;
	return fresh_ms <= retry_ms ? &u->queue : &u->retries;
}

/* Everything that is due, as far as there is room. */
static unsigned int take_due_locked(
	struct body_uploader *u, struct uploader_entry *ret[MAX_IN_FLIGHT]) REQUIRES(u->lock)
{
	uint64_t now_ms = clock_monotonic_ms(), due_ms;
	unsigned int n = 0;

	(void)first_due_locked(u, &due_ms);
	if (now_ms < u->pause_until_ms || u->in_flight > MAX_IN_FLIGHT - WAVE ||
		(now_ms < u->next_wave_ms && u->flushing == 0 && due_ms > 0))
		return 0;
	while (u->in_flight < MAX_IN_FLIGHT) {
		struct list_node *list = first_due_locked(u, &due_ms);
		struct uploader_entry *q;

		if (due_ms > now_ms)
			break;
		q = LIST_ENTRY(list->next, struct uploader_entry, node);
		list_remove(&q->node);
		q->is_busy = true;
		ret[n++] = q;
		u->in_flight++;
	}
	if (n > 0)
		u->next_wave_ms = now_ms + BETWEEN_WAVES_MS;
	return n;
}

/* One commit makes all the pending records durable, then the puts begin. */
static void upload_batch(struct body_uploader *u, struct uploader_entry *batch[], unsigned int n)
{
	struct flight *flights[MAX_IN_FLIGHT];
	unsigned int n_flights = 0;
	bool more;
	int r;

	for (unsigned int i = 0; i < n; i++) {
		flights[n_flights] = prepare(u, batch[i]);
		n_flights += flights[n_flights] != NULL;
	}
	r = n_flights > 0 ? commit_now(u->node->commit) : 0;
	for (unsigned int i = 0; i < n_flights; i++) {
		struct flight *f = flights[i];

		if (r == 0) {
			start_put(f);
			continue;
		}
		(void)upload_task_finish(f->task, r, &more);
		upload_task_free(f->task);
		end_turn(u, f->queued, true, 0, r);
		free(f);
	}
}

static uint64_t next_due_locked(struct body_uploader *u) REQUIRES(u->lock)
{
	uint64_t due_ms;

	(void)first_due_locked(u, &due_ms);
	if (due_ms == UINT64_MAX || u->in_flight > MAX_IN_FLIGHT - WAVE)
		due_ms = UINT64_MAX / 2;
	else if (due_ms > 0 && due_ms < u->next_wave_ms && u->flushing == 0)
		due_ms = u->next_wave_ms;
	if (due_ms < u->pause_until_ms)
		due_ms = u->pause_until_ms;
	return due_ms < u->expire_ms ? due_ms : u->expire_ms;
}

/* Who waits for too long is told. True: there were any, and the lock was given up meanwhile. */
static bool expire_locked(struct body_uploader *u) REQUIRES(u->lock)
{
	struct list_node late;

	list_init(&late);
	body_uploader_expire_locked(u, &late);
	if (list_is_empty(&late))
		return false;
	lock_release(&u->lock);
	body_uploader_answer(&late, -ETIMEDOUT);
	lock_acquire(&u->lock);
	return true;
}

static void *run(void *arg)
{
	struct body_uploader *u = arg;
	struct uploader_entry *batch[MAX_IN_FLIGHT];
	unsigned int n;

	lock_acquire(&u->lock);
	while (!u->stopping) {
		if (expire_locked(u))
			continue;
		n = take_due_locked(u, batch);
		if (n == 0) {
			(void)lock_condition_wait_until(&u->changed, &u->lock, next_due_locked(u));
			continue;
		}
		lock_release(&u->lock);
		upload_batch(u, batch, n);
		lock_acquire(&u->lock);
	}
	lock_release(&u->lock);
	return NULL;
}

int body_uploader_start(struct body_uploader *u)
{
	int r = -pthread_create(&u->thread, NULL, run, u);

	u->started = r == 0;
	if (u->started)
		pthread_setname_np(u->thread, "mfs-upload");
	return r;
}

int body_uploader_flush(struct body_uploader *u, uint64_t deadline_ms)
{
	int r = 0;

	lock_acquire(&u->lock);
	u->flushing++;
	u->pause_until_ms = 0;
	for (struct list_node *n = u->retries.next; n != &u->retries; n = n->next)
		LIST_ENTRY(n, struct uploader_entry, node)->due_ms = 0;
	lock_condition_broadcast(&u->changed);
	while (u->n_queued > 0 && r == 0)
		r = lock_condition_wait_until(&u->changed, &u->lock, deadline_ms);
	if (r < 0 && u->last_error < 0)
		r = u->last_error;
	u->flushing--;
	lock_release(&u->lock);
	return r;
}

static uint64_t oldest_in(struct list_node *list, uint64_t oldest_ms)
{
	for (struct list_node *n = list->next; n != list; n = n->next) {
		struct uploader_entry *q = LIST_ENTRY(n, struct uploader_entry, node);

		if (q->since_ms < oldest_ms)
			oldest_ms = q->since_ms;
	}
	return oldest_ms;
}

void body_uploader_get_figures(struct body_uploader *u, struct body_uploader_figures *ret)
{
	uint64_t oldest_ms = UINT64_MAX, now_ms = clock_monotonic_ms();

	lock_acquire(&u->lock);
	oldest_ms = oldest_in(&u->queue, oldest_ms);
	oldest_ms = oldest_in(&u->retries, oldest_ms);
	ret->queued = u->n_queued;
	ret->objects = u->objects;
	ret->objects_bytes = u->objects_bytes;
	lock_release(&u->lock);
	ret->oldest_ms = oldest_ms < now_ms ? now_ms - oldest_ms : 0;
}

static void collect_waiters(struct list_node *list, struct list_node *waiters)
{
	for (struct list_node *n = list->next; n != list; n = n->next)
		list_splice(waiters, &LIST_ENTRY(n, struct uploader_entry, node)->waiters);
}

void body_uploader_stop(struct body_uploader *u)
{
	struct list_node waiters;

	list_init(&waiters);
	if (u == NULL || !u->started)
		return;
	lock_acquire(&u->lock);
	u->stopping = true;
	lock_condition_broadcast(&u->changed);
	lock_release(&u->lock);
	pthread_join(u->thread, NULL);
	u->started = false;
	lock_acquire(&u->lock);
	while (u->in_flight > 0)
		lock_condition_wait(&u->changed, &u->lock);
	collect_waiters(&u->queue, &waiters);
	collect_waiters(&u->retries, &waiters);
	lock_release(&u->lock);
	body_uploader_answer(&waiters, -ECANCELED);
}

void body_uploader_free(struct body_uploader *u)
{
	struct list_node *node;

	if (u == NULL)
		return;
	list_splice(&u->queue, &u->retries);
	while ((node = list_take_first(&u->queue)) != NULL)
		free(LIST_ENTRY(node, struct uploader_entry, node));
	map64_done(&u->places);
	lock_condition_done(&u->changed);
	lock_done(&u->lock);
	free(u);
}
