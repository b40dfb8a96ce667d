/*
 * catalogue_plan.c: what one account is made of (catalogue.h).
 */
#include <config.h>
#include "replication/catalogue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "replication/catalogue_private.h"
#include "replication/checkpoint.h"
#include "util/cleanup.h"
#include "util/message.h"

enum item_state {
	UNKNOWN,
	INCLUDED, /* the checkpoint has it */
	OLD,      /* so it does this, though what leads from here to there was removed */
	NEEDED,   /* leads to the checkpoint, or without one to the account's beginning */
	BROKEN,   /* something between is missing */
	LATER,    /* than what is asked for */
};

#define NONE SIZE_MAX

struct planner {
	const struct catalogue *c;
	uint32_t account;
	enum backend_priority priority;
	const struct catalogue_item *items; /* of the account */
	size_t n_items;
	struct catalogue_choice choice;      /* of its checkpoint */
	enum item_state *states;             /* of the items */
	bool is_early;                       /* some that are broken were left out */
	const struct catalogue_item **chain; /* those that are needed, the last one first */
	size_t n_chain;
	char **ret_message;
};

void catalogue_plan_done(struct catalogue_plan *plan)
{
	free(plan->sections);
	plan->sections = NULL;
	plan->n_sections = 0;
}

/* ---- the chain of segments */

static const struct position *position_of(
	const struct planner *p, const struct catalogue_item *item)
{
	return &p->c->segments[item->segment].position;
}

static const struct directory_entry *entry_of(
	const struct planner *p, const struct catalogue_item *item)
{
	return &p->c->segments[item->segment].segment.directory.entries[item->entry];
}

static int64_t created_ms(const struct planner *p, const struct catalogue_item *item)
{
	return p->c->segments[item->segment].segment.created_ms;
}

/* The checkpoint has it. */
static bool is_included(const struct planner *p, const struct position *position)
{
	return p->choice.has_checkpoint &&
	       position_same_journal(position, &p->choice.checkpoint.position) &&
	       position->sequence <= p->choice.checkpoint.position.sequence;
}

static int compare_positions(const struct position *a, const struct position *b)
{
	int order = memcmp(a->node.bytes, b->node.bytes, UUID_BYTES);

	if (order != 0)
		return order;
	if (a->incarnation != b->incarnation)
		return a->incarnation < b->incarnation ? -1 : 1;
	return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

/* Items are in the order of their positions. */
static const struct catalogue_item *find_item(
	const struct planner *p, const struct position *position)
{
	size_t low = 0, high = p->n_items;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_positions(position, position_of(p, &p->items[middle]));

		if (order == 0)
			return &p->items[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static int broken(struct planner *p, const struct position *from, const char *how)
{
	char key[POSITION_SEGMENT_KEY_BYTES];

	position_segment_key(from, 0, key);
	return message_set(p->ret_message, -EBADMSG,
		"account %" PRIu32 " cannot be restored from %s on: %s", p->account, key, how);
}

/* ---- which items are needed */

/* The journal's beginning was removed when nobody needed it any more. */
static bool was_removed(const struct planner *p, const struct position *position)
{
	for (size_t i = 0; i < p->c->n_journals; i++) {
		const struct catalogue_journal *journal = &p->c->journals[i];

		if (memcmp(&journal->node, &position->node, sizeof(journal->node)) == 0 &&
			journal->incarnation == position->incarnation)
			return position->sequence < journal->first;
	}
	return true;
}

/* The item that this one names as the one before it, if there is one. */
static size_t before(const struct planner *p, size_t i)
{
	const struct directory_entry *entry = entry_of(p, &p->items[i]);
	const struct catalogue_item *item =
		entry->has_previous ? find_item(p, &entry->previous) : NULL;

	return item != NULL ? (size_t)(item - p->items) : NONE;
}

/* What the checkpoint has, and what that was built upon. */
static void mark_included(struct planner *p)
{
	for (size_t i = 0; i < p->n_items; i++) {
		if (!is_included(p, position_of(p, &p->items[i])))
			continue;
		for (size_t k = i; k != NONE && p->states[k] != INCLUDED; k = before(p, k))
			p->states[k] = INCLUDED;
	}
}

/* What an item is whose chain ends with it; UNKNOWN: the chain goes on. */
static enum item_state state_at_end(const struct planner *p, size_t i)
{
	const struct directory_entry *entry = entry_of(p, &p->items[i]);

	if (!entry->has_previous)
		return p->choice.has_checkpoint ? OLD : NEEDED;
	if (is_included(p, &entry->previous))
		return NEEDED;
	if (before(p, i) !=
		NONE) /* a second continuation of what is in the checkpoint, or goes on */
		return p->states[before(p, i)] == INCLUDED ? BROKEN : UNKNOWN;
	return p->choice.has_checkpoint && was_removed(p, &entry->previous) ? OLD : BROKEN;
}

/* There is a newer checkpoint, which cannot be used. */
static bool has_skipped(const struct planner *p)
{
	return p->choice.n_lost > 0 || p->choice.n_unreadable > 0;
}

/* Nothing may be taken for old that is newer than the checkpoint. */
static enum item_state check_age(const struct planner *p, size_t i, enum item_state state)
{
	if (state == OLD &&
		(has_skipped(p) || created_ms(p, &p->items[i]) >= p->choice.checkpoint.created_ms))
		return BROKEN;
	return state;
}

/* The same for all on the way from this item to where its chain ends. */
static void mark_chain(struct planner *p, size_t first)
{
	enum item_state state = UNKNOWN;
	size_t n = 0;

	for (size_t i = first; state == UNKNOWN; i = before(p, i)) {
		state = p->states[i] != UNKNOWN ? p->states[i] : state_at_end(p, i);
		if (n++ > p->n_items)
			state = BROKEN; /* a circle */
	}
	for (size_t i = first; i != NONE && p->states[i] == UNKNOWN; i = before(p, i))
		p->states[i] = check_age(p, i, state);
}

/* Says where the chain of the newest broken item ends. */
static int report_broken(struct planner *p)
{
	size_t newest = NONE, next;
	const struct directory_entry *entry;

	for (size_t i = 0; i < p->n_items; i++) {
		if (p->states[i] == BROKEN &&
			(newest == NONE ||
				created_ms(p, &p->items[i]) >= created_ms(p, &p->items[newest])))
			newest = i;
	}
	if (newest == NONE)
		return 0;
	for (size_t n = 0; n < p->n_items; n++) {
		next = before(p, newest);
		if (next == NONE || p->states[next] != BROKEN)
			break;
		newest = next;
	}
	entry = entry_of(p, &p->items[newest]);
	if (entry->has_previous && before(p, newest) == NONE)
		return broken(p, &entry->previous, "this segment is missing or damaged");
	return broken(p, position_of(p, &p->items[newest]),
		"its segments do not follow each other or its checkpoint");
}

static int mark_items(struct planner *p)
{
	p->states = calloc(p->n_items + 1, sizeof(*p->states));
	if (p->states == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_items; i++) {
		if (p->c->segments[p->items[i].segment].is_later)
			p->states[i] = LATER;
	}
	mark_included(p);
	for (size_t i = 0; i < p->n_items; i++) {
		if (p->states[i] == UNKNOWN)
			mark_chain(p, i);
	}
	if (p->c->options.not_after_ms == 0)
		return report_broken(p);
	for (size_t i = 0; i < p->n_items; i++)
		p->is_early = p->is_early || p->states[i] == BROKEN;
	return 0;
}

/* The needed item that no other needed one names as the one before it; NONE: none is needed. */
static int find_last(struct planner *p, size_t *ret_last, size_t *ret_needed)
{
	CLEANUP_FREE bool *is_named = calloc(p->n_items + 1, sizeof(*is_named));

	*ret_last = NONE;
	*ret_needed = 0;
	if (is_named == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_items; i++) {
		if (p->states[i] == NEEDED && before(p, i) != NONE)
			is_named[before(p, i)] = true;
	}
	for (size_t i = 0; i < p->n_items; i++) {
		if (p->states[i] != NEEDED)
			continue;
		++*ret_needed;
		if (!is_named[i])
			*ret_last = i;
	}
	return 0;
}

/* From the last one back to the first that is needed: that must be all. */
static int follow_chain(struct planner *p)
{
	size_t last, needed;
	int r = find_last(p, &last, &needed);

	if (r < 0)
		return r;
	p->chain = calloc(needed + 1, sizeof(*p->chain));
	if (p->chain == NULL)
		return -ENOMEM;
	for (size_t i = last; i != NONE && p->states[i] == NEEDED; i = before(p, i))
		p->chain[p->n_chain++] = &p->items[i];
	if (p->n_chain < needed)
		return broken(p, position_of(p, p->chain[p->n_chain - 1]),
			"there is more than one continuation");
	return 0;
}

/* ---- the checkpoints that were passed over */

static int lost(struct planner *p, const struct catalogue_lost *lost)
{
	char key[POSITION_CHECKPOINT_KEY_BYTES];

	position_checkpoint_key(p->account, lost->number, key);
	return message_set(p->ret_message, -EBADMSG,
		"account %" PRIu32 " cannot be restored: %s cannot be used: %s; and segments up to "
		"there are missing",
		p->account, key, lost->problem);
}

static bool is_there(const struct planner *p, const struct position *position)
{
	const struct catalogue_item *item = find_item(p, position);
	enum item_state state = item != NULL ? p->states[item - p->items] : UNKNOWN;

	return is_included(p, position) || state == INCLUDED || state == NEEDED;
}

/* A checkpoint whose put was given up, and its parts removed, may have come late. Nothing was
 * removed for its sake, so the segments up to its position are there: it is as good as none. Where
 * they are not, it was whole once, and the one before it is too old. */
static int check_lost(struct planner *p)
{
	for (unsigned int i = 0; i < p->choice.n_lost; i++) {
		if (is_there(p, &p->choice.lost[i].position))
			continue;
		if (p->c->options.not_after_ms == 0)
			return lost(p, &p->choice.lost[i]);
		p->is_early = true;
	}
	return 0;
}

/* Neither a checkpoint nor a segment. */
static int nothing(struct planner *p)
{
	char key[POSITION_CHECKPOINT_KEY_BYTES];

	if (p->choice.n_lost > 0)
		return lost(p, &p->choice.lost[0]);
	if (p->choice.n_unreadable == 0)
		return -ENOENT;
	position_checkpoint_key(p->account, p->choice.unreadable, key);
	return message_set(p->ret_message, -EBADMSG,
		"account %" PRIu32 " cannot be restored: %s cannot be used: %s", p->account, key,
		p->choice.problem);
}

/* ---- the plan */

/* Nobody knows how far a checkpoint went that cannot be read. Where no segments follow the one
 * before it, all may have been removed; where some do, those behind them. */
static int check_unreadable(struct planner *p, struct catalogue_plan *plan)
{
	bool may_lack = true;
	int r = 0;

	if (p->choice.n_unreadable == 0)
		return 0;
	if (p->n_chain > 0)
		r = catalogue_may_lack(
			p->c, p->choice.unreadable, &plan->last, &may_lack, p->ret_message);
	if (r < 0 || !may_lack)
		return r;
	plan->is_uncertain = true;
	plan->uncertain_checkpoint = p->choice.unreadable;
	return 0;
}

static void check_holes(struct planner *p, struct catalogue_plan *plan)
{
	for (size_t i = 0; i < p->c->n_holes; i++) {
		const struct catalogue_hole *hole = &p->c->holes[i];

		if (!position_same_journal(&hole->position, &plan->last) ||
			hole->last_sequence <= plan->last.sequence)
			continue;
		plan->is_uncertain = true;
		plan->uncertain_from = hole->position;
		break;
	}
}

/* What a checkpoint has was complete, and so was all before it. Where the journal has a seal in the
 * place of that, something was lost that came before it, and was taken for the end. */
static void check_seal(struct planner *p, struct catalogue_plan *plan)
{
	for (size_t i = 0; i < p->c->n_journals; i++) {
		const struct catalogue_journal *journal = &p->c->journals[i];

		if (!journal->is_sealed || journal->seal > plan->last.sequence ||
			journal->incarnation != plan->last.incarnation ||
			memcmp(&journal->node, &plan->last.node, sizeof(journal->node)) != 0)
			continue;
		plan->is_uncertain = true;
		plan->uncertain_from = plan->last;
		plan->uncertain_from.sequence = journal->seal;
	}
}

static void add_section(struct catalogue_plan *plan, const char *key,
	const struct directory_entry *entry, bool begins_step)
{
	struct catalogue_section *section = &plan->sections[plan->n_sections++];

	*section = (struct catalogue_section){
		.offset_bytes = entry->offset_bytes,
		.info = entry->section,
		.begins_step = begins_step,
	};
	snprintf(section->key, sizeof(section->key), "%s", key);
	plan->stored_bytes += entry->section.stored_bytes;
}

static void add_checkpoint(struct planner *p, struct catalogue_plan *plan)
{
	const struct directory *directory = &p->choice.checkpoint.directory;
	char key[POSITION_CHECKPOINT_KEY_BYTES];

	for (uint32_t i = 0; i < directory->n_entries; i++) {
		position_checkpoint_part_key(
			p->account, p->choice.checkpoint.number, directory->entries[i].part, key);
		add_section(plan, key, &directory->entries[i], i == 0);
	}
	plan->has_checkpoint = true;
	plan->checkpoint_number = p->choice.checkpoint.number;
	plan->last = p->choice.checkpoint.position;
	plan->time_ms = p->choice.checkpoint.created_ms;
}

static void add_segment(
	struct planner *p, const struct catalogue_item *item, struct catalogue_plan *plan)
{
	const struct directory_entry *entries = entry_of(p, item);
	char key[POSITION_SEGMENT_KEY_BYTES];

	for (uint32_t i = 0; i < item->n_entries; i++) {
		position_segment_key(position_of(p, item), entries[i].part, key);
		add_section(plan, key, &entries[i], i == 0);
	}
	plan->last = *position_of(p, item);
	plan->time_ms = created_ms(p, item);
}

static int make_plan(struct planner *p, struct catalogue_plan *plan)
{
	size_t n = p->choice.has_checkpoint ? p->choice.checkpoint.directory.n_entries : 0;

	for (size_t i = 0; i < p->n_chain; i++)
		n += p->chain[i]->n_entries;
	plan->sections = calloc(n + 1, sizeof(*plan->sections));
	if (plan->sections == NULL)
		return -ENOMEM;
	if (p->choice.has_checkpoint)
		add_checkpoint(p, plan);
	for (size_t i = p->n_chain; i-- > 0;)
		add_segment(p, p->chain[i], plan);
	plan->is_early = p->is_early;
	check_holes(p, plan);
	check_seal(p, plan);
	return check_unreadable(p, plan);
}

int catalogue_plan(const struct catalogue *c, uint32_t account, enum backend_priority priority,
	struct catalogue_plan *ret, char **ret_message)
{
	struct planner p = {
		.c = c, .account = account, .priority = priority, .ret_message = ret_message};
	struct catalogue_plan plan = {0};
	int r;

	*ret_message = NULL;
	p.items = catalogue_items(c, account, &p.n_items);
	r = catalogue_choose(c, account, priority, &p.choice, ret_message);
	if (r == 0)
		r = mark_items(&p);
	if (r == 0)
		r = follow_chain(&p);
	if (r == 0)
		r = check_lost(&p);
	if (r == 0 && !p.choice.has_checkpoint && p.n_chain == 0)
		r = nothing(&p);
	if (r == 0)
		r = make_plan(&p, &plan);
	if (r == 0)
		*ret = plan;
	else
		catalogue_plan_done(&plan);
	catalogue_choice_done(&p.choice);
	free(p.states);
	free(p.chain);
	return r;
}
