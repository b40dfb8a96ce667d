#include <config.h>
#include "util/worker_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include "util/lock.h"

struct worker_job {
	worker_pool_fn *fn;
	void *arg;
};

struct worker_pool {
	struct lock lock;
	struct lock_condition changed;
	struct worker_job *queue; /* a ring */
	size_t queue_max, first, n_waiting, n_running;
	bool stopping;
	unsigned int n_threads;
	pthread_t threads[WORKER_POOL_MAX_THREADS];
};

static void *work(void *arg)
{
	struct worker_pool *pool = arg;

	lock_acquire(&pool->lock);
	while (!pool->stopping || pool->n_waiting > 0) {
		struct worker_job job;

		if (pool->n_waiting == 0) {
			lock_condition_wait(&pool->changed, &pool->lock);
			continue;
		}
		job = pool->queue[pool->first];
		pool->first = (pool->first + 1) % pool->queue_max;
		pool->n_waiting--;
		pool->n_running++;
		lock_condition_broadcast(&pool->changed);
		lock_release(&pool->lock);
		job.fn(job.arg);
		lock_acquire(&pool->lock);
		pool->n_running--;
		lock_condition_broadcast(&pool->changed);
	}
	lock_release(&pool->lock);
	return NULL;
}

int worker_pool_new(
	unsigned int n_threads, size_t queue_max, const char *name, struct worker_pool **ret)
{
	struct worker_pool *pool = calloc(1, sizeof(*pool));
	int r = 0;

	if (pool == NULL)
		return -ENOMEM;
	lock_init(&pool->lock);
	lock_condition_init(&pool->changed);
	pool->queue_max = queue_max;
	pool->queue = calloc(queue_max, sizeof(*pool->queue));
	if (pool->queue == NULL)
		r = -ENOMEM;
	for (unsigned int i = 0; i < n_threads && i < WORKER_POOL_MAX_THREADS && r == 0; i++) {
		r = -pthread_create(&pool->threads[i], NULL, work, pool);
		if (r == 0) {
			pool->n_threads++;
			pthread_setname_np(pool->threads[i], name);
		}
	}
	if (pool->n_threads == 0) {
		worker_pool_free(pool);
		return r;
	}
	*ret = pool;
	return 0;
}

void worker_pool_submit(struct worker_pool *pool, worker_pool_fn *fn, void *arg)
{
	lock_acquire(&pool->lock);
	while (pool->n_waiting == pool->queue_max)
		lock_condition_wait(&pool->changed, &pool->lock);
	pool->queue[(pool->first + pool->n_waiting) % pool->queue_max] =
		(struct worker_job){.fn = fn, .arg = arg};
	pool->n_waiting++;
	lock_condition_broadcast(&pool->changed);
	lock_release(&pool->lock);
}

void worker_pool_wait(struct worker_pool *pool)
{
	lock_acquire(&pool->lock);
	while (pool->n_waiting + pool->n_running > 0)
		lock_condition_wait(&pool->changed, &pool->lock);
	lock_release(&pool->lock);
}

void worker_pool_free(struct worker_pool *pool)
{
	if (pool == NULL)
		return;
	lock_acquire(&pool->lock);
	pool->stopping = true;
	lock_condition_broadcast(&pool->changed);
	lock_release(&pool->lock);
	for (unsigned int i = 0; i < pool->n_threads; i++)
		pthread_join(pool->threads[i], NULL);
	lock_condition_done(&pool->changed);
	lock_done(&pool->lock);
	free(pool->queue);
	free(pool);
}
