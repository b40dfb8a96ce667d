/*
 * journal_thread.c: when cuts are made, and what follows from puts that are done.
 */
#include <config.h>
#include "replication/journal_private.h"

#include <string.h>
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/log.h"

#define LONGEST_WAIT_MS 60000

/* ---- completion */

static bool is_complete(const struct journal_segment *s)
{
	return s->is_built && s->n_left == 0;
}

/* Moves the first ones, up to one that is not on the backend, to *ret. */
static void take_complete_locked(struct journal *j, struct list_node *ret) REQUIRES(j->lock)
{
	list_init(ret);
	while (!list_is_empty(&j->segments)) {
		struct journal_segment *s =
			LIST_ENTRY(j->segments.next, struct journal_segment, node);

		if (!is_complete(s))
			break;
		list_remove(&s->node);
		list_append(ret, &s->node);
		j->n_segments--;
		j->is_behind = false;
		j->complete_lsn = s->lsn;
		j->complete_cut = s->cut;
		if (s->n_puts > 0)
			j->complete_sequence = s->note.sequence;
	}
}

/* What the store has up to there is on the backend or nothing for it: what comes before is not
 * looked at again by the next start. */
static void note_base(struct journal *j, const struct journal_segment *s)
{
	if (s->n_puts > 0)
		j->base = s->note;
	j->base.store_sequence = s->note.store_sequence;
	j->base.is_complete = true;
	if (s->n_puts == 0)
		(void)shipped_note(j->node, &j->base, false);
}

/* A note that cannot be written is not missed: the next start asks the backend. */
static void note_and_free(struct journal *j, struct list_node *complete)
{
	struct list_node *node;

	while ((node = list_take_first(complete)) != NULL) {
		struct journal_segment *s = LIST_ENTRY(node, struct journal_segment, node);

		note_base(j, s);
		if (s->n_puts > 0)
			(void)shipped_complete(
				j->node, &s->note, &j->options.node, s->accounts, s->n_accounts);
		journal_segment_free(s);
	}
}

static uint64_t first_deadline_ms_locked(struct journal *j) REQUIRES(j->lock)
{
	uint64_t first_ms = UINT64_MAX;

	for (struct list_node *n = j->waiters.next; n != &j->waiters; n = n->next) {
		struct journal_waiter *w = LIST_ENTRY(n, struct journal_waiter, node);

		if (w->deadline_ms < first_ms)
			first_ms = w->deadline_ms;
	}
	return first_ms;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void journal_step_locked(struct journal *j, uint64_t until_ms)
{
	uint64_t seen = j->n_events, next_ms = until_ms, now_ms;
	struct list_node complete, answered;

	journal_put_start_locked(j, &next_ms);
	take_complete_locked(j, &complete);
	journal_collect_locked(j, &answered);
	if (!list_is_empty(&complete) || !list_is_empty(&answered)) {
		lock_release(&j->lock);
		if (!list_is_empty(&complete))
			failpoint("journal.complete");
		journal_tell_complete(j, &complete);
		journal_answer(&answered);
		note_and_free(j, &complete);
		lock_acquire(&j->lock);
		lock_condition_broadcast(&j->changed); /* for journal_snapshot() */
		return;                                /* perhaps there is room for a cut now */
	}
	now_ms = clock_monotonic_ms();
	next_ms = earlier(next_ms, first_deadline_ms_locked(j));
	next_ms = earlier(next_ms, now_ms + LONGEST_WAIT_MS);
	if (until_ms <= now_ms || next_ms <= now_ms || j->n_events != seen)
		return;
	j->wakes_ms = next_ms;
	(void)lock_condition_wait_until(&j->changed, &j->lock, next_ms);
}

/* ---- cuts */

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* While segments are on their way the next cut gathers, for those who wait. Sessions that deliver
 * come back a moment after they were answered. So a cut is made when half of them wait for it: the
 * other half's segment is on its way meanwhile, and everybody waits for little more than his own
 * put. Of many a third is enough, once it fills a segment. How many there are is the most that
 * waited at once, of late. Whoever is alone, or one of two, waits for nobody. Where the others take
 * their time, time ends the gathering: a put of late, or half of it for a few. (By estimates, so
 * that one slow put does not hold up the next.) */
static size_t enough_of(size_t waiters)
{
	size_t third = (waiters + 2) / 3, half = (waiters + 1) / 2;

	if (third > JOURNAL_MANY_WAITERS)
		return third;
	return half < JOURNAL_MANY_WAITERS ? half : JOURNAL_MANY_WAITERS;
}

bool journal_has_gathered_locked(const struct journal *j)
{
	return j->n_segments == 0 || j->n_wanting >= enough_of(j->most_waiters);
}

static uint64_t gathered_ms_locked(struct journal *j) REQUIRES(j->lock)
{
	uint64_t window_ms = j->wanted_since_ms + j->options.commit_window_ms;
	uint64_t pace_ms = j->n_wanting > JOURNAL_FEW_WAITERS ? j->put_ms : j->put_ms / 2;

	if (journal_has_gathered_locked(j))
		return window_ms;
	return later(window_ms, j->last_cut_ms + pace_ms);
}

/* UINT64_MAX: not before something else happens. */
static uint64_t cut_due_ms_locked(struct journal *j) REQUIRES(j->lock)
{
	uint64_t due_ms = UINT64_MAX;

	if (j->error != 0 || j->is_stopping || j->n_segments >= j->options.max_in_flight ||
		j->memory_bytes >= j->options.memory_bytes)
		return UINT64_MAX;
	if (j->wanted_cut > j->n_cuts)
		due_ms = 0;
	if (j->wanted_since_ms != 0)
		due_ms = earlier(due_ms, gathered_ms_locked(j));
	if (j->dirty_since_ms != 0)
		due_ms = earlier(due_ms, j->dirty_since_ms + j->options.commit_interval_ms);
	due_ms = earlier(due_ms, journal_snapshot_due_ms_locked(j));
	return due_ms < j->not_before_ms ? j->not_before_ms : due_ms;
}

static void settle_cut_locked(struct journal *j, int r) REQUIRES(j->lock)
{
	if (r == 0) {
		j->cut_failures = 0;
		j->not_before_ms = 0;
		return;
	}
	if (j->error != 0 || j->is_stopping)
		return;
	if (j->cut_failures == 0)
		log_error("no segment of the journal can be made: %s", strerror(-r));
	j->last_error = r;
	j->not_before_ms = clock_monotonic_ms() + journal_pause_ms(j->cut_failures++);
	if (j->wanted_cut == j->n_cuts)
		j->wanted_cut++;
}

static void finish_locked(struct journal *j) REQUIRES(j->lock)
{
	struct list_node answered, complete;

	while (j->n_running > 0)
		lock_condition_wait(&j->changed, &j->lock);
	take_complete_locked(j, &complete);
	journal_collect_locked(j, &answered);
	lock_release(&j->lock);
	journal_tell_complete(j, &complete);
	journal_answer(&answered);
	note_and_free(j, &complete);
	lock_acquire(&j->lock);
}

void *journal_run(void *arg)
{
	struct journal *j = arg;
	uint64_t due_ms;
	int r;

	lock_acquire(&j->lock);
	while (!j->is_stopping) {
		due_ms = cut_due_ms_locked(j);
		if (due_ms > clock_monotonic_ms()) {
			journal_step_locked(j, due_ms);
			continue;
		}
		lock_release(&j->lock);
		r = journal_build(j);
		lock_acquire(&j->lock);
		settle_cut_locked(j, r);
		journal_step_locked(j, 0);
	}
	finish_locked(j);
	lock_release(&j->lock);
	return NULL;
}
