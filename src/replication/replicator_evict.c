/*
 * replicator_evict.c: accounts leave this node: what they are is in a checkpoint of each, then all
 * that is here of them goes.
 *
 * A first checkpoint is made while the account is in use. Then it is closed (requests wait), what
 * has changed since is checkpointed again, which is little, and it is dropped. So who uses it waits
 * for the second only, and for the load that his request asks for.
 */
#include <config.h>
#include "replication/replicator_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/adoption.h"
#include "cache/key.h"
#include "util/clock.h"
#include "util/failpoint.h"

struct eviction {
	struct replicator *r;
	const struct replicator_job *job;
	uint32_t *accounts; /* those that are still to go */
	size_t n;
	size_t n_closed;                   /* the first of them, while they are being closed */
	bool is_closed;                    /* all of them */
	uint64_t n_done;                   /* gone, refused or not here */
	uint64_t bytes_before, bytes_done; /* of checkpoints before this one, and of this one */
	uint64_t deadline_ms;
	int error; /* of a refusal while checkpoints were made */
};

/* One does not go. */
static int refuse(struct eviction *e, size_t i, int error)
{
	int r = replicator_job_fail(e->job, e->accounts[i], error);

	e->accounts[i] = e->accounts[--e->n];
	e->n_done++;
	return r;
}

static int choose(struct eviction *e)
{
	int error = 0, r = 0;

	e->accounts = malloc((e->job->n_accounts + 1) * sizeof(*e->accounts));
	if (e->accounts == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < e->job->n_accounts && r == 0; i++) {
		uint32_t account = e->job->accounts[i];

		e->accounts[e->n++] = account;
		if (account == KEY_ROOT_ACCOUNT)
			r = refuse(e, e->n - 1, -EBUSY);
		else if (adoption_place(e->r->options.node, account, &error) != ADOPTION_HERE) {
			e->n--;
			e->n_done++;
		}
	}
	return r;
}

/* It stays, and whoever waits for it goes on. */
static void stay(struct eviction *e, uint32_t account)
{
	if (e->is_closed)
		adoption_finish(e->r->options.node, account, 0);
}

/* ---- checkpoints of all that are to go */

static void note_failure(void *arg, uint32_t account, int error)
{
	struct eviction *e = arg;

	for (size_t i = 0; i < e->n; i++) {
		if (e->accounts[i] != account)
			continue;
		stay(e, account);
		if (e->error == 0)
			e->error = refuse(e, i, error);
		return;
	}
}

static void note_progress(void *arg, const struct replicator_progress *progress)
{
	struct eviction *e = arg;

	replicator_job_tell(e->job, e->n_done, e->bytes_before + progress->bytes_done);
	e->bytes_done = progress->bytes_done;
}

static uint32_t until(uint64_t deadline_ms)
{
	uint64_t now_ms = clock_monotonic_ms();

	return now_ms < deadline_ms ? (uint32_t)(deadline_ms - now_ms) : 0;
}

static int checkpoint(struct eviction *e)
{
	/* A copy: those that fail leave the list meanwhile. */
	uint32_t *accounts = malloc((e->n + 1) * sizeof(*accounts));
	struct replicator_job job = {
		.accounts = accounts,
		.n_accounts = e->n,
		.timeout_ms = until(e->deadline_ms),
		.stopping = e->job->stopping,
		.progress = note_progress,
		.failed = note_failure,
		.arg = e,
	};
	int r = 0;

	if (accounts == NULL)
		return -ENOMEM;
	memcpy(accounts, e->accounts, e->n * sizeof(*accounts));
	if (e->n > 0)
		r = replicator_job_checkpoint(e->r, &job);
	e->bytes_before += e->bytes_done;
	e->bytes_done = 0;
	free(accounts);
	return r < 0 ? r : e->error;
}

/* ---- the end of those that can go */

/* Nobody uses them from here on. The time for it is of all together, since those that are closed
 * wait for the others. */
static int close_all(struct eviction *e)
{
	uint32_t wait_ms = until(e->deadline_ms) / 2;
	uint64_t deadline_ms =
		clock_monotonic_ms() +
		(wait_ms < REPLICATOR_EVICT_WAIT_MS ? wait_ms : REPLICATOR_EVICT_WAIT_MS);
	int result = 0;

	for (size_t i = 0; i < e->n && result == 0;) {
		int r = adoption_begin_eviction(
			e->r->options.node, e->accounts[i], until(deadline_ms));

		if (r == 0) {
			i++;
		} else if (r == -ENOENT) { /* it has gone meanwhile, as was wanted */
			e->accounts[i] = e->accounts[--e->n];
			e->n_done++;
		} else {
			result = refuse(e, i, r);
		}
		e->n_closed = i;
	}
	return result;
}

static int drop_all(struct eviction *e)
{
	struct node *node = e->r->options.node;
	int result = 0, error;

	while (e->n > 0 && result == 0) {
		uint32_t account = e->accounts[e->n - 1];
		int r = adoption_expect(node, &account, 1);

		failpoint("evict.dropped");
		/* What is left of one that is absent goes at the next start. */
		if (r == 0 || adoption_place(node, account, &error) != ADOPTION_HERE) {
			e->n--;
			e->n_done++;
		} else {
			stay(e, account);
			result = refuse(e, e->n - 1, r);
		}
		replicator_job_tell(e->job, e->n_done, e->bytes_before);
	}
	return result;
}

static int close_and_drop(struct eviction *e)
{
	int r = close_all(e);

	failpoint("evict.closed");
	e->is_closed = true;
	if (r < 0)
		e->n = e->n_closed;
	if (r == 0)
		r = checkpoint(e);
	failpoint("evict.flushed");
	loader_expire(e->r->loader);
	if (r == 0)
		r = drop_all(e);
	for (size_t i = 0; i < e->n; i++)
		stay(e, e->accounts[i]);
	return r;
}

int replicator_evict(struct replicator *r, const struct replicator_job *job)
{
	struct eviction e = {
		.r = r, .job = job, .deadline_ms = clock_monotonic_ms() + job->timeout_ms};
	int result = choose(&e);

	if (result == 0)
		result = checkpoint(&e);
	if (result == 0)
		result = close_and_drop(&e);
	free(e.accounts);
	return result;
}
