#include <config.h>
#include "control/actions.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "control/job.h"
#include "control/server.h"
#include "util/clock.h"

/* A flush of bodies looks this often whether the daemon wants to end. */
#define FLUSH_SLICE_MS 1000

#define DEFAULT_WARM_TIMEOUT_MS (60 * 60 * 1000)

/* ---- flush */

/* Bodies that wait for an object of their own. In slices, so that the end of the daemon does not
 * wait for a patient client. */
static int flush_bodies(struct job *job)
{
	for (;;) {
		uint64_t left_ms = job_left_ms(job);
		int r = node_flush(job->subject->node,
			(uint32_t)(left_ms < FLUSH_SLICE_MS ? left_ms : FLUSH_SLICE_MS));

		if (r != -ETIMEDOUT || left_ms <= FLUSH_SLICE_MS)
			return r;
		if (job_is_stopping(job))
			return -ECANCELED;
	}
}

static int flush_journal(struct job *job)
{
	struct replicator_job r = job_for_replicator(
		job, job->all ? NULL : job->accounts.numbers, job->all ? 0 : job->accounts.n);

	return replicator_flush(job->subject->replicator, &r, job->with_checkpoint);
}

/* Why it did not work, and what is left. */
static json_t *flush_error(struct job *job, int error)
{
	struct replicator_figures replication = {0};
	struct node_figures figures = {0};

	node_get_figures(job->subject->node, &figures);
	if (job->subject->replicator != NULL)
		replicator_get_figures(job->subject->replicator, &replication);
	if (error == -ECANCELED)
		return job_error(job, error, "the flush was given up; everything still goes on");
	if (error == -ESTALE)
		return job_error(job, error,
			"another node has taken over the volume: what is not on the backend stays "
			"in the state directory, and this mailfs serves no more changes");
	return job_error(job, error,
		"not everything is on the backend (%s): about %" PRIu64
		" bytes of changes wait, the oldest for %" PRIu64 " s, and %" PRIu64
		" bodies; the backend says: %s; they stay queued and nothing is lost",
		strerror(-error), replication.journal.lag_bytes, replication.journal.lag_ms / 1000,
		figures.dirty_files,
		replication.journal.last_error != 0 ? strerror(-replication.journal.last_error)
		: figures.backend_error != 0        ? strerror(-figures.backend_error)
						    : "nothing wrong");
}

static json_t *run_flush(struct job *job)
{
	struct replicator_figures replication = {0};
	struct node_figures figures = {0};
	int r = 0;

	if (job->subject->replicator != NULL)
		r = flush_journal(job);
	if (r == 0 && job->all)
		r = flush_bodies(job);
	if (r < 0)
		return flush_error(job, r);
	node_get_figures(job->subject->node, &figures);
	if (job->subject->replicator != NULL)
		replicator_get_figures(job->subject->replicator, &replication);
	return job_result(
		job, json_pack("{s:b, s:I, s:b, s:I, s:I}", "all", job->all, "accounts",
			     (json_int_t)job->accounts.n, "checkpoint", job->with_checkpoint,
			     "dirty_files", (json_int_t)figures.dirty_files, "last_segment",
			     (json_int_t)replication.journal.last_sequence));
}

struct control_answer control_action_flush(const struct control_request *request)
{
	static const struct job_form form = {
		.verb = "flush",
		.run = run_flush,
		.default_timeout_ms = CONTROL_DEFAULT_FLUSH_TIMEOUT_MS,
		.takes_checkpoint = true,
	};

	return job_start(request, &form);
}

/* ---- warm */

static json_t *run_warm(struct job *job)
{
	struct replicator_figures figures = {0};
	struct replicator_job r = job_for_replicator(
		job, job->all ? NULL : job->accounts.numbers, job->all ? 0 : job->accounts.n);
	int result = job->subject->replicator != NULL
			     ? replicator_warm(job->subject->replicator, &r)
			     : 0;

	if (job->subject->replicator != NULL)
		replicator_get_figures(job->subject->replicator, &figures);
	if (result < 0)
		return job_error(job, result,
			"not all accounts are here (%s): %" PRIu64
			" are on the backend only; those load when they are used",
			strerror(-result), figures.accounts_absent + figures.accounts_failed);
	return job_result(job, json_pack("{s:b, s:I, s:I, s:I}", "all", job->all, "accounts",
				       (json_int_t)job->accounts.n, "accounts_here",
				       (json_int_t)figures.accounts_here, "accounts_absent",
				       (json_int_t)figures.accounts_absent));
}

struct control_answer control_action_warm(const struct control_request *request)
{
	static const struct job_form form = {
		.verb = "warm",
		.run = run_warm,
		.default_timeout_ms = DEFAULT_WARM_TIMEOUT_MS,
	};

	return job_start(request, &form);
}
