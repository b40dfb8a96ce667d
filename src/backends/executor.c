#include <config.h>
#include "backends/executor.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "util/clock.h"
#include "util/lock.h"

#define N_PRIORITIES (BACKEND_BACKGROUND + 1)
#define NO_DEADLINE UINT64_MAX
#define NAME_MAX_BYTES 16

struct executor {
	char name[NAME_MAX_BYTES];
	struct lock lock; /* of all below; no other lock is taken inside */
	struct lock_condition work;
	struct lock_condition watch;
	struct list_node failed; /* jobs with an error already */
	struct list_node waiting[N_PRIORITIES];
	size_t n_waiting;
	unsigned int n_idle;
	unsigned int n_patient; /* threads at work on prefetch and background */
	unsigned int max_patient;
	uint64_t watch_until_ms; /* when the watcher wakes by itself */
	bool is_stopping;        /* threads leave */
	bool is_stopped;         /* nobody is left to run a job */
	unsigned int n_threads;
	pthread_t threads[EXECUTOR_MAX_THREADS];
	pthread_t watcher;
	bool has_watcher;
};

static bool is_patient(const struct executor_job *job)
{
	return job->priority >= BACKEND_PREFETCH;
}

/* The next job this thread may run, or NULL. */
static struct executor_job *take_locked(struct executor *e) REQUIRES(&e->lock)
{
	struct list_node *node = list_take_first(&e->failed);
	struct executor_job *job;

	if (node != NULL)
		return LIST_ENTRY(node, struct executor_job, node);
	for (int p = 0; p < N_PRIORITIES && node == NULL; p++) {
		if (p >= BACKEND_PREFETCH && e->n_patient >= e->max_patient && !e->is_stopping)
			break;
		node = list_take_first(&e->waiting[p]);
	}
	if (node == NULL)
		return NULL;
	e->n_waiting--;
	job = LIST_ENTRY(node, struct executor_job, node);
	if (e->is_stopping || backend_is_cancelled(job->cancellation))
		job->error = -ECANCELED;
	else
		job->error = job->deadline_ms <= clock_monotonic_ms() ? -ETIMEDOUT : 0;
	return job;
}

static void set_thread_name(const struct executor *e, const char *suffix)
{
	char name[NAME_MAX_BYTES + 8];

	snprintf(name, sizeof(name), "%.11s-%s", e->name, suffix);
	name[NAME_MAX_BYTES - 1] = '\0';
	(void)pthread_setname_np(pthread_self(), name);
}

static void *work(void *arg)
{
	struct executor *e = arg;

	set_thread_name(e, "worker");
	lock_acquire(&e->lock);
	for (;;) {
		struct executor_job *job = take_locked(e);
		bool patient = job != NULL && is_patient(job);

		if (job == NULL && e->is_stopping)
			break;
		if (job == NULL) {
			e->n_idle++;
			lock_condition_wait(&e->work, &e->lock);
			e->n_idle--;
			continue;
		}
		e->n_patient += patient;
		lock_release(&e->lock);
		job->run(job, job->error);
		lock_acquire(&e->lock);
		e->n_patient -= patient;
	}
	lock_release(&e->lock);
	return NULL;
}

/* Moves what is too late or cancelled to the failed ones; the earliest deadline of the rest. */
static uint64_t expire_locked(struct executor *e, uint64_t now_ms) REQUIRES(&e->lock)
{
	uint64_t earliest_ms = NO_DEADLINE;

	for (int p = 0; p < N_PRIORITIES; p++) {
		struct list_node *node = e->waiting[p].next;

		while (node != &e->waiting[p]) {
			struct executor_job *job = LIST_ENTRY(node, struct executor_job, node);

			node = node->next;
			if (backend_is_cancelled(job->cancellation)) {
				job->error = -ECANCELED;
			} else if (job->deadline_ms <= now_ms) {
				job->error = -ETIMEDOUT;
			} else {
				if (job->deadline_ms < earliest_ms)
					earliest_ms = job->deadline_ms;
				continue;
			}
			list_remove(&job->node);
			e->n_waiting--;
			list_append(&e->failed, &job->node);
		}
	}
	return earliest_ms;
}

static void run_all(struct list_node *failed)
{
	struct list_node *node;

	while ((node = list_take_first(failed)) != NULL) {
		struct executor_job *job = LIST_ENTRY(node, struct executor_job, node);

		job->run(job, job->error);
	}
}

/* Runs the failed jobs itself, so that they do not wait for threads that hang in the store. */
static void *watch(void *arg)
{
	struct executor *e = arg;
	struct list_node failed;

	list_init(&failed);
	set_thread_name(e, "watch");
	lock_acquire(&e->lock);
	while (!e->is_stopping) {
		e->watch_until_ms = expire_locked(e, clock_monotonic_ms());
		list_splice(&failed, &e->failed);
		if (!list_is_empty(&failed)) {
			lock_release(&e->lock);
			run_all(&failed);
			lock_acquire(&e->lock);
		} else if (e->watch_until_ms == NO_DEADLINE) {
			lock_condition_wait(&e->watch, &e->lock);
		} else {
			(void)lock_condition_wait_until(&e->watch, &e->lock, e->watch_until_ms);
		}
	}
	lock_release(&e->lock);
	return NULL;
}

static int start_threads(struct executor *e, unsigned int n_threads)
{
	int error = pthread_create(&e->watcher, NULL, watch, e);

	e->has_watcher = error == 0;
	while (error == 0 && e->n_threads < n_threads) {
		error = pthread_create(&e->threads[e->n_threads], NULL, work, e);
		if (error == 0)
			e->n_threads++;
	}
	return -error;
}

int executor_new(const char *name, unsigned int n_threads, struct executor **ret)
{
	struct executor *e = calloc(1, sizeof(*e));
	int r;

	assert(n_threads >= 1 && n_threads <= EXECUTOR_MAX_THREADS);
	if (e == NULL)
		return -ENOMEM;
	snprintf(e->name, sizeof(e->name), "%s", name);
	lock_init(&e->lock);
	lock_condition_init(&e->work);
	lock_condition_init(&e->watch);
	list_init(&e->failed);
	for (int p = 0; p < N_PRIORITIES; p++)
		list_init(&e->waiting[p]);
	e->max_patient = n_threads - n_threads / 4;
	r = start_threads(e, n_threads);
	if (r < 0) {
		executor_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

/* False when nobody is left to run it. */
static bool enqueue(struct executor *e, struct executor_job *job, bool fail)
{
	bool is_stopped;

	lock_acquire(&e->lock);
	is_stopped = e->is_stopped;
	if (!is_stopped && !fail && e->n_waiting >= EXECUTOR_MAX_JOBS) {
		job->error = -ENOBUFS;
		fail = true;
	}
	/* Later the watcher sees it: executor_look_for_cancelled() needs the lock. */
	if (!is_stopped && !fail && backend_is_cancelled(job->cancellation)) {
		job->error = -ECANCELED;
		fail = true;
	}
	if (!is_stopped && fail) {
		list_append(&e->failed, &job->node);
		lock_condition_signal(e->n_idle > 0 ? &e->work : &e->watch);
	} else if (!is_stopped) {
		list_append(&e->waiting[job->priority], &job->node);
		e->n_waiting++;
		if (e->n_idle > 0)
			lock_condition_signal(&e->work);
		if (job->deadline_ms < e->watch_until_ms) {
			e->watch_until_ms = job->deadline_ms;
			lock_condition_signal(&e->watch);
		}
	}
	lock_release(&e->lock);
	return !is_stopped;
}

void executor_submit(struct executor *e, struct executor_job *job)
{
	if (!enqueue(e, job, false))
		job->run(job, -ECANCELED);
}

void executor_fail(struct executor *e, struct executor_job *job, int error)
{
	job->error = error;
	if (!enqueue(e, job, true))
		job->run(job, error);
}

void executor_look_for_cancelled(struct executor *e)
{
	lock_acquire(&e->lock);
	lock_condition_signal(&e->watch);
	lock_release(&e->lock);
}

/* Jobs that arrived when the threads had left. */
static void run_rest(struct executor *e)
{
	struct list_node rest;

	list_init(&rest);
	lock_acquire(&e->lock);
	while (!e->is_stopped) {
		struct executor_job *job;

		while ((job = take_locked(e)) != NULL)
			list_append(&rest, &job->node);
		if (list_is_empty(&rest)) {
			e->is_stopped = true;
			break;
		}
		lock_release(&e->lock);
		run_all(&rest);
		lock_acquire(&e->lock);
	}
	lock_release(&e->lock);
}

void executor_shutdown(struct executor *e)
{
	lock_acquire(&e->lock);
	e->is_stopping = true;
	lock_condition_broadcast(&e->work);
	lock_condition_broadcast(&e->watch);
	lock_release(&e->lock);
	for (unsigned int i = 0; i < e->n_threads; i++)
		pthread_join(e->threads[i], NULL);
	e->n_threads = 0;
	if (e->has_watcher)
		pthread_join(e->watcher, NULL);
	e->has_watcher = false;
	run_rest(e);
}

void executor_free(struct executor *e)
{
	if (e == NULL)
		return;
	executor_shutdown(e);
	lock_condition_done(&e->work);
	lock_condition_done(&e->watch);
	lock_done(&e->lock);
	free(e);
}
