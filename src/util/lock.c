#include <config.h>
#include "util/lock.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

/* A failing mutex call is a mistake of ours; going on would corrupt data. */
static void must_succeed(int error)
{
	assert(error == 0);
	if (error != 0)
		__builtin_trap();
}

void lock_init(struct lock *lock)
{
	must_succeed(pthread_mutex_init(&lock->mutex, NULL));
}

void lock_done(struct lock *lock)
{
	must_succeed(pthread_mutex_destroy(&lock->mutex));
}

NO_THREAD_SAFETY_ANALYSIS
void lock_acquire(struct lock *lock)
{
	must_succeed(pthread_mutex_lock(&lock->mutex));
}

NO_THREAD_SAFETY_ANALYSIS
void lock_release(struct lock *lock)
{
	must_succeed(pthread_mutex_unlock(&lock->mutex));
}

void lock_condition_init(struct lock_condition *c)
{
	pthread_condattr_t attributes;

	must_succeed(pthread_condattr_init(&attributes));
	must_succeed(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
	must_succeed(pthread_cond_init(&c->condition, &attributes));
	must_succeed(pthread_condattr_destroy(&attributes));
}

void lock_condition_done(struct lock_condition *c)
{
	must_succeed(pthread_cond_destroy(&c->condition));
}

void lock_condition_signal(struct lock_condition *c)
{
	must_succeed(pthread_cond_signal(&c->condition));
}

void lock_condition_broadcast(struct lock_condition *c)
{
	must_succeed(pthread_cond_broadcast(&c->condition));
}

void lock_condition_wait(struct lock_condition *c, struct lock *lock)
{
	must_succeed(pthread_cond_wait(&c->condition, &lock->mutex));
}

int lock_condition_wait_until(struct lock_condition *c, struct lock *lock, uint64_t deadline_ms)
{
	struct timespec until = {
		.tv_sec = (time_t)(deadline_ms / 1000),
		.tv_nsec = (long)(deadline_ms % 1000) * 1000000,
	};
	int error = pthread_cond_timedwait(&c->condition, &lock->mutex, &until);

	if (error == ETIMEDOUT)
		return -ETIMEDOUT;
	must_succeed(error);
	return 0;
}
