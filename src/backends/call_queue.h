/*
 * call_queue.h: the calls of a driver that does all its work in one event loop.
 *
 * Any thread submits; the loop's thread takes the oldest of the most urgent. At most as many calls
 * are in flight as the limit says, and BACKEND_PREFETCH and BACKEND_BACKGROUND get at most three
 * quarters of it, so that slow uploads cannot hold up a reader. What is in flight (its deadline
 * too) is the loop's own business.
 *
 * No function blocks, but for the queue's lock.
 */
#ifndef MAILFS_BACKENDS_CALL_QUEUE_H
#define MAILFS_BACKENDS_CALL_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include "backends/backend.h"
#include "util/list.h"

#define CALL_QUEUE_MAX_CALLS 100000
#define CALL_QUEUE_NO_DEADLINE UINT64_MAX

/* Embedded in the driver's request. The queue owns it from submit to take. */
struct queued_call {
	struct list_node node; /* the driver's while the call is in flight */
	enum backend_priority priority;
	uint64_t deadline_ms;                      /* clock_monotonic_ms() */
	struct backend_cancellation *cancellation; /* NULL: none */
	int error;         /* set by the queue: not 0: complete the call with it */
	bool is_in_flight; /* the queue's */
};

struct call_queue;

/* limit: calls in flight, at least 1. -ENOMEM, or what eventfd(2) says. */
int call_queue_new(unsigned int limit, struct call_queue **ret);

/* Nothing may be in it any more. NULL is allowed. */
void call_queue_free(struct call_queue *q);

/* False once the queue is closed: the caller completes the call with -ECANCELED itself. */
bool call_queue_submit(struct call_queue *q, struct queued_call *call);

/* As call_queue_submit(); has the call taken at once, with this error. */
bool call_queue_fail(struct call_queue *q, struct queued_call *call, int error);

/* No more calls; those that wait are taken with -ECANCELED. */
void call_queue_close(struct call_queue *q);

/* Some cancellation was set: those of the waiting calls that have it are taken next, with
 * -ECANCELED, and the loop is told: call_queue_take_look(). Any thread, until call_queue_free(). */
void call_queue_look_for_cancelled(struct call_queue *q);

/* ---- for the loop's thread */

/* Readable when calls arrived since the last that was taken was NULL, and until the loop was told
 * of a cancellation. */
int call_queue_fd(const struct call_queue *q);

/* The next call. With an error: not begun (-ETIMEDOUT: its time is up; -ENOBUFS: more than
 * CALL_QUEUE_MAX_CALLS wait; -ECANCELED: cancelled or closed; the error of
 * call_queue_fail()). Without: in flight until
 * call_queue_end(). NULL: nothing may begin now. */
struct queued_call *call_queue_take(struct call_queue *q);

/* The same, of those with an error only: for a loop that can begin nothing now. */
struct queued_call *call_queue_take_failed(struct call_queue *q);

/* Whether the loop is to look which of the calls in flight are cancelled: true once after each
 * call_queue_look_for_cancelled(), or several. */
bool call_queue_take_look(struct call_queue *q);

/* For each call that was taken, before it is freed. */
void call_queue_end(struct call_queue *q, struct queued_call *call);

/* When the first of the waiting calls must be taken to be failed in time; the loop sleeps no
 * longer. CALL_QUEUE_NO_DEADLINE: none waits. */
uint64_t call_queue_next_deadline_ms(struct call_queue *q);

/* At least 1. Calls in flight go on. */
void call_queue_set_limit(struct call_queue *q, unsigned int limit);

bool call_queue_is_closed(struct call_queue *q);

#endif
