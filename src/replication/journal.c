#include <config.h>
#include "replication/journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "replication/journal_private.h"
#include "util/clock.h"

uint64_t journal_pause_ms(unsigned int failures)
{
	uint64_t pause_ms = JOURNAL_PAUSE_MIN_MS;

	while (failures-- > 0 && pause_ms < JOURNAL_PAUSE_MAX_MS)
		pause_ms *= 2;
	return pause_ms < JOURNAL_PAUSE_MAX_MS ? pause_ms : JOURNAL_PAUSE_MAX_MS;
}

void journal_tell_locked(struct journal *j)
{
	j->n_events++;
	lock_condition_broadcast(&j->changed);
}

/* ---- waiting */

static bool is_served_locked(const struct journal *j, const struct journal_waiter *w)
	REQUIRES(j->lock)
{
	if (w->cut != 0)
		return w->cut <= j->complete_cut;
	return !j->is_behind && w->lsn <= j->complete_lsn;
}

/* -EINPROGRESS: there is no answer yet. */
static int answer_locked(const struct journal *j, const struct journal_waiter *w, uint64_t now_ms)
	REQUIRES(j->lock)
{
	if (is_served_locked(j, w))
		return 0;
	if (j->error != 0)
		return j->error;
	if (j->is_stopping)
		return -ECANCELED;
	return w->deadline_ms <= now_ms ? -ETIMEDOUT : -EINPROGRESS;
}

void journal_collect_locked(struct journal *j, struct list_node *ret)
{
	uint64_t now_ms = clock_monotonic_ms();
	struct list_node *next;

	list_init(ret);
	for (struct list_node *n = j->waiters.next; n != &j->waiters; n = next) {
		struct journal_waiter *w = LIST_ENTRY(n, struct journal_waiter, node);

		next = n->next;
		w->error = answer_locked(j, w, now_ms);
		if (w->error == -EINPROGRESS)
			continue;
		list_remove(&w->node);
		list_append(ret, &w->node);
		j->n_waiters--;
	}
}

void journal_answer(struct list_node *waiters)
{
	struct list_node *node;

	while ((node = list_take_first(waiters)) != NULL) {
		struct journal_waiter *w = LIST_ENTRY(node, struct journal_waiter, node);

		w->done(w->arg, w->error);
		free(w);
	}
}

/* Who only makes the next cut larger, and is not the first whose time is up, leaves the thread
 * asleep. */
static void want_locked(struct journal *j, const struct journal_waiter *w) REQUIRES(j->lock)
{
	bool is_first = j->wanted_since_ms == 0;

	if (w->lsn > j->max_wait_lsn)
		j->max_wait_lsn = w->lsn;
	if (w->cut != 0) {
		j->wanted_cut = w->cut;
	} else if (w->lsn > j->cut_lsn || j->is_behind) {
		j->n_wanting++;
		if (is_first)
			j->wanted_since_ms = clock_monotonic_ms();
		else if (!journal_has_gathered_locked(j) && w->deadline_ms >= j->wakes_ms)
			return;
	}
	journal_tell_locked(j);
}

/* -EINPROGRESS: it waits. */
static int enqueue(struct journal *j, struct journal_waiter *w, bool for_next_cut)
{
	int r;

	lock_acquire(&j->lock);
	if (for_next_cut)
		w->cut = j->n_cuts + 1;
	r = answer_locked(j, w, 0);
	if (r == -EINPROGRESS && j->n_waiters >= JOURNAL_MAX_WAITERS)
		r = -ENOBUFS;
	if (r == -EINPROGRESS) {
		list_append(&j->waiters, &w->node);
		if (++j->n_waiters > j->most_waiters)
			j->most_waiters = j->n_waiters;
		want_locked(j, w);
	}
	lock_release(&j->lock);
	return r;
}

static void wait_for(struct journal *j, const struct journal_waiter *waiter, bool for_next_cut)
{
	struct journal_waiter *w = malloc(sizeof(*w));
	int r;

	if (w == NULL) {
		waiter->done(waiter->arg, -ENOMEM);
		return;
	}
	*w = *waiter;
	r = enqueue(j, w, for_next_cut);
	if (r == -EINPROGRESS)
		return;
	free(w);
	waiter->done(waiter->arg, r);
}

void journal_wait(struct journal *j, uint64_t lsn, journal_done_fn *done, void *arg)
{
	struct journal_waiter waiter = {.lsn = lsn,
		.deadline_ms = clock_monotonic_ms() + j->options.commit_timeout_ms,
		.done = done,
		.arg = arg};

	wait_for(j, &waiter, false);
}

void journal_flush_begin(struct journal *j, uint32_t timeout_ms, journal_done_fn *done, void *arg)
{
	struct journal_waiter waiter = {
		.deadline_ms = clock_monotonic_ms() + timeout_ms, .done = done, .arg = arg};

	wait_for(j, &waiter, true);
}

/* ---- figures */

/* The oldest that is not complete; 0: all is. */
static uint64_t oldest_ms_locked(const struct journal *j) REQUIRES(j->lock)
{
	if (!list_is_empty(&j->segments))
		return LIST_ENTRY(j->segments.next, struct journal_segment, node)->since_ms;
	return j->dirty_since_ms;
}

void journal_get_figures(struct journal *j, struct journal_figures *ret)
{
	uint64_t noted_bytes = cut_pending_bytes(j->node), now_ms = clock_monotonic_ms(), oldest_ms;

	lock_acquire(&j->lock);
	oldest_ms = oldest_ms_locked(j);
	*ret = (struct journal_figures){
		.last_sequence = j->complete_sequence,
		.segments = j->put_segments,
		.parts = j->put_parts,
		.bytes = j->put_bytes,
		.lag_ms = oldest_ms != 0 && oldest_ms < now_ms ? now_ms - oldest_ms : 0,
		.lag_bytes = j->memory_bytes + noted_bytes,
		.in_flight = j->n_segments,
		.puts_running = j->n_running,
		.failures = j->failures,
		.memory_bytes = j->memory_bytes,
		.error = j->error,
		.last_error = j->last_error,
	};
	lock_release(&j->lock);
}

/* Bytes of its sections that wait or are on their way; 0: there are none. */
static uint64_t segment_bytes(const struct journal_segment *s, uint32_t account)
{
	uint64_t bytes = 0;
	uint32_t n = 0;
	const struct directory_entry *entry;

	if (!s->is_built)
		return 0; /* its directory still grows, without the lock */
	entry = directory_find(&s->segment.directory, account, &n);
	for (uint32_t i = 0; i < n; i++)
		bytes += entry[i].section.stored_bytes;
	return bytes;
}

bool journal_get_pending(struct journal *j, uint32_t account, uint64_t *ret_ms, uint64_t *ret_bytes)
{
	uint64_t noted_bytes = cut_account_pending_bytes(j->node, account);
	uint64_t since_ms = 0, bytes = noted_bytes, now_ms = clock_monotonic_ms();

	lock_acquire(&j->lock);
	for (struct list_node *n = j->segments.next; n != &j->segments; n = n->next) {
		const struct journal_segment *s = LIST_ENTRY(n, struct journal_segment, node);
		uint64_t here = segment_bytes(s, account);

		bytes += here;
		if (here > 0 && since_ms == 0)
			since_ms = s->since_ms;
	}
	if (since_ms == 0 && noted_bytes > 0)
		since_ms = j->dirty_since_ms;
	lock_release(&j->lock);
	*ret_ms = since_ms != 0 && since_ms < now_ms ? now_ms - since_ms : 0;
	*ret_bytes = bytes;
	return bytes > 0;
}

/* ---- opening and closing */

/* Under the change set's lock. */
static void noted(void *arg)
{
	struct journal *j = arg;

	lock_acquire(&j->lock);
	if (j->dirty_since_ms == 0)
		j->dirty_since_ms = clock_monotonic_ms();
	journal_tell_locked(j);
	lock_release(&j->lock);
}

static struct journal *journal_new(
	struct node *node, struct backend *backend, const struct journal_options *options)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->node = node;
	j->backend = backend;
	j->options = *options;
	if (j->options.part_bytes == 0)
		j->options.part_bytes = JOURNAL_PART_BYTES;
	if (j->options.memory_bytes == 0)
		j->options.memory_bytes = JOURNAL_MEMORY_BYTES;
	lock_init(&j->lock);
	lock_init(&j->watch_lock);
	lock_condition_init(&j->changed);
	list_init(&j->segments);
	list_init(&j->waiters);
	map64_init(&j->latest);
	j->builder = section_builder_new();
	return j;
}

static void journal_free(struct journal *j)
{
	struct list_node *node;

	while ((node = list_take_first(&j->segments)) != NULL)
		journal_segment_free(LIST_ENTRY(node, struct journal_segment, node));
	section_builder_free(j->builder);
	map64_done(&j->latest);
	lock_condition_done(&j->changed);
	lock_done(&j->watch_lock);
	lock_done(&j->lock);
	free(j);
}

static int start(struct journal *j)
{
	int r;

	j->is_behind = cut_is_needed(j->node);
	r = pthread_create(&j->thread, NULL, journal_run, j);
	if (r != 0)
		return -r;
	(void)pthread_setname_np(j->thread, "mfs-journal");
	cut_watch(j->node, noted, j);
	return 0;
}

int journal_open(struct node *node, struct backend *backend, const struct journal_options *options,
	struct journal **ret, char **ret_message)
{
	struct journal *j;
	int r;

	*ret_message = NULL;
	if (options->max_in_flight == 0 || options->max_in_flight > JOURNAL_IN_FLIGHT)
		return -EINVAL;
	j = journal_new(node, backend, options);
	if (j == NULL)
		return -ENOMEM;
	r = j->builder == NULL ? -ENOMEM : journal_resume(j, ret_message);
	if (r == 0)
		r = start(j);
	if (r < 0) {
		if (*ret_message == NULL)
			(void)!asprintf(ret_message, "cannot open the journal: %s", strerror(-r));
		journal_free(j);
		return r;
	}
	*ret = j;
	return 0;
}

int journal_close(struct journal *j, uint32_t timeout_ms)
{
	int r;

	if (j == NULL)
		return 0;
	r = journal_flush(j, timeout_ms);
	cut_watch(j->node, NULL, NULL);
	lock_acquire(&j->lock);
	j->is_stopping = true;
	journal_tell_locked(j);
	lock_release(&j->lock);
	/* What is still under way may or may not arrive, as with a crash: the next open finds out.
	 */
	backend_cancel(j->backend, &j->cancellation);
	(void)pthread_join(j->thread, NULL);
	journal_free(j);
	return r;
}
