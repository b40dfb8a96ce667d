#include <config.h>
#include "replication/keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "replication/keeper_private.h"
#include "util/clock.h"
#include "util/log.h"

#define TICK_MS 1000
#define LOOK_MS 200 /* at the job's `stopping`, and for its progress */
#define LOAD_PAUSE_MS 1000
#define LOAD_PAUSE_MAX_MS 60000

/* ---- waiting */

static void tell_locked(struct keeper *k) REQUIRES(k->lock)
{
	k->n_events++;
	lock_condition_broadcast(&k->changed);
}

int keeper_sleep_until(struct keeper *k, uint64_t until_ms)
{
	lock_acquire(&k->lock);
	while (!atomic_load(&k->stopping) && clock_monotonic_ms() < until_ms)
		(void)lock_condition_wait_until(&k->changed, &k->lock, until_ms);
	lock_release(&k->lock);
	return atomic_load(&k->stopping) ? -ECANCELED : 0;
}

static void wait_for_event(struct keeper *k, uint64_t seen, uint64_t until_ms)
{
	lock_acquire(&k->lock);
	while (!atomic_load(&k->stopping) && k->n_events == seen && clock_monotonic_ms() < until_ms)
		(void)lock_condition_wait_until(&k->changed, &k->lock, until_ms);
	lock_release(&k->lock);
}

void keeper_note_error(struct keeper *k, int error)
{
	lock_acquire(&k->lock);
	k->figures.error = error;
	lock_release(&k->lock);
}

/* Before each put: at the rate, and not for ever from one snapshot. */
static int admit(void *arg, uint64_t bytes)
{
	struct keeper *k = arg;
	uint64_t now_ms = clock_monotonic_ms();
	int r = 0;

	if (k->next_put_ms < now_ms)
		k->next_put_ms = now_ms;
	if (!k->is_unlimited)
		r = keeper_sleep_until(k, k->next_put_ms);
	k->next_put_ms += bytes * 1000 / k->options.background_bytes_per_s;
	if (r == 0 && clock_monotonic_ms() > k->snapshot_end_ms)
		r = -ETIMEDOUT;
	return r;
}

/* ---- jobs */

/* With the keeper's lock. */
static void release_job(struct keeper_job_state *job)
{
	if (--job->n_holders > 0)
		return;
	free(job->accounts);
	free(job);
}

/* All that have a tail. */
static int take_all_locked(struct keeper *k, struct keeper_job_state *job) REQUIRES(k->lock)
{
	job->accounts = calloc(k->n_tails + 1, sizeof(*job->accounts));
	if (job->accounts == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < k->n_tails; i++) {
		if (k->tails[i]->n_items > 0)
			job->accounts[job->n_accounts++] = k->tails[i]->account;
	}
	return 0;
}

/* The first job, if it has something to do; jobs that have nothing left are over. */
static struct keeper_job_state *next_job_locked(struct keeper *k) REQUIRES(k->lock)
{
	while (!list_is_empty(&k->jobs)) {
		struct keeper_job_state *job =
			LIST_ENTRY(k->jobs.next, struct keeper_job_state, node);

		if (!job->has_begun && job->takes_all && !job->is_cancelled)
			job->error = take_all_locked(k, job);
		job->has_begun = true;
		if (!job->is_cancelled && job->error != -ENOMEM && job->next < job->n_accounts)
			return job;
		list_remove(&job->node);
		job->is_done = true;
		tell_locked(k);
		release_job(job);
	}
	return NULL;
}

/* Some accounts of the first job. False: there is none. */
static bool do_job(struct keeper *k)
{
	struct keeper_job_state *job;
	uint32_t accounts[KEEPER_BATCH_ACCOUNTS];
	uint64_t bytes = 0;
	size_t n = 0;
	int r;

	lock_acquire(&k->lock);
	job = next_job_locked(k);
	for (; job != NULL && n < KEEPER_BATCH_ACCOUNTS && job->next + n < job->n_accounts; n++)
		accounts[n] = job->accounts[job->next + n];
	if (job != NULL)
		k->is_unlimited = job->is_unlimited;
	lock_release(&k->lock);
	if (job == NULL)
		return false;
	k->is_for_job = true;
	r = keeper_make_checkpoints(k, accounts, n, &bytes);
	k->is_for_job = k->is_unlimited = false;
	lock_acquire(&k->lock);
	job->next += n;
	job->bytes += bytes;
	if (job->error == 0)
		job->error = r;
	tell_locked(k);
	lock_release(&k->lock);
	return true;
}

static struct keeper_job_state *new_job(const struct keeper_job *job)
{
	struct keeper_job_state *state = calloc(1, sizeof(*state));

	if (state == NULL)
		return NULL;
	state->n_holders = 2;
	state->takes_all = job->accounts == NULL;
	state->is_unlimited = job->unlimited;
	if (state->takes_all)
		return state;
	state->accounts = calloc(job->n_accounts + 1, sizeof(*state->accounts));
	if (state->accounts == NULL) {
		free(state);
		return NULL;
	}
	state->n_accounts = job->n_accounts;
	if (job->n_accounts > 0)
		memcpy(state->accounts, job->accounts, job->n_accounts * sizeof(*job->accounts));
	return state;
}

static void report(const struct keeper_job *job, const struct keeper_progress *progress)
{
	if (job->progress != NULL)
		job->progress(job->arg, progress);
}

/* -EINPROGRESS: not yet. */
static int job_result_locked(struct keeper *k, const struct keeper_job *job,
	const struct keeper_job_state *state, uint64_t deadline_ms) REQUIRES(k->lock)
{
	if (state->is_done)
		return state->error;
	if (atomic_load(&k->stopping) || (job->stopping != NULL && *job->stopping))
		return -ECANCELED;
	return clock_monotonic_ms() >= deadline_ms ? -ETIMEDOUT : -EINPROGRESS;
}

static int wait_for_job(struct keeper *k, const struct keeper_job *job,
	struct keeper_job_state *state, uint64_t deadline_ms)
{
	struct keeper_progress progress;
	int r;

	lock_acquire(&k->lock);
	list_append(&k->jobs, &state->node);
	tell_locked(k);
	do {
		uint64_t until_ms = clock_monotonic_ms() + LOOK_MS;

		(void)lock_condition_wait_until(
			&k->changed, &k->lock, until_ms < deadline_ms ? until_ms : deadline_ms);
		r = job_result_locked(k, job, state, deadline_ms);
		progress = (struct keeper_progress){state->next, state->n_accounts, state->bytes};
		if (r != -EINPROGRESS) {
			state->is_cancelled = true;
			release_job(state);
		}
		lock_release(&k->lock);
		report(job, &progress);
		lock_acquire(&k->lock);
	} while (r == -EINPROGRESS);
	lock_release(&k->lock);
	return r;
}

int keeper_checkpoint(struct keeper *k, const struct keeper_job *job)
{
	uint64_t deadline_ms = clock_monotonic_ms() + job->timeout_ms;
	struct keeper_job_state *state;
	int r = journal_flush_while(k->options.journal, job->timeout_ms, job->stopping, NULL, NULL);

	if (r < 0)
		return r;
	state = new_job(job);
	if (state == NULL)
		return -ENOMEM;
	return wait_for_job(k, job, state, deadline_ms);
}

/* ---- the thread */

static int load_or_pause(struct keeper *k)
{
	uint64_t pause_ms = LOAD_PAUSE_MS;
	int r = keeper_load(k);

	if (r == 0 && (r = keeper_remove_strays(k)) < 0)
		keeper_note_error(k, r);
	if (k->figures.is_loaded)
		return 0;
	keeper_note_error(k, r);
	for (unsigned int i = 0; i < k->load_failures && pause_ms < LOAD_PAUSE_MAX_MS; i++)
		pause_ms *= 2;
	k->load_failures++;
	return keeper_sleep_until(k, clock_monotonic_ms() + pause_ms);
}

static bool is_fenced(const struct keeper *k)
{
	struct journal_figures figures;

	journal_get_figures(k->options.journal, &figures);
	return figures.error == -ESTALE;
}

/* Whether something was done that may lead to more. */
static bool do_something(struct keeper *k)
{
	uint32_t accounts[KEEPER_BATCH_ACCOUNTS];
	uint64_t bytes = 0;
	size_t n;
	int r;

	if (do_job(k))
		return true;
	if (is_fenced(k))
		return false;
	n = keeper_due(k, accounts, KEEPER_BATCH_ACCOUNTS);
	if (n > 0)
		(void)keeper_make_checkpoints(k, accounts, n, &bytes);
	r = keeper_remove(k);
	if (r < 0 && !atomic_load(&k->stopping))
		keeper_note_error(k, r);
	else if (r == 0 && n > 0 && bytes > 0)
		keeper_note_error(k, 0);
	return r > 0 || bytes > 0;
}

static uint64_t tick_ms(const struct keeper *k)
{
	uint64_t tick = k->options.quiet_ms / 4 + 1;

	return tick < TICK_MS ? tick : TICK_MS;
}

static void *run(void *arg)
{
	struct keeper *k = arg;
	bool is_loaded = false;
	uint64_t seen;

	while (!atomic_load(&k->stopping)) {
		if (!is_loaded) {
			(void)load_or_pause(k);
			is_loaded = k->catalogue != NULL || k->figures.is_loaded;
			continue;
		}
		lock_acquire(&k->lock);
		seen = k->n_events;
		lock_release(&k->lock);
		if (!do_something(k))
			wait_for_event(k, seen, clock_monotonic_ms() + tick_ms(k));
	}
	return NULL;
}

/* ---- life */

static void set_defaults(struct keeper_options *o)
{
	if (o->quiet_ms == 0)
		o->quiet_ms = KEEPER_QUIET_MS;
	if (o->tail_max_bytes == 0)
		o->tail_max_bytes = KEEPER_TAIL_BYTES;
	if (o->journal_max_bytes == 0)
		o->journal_max_bytes = KEEPER_JOURNAL_BYTES;
	if (o->background_bytes_per_s == 0)
		o->background_bytes_per_s = KEEPER_BYTES_PER_S;
}

static void keeper_free(struct keeper *k)
{
	checkpoint_writer_free(k->writer);
	catalogue_free(k->catalogue);
	keeper_tails_done(k);
	lock_condition_done(&k->changed);
	lock_done(&k->lock);
	free(k);
}

static struct keeper *keeper_new(const struct keeper_options *options)
{
	struct keeper *k = calloc(1, sizeof(*k));
	struct checkpoint_writer_options writing = {.backend = options->backend,
		.volume = options->volume,
		.plain_puts = options->plain_puts,
		.part_bytes = options->part_bytes,
		.admit = admit,
		.arg = k};

	if (k == NULL)
		return NULL;
	k->options = *options;
	set_defaults(&k->options);
	lock_init(&k->lock);
	lock_condition_init(&k->changed);
	list_init(&k->jobs);
	map64_init(&k->by_account);
	k->journals = calloc(1, sizeof(*k->journals));
	k->writer = checkpoint_writer_new(&writing);
	if (k->journals == NULL || k->writer == NULL) {
		keeper_free(k);
		return NULL;
	}
	k->n_journals = 1;
	k->journals[KEEPER_OWN].node = options->node_uuid;
	k->journals[KEEPER_OWN].incarnation = options->incarnation;
	return k;
}

/* The first call of keeper_completed() may come before this returns. */
static void watch(struct keeper *k)
{
	uint64_t sequence;

	k->own_loaded = UINT64_MAX;
	journal_watch(k->options.journal, keeper_completed, k, &sequence);
	lock_acquire(&k->lock);
	if (k->own_loaded == UINT64_MAX) {
		k->own_loaded = sequence;
		k->journals[KEEPER_OWN].first = sequence + 1;
	}
	lock_release(&k->lock);
}

int keeper_start(const struct keeper_options *options, struct keeper **ret)
{
	struct keeper *k = keeper_new(options);
	int r;

	if (k == NULL)
		return -ENOMEM;
	watch(k);
	r = pthread_create(&k->thread, NULL, run, k);
	if (r != 0) {
		journal_watch(options->journal, NULL, NULL, NULL);
		keeper_free(k);
		return -r;
	}
	(void)pthread_setname_np(k->thread, "mfs-keeper");
	*ret = k;
	return 0;
}

static void cancel_jobs(struct keeper *k)
{
	struct list_node *node;

	lock_acquire(&k->lock);
	while ((node = list_take_first(&k->jobs)) != NULL) {
		struct keeper_job_state *job = LIST_ENTRY(node, struct keeper_job_state, node);

		job->is_done = true;
		job->error = -ECANCELED;
		release_job(job);
	}
	tell_locked(k);
	lock_release(&k->lock);
}

void keeper_stop(struct keeper *k)
{
	if (k == NULL)
		return;
	journal_watch(k->options.journal, NULL, NULL, NULL);
	lock_acquire(&k->lock);
	atomic_store(&k->stopping, true);
	tell_locked(k);
	lock_release(&k->lock);
	checkpoint_writer_cancel(k->writer);
	backend_cancel(k->options.backend, &k->cancellation);
	(void)pthread_join(k->thread, NULL);
	cancel_jobs(k);
	keeper_free(k);
}

/* ---- figures */

void keeper_get_figures(struct keeper *k, struct keeper_figures *ret)
{
	lock_acquire(&k->lock);
	*ret = k->figures;
	for (size_t i = 0; i < k->n_journals; i++) {
		ret->journal_segments += k->journals[i].n_there;
		ret->journal_bytes += k->journals[i].bytes;
	}
	lock_release(&k->lock);
}

bool keeper_get_account(struct keeper *k, uint32_t account, struct keeper_account *ret)
{
	const struct keeper_tail *tail;

	lock_acquire(&k->lock);
	tail = keeper_find_locked(k, account);
	if (tail != NULL)
		*ret = (struct keeper_account){.tail_bytes = tail->bytes,
			.tail_segments = tail->n_items,
			.idle_ms = clock_monotonic_ms() - tail->changed_ms,
			.checkpoint_number =
				tail->n_old > 0 ? tail->old[tail->n_old - 1].number : 0,
			.error = tail->error};
	lock_release(&k->lock);
	return tail != NULL;
}
