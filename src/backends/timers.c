#include <config.h>
#include "backends/timers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include "util/clock.h"
#include "util/lock.h"

struct timers {
	struct lock lock; /* of all below */
	struct lock_condition changed;
	struct list_node waiting; /* the earliest first */
	bool is_stopping;
	bool has_thread;
	pthread_t thread;
};

static struct timer *first_locked(struct timers *timers)
{
	if (list_is_empty(&timers->waiting))
		return NULL;
	return LIST_ENTRY(timers->waiting.next, struct timer, node);
}

static void *run(void *arg)
{
	struct timers *timers = arg;

	lock_acquire(&timers->lock);
	for (;;) {
		struct timer *timer = first_locked(timers);
		int error = timers->is_stopping ? -ECANCELED : 0;

		if (timer != NULL && backend_is_cancelled(timer->cancellation))
			error = -ECANCELED;
		if (timer == NULL && timers->is_stopping)
			break;
		if (timer == NULL) {
			lock_condition_wait(&timers->changed, &timers->lock);
		} else if (error == 0 && timer->due_ms > clock_monotonic_ms()) {
			(void)lock_condition_wait_until(
				&timers->changed, &timers->lock, timer->due_ms);
		} else {
			list_remove(&timer->node);
			lock_release(&timers->lock);
			timer->fire(timer, error);
			lock_acquire(&timers->lock);
		}
	}
	lock_release(&timers->lock);
	return NULL;
}

int timers_new(const char *name, struct timers **ret)
{
	struct timers *timers = calloc(1, sizeof(*timers));
	int error;

	if (timers == NULL)
		return -ENOMEM;
	lock_init(&timers->lock);
	lock_condition_init(&timers->changed);
	list_init(&timers->waiting);
	error = pthread_create(&timers->thread, NULL, run, timers);
	timers->has_thread = error == 0;
	if (error != 0) {
		timers_free(timers);
		return -error;
	}
	(void)pthread_setname_np(timers->thread, name);
	*ret = timers;
	return 0;
}

/* Times mostly grow, so the place is near the end. */
static void insert_locked(struct timers *timers, struct timer *timer) REQUIRES(&timers->lock)
{
	struct list_node *before = timers->waiting.previous;

	while (before != &timers->waiting &&
		LIST_ENTRY(before, struct timer, node)->due_ms > timer->due_ms)
		before = before->previous;
	list_insert_between(&timer->node, before, before->next);
}

void timers_add(struct timers *timers, struct timer *timer)
{
	bool is_stopping;

	lock_acquire(&timers->lock);
	is_stopping = timers->is_stopping;
	if (!is_stopping) {
		/* Later timers_look_for_cancelled() sees it: it needs the lock. */
		if (backend_is_cancelled(timer->cancellation))
			timer->due_ms = 0;
		insert_locked(timers, timer);
		if (timers->waiting.next == &timer->node)
			lock_condition_signal(&timers->changed);
	}
	lock_release(&timers->lock);
	if (is_stopping)
		timer->fire(timer, -ECANCELED);
}

void timers_look_for_cancelled(struct timers *timers)
{
	struct list_node *node;

	lock_acquire(&timers->lock);
	node = timers->waiting.next;
	while (node != &timers->waiting) {
		struct timer *timer = LIST_ENTRY(node, struct timer, node);

		node = node->next;
		if (!backend_is_cancelled(timer->cancellation))
			continue;
		timer->due_ms = 0;
		list_remove(&timer->node);
		list_prepend(&timers->waiting, &timer->node);
	}
	lock_condition_signal(&timers->changed);
	lock_release(&timers->lock);
}

void timers_hurry(struct timers *timers)
{
	lock_acquire(&timers->lock);
	for (struct list_node *n = timers->waiting.next; n != &timers->waiting; n = n->next)
		LIST_ENTRY(n, struct timer, node)->due_ms = 0;
	lock_condition_signal(&timers->changed);
	lock_release(&timers->lock);
}

void timers_shutdown(struct timers *timers)
{
	lock_acquire(&timers->lock);
	timers->is_stopping = true;
	lock_condition_signal(&timers->changed);
	lock_release(&timers->lock);
	if (timers->has_thread)
		pthread_join(timers->thread, NULL);
	timers->has_thread = false;
}

void timers_free(struct timers *timers)
{
	if (timers == NULL)
		return;
	timers_shutdown(timers);
	lock_condition_done(&timers->changed);
	lock_done(&timers->lock);
	free(timers);
}
