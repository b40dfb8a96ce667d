/*
 * worker_pool.h: a few threads that do jobs, and a queue in front of them that has a ceiling.
 */
#ifndef MAILFS_UTIL_WORKER_POOL_H
#define MAILFS_UTIL_WORKER_POOL_H

#include <stddef.h>

#define WORKER_POOL_MAX_THREADS 64

struct worker_pool;

typedef void worker_pool_fn(void *arg);

/* `name`: of the threads, at most 15 characters. At most queue_max jobs wait. -ENOMEM, -EAGAIN. */
int worker_pool_new(
	unsigned int n_threads, size_t queue_max, const char *name, struct worker_pool **ret);

/* Has a thread call fn(arg), once; waits while the queue is full. Not from within a job. */
void worker_pool_submit(struct worker_pool *pool, worker_pool_fn *fn, void *arg);

/* Until all jobs are done. */
void worker_pool_wait(struct worker_pool *pool);

/* Waits for all jobs, ends the threads. NULL is allowed. */
void worker_pool_free(struct worker_pool *pool);

#endif
