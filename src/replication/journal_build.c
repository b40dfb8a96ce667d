/*
 * journal_build.c: from a cut to a segment and its parts.
 *
 * Sections gather in a pile. When that would outgrow an object it becomes a part, and is put while
 * the rest is built; what is left at the end goes into the segment itself.
 */
#include <config.h>
#include "replication/journal_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/clock.h"
#include "util/failpoint.h"

#define ACCOUNT_BYTES sizeof(uint32_t) /* in front of the store's keys, not of a section's */

/* With each cut the most that waited at once comes nearer to how many do, by this part. */
#define MOST_FADES 8

struct piled {
	uint32_t account;
	struct section section;
};

struct build {
	struct journal *journal;
	struct journal_segment *segment;
	uint32_t account; /* the one whose records come */
	struct piled *pile;
	size_t n_piled, pile_capacity;
	uint64_t pile_bytes;
	uint16_t n_parts;
};

void journal_segment_free(struct journal_segment *segment)
{
	if (segment == NULL)
		return;
	for (size_t i = 0; i < segment->n_puts; i++)
		journal_put_free(segment->puts[i]);
	free(segment->puts);
	free(segment->accounts);
	segment_done(&segment->segment);
	free(segment);
}

/* ---- objects */

int journal_find_latest(struct journal *j, uint32_t account, struct position *ret, bool *ret_has)
{
	uint64_t *sequence = map64_find(&j->latest, (uint64_t)account + 1);
	struct shipped_position latest = {
		.node = j->options.node, .incarnation = j->options.incarnation};
	int r = 0;

	if (sequence != NULL)
		latest.sequence = *sequence;
	else
		r = shipped_latest(j->node, account, &latest);
	*ret = (struct position){latest.node, latest.incarnation, latest.sequence};
	*ret_has = r == 0;
	return r == -ENOENT ? 0 : r;
}

/* Moves the pile into the directory and into the put. */
static int empty_pile(struct build *b, uint16_t part, struct journal_put *put)
{
	struct directory *directory = &b->segment->segment.directory;
	int r = 0;

	put->contents = calloc(b->n_piled + 1, sizeof(void *));
	if (put->contents == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < b->n_piled; i++) {
		struct piled *p = &b->pile[i];
		struct position previous;
		bool has = false;

		r = journal_find_latest(b->journal, p->account, &previous, &has);
		if (r == 0)
			r = directory_add(
				directory, p->account, part, has ? &previous : NULL, &p->section);
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < b->n_piled; i++)
		put->contents[put->n_contents++] = b->pile[i].section.stored;
	b->n_piled = 0;
	b->pile_bytes = 0;
	return 0;
}

static int add_put(struct build *b, struct journal_put *put)
{
	struct journal_segment *s = b->segment;
	struct journal_put **puts = calloc(s->n_puts + 1, sizeof(struct journal_put *)), **old;

	if (puts == NULL)
		return -ENOMEM;
	lock_acquire(&b->journal->lock);
	if (s->n_puts > 0)
		memcpy(puts, s->puts, s->n_puts * sizeof(struct journal_put *));
	old = s->puts;
	s->puts = puts;
	s->puts[s->n_puts++] = put;
	s->n_left++;
	b->journal->memory_bytes += put->frame.size_bytes;
	lock_release(&b->journal->lock);
	free(old);
	return 0;
}

/* Makes the pile the object `part`. The segment itself must not begin before it was noted. */
static int make_put(struct build *b, uint16_t part)
{
	struct segment *segment = &b->segment->segment;
	struct journal_put *put = calloc(1, sizeof(*put));
	int r;

	if (put == NULL)
		return -ENOMEM;
	put->segment = b->segment;
	put->part = part;
	position_segment_key(&segment->position, part, put->key);
	r = empty_pile(b, part, put);
	if (r == 0)
		r = part > 0 ? segment_encode_part(segment, part, &put->frame)
			     : segment_encode(segment, &put->frame);
	b->segment->note.checksum = put->frame.head_checksum;
	if (r == 0 && part == 0)
		r = shipped_note(
			b->journal->node, &b->segment->note, b->journal->options.syncs_notes);
	if (part == 0)
		failpoint("journal.noted");
	if (r == 0)
		r = add_put(b, put);
	if (r < 0)
		journal_put_free(put);
	return r;
}

/* While too much is on its way. */
static int wait_for_memory(struct build *b)
{
	struct journal *j = b->journal;
	int r;

	lock_acquire(&j->lock);
	while (j->error == 0 && !j->is_stopping &&
		j->memory_bytes + j->options.part_bytes > j->options.memory_bytes &&
		j->memory_bytes > 0)
		journal_step_locked(j, UINT64_MAX);
	journal_step_locked(j, 0);
	r = j->error != 0 ? j->error : j->is_stopping ? -ECANCELED : 0;
	lock_release(&j->lock);
	return r;
}

static int make_part(struct build *b)
{
	int r = b->n_parts == DIRECTORY_MAX_PARTS ? -EFBIG : make_put(b, ++b->n_parts);

	return r == 0 ? wait_for_memory(b) : r;
}

/* ---- sections */

static int grow_pile(struct build *b)
{
	size_t capacity = b->pile_capacity > 0 ? 2 * b->pile_capacity : 16;
	struct piled *pile;

	if (b->n_piled < b->pile_capacity)
		return 0;
	pile = realloc(b->pile, capacity * sizeof(*pile));
	if (pile == NULL)
		return -ENOMEM;
	b->pile = pile;
	b->pile_capacity = capacity;
	return 0;
}

/* Ends the section that is being built. */
static int end_section(struct build *b)
{
	struct section section;
	int r;

	if (section_builder_content_bytes(b->journal->builder) == 0)
		return 0;
	r = section_builder_finish(b->journal->builder, &section);
	if (r < 0)
		return r;
	if (b->n_piled > 0 &&
		b->pile_bytes + section.info.stored_bytes > b->journal->options.part_bytes)
		r = make_part(b);
	if (r == 0)
		r = grow_pile(b);
	if (r < 0) {
		section_done(&section);
		return r;
	}
	b->pile_bytes += section.info.stored_bytes;
	b->pile[b->n_piled++] = (struct piled){b->account, section};
	return 0;
}

static int add(struct section_builder *builder, const struct cut_record *record)
{
	enum section_table table = record->table == STORE_META ? SECTION_META : SECTION_DATA;
	const uint8_t *key = record->key + ACCOUNT_BYTES;
	size_t key_bytes = record->key_bytes - ACCOUNT_BYTES;

	if (record->to != NULL)
		return section_builder_remove_range(builder, table, key, key_bytes,
			record->to + ACCOUNT_BYTES, record->to_bytes - ACCOUNT_BYTES);
	if (record->value == NULL)
		return section_builder_remove(builder, table, key, key_bytes);
	return section_builder_put(
		builder, table, key, key_bytes, record->value, record->value_bytes);
}

static int take(void *arg, const struct cut_record *record)
{
	struct build *b = arg;
	struct section_builder *builder = b->journal->builder;
	int r;

	if (record->key_bytes <= ACCOUNT_BYTES ||
		(record->to != NULL && record->to_bytes <= ACCOUNT_BYTES))
		return -EBADMSG;
	r = add(builder, record);
	if (r == -ENOSPC) {
		r = end_section(b);
		if (r == 0)
			r = add(builder, record);
	}
	return r;
}

/* Nothing of what was there before stays. */
static int begin_whole(struct build *b)
{
	int r = 0;

	for (int table = SECTION_META; r == 0 && table <= SECTION_DATA; table++)
		r = section_builder_remove_range(
			b->journal->builder, (enum section_table)table, "\x00", 1, "\xff", 1);
	return r;
}

static int build_account(struct build *b, const struct cut *cut, size_t i)
{
	int r = cut_has_account(cut, cut_account(cut, i));

	/* What was noted of one that has gone since would say that all of it was removed. */
	if (r <= 0)
		return r;
	r = 0;
	b->account = cut_account(cut, i);
	if (cut_is_whole(cut, i))
		r = begin_whole(b);
	if (r == 0)
		r = cut_each(cut, i, take, b);
	return r == 0 ? end_section(b) : r;
}

/* ---- the whole */

/* Accounts that have a section, each once; the directory is sorted. */
static int note_accounts(struct journal *j, struct journal_segment *s)
{
	const struct directory *d = &s->segment.directory;

	s->accounts = calloc((size_t)d->n_entries + 1, sizeof(uint32_t));
	if (s->accounts == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->n_entries; i++) {
		uint32_t account = d->entries[i].account;

		if (s->n_accounts == 0 || s->accounts[s->n_accounts - 1] != account)
			s->accounts[s->n_accounts++] = account;
	}
	for (size_t i = 0; i < s->n_accounts; i++) {
		if (map64_insert(&j->latest, (uint64_t)s->accounts[i] + 1) == NULL)
			return -ENOMEM; /* some hold 0: set or removed by the caller */
	}
	return 0;
}

static void settle_latest(struct journal *j, const struct journal_segment *s, bool built)
{
	for (size_t i = 0; i < s->n_accounts; i++) {
		uint64_t key = (uint64_t)s->accounts[i] + 1, *place = map64_find(&j->latest, key);

		if (place != NULL && built)
			*place = s->note.sequence;
		else if (place != NULL && *place == 0)
			map64_remove(&j->latest, key);
	}
}

/* With the last put; all puts are there afterwards, or none when there is nothing. */
static int build_all(struct build *b, const struct cut *cut)
{
	bool is_empty;
	int r = 0;

	for (size_t i = 0; r == 0 && i < cut_n_accounts(cut); i++)
		r = build_account(b, cut, i);
	is_empty = b->n_piled == 0 && b->n_parts == 0;
	if (r < 0 || is_empty)
		return r;
	assert(b->n_piled > 0); /* a part is made when there is more */
	return make_put(b, 0);
}

static struct journal_segment *new_segment(struct journal *j, const struct cut *cut)
{
	struct journal_segment *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->journal = j;
	s->lsn = cut_lsn(cut);
	s->note = (struct shipped){.incarnation = j->options.incarnation,
		.sequence = j->next_sequence,
		.store_sequence = cut_store_sequence(cut)};
	s->segment = (struct segment){.type = SEGMENT_CHANGES,
		.position = {.node = j->options.node,
			.incarnation = j->options.incarnation,
			.sequence = j->next_sequence},
		.created_ms = clock_realtime_ms(),
		.previous_checksum = j->last_checksum};
	return s;
}

/* Its number will be used again: none of its puts may come later. */
static void drop_locked(struct journal *j, struct journal_segment *s) REQUIRES(j->lock)
{
	bool runs;

	s->is_dropped = true;
	do {
		runs = false;
		for (size_t i = 0; i < s->n_puts; i++)
			runs = runs || s->puts[i]->state == JOURNAL_PUT_RUNS;
		if (runs)
			journal_step_locked(j, UINT64_MAX);
	} while (runs);
	for (size_t i = 0; i < s->n_puts; i++) {
		if (s->puts[i]->state == JOURNAL_PUT_WAITS)
			j->memory_bytes -= s->puts[i]->frame.size_bytes;
	}
	list_remove(&s->node);
	j->n_segments--;
}

static void free_pile(struct build *b)
{
	section_builder_clear(b->journal->builder);
	for (size_t i = 0; i < b->n_piled; i++)
		section_done(&b->pile[i].section);
	free(b->pile);
}

static size_t count_wanting_locked(struct journal *j) REQUIRES(j->lock)
{
	size_t count = 0;

	for (struct list_node *n = j->waiters.next; n != &j->waiters; n = n->next)
		count += LIST_ENTRY(n, struct journal_waiter, node)->lsn > j->cut_lsn;
	return count;
}

/* From now on it counts; what was noted since belongs to the next cut. */
static void accept_locked(struct journal *j, struct journal_segment *s) REQUIRES(j->lock)
{
	s->is_built = true;
	j->cut_lsn = s->lsn;
	j->n_wanting = count_wanting_locked(j);
	j->last_cut_ms = clock_monotonic_ms();
	j->most_waiters -= (j->most_waiters - j->n_waiters + MOST_FADES - 1) / MOST_FADES;
	if (j->max_wait_lsn <= s->lsn)
		j->wanted_since_ms = 0;
	if (s->n_puts > 0) {
		j->next_sequence++;
		j->last_checksum = s->note.checksum;
	}
}

static int build_segment(struct journal *j, const struct cut *cut, struct journal_segment *s)
{
	struct build b = {.journal = j, .segment = s};
	int r = build_all(&b, cut);

	if (r == 0)
		r = note_accounts(j, s);
	settle_latest(j, s, r == 0);
	free_pile(&b);
	return r;
}

/* The cut's number, and since when its changes have waited. */
static void begin_locked(struct journal *j, uint64_t *ret_cut, uint64_t *ret_since_ms)
	REQUIRES(j->lock)
{
	*ret_cut = ++j->n_cuts;
	*ret_since_ms = j->dirty_since_ms != 0 ? j->dirty_since_ms : clock_monotonic_ms();
	j->dirty_since_ms = 0;
}

int journal_build(struct journal *j)
{
	struct journal_segment *s = NULL;
	uint64_t number, since_ms;
	struct cut *cut = NULL;
	int r;

	lock_acquire(&j->lock);
	begin_locked(j, &number, &since_ms);
	lock_release(&j->lock);
	r = cut_take(j->node, &cut);
	failpoint("journal.cut");
	s = r == 0 ? new_segment(j, cut) : NULL;
	if (s == NULL) {
		cut_give_back(cut);
		return -ENOMEM;
	}
	s->cut = number;
	s->since_ms = since_ms;
	lock_acquire(&j->lock);
	list_append(&j->segments, &s->node);
	j->n_segments++;
	lock_release(&j->lock);
	r = build_segment(j, cut, s);
	lock_acquire(&j->lock);
	if (r == 0)
		accept_locked(j, s);
	else
		drop_locked(j, s);
	lock_release(&j->lock);
	if (r == 0) {
		journal_give_snapshot(j, cut, number);
		cut_done(cut);
		return 0;
	}
	journal_segment_free(s);
	cut_give_back(cut);
	return r;
}
