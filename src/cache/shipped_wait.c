#include <config.h>
#include "cache/shipped_wait.h"

#include <errno.h>
#include <stdlib.h>
#include "util/clock.h"
#include "util/lock.h"

/* Belongs to who waits and to who answers. */
struct wait {
	struct lock lock;
	struct lock_condition answered;
	unsigned int users; /* protected by lock, as are the next two */
	bool is_answered;
	int error;
};

static void leave(struct wait *w)
{
	bool is_last;

	lock_acquire(&w->lock);
	is_last = --w->users == 0;
	lock_release(&w->lock);
	if (!is_last)
		return;
	lock_condition_done(&w->answered);
	lock_done(&w->lock);
	free(w);
}

static void done(void *arg, int error)
{
	struct wait *w = arg;

	lock_acquire(&w->lock);
	w->is_answered = true;
	w->error = error;
	lock_condition_broadcast(&w->answered);
	lock_release(&w->lock);
	leave(w);
}

/* True: there is an answer. */
static bool look(struct wait *w, int *ret_error)
{
	bool is_answered;

	lock_acquire(&w->lock);
	if (!w->is_answered)
		(void)lock_condition_wait_until(
			&w->answered, &w->lock, clock_monotonic_ms() + SHIPPED_WAIT_LOOK_MS);
	is_answered = w->is_answered;
	*ret_error = w->error;
	lock_release(&w->lock);
	return is_answered;
}

/* False: there is nobody to ask. */
static bool ask(const struct node_replication *replication, struct lock *guard, uint64_t lsn,
	struct wait *w)
{
	bool asks;

	lock_acquire(guard);
	asks = replication->wait != NULL;
	if (asks)
		replication->wait(replication->arg, lsn, done, w);
	lock_release(guard);
	return asks;
}

int shipped_wait(const struct node_replication *replication, struct lock *guard, uint64_t lsn,
	bool (*is_stopping)(void *arg), void *arg)
{
	struct wait *w = calloc(1, sizeof(*w));
	int error = 0;

	if (w == NULL)
		return -ENOMEM;
	lock_init(&w->lock);
	lock_condition_init(&w->answered);
	w->users = 2;
	if (!ask(replication, guard, lsn, w)) {
		leave(w);
		leave(w);
		return -EAGAIN;
	}
	while (!look(w, &error)) {
		if (is_stopping(arg)) {
			error = -ECANCELED;
			break;
		}
	}
	leave(w);
	return error;
}
