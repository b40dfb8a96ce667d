/*
 * replicator_jobs.c: flush and warm, as mailfs-admin asks for them. Evict is in
 * replicator_evict.c.
 */
#include <config.h>
#include "replication/replicator_private.h"

#include <errno.h>
#include <stdlib.h>
#include "cache/adoption.h"
#include "replication/keeper.h"
#include "util/clock.h"

/* How soon it is seen that a job is to stop. */
#define LOOK_MS 200

/* Fewer than the restore has threads, so that a reader who comes finds one. */
#define WARM_PARALLEL (RESTORE_DEFAULT_THREADS - 1)

static bool is_stopping(const struct replicator_job *job)
{
	return job->stopping != NULL && atomic_load(job->stopping);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void replicator_job_tell(const struct replicator_job *job, uint64_t done, uint64_t bytes_done)
{
	struct replicator_progress progress = {
		.accounts_done = done, .accounts_total = job->n_accounts, .bytes_done = bytes_done};

	if (job->progress != NULL)
		job->progress(job->arg, &progress);
}

int replicator_job_fail(const struct replicator_job *job, uint32_t account, int error)
{
	if (job->failed == NULL)
		return error;
	job->failed(job->arg, account, error);
	return 0;
}

/* ---- flush into the journal */

struct flush {
	struct replicator *r;
	const struct replicator_job *job;
	uint64_t bytes_before; /* put by the journal */
};

static void tell_flush(void *arg)
{
	const struct flush *flush = arg;
	struct journal_figures figures;

	journal_get_figures(flush->r->journal, &figures);
	replicator_job_tell(flush->job, 0, figures.bytes - flush->bytes_before);
}

static int flush_journal(struct replicator *r, const struct replicator_job *job)
{
	struct flush flush = {.r = r, .job = job};
	struct journal_figures figures;

	journal_get_figures(r->journal, &figures);
	flush.bytes_before = figures.bytes;
	return journal_flush_while(r->journal, job->timeout_ms, job->stopping, tell_flush, &flush);
}

/* ---- flush into checkpoints */

/* The keeper gives the first error only; of each account it knows the last. */
static int blame(struct replicator *r, const struct replicator_job *job, int error)
{
	bool blamed = false;
	int result = 0;

	if (job->accounts == NULL || error == -ETIMEDOUT || error == -ECANCELED || error == -ESTALE)
		return error;
	for (size_t i = 0; i < job->n_accounts && result == 0; i++) {
		struct keeper_account a;

		if (!keeper_get_account(r->keeper, job->accounts[i], &a) || a.error == 0)
			continue;
		blamed = true;
		result = replicator_job_fail(job, job->accounts[i], a.error);
	}
	return blamed ? result : error;
}

static void tell_keeper(void *arg, const struct keeper_progress *progress)
{
	const struct replicator_job *job = arg;
	struct replicator_progress p = {
		.accounts_done = progress->accounts_done,
		.accounts_total = progress->accounts_total,
		.bytes_done = progress->bytes_done,
	};

	if (job->progress != NULL)
		job->progress(job->arg, &p);
}

int replicator_job_checkpoint(struct replicator *r, const struct replicator_job *job)
{
	struct replicator_job copy = *job;
	struct keeper_job k = {
		.accounts = job->accounts,
		.n_accounts = job->n_accounts,
		.timeout_ms = job->timeout_ms,
		.stopping = job->stopping,
		.unlimited = true,
		.progress = tell_keeper,
		.arg = &copy,
	};
	int error = keeper_checkpoint(r->keeper, &k);

	return error < 0 ? blame(r, job, error) : 0;
}

/* Those of the job's accounts that are here, malloc()ed. */
static uint32_t *choose_here(struct replicator *r, const struct replicator_job *job, size_t *ret_n)
{
	uint32_t *here = malloc((job->n_accounts + 1) * sizeof(*here));
	size_t n = 0;
	int error;

	for (size_t i = 0; here != NULL && i < job->n_accounts; i++) {
		if (adoption_place(r->options.node, job->accounts[i], &error) == ADOPTION_HERE)
			here[n++] = job->accounts[i];
	}
	*ret_n = n;
	return here;
}

int replicator_flush(struct replicator *r, const struct replicator_job *job, bool with_checkpoint)
{
	struct replicator_job chosen = *job;
	uint32_t *here = NULL;
	int error = 0;

	if (!with_checkpoint)
		return flush_journal(r, job);
	if (job->accounts != NULL) {
		here = choose_here(r, job, &chosen.n_accounts);
		chosen.accounts = here;
		error = here == NULL ? -ENOMEM : 0;
	}
	if (error == 0 && (here == NULL || chosen.n_accounts > 0))
		error = replicator_job_checkpoint(r, &chosen);
	free(here);
	return error;
}

/* ---- warm */

struct warm;

struct warm_slot {
	struct warm *warm;
	uint32_t account;
	int error;
	enum { SLOT_FREE, SLOT_RUNNING, SLOT_DONE } state;
};

/* Outlives the caller when he gives up. */
struct warm {
	struct lock lock;
	struct lock_condition changed;
	int references; /* one of the caller, one of each slot that runs */
	struct warm_slot slots[WARM_PARALLEL];
};

static void warm_release(struct warm *w)
{
	bool last;

	lock_acquire(&w->lock);
	last = --w->references == 0;
	lock_release(&w->lock);
	if (!last)
		return;
	lock_condition_done(&w->changed);
	lock_done(&w->lock);
	free(w);
}

static void warm_done(void *arg, int error)
{
	struct warm_slot *slot = arg;
	struct warm *w = slot->warm;

	lock_acquire(&w->lock);
	slot->error = error;
	slot->state = SLOT_DONE;
	lock_condition_signal(&w->changed);
	lock_release(&w->lock);
	warm_release(w);
}

static void warm_start(
	struct replicator *r, struct warm *w, struct warm_slot *slot, uint32_t account)
{
	enum backend_priority before = loader_thread_priority();

	lock_acquire(&w->lock);
	slot->warm = w;
	slot->account = account;
	slot->state = SLOT_RUNNING;
	w->references++;
	lock_release(&w->lock);
	loader_set_thread_priority(BACKEND_BACKGROUND);
	adoption_wait(r->options.node, account, warm_done, slot);
	loader_set_thread_priority(before);
}

/* Waits for a slot to be done, or for a while; takes what is done. *ret_busy: how many run on. */
static int warm_collect(struct warm *w, const struct replicator_job *job, uint64_t deadline_ms,
	uint64_t *done, size_t *ret_busy)
{
	struct warm_slot taken[WARM_PARALLEL];
	size_t n = 0, busy = 0;
	int error = 0;

	lock_acquire(&w->lock);
	for (int round = 0; round < 2 && n == 0; round++) {
		busy = 0;
		for (int i = 0; i < WARM_PARALLEL; i++) {
			struct warm_slot *slot = &w->slots[i];

			busy += slot->state == SLOT_RUNNING;
			if (slot->state == SLOT_DONE) {
				taken[n++] = *slot;
				slot->state = SLOT_FREE;
			}
		}
		if (n == 0 && busy > 0 && round == 0)
			(void)lock_condition_wait_until(&w->changed, &w->lock,
				earlier(clock_monotonic_ms() + LOOK_MS, deadline_ms));
	}
	lock_release(&w->lock);
	*done += n;
	for (size_t i = 0; i < n; i++) {
		if (taken[i].error < 0 && error == 0)
			error = replicator_job_fail(job, taken[i].account, taken[i].error);
	}
	*ret_busy = busy;
	return error;
}

static struct warm_slot *free_slot(struct warm *w)
{
	struct warm_slot *found = NULL;

	lock_acquire(&w->lock);
	for (int i = 0; i < WARM_PARALLEL && found == NULL; i++) {
		if (w->slots[i].state == SLOT_FREE)
			found = &w->slots[i];
	}
	lock_release(&w->lock);
	return found;
}

static int warm_all(struct replicator *r, const struct replicator_job *job, struct warm *w)
{
	uint64_t deadline_ms = clock_monotonic_ms() + job->timeout_ms, done = 0;
	size_t next = 0, busy = 0;
	int error = 0;

	while (error == 0 && (next < job->n_accounts || busy > 0)) {
		struct warm_slot *slot;

		if (is_stopping(job))
			return -ECANCELED;
		if (clock_monotonic_ms() >= deadline_ms)
			return -ETIMEDOUT;
		while (next < job->n_accounts && (slot = free_slot(w)) != NULL)
			warm_start(r, w, slot, job->accounts[next++]);
		error = warm_collect(w, job, deadline_ms, &done, &busy);
		replicator_job_tell(job, done, 0);
	}
	return error;
}

int replicator_warm(struct replicator *r, const struct replicator_job *job)
{
	struct warm *w = calloc(1, sizeof(*w));
	int error;

	if (w == NULL)
		return -ENOMEM;
	lock_init(&w->lock);
	lock_condition_init(&w->changed);
	w->references = 1;
	error = warm_all(r, job, w);
	warm_release(w);
	return error;
}
