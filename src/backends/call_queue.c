#include <config.h>
#include "backends/call_queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/lock.h"

#define N_PRIORITIES (BACKEND_BACKGROUND + 1)

struct call_queue {
	struct lock lock;        /* of all below; no other lock is taken inside */
	struct list_node failed; /* calls with an error */
	struct list_node waiting[N_PRIORITIES];
	size_t n_waiting;
	unsigned int limit;
	unsigned int n_in_flight;
	unsigned int n_patient;       /* of these: prefetch and background */
	uint64_t next_deadline_ms;    /* not later than that of any waiting call */
	bool is_signalled, is_closed; /* is_signalled: fd is readable */
	bool looks_at_waiting;        /* for cancelled ones, at the next take */
	bool looks_at_taken;          /* the loop has not been told yet */
	int fd;
};

int call_queue_new(unsigned int limit, struct call_queue **ret)
{
	struct call_queue *q = calloc(1, sizeof(*q));

	assert(limit >= 1);
	if (q == NULL)
		return -ENOMEM;
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0) {
		int r = -errno;

		free(q);
		return r;
	}
	lock_init(&q->lock);
	list_init(&q->failed);
	for (int p = 0; p < N_PRIORITIES; p++)
		list_init(&q->waiting[p]);
	q->limit = limit;
	q->next_deadline_ms = CALL_QUEUE_NO_DEADLINE;
	*ret = q;
	return 0;
}

void call_queue_free(struct call_queue *q)
{
	if (q == NULL)
		return;
	assert(q->n_waiting == 0 && list_is_empty(&q->failed) && q->n_in_flight == 0);
	close(q->fd);
	lock_done(&q->lock);
	free(q);
}

int call_queue_fd(const struct call_queue *q)
{
	return q->fd;
}

/* An eventfd takes 8 bytes unless its count overflows, and it is at most 1 here. */
static void signal_locked(struct call_queue *q) REQUIRES(&q->lock)
{
	uint64_t one = 1;
	ssize_t n = q->is_signalled ? 8 : write(q->fd, &one, sizeof(one));

	assert(n == 8);
	(void)n;
	q->is_signalled = true;
}

static void unsignal_locked(struct call_queue *q) REQUIRES(&q->lock)
{
	uint64_t count;
	ssize_t n;

	if (!q->is_signalled || q->looks_at_taken)
		return;
	n = read(q->fd, &count, sizeof(count));
	assert(n == 8);
	(void)n;
	q->is_signalled = false;
}

static void enqueue_locked(struct call_queue *q, struct queued_call *call) REQUIRES(&q->lock)
{
	if (call->error == 0 && q->n_waiting >= CALL_QUEUE_MAX_CALLS)
		call->error = -ENOBUFS;
	/* Later the loop sees it: call_queue_look_for_cancelled() needs the lock. */
	if (call->error == 0 && backend_is_cancelled(call->cancellation))
		call->error = -ECANCELED;
	if (call->error != 0) {
		list_append(&q->failed, &call->node);
	} else {
		list_append(&q->waiting[call->priority], &call->node);
		q->n_waiting++;
		if (call->deadline_ms < q->next_deadline_ms)
			q->next_deadline_ms = call->deadline_ms;
	}
	signal_locked(q);
}

bool call_queue_fail(struct call_queue *q, struct queued_call *call, int error)
{
	bool is_open;

	call->error = error;
	call->is_in_flight = false;
	lock_acquire(&q->lock);
	is_open = !q->is_closed;
	if (is_open)
		enqueue_locked(q, call);
	lock_release(&q->lock);
	return is_open;
}

bool call_queue_submit(struct call_queue *q, struct queued_call *call)
{
	return call_queue_fail(q, call, 0);
}

void call_queue_close(struct call_queue *q)
{
	lock_acquire(&q->lock);
	q->is_closed = true;
	signal_locked(q);
	lock_release(&q->lock);
}

bool call_queue_is_closed(struct call_queue *q)
{
	bool is_closed;

	lock_acquire(&q->lock);
	is_closed = q->is_closed;
	lock_release(&q->lock);
	return is_closed;
}

void call_queue_look_for_cancelled(struct call_queue *q)
{
	lock_acquire(&q->lock);
	q->looks_at_waiting = q->looks_at_taken = true;
	signal_locked(q);
	lock_release(&q->lock);
}

bool call_queue_take_look(struct call_queue *q)
{
	bool looks;

	lock_acquire(&q->lock);
	looks = q->looks_at_taken;
	q->looks_at_taken = false;
	lock_release(&q->lock);
	return looks;
}

/* 0: it may go on waiting. */
static int error_of_locked(const struct call_queue *q, const struct queued_call *call,
	uint64_t now_ms) REQUIRES(&q->lock)
{
	if (call->deadline_ms <= now_ms)
		return -ETIMEDOUT;
	return q->is_closed || backend_is_cancelled(call->cancellation) ? -ECANCELED : 0;
}

/* Moves what is too late or cancelled, and all when the queue is closed, to the failed ones. */
static void expire_locked(struct call_queue *q, uint64_t now_ms) REQUIRES(&q->lock)
{
	if (!q->is_closed && !q->looks_at_waiting && now_ms < q->next_deadline_ms)
		return;
	q->looks_at_waiting = false;
	q->next_deadline_ms = CALL_QUEUE_NO_DEADLINE;
	for (int p = 0; p < N_PRIORITIES; p++) {
		struct list_node *node = q->waiting[p].next;

		while (node != &q->waiting[p]) {
			struct queued_call *call = LIST_ENTRY(node, struct queued_call, node);

			node = node->next;
			call->error = error_of_locked(q, call, now_ms);
			if (call->error == 0) {
				if (call->deadline_ms < q->next_deadline_ms)
					q->next_deadline_ms = call->deadline_ms;
				continue;
			}
			list_remove(&call->node);
			q->n_waiting--;
			list_append(&q->failed, &call->node);
		}
	}
}

static struct queued_call *begin_locked(struct call_queue *q) REQUIRES(&q->lock)
{
	unsigned int max_patient = q->limit > 1 ? q->limit - (q->limit + 3) / 4 : 1;
	struct queued_call *call;

	for (int p = 0; p < N_PRIORITIES && q->n_in_flight < q->limit; p++) {
		struct list_node *node;

		if (p >= BACKEND_PREFETCH && q->n_patient >= max_patient)
			break;
		node = list_take_first(&q->waiting[p]);
		if (node == NULL)
			continue;
		call = LIST_ENTRY(node, struct queued_call, node);
		q->n_waiting--;
		q->n_in_flight++;
		q->n_patient += p >= BACKEND_PREFETCH;
		call->is_in_flight = true;
		return call;
	}
	return NULL;
}

static struct queued_call *take(struct call_queue *q, bool may_begin)
{
	struct queued_call *call = NULL;
	struct list_node *node;

	lock_acquire(&q->lock);
	expire_locked(q, clock_monotonic_ms());
	node = list_take_first(&q->failed);
	if (node != NULL)
		call = LIST_ENTRY(node, struct queued_call, node);
	else if (may_begin)
		call = begin_locked(q);
	if (call == NULL)
		unsignal_locked(q);
	lock_release(&q->lock);
	return call;
}

struct queued_call *call_queue_take(struct call_queue *q)
{
	return take(q, true);
}

struct queued_call *call_queue_take_failed(struct call_queue *q)
{
	return take(q, false);
}

void call_queue_end(struct call_queue *q, struct queued_call *call)
{
	if (!call->is_in_flight)
		return;
	lock_acquire(&q->lock);
	q->n_in_flight--;
	q->n_patient -= call->priority >= BACKEND_PREFETCH;
	call->is_in_flight = false;
	lock_release(&q->lock);
}

uint64_t call_queue_next_deadline_ms(struct call_queue *q)
{
	uint64_t deadline_ms;

	lock_acquire(&q->lock);
	deadline_ms = q->n_waiting > 0 ? q->next_deadline_ms : CALL_QUEUE_NO_DEADLINE;
	lock_release(&q->lock);
	return deadline_ms;
}

void call_queue_set_limit(struct call_queue *q, unsigned int limit)
{
	assert(limit >= 1);
	lock_acquire(&q->lock);
	q->limit = limit;
	signal_locked(q);
	lock_release(&q->lock);
}
