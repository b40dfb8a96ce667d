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
#include "replication/fetch_queue.h"
#include "util/account_path.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/message.h"

struct planner {
	const struct catalogue *c;
	uint32_t account;
	enum backend_priority priority;
	const struct catalogue_item *items; /* of the account */
	size_t n_items;
	struct checkpoint checkpoint; /* if there is one */
	bool has_checkpoint;
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

/* ---- the newest checkpoint */

struct numbers {
	uint64_t newest[CATALOGUE_CHECKPOINTS_TRIED]; /* newest first */
	size_t n;
};

/* Numbers come in ascending order. */
static void add_number(struct numbers *numbers, uint64_t number)
{
	if (numbers->n < CATALOGUE_CHECKPOINTS_TRIED)
		numbers->n++;
	memmove(&numbers->newest[1], &numbers->newest[0],
		(numbers->n - 1) * sizeof(numbers->newest[0]));
	numbers->newest[0] = number;
}

static int list_checkpoints(struct planner *p, struct numbers *ret)
{
	char path[ACCOUNT_PATH_BYTES], prefix[POSITION_CHECKPOINT_KEY_BYTES];
	CLEANUP_FREE char *continuation = NULL;
	struct backend_result page;
	uint64_t number;
	uint32_t account;
	int r;

	account_path_format(p->account, path);
	snprintf(prefix, sizeof(prefix), "%s/checkpoint/", path);
	*ret = (struct numbers){.n = 0};
	do {
		r = backend_list_wait(p->c->options.backend, prefix, continuation,
			BACKEND_LIST_MAX_ENTRIES, &page);
		if (r < 0)
			return message_set(p->ret_message, r,
				"cannot list the checkpoints in %s: %s", prefix, strerror(-r));
		for (size_t i = 0; i < page.n_entries; i++) {
			if (position_parse_checkpoint_key(page.entries[i].key, &account, &number) &&
				account == p->account)
				add_number(ret, number);
		}
		free(continuation);
		continuation = TAKE_PTR(page.continuation);
		backend_result_done(&page);
	} while (continuation != NULL);
	return 0;
}

/* The head of the object, as much as it takes. */
static int read_checkpoint(struct planner *p, uint64_t number, const char **ret_problem)
{
	char key[POSITION_CHECKPOINT_KEY_BYTES];
	size_t size_bytes = FRAME_FIRST_READ_BYTES, needed_bytes = 0;
	struct fetch_queue_result result;
	int r;

	position_checkpoint_key(p->account, number, key);
	for (;;) {
		r = fetch_queue_read(
			p->c->options.backend, p->priority, key, 0, size_bytes, &result);
		if (r < 0)
			return r;
		r = checkpoint_decode(result.data, result.size_bytes, p->account, number,
			&p->checkpoint, &needed_bytes, ret_problem);
		free(result.data);
		if (r != -EAGAIN)
			break;
		if (needed_bytes <= size_bytes || needed_bytes > result.object_size_bytes)
			return -EBADMSG;
		size_bytes = needed_bytes;
	}
	if (r == 0 && memcmp(p->checkpoint.volume.bytes, p->c->options.volume.bytes, UUID_BYTES)) {
		checkpoint_done(&p->checkpoint);
		*ret_problem = "it is of another volume";
		return -EBADMSG;
	}
	return r;
}

/* One that is damaged, or was removed since the listing, is as good as none, if the segments since
 * the one before it are still there. */
static int find_checkpoint(struct planner *p)
{
	struct numbers numbers;
	int r = list_checkpoints(p, &numbers);

	for (size_t i = 0; r == 0 && i < numbers.n && !p->has_checkpoint; i++) {
		const char *problem = "it is missing";

		r = read_checkpoint(p, numbers.newest[i], &problem);
		p->has_checkpoint = r == 0;
		if (r != -EBADMSG && r != -ENOENT)
			continue;
		log_error("checkpoint %" PRIu64 " of account %" PRIu32 " cannot be used: %s",
			numbers.newest[i], p->account, problem);
		r = 0;
	}
	return r;
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
	return p->has_checkpoint && position_same_journal(position, &p->checkpoint.position) &&
	       position->sequence <= p->checkpoint.position.sequence;
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

static void find_items(struct planner *p)
{
	size_t low = 0, high = p->c->n_items;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->c->items[middle].account < p->account)
			low = middle + 1;
		else
			high = middle;
	}
	p->items = &p->c->items[low];
	while (low + p->n_items < p->c->n_items && p->items[p->n_items].account == p->account)
		p->n_items++;
}

static int broken(struct planner *p, const struct position *from, const char *how)
{
	char key[POSITION_SEGMENT_KEY_BYTES];

	position_segment_key(from, 0, key);
	return message_set(p->ret_message, -EBADMSG,
		"account %" PRIu32 " cannot be restored from %s on: %s", p->account, key, how);
}

/* The item that no other one names as the one before it; NULL: the checkpoint has all. Should there
 * be several (behind something that is missing), the newest, so that what is missing is named. */
static int find_last(struct planner *p, const struct catalogue_item **ret)
{
	CLEANUP_FREE bool *is_named = calloc(p->n_items + 1, sizeof(*is_named));
	const struct catalogue_item *last = NULL, *before;

	if (is_named == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_items; i++) {
		const struct directory_entry *entry = entry_of(p, &p->items[i]);

		before = entry->has_previous ? find_item(p, &entry->previous) : NULL;
		if (before != NULL && !is_included(p, position_of(p, &p->items[i])))
			is_named[before - p->items] = true;
	}
	for (size_t i = 0; i < p->n_items; i++) {
		const struct catalogue_item *item = &p->items[i];

		if (!is_named[i] && !is_included(p, position_of(p, item)) &&
			(last == NULL || created_ms(p, item) >= created_ms(p, last)))
			last = item;
	}
	*ret = last;
	return 0;
}

static size_t count_needed(const struct planner *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_items; i++)
		n += !is_included(p, position_of(p, &p->items[i]));
	return n;
}

/* Backwards from the last one to what the checkpoint has, or to the beginning. */
static int follow_chain(struct planner *p, const struct catalogue_item *item)
{
	size_t needed = count_needed(p);

	p->chain = calloc(needed + 1, sizeof(*p->chain));
	if (p->chain == NULL)
		return -ENOMEM;
	while (item != NULL) {
		const struct directory_entry *entry = entry_of(p, item);

		if (p->n_chain == needed)
			return broken(p, position_of(p, item), "its segments name each other");
		p->chain[p->n_chain++] = item;
		if (!entry->has_previous && p->has_checkpoint)
			return broken(p, position_of(p, item),
				"its segments do not follow its checkpoint");
		if (!entry->has_previous || is_included(p, &entry->previous))
			break;
		item = find_item(p, &entry->previous);
		if (item == NULL)
			return broken(p, &entry->previous, "this segment is missing or damaged");
	}
	if (p->n_chain < needed)
		return broken(p, position_of(p, p->chain[p->n_chain - 1]),
			"there is more than one continuation");
	return 0;
}

/* ---- the plan */

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
	const struct directory *directory = &p->checkpoint.directory;
	char key[POSITION_CHECKPOINT_KEY_BYTES];

	position_checkpoint_key(p->account, p->checkpoint.number, key);
	for (uint32_t i = 0; i < directory->n_entries; i++)
		add_section(plan, key, &directory->entries[i], i == 0);
	plan->has_checkpoint = true;
	plan->checkpoint_number = p->checkpoint.number;
	plan->last = p->checkpoint.position;
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
}

static int make_plan(struct planner *p, struct catalogue_plan *plan)
{
	size_t n = p->has_checkpoint ? p->checkpoint.directory.n_entries : 0;

	for (size_t i = 0; i < p->n_chain; i++)
		n += p->chain[i]->n_entries;
	plan->sections = calloc(n + 1, sizeof(*plan->sections));
	if (plan->sections == NULL)
		return -ENOMEM;
	if (p->has_checkpoint)
		add_checkpoint(p, plan);
	for (size_t i = p->n_chain; i-- > 0;)
		add_segment(p, p->chain[i], plan);
	check_holes(p, plan);
	return 0;
}

int catalogue_plan(const struct catalogue *c, uint32_t account, enum backend_priority priority,
	struct catalogue_plan *ret, char **ret_message)
{
	struct planner p = {
		.c = c, .account = account, .priority = priority, .ret_message = ret_message};
	const struct catalogue_item *last = NULL;
	struct catalogue_plan plan = {0};
	int r;

	*ret_message = NULL;
	find_items(&p);
	r = find_checkpoint(&p);
	if (r == 0 && !p.has_checkpoint && p.n_items == 0)
		r = -ENOENT;
	if (r == 0)
		r = find_last(&p, &last);
	if (r == 0)
		r = follow_chain(&p, last);
	if (r == 0)
		r = make_plan(&p, &plan);
	if (r == 0)
		*ret = plan;
	if (p.has_checkpoint)
		checkpoint_done(&p.checkpoint);
	free(p.chain);
	return r;
}
