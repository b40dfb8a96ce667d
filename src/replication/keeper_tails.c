/*
 * keeper_tails.c: which segments there are, and who needs them.
 */
#include <config.h>
#include "replication/keeper_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/clock.h"
#include "util/log.h"

/* ---- accounts */

struct keeper_tail *keeper_find_locked(struct keeper *k, uint32_t account)
{
	uint64_t *place = map64_find(&k->by_account, (uint64_t)account + 1);

	return place != NULL ? (struct keeper_tail *)(uintptr_t)*place : NULL;
}

static int reserve_tail_locked(struct keeper *k) REQUIRES(k->lock)
{
	size_t capacity = k->tails_capacity > 0 ? 2 * k->tails_capacity : 64;
	struct keeper_tail **bigger;

	if (k->n_tails < k->tails_capacity)
		return 0;
	bigger = reallocarray(k->tails, capacity, sizeof(struct keeper_tail *));
	if (bigger == NULL)
		return -ENOMEM;
	k->tails = bigger;
	k->tails_capacity = capacity;
	return 0;
}

struct keeper_tail *keeper_tail_locked(struct keeper *k, uint32_t account)
{
	struct keeper_tail *tail = keeper_find_locked(k, account);
	uint64_t *place;

	if (tail != NULL)
		return tail;
	if (reserve_tail_locked(k) < 0)
		return NULL;
	tail = calloc(1, sizeof(*tail));
	place = tail != NULL ? map64_insert(&k->by_account, (uint64_t)account + 1) : NULL;
	if (place == NULL) {
		free(tail);
		return NULL;
	}
	*place = (uint64_t)(uintptr_t)tail;
	tail->account = account;
	tail->changed_ms = clock_monotonic_ms();
	k->tails[k->n_tails++] = tail;
	return tail;
}

static void free_tail(struct keeper_tail *tail)
{
	free(tail->items);
	free(tail->marks);
	free(tail->old);
	free(tail);
}

void keeper_forget_tail_locked(struct keeper *k, struct keeper_tail *tail)
{
	map64_remove(&k->by_account, (uint64_t)tail->account + 1);
	for (size_t i = 0; i < k->n_tails; i++) {
		if (k->tails[i] == tail) {
			k->tails[i] = k->tails[--k->n_tails];
			break;
		}
	}
	free_tail(tail);
}

/* ---- segments */

int keeper_add_segment_locked(
	struct keeper *k, struct keeper_journal *journal, const struct keeper_segment *segment)
{
	(void)k;
	if (journal->begin > 0 && journal->begin >= journal->capacity / 2) {
		memmove(journal->segments, journal->segments + journal->begin,
			journal->n * sizeof(*journal->segments));
		journal->begin = 0;
	}
	if (journal->begin + journal->n == journal->capacity) {
		size_t capacity = journal->capacity > 0 ? 2 * journal->capacity : 64;
		struct keeper_segment *bigger =
			reallocarray(journal->segments, capacity, sizeof(*bigger));

		if (bigger == NULL)
			return -ENOMEM;
		journal->segments = bigger;
		journal->capacity = capacity;
	}
	journal->segments[journal->begin + journal->n++] = *segment;
	if (segment->is_there) {
		journal->bytes += segment->bytes;
		journal->n_there++;
	}
	return 0;
}

struct keeper_segment *keeper_segment_locked(struct keeper *k, uint32_t journal, uint64_t sequence)
{
	struct keeper_journal *j = &k->journals[journal];

	if (sequence < j->first || sequence - j->first >= j->n)
		return NULL;
	return &j->segments[j->begin + (size_t)(sequence - j->first)];
}

/* ---- items */

static int mark(struct keeper_tail *tail, const struct keeper_item *item)
{
	struct keeper_mark *bigger;

	for (size_t i = 0; i < tail->n_marks; i++) {
		if (tail->marks[i].journal != item->journal)
			continue;
		if (tail->marks[i].sequence < item->sequence)
			tail->marks[i].sequence = item->sequence;
		return 0;
	}
	bigger = reallocarray(tail->marks, tail->n_marks + 1, sizeof(*bigger));
	if (bigger == NULL)
		return -ENOMEM;
	tail->marks = bigger;
	tail->marks[tail->n_marks++] =
		(struct keeper_mark){.sequence = item->sequence, .journal = item->journal};
	return 0;
}

int keeper_add_item_locked(
	struct keeper *k, struct keeper_tail *tail, const struct keeper_item *item)
{
	struct keeper_segment *segment = keeper_segment_locked(k, item->journal, item->sequence);
	size_t capacity = tail->items_capacity > 0 ? 2 * tail->items_capacity : 4;

	if (mark(tail, item) < 0)
		return -ENOMEM;
	if (item->journal == KEEPER_OWN && item->sequence <= tail->covered)
		return 0;
	if (tail->n_items == tail->items_capacity) {
		struct keeper_item *bigger = reallocarray(tail->items, capacity, sizeof(*bigger));

		if (bigger == NULL)
			return -ENOMEM;
		tail->items = bigger;
		tail->items_capacity = capacity;
	}
	if (tail->n_items == 0)
		k->figures.accounts_with_tail++;
	tail->items[tail->n_items++] = *item;
	tail->bytes += item->bytes;
	k->figures.tail_bytes += item->bytes;
	if (segment != NULL)
		segment->n_needed++;
	return 0;
}

void keeper_drop_items_locked(struct keeper *k, struct keeper_tail *tail,
	bool (*is_needed)(const void *arg, const struct keeper_item *item), const void *arg)
{
	size_t n = 0, before = tail->n_items;

	for (size_t i = 0; i < before; i++) {
		struct keeper_item item = tail->items[i];
		struct keeper_segment *segment;

		if (is_needed(arg, &item)) {
			tail->items[n++] = item;
			continue;
		}
		segment = keeper_segment_locked(k, item.journal, item.sequence);
		if (segment != NULL && segment->n_needed > 0)
			segment->n_needed--;
		tail->bytes -= item.bytes;
		k->figures.tail_bytes -= item.bytes;
	}
	tail->n_items = n;
	if (n == 0) {
		if (before > 0)
			k->figures.accounts_with_tail--;
		free(tail->items);
		tail->items = NULL;
		tail->items_capacity = 0;
	}
}

int keeper_add_old_locked(struct keeper *k, struct keeper_tail *tail, const struct keeper_old *old)
{
	struct keeper_old *bigger = reallocarray(tail->old, tail->n_old + 1, sizeof(*bigger));

	(void)k;
	if (bigger == NULL)
		return -ENOMEM;
	tail->old = bigger;
	tail->old[tail->n_old++] = *old;
	if (old->number > tail->number)
		tail->number = old->number;
	return 0;
}

/* ---- from the journal */

/* What is not known to be there is never removed, nor what is behind it. */
static int fill_gap_locked(struct keeper *k, uint64_t sequence) REQUIRES(k->lock)
{
	struct keeper_segment unknown = {.is_kept = true};
	struct keeper_journal *own = &k->journals[KEEPER_OWN];
	int r = 0;

	while (r == 0 && own->first + own->n < sequence)
		r = keeper_add_segment_locked(k, own, &unknown);
	return r;
}

static int add_completed_locked(struct keeper *k, const struct journal_completed *s)
	REQUIRES(k->lock)
{
	struct keeper_segment segment = {
		.bytes = s->bytes, .n_parts = s->n_parts, .is_there = true};
	struct keeper_journal *own = &k->journals[KEEPER_OWN];
	uint64_t now_ms = clock_monotonic_ms();
	int r = fill_gap_locked(k, s->sequence);

	if (r == 0)
		r = keeper_add_segment_locked(k, own, &segment);
	for (size_t i = 0; r == 0 && i < s->n_accounts; i++) {
		struct keeper_item item = {.journal = KEEPER_OWN,
			.sequence = s->sequence,
			.bytes = s->accounts[i].stored_bytes};
		struct keeper_tail *tail = keeper_tail_locked(k, s->accounts[i].account);

		r = tail == NULL ? -ENOMEM : keeper_add_item_locked(k, tail, &item);
		if (r == 0)
			tail->changed_ms = now_ms;
	}
	if (s->created_ms > k->newest_completed_ms)
		k->newest_completed_ms = s->created_ms;
	return r;
}

void keeper_completed(void *arg, const struct journal_completed *s)
{
	struct keeper *k = arg;
	struct keeper_segment *segment;

	lock_acquire(&k->lock);
	if (k->own_loaded == UINT64_MAX) {
		k->own_loaded = s->sequence - 1;
		k->journals[KEEPER_OWN].first = s->sequence;
	}
	if (s->sequence > k->own_loaded && add_completed_locked(k, s) < 0) {
		log_error("no memory to note what is in segment %llu of the journal: it is kept",
			(unsigned long long)s->sequence);
		segment = keeper_segment_locked(k, KEEPER_OWN, s->sequence);
		if (segment != NULL)
			segment->is_kept = true;
	}
	lock_release(&k->lock);
}

/* ---- whose turn it is */

static bool is_over_locked(const struct keeper *k, const struct keeper_journal *j) REQUIRES(k->lock)
{
	return j->bytes > k->options.journal_max_bytes || j->n_there > KEEPER_JOURNAL_SEGMENTS;
}

/* The account has a part in keeping the older half of a journal that is too large. */
static bool is_pin_locked(struct keeper *k, const struct keeper_tail *tail) REQUIRES(k->lock)
{
	for (size_t i = 0; i < tail->n_items; i++) {
		const struct keeper_journal *j = &k->journals[tail->items[i].journal];

		if (tail->items[i].sequence < j->first + j->n / 2 && is_over_locked(k, j))
			return true;
	}
	return false;
}

static bool is_due_locked(struct keeper *k, const struct keeper_tail *tail, uint64_t now_ms,
	bool is_any_over) REQUIRES(k->lock)
{
	if (tail->n_items == 0 || tail->not_before_ms > now_ms)
		return false;
	return now_ms - tail->changed_ms >= k->options.quiet_ms ||
	       tail->n_items >= KEEPER_TAIL_SEGMENTS || tail->bytes >= k->options.tail_max_bytes ||
	       (is_any_over && is_pin_locked(k, tail));
}

size_t keeper_due(struct keeper *k, uint32_t *ret, size_t max)
{
	uint64_t now_ms = clock_monotonic_ms();
	bool is_any_over = false;
	size_t n = 0;

	lock_acquire(&k->lock);
	for (size_t i = 0; i < k->n_journals; i++)
		is_any_over = is_any_over || is_over_locked(k, &k->journals[i]);
	for (size_t i = 0; i < k->n_tails && n < max; i++) {
		if (is_due_locked(k, k->tails[i], now_ms, is_any_over))
			ret[n++] = k->tails[i]->account;
	}
	lock_release(&k->lock);
	return n;
}

void keeper_tails_done(struct keeper *k)
{
	for (size_t i = 0; i < k->n_tails; i++)
		free_tail(k->tails[i]);
	for (size_t i = 0; i < k->n_journals; i++)
		free(k->journals[i].segments);
	free(k->tails);
	free(k->journals);
	map64_done(&k->by_account);
}
