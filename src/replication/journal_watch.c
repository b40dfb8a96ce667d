/*
 * journal_watch.c: what the keeper of the journals is told: segments that are complete, and moments
 * of which the backend has everything.
 */
#include <config.h>
#include "replication/journal_private.h"

#include <errno.h>
#include <stdlib.h>
#include "util/clock.h"
#include "util/log.h"

#define LOOK_MS 200 /* at *stopping */

/* ---- segments */

void journal_watch(struct journal *j,
	void (*completed)(void *arg, const struct journal_completed *segment), void *arg,
	uint64_t *ret_sequence)
{
	lock_acquire(&j->watch_lock);
	j->completed = completed;
	j->completed_arg = arg;
	lock_acquire(&j->lock);
	if (ret_sequence != NULL)
		*ret_sequence = j->complete_sequence;
	lock_release(&j->lock);
	lock_release(&j->watch_lock);
}

/* Sections of one account follow each other. */
static size_t collect_accounts(const struct directory *d, struct journal_account *ret)
{
	size_t n = 0;

	for (uint32_t i = 0; i < d->n_entries; i++) {
		const struct directory_entry *entry = &d->entries[i];

		if (n == 0 || ret[n - 1].account != entry->account)
			ret[n++] = (struct journal_account){.account = entry->account};
		ret[n - 1].stored_bytes += entry->section.stored_bytes;
	}
	return n;
}

static uint64_t size_of(const struct journal_segment *s)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < s->n_puts; i++)
		bytes += s->puts[i]->frame.size_bytes;
	return bytes;
}

static void tell(struct journal *j, const struct journal_segment *s) REQUIRES(j->watch_lock)
{
	const struct directory *d = &s->segment.directory;
	struct journal_account *accounts = calloc((size_t)d->n_entries + 1, sizeof(*accounts));
	struct journal_completed segment = {.sequence = s->note.sequence,
		.created_ms = s->segment.created_ms,
		.bytes = size_of(s),
		.n_parts = (uint16_t)s->segment.n_parts,
		.accounts = accounts};

	/* Then it does not know what is in this segment, and keeps it. */
	if (accounts == NULL) {
		log_error("no memory to note what is in segment %llu of the journal",
			(unsigned long long)s->note.sequence);
		return;
	}
	segment.n_accounts = collect_accounts(d, accounts);
	j->completed(j->completed_arg, &segment);
	free(accounts);
}

void journal_tell_complete(struct journal *j, const struct list_node *complete)
{
	if (list_is_empty(complete))
		return;
	lock_acquire(&j->watch_lock);
	for (const struct list_node *n = complete->next; n != complete && j->completed != NULL;
		n = n->next) {
		const struct journal_segment *s =
			LIST_ENTRY((struct list_node *)(uintptr_t)n, struct journal_segment, node);

		if (s->n_puts > 0)
			tell(j, s);
	}
	lock_release(&j->watch_lock);
}

/* ---- moments */

uint64_t journal_snapshot_due_ms_locked(struct journal *j)
{
	if (j->wanted_snapshot == NULL)
		return UINT64_MAX;
	return j->snapshot_is_urgent || j->dirty_since_ms == 0 ? 0 : UINT64_MAX;
}

static int find_positions(struct journal *j, struct journal_snapshot *s)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_accounts; i++)
		r = journal_find_latest(j, s->accounts[i], &s->positions[i], &s->has_position[i]);
	return r;
}

/* While it is being filled nobody else touches it. */
static struct journal_snapshot *take_wish(struct journal *j, uint64_t number)
{
	struct journal_snapshot *s = NULL;

	lock_acquire(&j->lock);
	if (j->wanted_snapshot != NULL && number > j->snapshot_after) {
		s = j->wanted_snapshot;
		j->wanted_snapshot = NULL;
		j->snapshot_is_filled = true;
	}
	lock_release(&j->lock);
	return s;
}

void journal_give_snapshot(struct journal *j, const struct cut *cut, uint64_t number)
{
	struct journal_snapshot *s = take_wish(j, number);
	int r;

	if (s == NULL)
		return;
	s->cut_ms = clock_realtime_ms();
	s->sequence = j->next_sequence - 1;
	s->cut = cut_share(cut);
	r = s->cut == NULL ? -ENOMEM : find_positions(j, s);
	lock_acquire(&j->lock);
	j->snapshot_is_filled = false;
	j->snapshot_cut = number;
	j->snapshot_error = r;
	journal_tell_locked(j);
	lock_release(&j->lock);
}

/* -EINPROGRESS: not yet. */
static int snapshot_state_locked(
	struct journal *j, uint64_t deadline_ms, const _Atomic bool *stopping) REQUIRES(j->lock)
{
	if (j->snapshot_is_filled)
		return -EINPROGRESS;
	if (j->snapshot_cut != 0 && j->snapshot_error != 0)
		return j->snapshot_error;
	if (j->snapshot_cut != 0 && j->snapshot_cut <= j->complete_cut)
		return 0;
	if (j->error != 0)
		return j->error;
	if (j->is_stopping || (stopping != NULL && *stopping))
		return -ECANCELED;
	return clock_monotonic_ms() >= deadline_ms ? -ETIMEDOUT : -EINPROGRESS;
}

static int wait_for_snapshot_locked(
	struct journal *j, uint64_t deadline_ms, const _Atomic bool *stopping) REQUIRES(j->lock)
{
	int r;

	while ((r = snapshot_state_locked(j, deadline_ms, stopping)) == -EINPROGRESS) {
		uint64_t until_ms = clock_monotonic_ms() + LOOK_MS;

		(void)lock_condition_wait_until(&j->changed, &j->lock, until_ms);
	}
	return r;
}

int journal_snapshot(struct journal *j, struct journal_snapshot *s, bool now, uint32_t timeout_ms,
	const _Atomic bool *stopping)
{
	uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
	int r;

	s->cut = NULL;
	lock_acquire(&j->lock);
	r = j->has_snapshot ? -EBUSY : 0;
	if (r == 0) {
		j->has_snapshot = true;
		j->wanted_snapshot = s;
		j->snapshot_is_urgent = now;
		j->snapshot_after = j->n_cuts;
		j->snapshot_cut = 0;
		j->snapshot_error = 0;
		journal_tell_locked(j);
		r = wait_for_snapshot_locked(j, deadline_ms, stopping);
		j->wanted_snapshot = NULL;
		j->has_snapshot = false;
	}
	lock_release(&j->lock);
	if (r < 0) {
		cut_done(s->cut);
		s->cut = NULL;
	}
	return r;
}
