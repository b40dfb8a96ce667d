/*
 * keeper_remove.c: segments that no account needs any more, and checkpoints that were replaced.
 *
 * Segments go one after the other, oldest first, and each before its parts: so after any crash a
 * journal lacks a prefix, of which nothing counts, and at most some parts that no segment names.
 * These are found at the next start. Checkpoints go before their parts likewise.
 *
 * Where a journal ends has to be known for ever: a node that comes back must find its seal there.
 * And a store that was put back as it was (a copy of the disk) must notice that: the first segment
 * of its journal is then behind the one that it would go on with (journal_resume.c).
 */
#include <config.h>
#include "replication/keeper_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/shipped.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/log.h"

#define SEGMENTS_AT_ONCE 256

struct victim {
	struct position position;
	uint16_t n_parts;
};

/* ---- segments */

/* As long as any is, none of a journal goes that is so short that its first segments could have
 * been in flight: without its seal it would look like one whose first segment never came. */
static bool is_short_and_needed(const struct keeper_journal *j)
{
	bool is_needed = false;

	for (size_t i = 0; i < j->n; i++)
		is_needed = is_needed || j->segments[j->begin + i].n_needed > 0;
	return !journal_was_complete(1, j->first + j->n - 1) && is_needed;
}

static bool may_go_locked(const struct keeper *k, size_t journal) REQUIRES(k->lock)
{
	const struct keeper_journal *j = &k->journals[journal];
	const struct keeper_segment *s;

	if (j->n < 2)
		return false;
	s = &j->segments[j->begin];
	if (s->is_kept || s->n_needed > 0)
		return false;
	if (journal != KEEPER_OWN)
		return !is_short_and_needed(j);
	return j->first + j->n - 1 >= KEEPER_YOUNG_SEGMENTS;
}

static bool choose_locked(struct keeper *k, size_t *ret_journal, struct victim *ret)
	REQUIRES(k->lock)
{
	for (size_t i = 0; i < k->n_journals; i++) {
		const struct keeper_journal *j = &k->journals[i];

		if (!may_go_locked(k, i))
			continue;
		*ret_journal = i;
		*ret = (struct victim){.position = {.node = j->node,
					       .incarnation = j->incarnation,
					       .sequence = j->first},
			.n_parts = j->segments[j->begin].n_parts};
		return true;
	}
	return false;
}

static void forget_first_locked(struct keeper *k, size_t journal) REQUIRES(k->lock)
{
	struct keeper_journal *j = &k->journals[journal];

	j->bytes -= j->segments[j->begin].bytes;
	j->n_there--;
	j->begin++;
	j->first++;
	j->n--;
	k->figures.segments_removed++;
}

static int remove_segment(struct keeper *k, const struct victim *victim)
{
	char key[POSITION_SEGMENT_KEY_BYTES];
	int r = 0;

	failpoint("keeper.segment");
	for (uint32_t part = 0; r == 0 && part <= victim->n_parts; part++) {
		position_segment_key(&victim->position, (uint16_t)part, key);
		r = keeper_call_remove(k, key);
		failpoint(part == 0 ? "keeper.segment_removed" : "keeper.part_removed");
	}
	return r;
}

/* 1: there are more. */
static int remove_segments(struct keeper *k)
{
	struct victim victim;
	bool is_any = true;
	size_t journal;
	int r = 0;

	for (int i = 0; r == 0 && i < SEGMENTS_AT_ONCE && !atomic_load(&k->stopping); i++) {
		lock_acquire(&k->lock);
		is_any = k->figures.is_loaded && choose_locked(k, &journal, &victim);
		lock_release(&k->lock);
		if (!is_any)
			return 0;
		/* The store must not come back, after a loss of power, as one from before what is
		 * removed now. */
		if (i == 0)
			r = shipped_sync(k->options.node);
		if (r == 0)
			r = remove_segment(k, &victim);
		lock_acquire(&k->lock);
		if (r == 0)
			forget_first_locked(k, journal);
		lock_release(&k->lock);
	}
	return r < 0 ? r : is_any;
}

/* ---- checkpoints */

struct old_victim {
	uint32_t account;
	struct keeper_old old;
};

/* No journal has anything of the account any more. */
static bool is_forgotten_locked(const struct keeper *k, const struct keeper_tail *tail)
	REQUIRES(k->lock)
{
	for (size_t i = 0; i < tail->n_marks; i++) {
		if (tail->marks[i].sequence >= k->journals[tail->marks[i].journal].first)
			return false;
	}
	return true;
}

/* Its oldest checkpoint, if one has replaced it for so long; or its last, if there is nothing in it
 * and nothing else that could need it. */
static bool is_old_locked(const struct keeper *k, const struct keeper_tail *tail, int64_t now_ms)
	REQUIRES(k->lock)
{
	int64_t end_ms = now_ms - (int64_t)k->options.retention_ms;

	if (!tail->is_looked || tail->n_old == 0)
		return false;
	if (tail->n_old > 1)
		return tail->old[1].created_ms <= end_ms;
	return tail->is_empty && tail->n_items == 0 && tail->old[0].created_ms <= end_ms &&
	       is_forgotten_locked(k, tail);
}

static size_t choose_old(struct keeper *k, struct old_victim *ret, size_t max)
{
	int64_t now_ms = clock_realtime_ms();
	size_t n = 0;

	lock_acquire(&k->lock);
	for (size_t i = 0; i < k->n_tails && n < max; i++) {
		const struct keeper_tail *tail = k->tails[i];

		if (is_old_locked(k, tail, now_ms))
			ret[n++] = (struct old_victim){tail->account, tail->old[0]};
	}
	lock_release(&k->lock);
	return n;
}

static int remove_old(struct keeper *k, const struct old_victim *victim)
{
	char key[POSITION_CHECKPOINT_KEY_BYTES];
	int r = 0;

	failpoint("keeper.old_checkpoint");
	for (uint32_t part = 0; r == 0 && part <= victim->old.n_parts; part++) {
		position_checkpoint_part_key(
			victim->account, victim->old.number, (uint16_t)part, key);
		r = keeper_call_remove(k, key);
		failpoint("keeper.old_checkpoint_removed");
	}
	return r;
}

static void forget_old_locked(struct keeper *k, const struct old_victim *victim) REQUIRES(k->lock)
{
	struct keeper_tail *tail = keeper_find_locked(k, victim->account);

	k->figures.checkpoints_removed++;
	if (tail == NULL || tail->n_old == 0 || tail->old[0].number != victim->old.number)
		return;
	memmove(tail->old, tail->old + 1, --tail->n_old * sizeof(*tail->old));
	if (tail->n_old == 0 && tail->is_empty && tail->n_items == 0)
		keeper_forget_tail_locked(k, tail);
}

static int remove_checkpoints(struct keeper *k)
{
	struct old_victim victims[KEEPER_BATCH_ACCOUNTS];
	size_t n = choose_old(k, victims, KEEPER_BATCH_ACCOUNTS);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n && !atomic_load(&k->stopping); i++) {
		r = remove_old(k, &victims[i]);
		lock_acquire(&k->lock);
		if (r == 0)
			forget_old_locked(k, &victims[i]);
		lock_release(&k->lock);
	}
	return r < 0 ? r : n > 0;
}

int keeper_remove(struct keeper *k)
{
	int r = remove_segments(k), s = 0;

	if (r >= 0)
		s = remove_checkpoints(k);
	return r < 0 || s < 0 ? (r < 0 ? r : s) : r || s;
}

/* ---- strays */

/* Parts of segments that are gone. */
static bool is_stray(struct keeper *k, const struct position *position, uint16_t part)
{
	bool is_stray = false;

	lock_acquire(&k->lock);
	for (size_t i = 0; i < k->n_journals; i++) {
		const struct keeper_journal *j = &k->journals[i];

		if (j->incarnation != position->incarnation || j->n == 0 ||
			memcmp(&j->node, &position->node, sizeof(j->node)) != 0)
			continue;
		is_stray = part > 0 && position->sequence < j->first;
	}
	lock_release(&k->lock);
	return is_stray;
}

static int remove_strays_of(struct keeper *k, const struct backend_result *page)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < page->n_entries && !atomic_load(&k->stopping); i++) {
		const char *key = page->entries[i].key;
		struct position position;
		uint16_t part;

		if (!position_parse_segment_key(key, &position, &part) ||
			!is_stray(k, &position, part))
			continue;
		log_info("removing %s, whose segment was removed", key);
		r = keeper_call_remove(k, key);
	}
	return r;
}

int keeper_remove_strays(struct keeper *k)
{
	char *continuation = NULL;
	struct backend_result page;
	int r;

	do {
		r = keeper_call_list(k, "journal/", continuation, &page);
		if (r < 0)
			break;
		r = remove_strays_of(k, &page);
		free(continuation);
		continuation = page.continuation;
		page.continuation = NULL;
		backend_result_done(&page);
	} while (r == 0 && continuation != NULL && !atomic_load(&k->stopping));
	free(continuation);
	return r;
}
