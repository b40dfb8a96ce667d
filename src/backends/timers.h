/*
 * timers.h: one thread that calls back when a time has come, for wrappers that wait.
 *
 * A timer's `fire` is called exactly once, in the timers' thread: with 0 when it is due, -ECANCELED
 * when it is cancelled (see timers_look_for_cancelled()) or the timers are shut down. After that
 * timers_add() calls it at once.
 */
#ifndef MAILFS_BACKENDS_TIMERS_H
#define MAILFS_BACKENDS_TIMERS_H

#include <stdint.h>
#include "backends/backend.h"
#include "util/list.h"

/* Embedded in what waits. */
struct timer {
	void (*fire)(struct timer *timer, int error);
	uint64_t due_ms;                           /* clock_monotonic_ms() */
	struct backend_cancellation *cancellation; /* NULL: none */
	struct list_node node;                     /* timers.c's */
};

struct timers;

/* Starts the thread; its name is at most 15 characters. */
int timers_new(const char *name, struct timers **ret);

void timers_add(struct timers *timers, struct timer *timer);

/* All that wait now are due now. */
void timers_hurry(struct timers *timers);

/* Some cancellation was set: timers that have it fire now, with -ECANCELED. Any thread, until
 * timers_free(). */
void timers_look_for_cancelled(struct timers *timers);

/* Cancels what waits and joins the thread. */
void timers_shutdown(struct timers *timers);

/* Shuts down if that was not done. NULL is allowed. */
void timers_free(struct timers *timers);

#endif
