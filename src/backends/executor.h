/*
 * executor.h: a bounded pool of threads for drivers whose calls block.
 *
 * Jobs wait in one queue for each priority; a thread takes the oldest of the most urgent. Part of
 * the threads never take BACKEND_PREFETCH or BACKEND_BACKGROUND, so that slow uploads cannot hold
 * up a reader. A job's `run` is called exactly once, in a thread of the executor: with 0 when it is
 * its turn, with -ETIMEDOUT when its deadline passes while it waits, -ECANCELED when it is
 * cancelled (see executor_look_for_cancelled()) or the executor is shut down, -ENOBUFS when
 * EXECUTOR_MAX_JOBS are waiting, or with the error of executor_fail(). A job that runs is not
 * interrupted. Once the executor is shut down, submitting calls `run` at once.
 */
#ifndef MAILFS_BACKENDS_EXECUTOR_H
#define MAILFS_BACKENDS_EXECUTOR_H

#include <stdint.h>
#include "backends/backend.h"
#include "util/list.h"

#define EXECUTOR_MAX_THREADS 64
#define EXECUTOR_MAX_JOBS 100000

/* Embedded in the driver's request; the executor owns it until `run`. */
struct executor_job {
	void (*run)(struct executor_job *job, int error);
	enum backend_priority priority;
	uint64_t deadline_ms;                      /* clock_monotonic_ms() */
	struct backend_cancellation *cancellation; /* NULL: none */
	int error;                                 /* the executor's */
	struct list_node node;                     /* the executor's */
};

struct executor;

/* Starts n_threads threads (1 to EXECUTOR_MAX_THREADS) named NAME-0, NAME-1 … (name: at most 12
 * characters) and one that watches the deadlines. -ENOMEM, -EAGAIN. */
int executor_new(const char *name, unsigned int n_threads, struct executor **ret);

/* Does not block. */
void executor_submit(struct executor *e, struct executor_job *job);

/* Has the job's `run` called with `error` (0 or negative errno) before all others. */
void executor_fail(struct executor *e, struct executor_job *job, int error);

/* Some cancellation was set: waiting jobs that have it are run with -ECANCELED soon, by a thread
 * that does nothing else. Any thread, until executor_free(). */
void executor_look_for_cancelled(struct executor *e);

/* Ends the waiting jobs with -ECANCELED, lets running ones finish, joins the threads. Must not be
 * called from one of them. */
void executor_shutdown(struct executor *e);

/* After executor_shutdown(), or from nobody's threads; NULL is allowed. */
void executor_free(struct executor *e);

#endif
