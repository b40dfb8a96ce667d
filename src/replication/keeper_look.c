/*
 * keeper_look.c: what was on the backend when the keeper started.
 *
 * The catalogue says which segments there are, and with changes of whom. Which of them an account's
 * checkpoint has is asked when it is the account's turn: two listings and a read, and for most
 * accounts never, since they change again before.
 */
#include <config.h>
#include "replication/keeper_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "replication/catalogue_private.h"
#include "util/account_path.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

#define ITEMS_AT_ONCE 1024

/* ---- the catalogue */

static bool is_own(const struct keeper *k, const struct position *position)
{
	return memcmp(&position->node, &k->options.node_uuid, sizeof(position->node)) == 0 &&
	       position->incarnation == k->options.incarnation;
}

/* Of its objects. */
static uint64_t size_of(const struct segment *segment)
{
	uint64_t bytes = segment->facts.object_bytes;

	for (uint32_t i = 0; i < segment->directory.n_entries; i++) {
		if (segment->directory.entries[i].part > 0)
			bytes += segment->directory.entries[i].section.stored_bytes;
	}
	return bytes;
}

/* What counts can go once nobody needs it; all else stays, for whoever repairs it. */
static int add_listed_locked(struct keeper *k, struct keeper_journal *journal,
	const struct catalogue_segment *s) REQUIRES(k->lock)
{
	struct keeper_segment missing = {.is_kept = true};
	struct keeper_segment segment = {
		.is_there = true, .is_kept = s->problem != NULL || s->segment.type == SEGMENT_SEAL};
	int r = 0;

	while (r == 0 && journal->first + journal->n < s->position.sequence)
		r = keeper_add_segment_locked(k, journal, &missing);
	if (s->problem == NULL) {
		segment.bytes = size_of(&s->segment);
		segment.n_parts = (uint16_t)s->segment.n_parts;
		if (s->segment.created_ms > k->newest_ms)
			k->newest_ms = s->segment.created_ms;
	}
	return r == 0 ? keeper_add_segment_locked(k, journal, &segment) : r;
}

/* All of one journal, which begins with s[0]. */
static int add_journal_locked(struct keeper *k, struct keeper_journal *journal,
	const struct catalogue_segment *s, size_t n, uint64_t last) REQUIRES(k->lock)
{
	int r = 0;

	*journal = (struct keeper_journal){.node = s->position.node,
		.incarnation = s->position.incarnation,
		.first = s->position.sequence};
	for (size_t i = 0; r == 0 && i < n && s[i].position.sequence <= last; i++)
		r = add_listed_locked(k, journal, &s[i]);
	return r;
}

/* What the journal has told of since belongs behind what was listed. */
static int add_own_locked(struct keeper *k, const struct catalogue_segment *s, size_t n)
	REQUIRES(k->lock)
{
	struct keeper_journal *own = &k->journals[KEEPER_OWN], told = *own;
	struct keeper_segment missing = {.is_kept = true};
	int r;

	if (s->position.sequence > k->own_loaded)
		return 0;
	r = add_journal_locked(k, own, s, n, k->own_loaded);
	while (r == 0 && own->first + own->n < told.first)
		r = keeper_add_segment_locked(k, own, &missing);
	for (size_t i = 0; r == 0 && i < told.n; i++)
		r = keeper_add_segment_locked(k, own, &told.segments[told.begin + i]);
	if (r == 0)
		free(told.segments);
	else
		*own = told;
	return r;
}

static int add_journals_locked(struct keeper *k, const struct catalogue *c) REQUIRES(k->lock)
{
	struct keeper_journal *bigger =
		reallocarray(k->journals, c->n_journals + 1, sizeof(*bigger));
	size_t from = 0, end;
	int r = 0;

	if (bigger == NULL)
		return -ENOMEM;
	k->journals = bigger;
	for (; r == 0 && from < c->n_segments; from = end) {
		const struct catalogue_segment *s = &c->segments[from];

		for (end = from; end < c->n_segments &&
				 position_same_journal(&s->position, &c->segments[end].position);
			end++)
			;
		if (is_own(k, &s->position))
			r = add_own_locked(k, s, end - from);
		else
			r = add_journal_locked(
				k, &k->journals[k->n_journals++], s, end - from, UINT64_MAX);
	}
	return r;
}

static uint32_t find_journal_locked(const struct keeper *k, const struct position *position)
	REQUIRES(k->lock)
{
	uint32_t i = 0;

	while (i < k->n_journals &&
		(memcmp(&k->journals[i].node, &position->node, sizeof(position->node)) != 0 ||
			k->journals[i].incarnation != position->incarnation))
		i++;
	return i;
}

/* Items of one account follow each other. */
static int add_items_locked(struct keeper *k, const struct catalogue *c) REQUIRES(k->lock)
{
	struct keeper_tail *tail = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n_items; i++) {
		const struct catalogue_segment *s = &c->segments[c->items[i].segment];
		struct keeper_item item = {.sequence = s->position.sequence,
			.journal = find_journal_locked(k, &s->position)};

		if (item.journal == KEEPER_OWN && item.sequence > k->own_loaded)
			continue; /* the journal tells of it */
		for (uint32_t e = 0; e < c->items[i].n_entries; e++)
			item.bytes += s->segment.directory.entries[c->items[i].entry + e]
					      .section.stored_bytes;
		if (tail == NULL || tail->account != c->items[i].account) {
			tail = keeper_tail_locked(k, c->items[i].account);
			if (tail == NULL)
				return -ENOMEM;
			k->n_unlooked += !tail->is_catalogued;
			tail->is_catalogued = true;
		}
		r = keeper_add_item_locked(k, tail, &item);
		if (i % ITEMS_AT_ONCE == 0) { /* the journal's thread may have something to tell */
			lock_release(&k->lock);
			lock_acquire(&k->lock);
		}
	}
	return r;
}

int keeper_load(struct keeper *k)
{
	struct catalogue_options options = {.backend = k->options.backend,
		.priority = BACKEND_BACKGROUND,
		.volume = k->options.volume,
		.cancelled = &k->stopping,
		.cancellation = &k->cancellation};
	CLEANUP_FREE char *message = NULL;
	int r = catalogue_load(&options, &k->catalogue, &message);

	if (r < 0) {
		k->catalogue = NULL;
		if (r != -ECANCELED && k->load_failures == 0)
			log_warning("the journals cannot be read, and are kept: %s",
				message != NULL ? message : strerror(-r));
		return r;
	}
	lock_acquire(&k->lock);
	r = add_journals_locked(k, k->catalogue);
	if (r == 0)
		r = add_items_locked(k, k->catalogue);
	k->figures.is_loaded = r == 0;
	lock_release(&k->lock);
	return r;
}

/* ---- one account */

#define MAX_LISTED 100000

struct looked {
	struct keeper_old *old; /* heads, as keeper_tail.old */
	size_t n_old;
	uint64_t highest;
	char **strays; /* parts without a head */
	size_t n_strays;
	struct catalogue_plan plan;
	bool has_plan;
};

static void looked_done(struct looked *l)
{
	for (size_t i = 0; i < l->n_strays; i++)
		free(l->strays[i]);
	free(l->strays);
	free(l->old);
	catalogue_plan_done(&l->plan);
}

static int add_stray(struct looked *l, const char *key)
{
	char **bigger = reallocarray(l->strays, l->n_strays + 1, sizeof(char *));

	if (bigger == NULL)
		return -ENOMEM;
	l->strays = bigger;
	l->strays[l->n_strays] = strdup(key);
	return l->strays[l->n_strays++] == NULL ? -ENOMEM : 0;
}

/* Parts come behind their head. */
static int add_listed(struct looked *l, const struct backend_entry *entry)
{
	struct keeper_old *bigger, *last = l->n_old > 0 ? &l->old[l->n_old - 1] : NULL;
	uint32_t account;
	uint64_t number;
	uint16_t part;

	if (!position_parse_checkpoint_part_key(entry->key, &account, &number, &part))
		return 0;
	l->highest = number;
	if (part > 0 && (last == NULL || last->number != number))
		return add_stray(l, entry->key);
	if (part > 0) {
		last->n_parts = part > last->n_parts ? part : last->n_parts;
		return 0;
	}
	bigger = reallocarray(l->old, l->n_old + 1, sizeof(*bigger));
	if (bigger == NULL)
		return -ENOMEM;
	l->old = bigger;
	l->old[l->n_old++] =
		(struct keeper_old){.number = number, .created_ms = entry->modified_ms};
	return 0;
}

static int list_checkpoints(struct keeper *k, uint32_t account, struct looked *l)
{
	char path[ACCOUNT_PATH_BYTES], prefix[POSITION_CHECKPOINT_KEY_BYTES];
	CLEANUP_FREE char *continuation = NULL;
	struct backend_result page;
	int r;

	account_path_format(account, path);
	snprintf(prefix, sizeof(prefix), "%s/checkpoint/", path);
	do {
		r = keeper_call_list(k, prefix, continuation, &page);
		if (r < 0)
			return r;
		for (size_t i = 0; r == 0 && i < page.n_entries; i++)
			r = add_listed(l, &page.entries[i]);
		free(continuation);
		continuation = TAKE_PTR(page.continuation);
		backend_result_done(&page);
		if (l->n_old > MAX_LISTED)
			return -EFBIG;
	} while (r == 0 && continuation != NULL);
	return r;
}

/* An account that cannot be restored from what is there needs all of it, until it has a new
 * checkpoint. */
static int make_plan(struct keeper *k, uint32_t account, struct looked *l)
{
	CLEANUP_FREE char *message = NULL;
	struct keeper_tail *tail;
	bool is_catalogued;
	int r;

	lock_acquire(&k->lock);
	tail = keeper_find_locked(k, account);
	is_catalogued = tail != NULL && tail->is_catalogued;
	lock_release(&k->lock);
	if (!is_catalogued)
		return 0;
	r = catalogue_plan(k->catalogue, account, BACKEND_BACKGROUND, &l->plan, &message);
	l->has_plan = r == 0 && l->plan.uncertain_checkpoint == 0;
	return r == -EBADMSG || r == -ENOENT ? 0 : r;
}

/* What the plan has passed over has replaced nothing: it must not count as the newest one. Nobody
 * needs it, so it comes first, and goes before what is whole. */
static void sort_passed_over(struct looked *l)
{
	size_t n = 0;

	if (!l->has_plan || !l->plan.has_checkpoint)
		return;
	while (n < l->n_old && l->old[l->n_old - 1 - n].number > l->plan.checkpoint_number)
		n++;
	for (size_t i = 0; i < n; i++) {
		struct keeper_old last = l->old[l->n_old - 1];

		memmove(l->old + 1, l->old, (l->n_old - 1) * sizeof(*l->old));
		l->old[0] = last;
	}
}

/* The segments that a plan names, sorted. */
struct needed {
	struct keeper_mark *marks;
	size_t n;
	uint64_t own_loaded;
};

static int compare_marks(const void *a, const void *b)
{
	const struct keeper_mark *x = a, *y = b;

	if (x->journal != y->journal)
		return x->journal < y->journal ? -1 : 1;
	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static bool is_planned(const void *arg, const struct keeper_item *item)
{
	const struct needed *needed = arg;
	struct keeper_mark mark = {.sequence = item->sequence, .journal = item->journal};

	if (item->journal == KEEPER_OWN && item->sequence > needed->own_loaded)
		return true; /* newer than the catalogue */
	return needed->n > 0 &&
	       bsearch(&mark, needed->marks, needed->n, sizeof(mark), compare_marks) != NULL;
}

static int drop_unplanned_locked(struct keeper *k, struct keeper_tail *tail,
	const struct catalogue_plan *plan) REQUIRES(k->lock)
{
	struct needed needed = {.own_loaded = k->own_loaded};
	struct position position;
	uint16_t part;

	needed.marks = calloc(plan->n_sections + 1, sizeof(*needed.marks));
	if (needed.marks == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < plan->n_sections; i++) {
		if (plan->sections[i].begins_step &&
			position_parse_segment_key(plan->sections[i].key, &position, &part))
			needed.marks[needed.n++] = (struct keeper_mark){
				position.sequence, find_journal_locked(k, &position)};
	}
	qsort(needed.marks, needed.n, sizeof(*needed.marks), compare_marks);
	keeper_drop_items_locked(k, tail, is_planned, &needed);
	free(needed.marks);
	return 0;
}

static int apply_locked(struct keeper *k, uint32_t account, struct looked *l) REQUIRES(k->lock)
{
	struct keeper_tail *tail = keeper_find_locked(k, account);
	int r = tail == NULL ? -ENOENT : 0;

	if (r == 0 && l->has_plan)
		r = drop_unplanned_locked(k, tail, &l->plan);
	if (r < 0)
		return r;
	if (l->has_plan)
		tail->is_empty = l->plan.has_checkpoint && l->plan.n_sections == 0;
	free(tail->old);
	tail->old = TAKE_PTR(l->old);
	tail->n_old = l->n_old;
	if (tail->number < l->highest)
		tail->number = l->highest;
	k->n_unlooked -= tail->is_catalogued;
	tail->is_catalogued = false;
	tail->is_looked = true;
	return 0;
}

static void remove_strays(struct keeper *k, const struct looked *l)
{
	for (size_t i = 0; i < l->n_strays; i++) {
		log_info("removing %s, which no checkpoint names", l->strays[i]);
		if (keeper_call_remove(k, l->strays[i]) < 0)
			break;
	}
}

int keeper_look(struct keeper *k, uint32_t account)
{
	struct looked l = {.n_old = 0};
	int r = list_checkpoints(k, account, &l);

	if (r == 0)
		r = make_plan(k, account, &l);
	if (r == 0) {
		sort_passed_over(&l);
		remove_strays(k, &l);
	}
	lock_acquire(&k->lock);
	if (r == 0)
		r = apply_locked(k, account, &l);
	lock_release(&k->lock);
	looked_done(&l);
	if (k->n_unlooked == 0) {
		catalogue_free(k->catalogue);
		k->catalogue = NULL;
	}
	return r;
}
