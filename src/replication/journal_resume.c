/*
 * journal_resume.c: where the journal ended, after any kind of end.
 *
 * The node's own notes say which segments it has begun to put and what they have; the backend says
 * which of them are there. So three things are known exactly: behind which segment to go on, what
 * the node has changed since its cut (log_scan.h), and whether the backend knows of more than the
 * node does.
 */
#include <config.h>
#include "replication/journal_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/adoption.h"
#include "cache/log_scan.h"
#include "util/cleanup.h"
#include "util/log.h"

#define LIST_PAGE_ENTRIES 1000

/* Listings go by the key's text without its last two digits. */
#define BLOCK_SEGMENTS 256
#define BLOCK_DIGITS 2

struct resume {
	struct journal *journal;
	struct shipped notes[SHIPPED_MAX_NOTES];
	size_t n_notes;
	bool has_base; /* something was shipped */
	uint64_t base; /* the store's number up to which */

	/* Of the journal that is looked at: this incarnation's, or an earlier one's. */
	uint64_t incarnation;
	uint64_t complete_sequence, next_sequence, last_checksum;
	uint64_t last_there; /* when it was listed; 0: nothing is */
	bool is_sealed;
	bool is_doubtful; /* something may still land in it */
	char **ret_message;
};

__attribute__((format(printf, 3, 4))) static int fail(
	struct resume *s, int r, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)!vasprintf(s->ret_message, format, arguments);
	va_end(arguments);
	return r;
}

static struct position position_at(const struct resume *s, uint64_t sequence)
{
	return (struct position){.node = s->journal->options.node,
		.incarnation = s->incarnation,
		.sequence = sequence};
}

/* ---- the segments that are there */

/* -ENOENT; -EBADMSG with a message. */
static int fetch(struct resume *s, const struct position *at, struct segment *ret)
{
	char key[POSITION_SEGMENT_KEY_BYTES];
	size_t wanted = FRAME_FIRST_READ_BYTES, needed = 0;
	struct backend_result result;
	const char *problem = NULL;
	int r;

	position_segment_key(at, 0, key);
	do {
		r = backend_get_wait(s->journal->backend, key, 0, wanted, &result);
		if (r < 0)
			return r == -ENOENT ? r
					    : fail(s, r, "cannot read %s: %s", key, strerror(-r));
		r = segment_decode(result.data, result.data_size_bytes, at, ret, &needed, &problem);
		backend_result_done(&result);
		if (r == -EAGAIN && needed <= wanted) {
			r = -EBADMSG;
			problem = "it is cut short";
		}
		wanted = needed;
	} while (r == -EAGAIN);
	if (r == -EBADMSG)
		return fail(s, r, "%s is damaged: %s", key, problem);
	return r;
}

static const struct shipped *find_note(const struct resume *s, uint64_t sequence)
{
	for (size_t i = 0; i < s->n_notes; i++) {
		if (s->notes[i].incarnation == s->incarnation && s->notes[i].sequence == sequence)
			return &s->notes[i];
	}
	return NULL;
}

static int superseded(struct resume *s)
{
	return fail(s, -ESTALE,
		"another node has taken over this node's journal: its state directory is "
		"superseded");
}

/* The segment is there: is it the one that this store has noted? */
static int check(struct resume *s, const struct segment *segment, const struct shipped *note)
{
	if (note != NULL && note->checksum != segment->facts.head_checksum)
		return superseded(s);
	if (note == NULL && !s->journal->options.catches_up)
		return fail(s, -EUCLEAN,
			"the backend has segment %llu of this node's journal, which the local "
			"store does not know of, as after a loss of power",
			(unsigned long long)segment->position.sequence);
	return 0;
}

/* An earlier incarnation's journal ends with this node's own seal. */
static int check_seal(struct resume *s, const struct segment *segment)
{
	const struct journal_options *o = &s->journal->options;

	if (s->incarnation == o->incarnation ||
		memcmp(segment->taker.bytes, o->node.bytes, UUID_BYTES) != 0)
		return superseded(s);
	s->is_sealed = true;
	return 0;
}

static void go_behind(struct resume *s, const struct shipped *note)
{
	s->complete_sequence = note->sequence;
	s->next_sequence = note->sequence + 1;
	s->last_checksum = note->checksum;
	s->has_base = true;
	s->base = note->store_sequence;
}

/* Each once; the directory is sorted. */
static int list_accounts(const struct directory *d, uint32_t **ret, size_t *ret_n)
{
	uint32_t *accounts = calloc((size_t)d->n_entries + 1, sizeof(*accounts));
	size_t n = 0;

	if (accounts == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->n_entries; i++) {
		if (n == 0 || accounts[n - 1] != d->entries[i].account)
			accounts[n++] = d->entries[i].account;
	}
	*ret = accounts;
	*ret_n = n;
	return 0;
}

/* This store is behind, so what it has of these accounts is of no use any more: they are loaded
 * anew. The base stays: changes of other accounts since then may not have been shipped. */
static int catch_up(struct resume *s, const struct segment *segment, const uint32_t *accounts,
	size_t n_accounts, struct shipped *ret)
{
	*ret = (struct shipped){.incarnation = s->incarnation,
		.sequence = segment->position.sequence,
		.store_sequence = s->has_base ? s->base : 0,
		.checksum = segment->facts.head_checksum};
	log_warning("the local store lacks what segment %llu of this node's journal has: its "
		    "accounts are loaded from the backend",
		(unsigned long long)ret->sequence);
	s->is_doubtful = true; /* its notes may be gone as well */
	return adoption_expect(s->journal->node, accounts, n_accounts);
}

/* What the end of the last process kept from being noted. */
static int take(struct resume *s, const struct segment *segment)
{
	const struct shipped *noted = find_note(s, segment->position.sequence);
	CLEANUP_FREE uint32_t *accounts = NULL;
	struct shipped note = {0};
	size_t n = 0;
	int r = check(s, segment, noted);

	if (r == 0)
		r = list_accounts(&segment->directory, &accounts, &n);
	if (r == 0 && noted != NULL)
		note = *noted;
	else if (r == 0)
		r = catch_up(s, segment, accounts, n, &note);
	if (r == 0)
		r = shipped_complete(
			s->journal->node, &note, &s->journal->options.node, accounts, n);
	if (r == 0)
		go_behind(s, &note);
	return r;
}

/* *ret_is_end: there is no such segment, or a seal. */
static int look_at_next(struct resume *s, bool *ret_is_end)
{
	struct position at = position_at(s, s->next_sequence);
	struct segment segment;
	int r = fetch(s, &at, &segment);

	*ret_is_end = r == -ENOENT;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	*ret_is_end = segment.type == SEGMENT_SEAL;
	r = *ret_is_end ? check_seal(s, &segment) : take(s, &segment);
	segment_done(&segment);
	return r;
}

/* ---- what is behind the end: puts that overtook one that never came */

/* Nobody reads it, since one before is missing; nor has it been acknowledged. */
static int remove_stray(struct resume *s, const char *key)
{
	struct position position, end = position_at(s, s->next_sequence);
	uint16_t part;
	int r;

	if (!position_parse_segment_key(key, &position, &part) ||
		!position_same_journal(&position, &end) || position.sequence < end.sequence ||
		(position.sequence == end.sequence && part == 0))
		return 0;
	s->is_doubtful = true;
	if (s->journal->options.never_reuses)
		return 0; /* the seal will end it */
	log_info("removing %s, which follows a segment that does not exist", key);
	r = backend_remove_wait(s->journal->backend, key);
	return r < 0 ? fail(s, r, "cannot remove %s: %s", key, strerror(-r)) : 0;
}

static int remove_strays_below(struct resume *s, const char *prefix)
{
	CLEANUP_FREE char *continuation = NULL;
	struct backend_result result;
	int r;

	do {
		r = backend_list_wait(
			s->journal->backend, prefix, continuation, LIST_PAGE_ENTRIES, &result);
		if (r < 0)
			return fail(s, r, "cannot list %s: %s", prefix, strerror(-r));
		for (size_t i = 0; r == 0 && i < result.n_entries; i++)
			r = remove_stray(s, result.entries[i].key);
		free(continuation);
		continuation = TAKE_PTR(result.continuation);
		backend_result_done(&result);
	} while (r == 0 && continuation != NULL);
	return r;
}

/* What was in flight is less than JOURNAL_IN_FLIGHT above, so two blocks are enough. */
static int remove_strays(struct resume *s)
{
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < 2; i++) {
		struct position at = position_at(s, s->next_sequence + i * JOURNAL_IN_FLIGHT);
		char prefix[POSITION_SEGMENT_KEY_BYTES];

		if (i > 0 && at.sequence / BLOCK_SEGMENTS == s->next_sequence / BLOCK_SEGMENTS)
			break;
		position_segment_key(&at, 0, prefix);
		prefix[strlen(prefix) - BLOCK_DIGITS] = '\0';
		r = remove_strays_below(s, prefix);
	}
	return r;
}

/* ---- a store that is older than what was removed from the journal */

/* The first and the last segment that there are; 0: there is none. */
static int find_ends(struct resume *s, uint64_t *ret_first, uint64_t *ret_last)
{
	struct position position = position_at(s, 0);
	CLEANUP_FREE char *continuation = NULL;
	char prefix[POSITION_SEGMENT_KEY_BYTES];
	struct backend_result page;
	uint16_t part;
	int r;

	*ret_first = *ret_last = 0;
	position_journal_prefix(&position, prefix);
	do {
		r = backend_list_wait(
			s->journal->backend, prefix, continuation, LIST_PAGE_ENTRIES, &page);
		if (r < 0)
			return fail(s, r, "cannot list %s: %s", prefix, strerror(-r));
		for (size_t i = 0; i < page.n_entries; i++) {
			if (!position_parse_segment_key(page.entries[i].key, &position, &part) ||
				part > 0)
				continue;
			if (*ret_first == 0)
				*ret_first = position.sequence;
			*ret_last = position.sequence;
		}
		free(continuation);
		continuation = TAKE_PTR(page.continuation);
		backend_result_done(&page);
	} while (continuation != NULL);
	return 0;
}

/* The keeper removes nothing behind the last segment that this store knew to be complete, as long
 * as the store is the one that it was. The first segment of all may never have come, if all there
 * is was in flight with it; of a journal as short as that nothing is removed. */
static int check_first(struct resume *s)
{
	uint64_t first;
	int r = find_ends(s, &first, &s->last_there);

	if (r < 0 || first <= s->next_sequence)
		return r;
	if (s->next_sequence == 1 && !journal_was_complete(1, s->last_there))
		return 0;
	return fail(s, -ESTALE,
		"the local store is older than the journal, of which segments that it does not "
		"know "
		"were removed, as when an old copy of the disk was put back: its state directory "
		"is "
		"superseded");
}

/* ---- a segment that neither the backend has nor the store */

static int lost(struct resume *s, const struct position *later)
{
	struct position missing = position_at(s, s->next_sequence);
	char key[POSITION_SEGMENT_KEY_BYTES], later_key[POSITION_SEGMENT_KEY_BYTES];

	position_segment_key(&missing, 0, key);
	position_segment_key(later, 0, later_key);
	return fail(s, -EBADMSG,
		"%s is missing, though it was complete before %s was begun, and the local store, "
		"which is behind, lacks what it had: put it back, or mount with an empty state "
		"directory to get all accounts that do not need it",
		key, later_key);
}

/* The end that was found is one only if all behind it can have been in flight. A seal behind it is
 * of another node, which takes over, or of this one: that was put behind all there was. */
static int check_end(struct resume *s)
{
	struct position later = position_at(s, s->last_there);
	struct segment segment;
	bool is_of_other;
	int r;

	if (!journal_was_complete(s->next_sequence, s->last_there))
		return 0;
	r = fetch(s, &later, &segment);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	is_of_other = segment.type == SEGMENT_SEAL &&
		      memcmp(segment.taker.bytes, s->journal->options.node.bytes, UUID_BYTES) != 0;
	segment_done(&segment);
	return is_of_other ? superseded(s) : lost(s, &later);
}

/* ---- the whole */

/* Behind the last that is known to be complete. */
static void begin_at_notes(struct resume *s, uint64_t incarnation)
{
	s->incarnation = incarnation;
	s->next_sequence = 1;
	s->complete_sequence = s->last_checksum = 0;
	s->is_sealed = s->is_doubtful = false;
	for (size_t i = 0; i < s->n_notes; i++) {
		if (s->notes[i].is_complete && s->notes[i].incarnation == incarnation)
			go_behind(s, &s->notes[i]);
	}
}

/* Segments that were begun and are not there. */
static bool has_begun_more(const struct resume *s)
{
	for (size_t i = 0; i < s->n_notes; i++) {
		if (s->notes[i].incarnation == s->incarnation &&
			s->notes[i].sequence >= s->next_sequence)
			return true;
	}
	return false;
}

static int walk(struct resume *s, uint64_t incarnation)
{
	bool is_end = false;
	int r = 0;

	begin_at_notes(s, incarnation);
	r = check_first(s);
	while (r == 0 && !is_end)
		r = look_at_next(s, &is_end);
	if (r == 0 && !s->is_sealed)
		r = check_end(s);
	if (r == 0 && !s->is_sealed)
		r = remove_strays(s);
	if (r == 0 && has_begun_more(s))
		s->is_doubtful = true;
	if (r < 0 || s->is_sealed || !s->is_doubtful || !s->journal->options.never_reuses)
		return r;
	return fail(s, -EALREADY,
		"segments that an earlier process has begun may still reach the backend");
}

/* Earlier incarnations of which there are notes, to where they were sealed; then this one. */
static int walk_all(struct resume *s)
{
	struct journal *j = s->journal;
	uint64_t last = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_notes; i++) {
		const struct shipped *note = &s->notes[i];

		if (note->incarnation >= j->options.incarnation)
			break;
		if (note->is_complete) {
			s->has_base = true;
			s->base = note->store_sequence;
		}
		if (note->incarnation != last && j->options.never_reuses)
			r = walk(s, note->incarnation);
		last = note->incarnation;
	}
	if (r == 0)
		r = walk(s, j->options.incarnation);
	if (r < 0)
		return r;
	j->complete_sequence = s->complete_sequence;
	j->next_sequence = s->next_sequence;
	j->last_checksum = s->last_checksum;
	j->base = (struct shipped){.incarnation = j->options.incarnation,
		.sequence = s->complete_sequence,
		.store_sequence = s->has_base ? s->base : 0,
		.checksum = s->last_checksum,
		.is_complete = true};
	return 0;
}

/* Of segments that never came, of earlier incarnations, and of those long complete. The base of an
 * earlier incarnation stays until there is one in this. */
static int forget_notes(struct resume *s)
{
	const struct journal *j = s->journal;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_notes; i++) {
		const struct shipped *note = &s->notes[i];
		bool is_of_this = note->incarnation == j->options.incarnation;

		if (note->sequence == j->next_sequence - 1 && is_of_this)
			continue;
		if (!is_of_this && note->is_complete && j->next_sequence == 1)
			continue;
		r = shipped_forget(j->node, note);
	}
	return r;
}

/* Of an empty store everything that comes is known from here on; and accounts that are loaded are
 * no changes. */
static int begin_base(struct resume *s)
{
	struct journal *j = s->journal;
	int r = log_scan_note_all(j->node);

	if (r < 0 || cut_is_needed(j->node))
		return r;
	j->base.store_sequence = shipped_store_sequence(j->node);
	return shipped_note(j->node, &j->base, false);
}

static int find_changes(struct resume *s)
{
	bool is_whole = false;

	if (!s->has_base)
		return begin_base(s);
	return log_scan_note(s->journal->node, s->base, &is_whole);
}

int journal_resume(struct journal *j, char **ret_message)
{
	struct resume s = {.journal = j, .ret_message = ret_message};
	int r = shipped_load(j->node, s.notes, &s.n_notes);

	if (r == -EBADMSG)
		return fail(&s, r, "the local store's notes of its journal are damaged");
	if (r == 0)
		r = walk_all(&s);
	if (r == 0)
		r = shipped_load(j->node, s.notes, &s.n_notes); /* with what was completed */
	if (r == 0)
		r = forget_notes(&s);
	return r == 0 ? find_changes(&s) : r;
}
