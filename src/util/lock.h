/*
 * lock.h: mutex and condition with names for clang's thread-safety analysis.
 *
 * Locks are taken and released in one function with one exit. The order is in doc/locking.md.
 */
#ifndef MAILFS_UTIL_LOCK_H
#define MAILFS_UTIL_LOCK_H

#include <pthread.h>
#include <stdint.h>

#if defined(__clang__)
#define THREAD_ANNOTATION(x) __attribute__((x))
#else
#define THREAD_ANNOTATION(x)
#endif
#define CAPABILITY(name) THREAD_ANNOTATION(capability(name))
#define ACQUIRE(...) THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define RELEASE(...) THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define REQUIRES(...) THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS THREAD_ANNOTATION(no_thread_safety_analysis)

struct CAPABILITY("mutex") lock {
	pthread_mutex_t mutex;
};

/* Waits measure on CLOCK_MONOTONIC. */
struct lock_condition {
	pthread_cond_t condition;
};

void lock_init(struct lock *lock);
void lock_done(struct lock *lock);
void lock_acquire(struct lock *lock) ACQUIRE(lock);
void lock_release(struct lock *lock) RELEASE(lock);

void lock_condition_init(struct lock_condition *c);
void lock_condition_done(struct lock_condition *c);
void lock_condition_signal(struct lock_condition *c);
void lock_condition_broadcast(struct lock_condition *c);
void lock_condition_wait(struct lock_condition *c, struct lock *lock) REQUIRES(lock);

/* Waits until signalled or until clock_monotonic_ms() reaches deadline_ms: then -ETIMEDOUT. */
int lock_condition_wait_until(struct lock_condition *c, struct lock *lock, uint64_t deadline_ms)
	REQUIRES(lock);

#endif
