#include <config.h>
#include "replication/catalogue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "replication/catalogue_private.h"
#include "replication/fetch_queue.h"
#include "replication/journal.h"
#include "util/message.h"

/* ---- what there is */

static int add_segment(struct catalogue *c, const struct position *position)
{
	struct catalogue_segment *bigger;
	size_t capacity;

	if (c->n_segments == CATALOGUE_MAX_SEGMENTS)
		return -EFBIG;
	if (c->n_segments == c->capacity) {
		capacity = c->capacity ? c->capacity * 2 : 64;
		bigger = reallocarray(c->segments, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		c->segments = bigger;
		c->capacity = capacity;
	}
	c->segments[c->n_segments++] = (struct catalogue_segment){.position = *position};
	return 0;
}

/* Parts are found through their segments; other names are not ours. */
static int add_entries(struct catalogue *c, const struct backend_result *page)
{
	struct position position;
	uint16_t part;
	int r = 0;

	for (size_t i = 0; i < page->n_entries && r == 0; i++) {
		if (position_parse_segment_key(page->entries[i].key, &position, &part) && part == 0)
			r = add_segment(c, &position);
	}
	return r;
}

static bool is_cancelled(const struct catalogue *c)
{
	return c->options.cancelled != NULL && atomic_load(c->options.cancelled);
}

/* Listings sort as positions do. */
static int list_segments(struct catalogue *c, char **ret_message)
{
	const struct backend_call how = {
		.priority = c->options.priority, .cancellation = c->options.cancellation};
	char *continuation = NULL;
	int r;

	do {
		struct backend_result page;

		r = backend_list_wait_as(c->options.backend, "journal/", continuation,
			BACKEND_LIST_MAX_ENTRIES, &how, &page);
		if (r < 0) {
			free(continuation);
			return message_set(
				ret_message, r, "cannot list the journals: %s", strerror(-r));
		}
		free(continuation);
		r = add_entries(c, &page);
		continuation = page.continuation;
		page.continuation = NULL;
		backend_result_done(&page);
		if (r == 0 && is_cancelled(c))
			r = -ECANCELED;
	} while (r == 0 && continuation != NULL);
	free(continuation);
	if (r == -EFBIG)
		return message_set(ret_message, r,
			"there are more than %u segments in the journals", CATALOGUE_MAX_SEGMENTS);
	return r;
}

/* ---- heads */

static int start_head(struct fetch_queue *q, struct catalogue_segment *s, size_t size_bytes)
{
	char key[POSITION_SEGMENT_KEY_BYTES];

	position_segment_key(&s->position, 0, key);
	return fetch_queue_get(q, key, 0, size_bytes, s);
}

static int count_sections(struct catalogue *c, const struct catalogue_segment *s)
{
	c->n_sections += s->segment.directory.n_entries;
	return c->n_sections > CATALOGUE_MAX_SECTIONS ? -EFBIG : 0;
}

/* A head that does not fit into the first read is read again. */
static int decode_head(
	struct catalogue *c, struct fetch_queue *q, const struct fetch_queue_result *result)
{
	struct catalogue_segment *s = result->arg;
	size_t needed_bytes = 0;
	int r = segment_decode(result->data, result->size_bytes, &s->position, &s->segment,
		&needed_bytes, &s->problem);

	if (r == -EAGAIN && result->size_bytes < result->object_size_bytes &&
		needed_bytes <= result->object_size_bytes) {
		s->problem = NULL;
		return start_head(q, s, needed_bytes);
	}
	if (r == -EAGAIN || r == -EBADMSG)
		return 0; /* the problem says so */
	if (r == 0) {
		s->problem = NULL;
		r = count_sections(c, s);
	}
	return r;
}

static int take_head(struct catalogue *c, struct fetch_queue *q, char **ret_message)
{
	struct fetch_queue_result result;
	char key[POSITION_SEGMENT_KEY_BYTES];
	int r = fetch_queue_take(q, &result);

	if (r < 0)
		return r;
	if (result.error == -ENOENT) {
		((struct catalogue_segment *)result.arg)->problem = CATALOGUE_MISSING;
		return 0;
	}
	if (result.error < 0) {
		position_segment_key(&((struct catalogue_segment *)result.arg)->position, 0, key);
		return message_set(ret_message, result.error, "cannot read the segment %s: %s", key,
			strerror(-result.error));
	}
	r = decode_head(c, q, &result);
	free(result.data);
	return r;
}

static int read_heads(struct catalogue *c, char **ret_message)
{
	struct fetch_queue *q =
		fetch_queue_new(c->options.backend, c->options.priority, c->options.cancellation);
	size_t next = 0;
	int r = q == NULL ? -ENOMEM : 0;

	while (r == 0 && (next < c->n_segments || fetch_queue_length(q) > 0)) {
		if (is_cancelled(c))
			r = -ECANCELED;
		else if (next < c->n_segments && fetch_queue_length(q) < CATALOGUE_HEADS_IN_FLIGHT)
			r = start_head(q, &c->segments[next++], FRAME_FIRST_READ_BYTES);
		else
			r = take_head(c, q, ret_message);
	}
	fetch_queue_free(q);
	if (r == -EFBIG)
		return message_set(ret_message, r,
			"there are more than %u sections in the journals", CATALOGUE_MAX_SECTIONS);
	return r;
}

/* ---- what is removed meanwhile */

/* The owner removes segments from the first one on (keeper.h). So where one is gone that was just
 * listed, all before it are, or will be at once: nobody needs them. */
static void drop_removed(struct catalogue *c)
{
	size_t n = 0, first = 0;

	for (size_t i = 0; i < c->n_segments; i++) {
		struct catalogue_segment *s = &c->segments[i];

		if (n > first && !position_same_journal(&c->segments[n - 1].position, &s->position))
			first = n;
		c->segments[n++] = *s;
		if (s->problem == NULL || strcmp(s->problem, CATALOGUE_MISSING) != 0)
			continue;
		while (n > first)
			segment_done(&c->segments[--n].segment);
	}
	c->n_segments = n;
}

/* A seal in the place of a segment that was complete, by what is behind it, ends nothing. */
static bool is_false_seal(const struct catalogue_segment *seal, const struct catalogue_segment *s)
{
	return seal->problem == NULL && seal->segment.type == SEGMENT_SEAL && s->problem == NULL &&
	       s->segment.type == SEGMENT_CHANGES &&
	       position_same_journal(&seal->position, &s->position) &&
	       journal_was_complete(seal->position.sequence, s->position.sequence);
}

/* Such a one where segments were removed is of a taker that was stopped before it, and ended before
 * he could take it back (takeover_seal.c). It belongs to what was removed. */
static void drop_false_seals(struct catalogue *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_segments; i++) {
		struct catalogue_segment *s = &c->segments[i];
		bool is_first = n == 0 ||
				!position_same_journal(&c->segments[n - 1].position, &s->position);

		if (is_first && i + 1 < c->n_segments && is_false_seal(s, s + 1))
			segment_done(&s->segment);
		else
			c->segments[n++] = *s;
	}
	c->n_segments = n;
}

/* ---- chains */

static int add_hole(struct catalogue *c, const struct position *position, uint64_t last_sequence,
	const char *problem)
{
	struct catalogue_hole *bigger;
	size_t capacity;

	if (c->n_holes == c->holes_capacity) {
		capacity = c->holes_capacity ? c->holes_capacity * 2 : 8;
		bigger = reallocarray(c->holes, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		c->holes = bigger;
		c->holes_capacity = capacity;
	}
	c->holes[c->n_holes++] = (struct catalogue_hole){
		.position = *position, .last_sequence = last_sequence, .problem = problem};
	return 0;
}

/* What is wrong with a segment beside the one before it (NULL: the first that there is). */
static const char *link_problem(
	const struct catalogue_segment *before, const struct catalogue_segment *s)
{
	if (before == NULL || before->problem != NULL)
		return NULL;
	if (s->segment.type == SEGMENT_SEAL && s->segment.previous_checksum == 0)
		return NULL; /* its writer did not look */
	if (s->position.sequence == before->position.sequence + 1 &&
		s->segment.previous_checksum != before->segment.facts.head_checksum)
		return CATALOGUE_NOT_NEXT;
	return NULL;
}

/* What is behind a seal never counted, since it was in flight. One that was not says that the
 * place of the seal is that of a segment that was lost. */
static int add_behind_seal(
	struct catalogue *c, const struct catalogue_segment *seal, struct catalogue_segment *s)
{
	const struct catalogue_hole *last = c->n_holes > 0 ? &c->holes[c->n_holes - 1] : NULL;
	bool is_false = is_false_seal(seal, s);

	s->problem = "it is behind the seal";
	if (!is_false || (last != NULL && position_equal(&last->position, &seal->position)))
		return 0;
	return add_hole(c, &seal->position, seal->position.sequence, CATALOGUE_LOST);
}

/* One segment into its journal. */
static int add_to_journal(struct catalogue *c, struct catalogue_journal *journal,
	const struct catalogue_segment *before, struct catalogue_segment *s)
{
	struct position missing = s->position;
	int r = 0;

	if (before != NULL && s->position.sequence > before->position.sequence + 1) {
		missing.sequence = before->position.sequence + 1;
		r = add_hole(c, &missing, s->position.sequence - 1, CATALOGUE_MISSING);
	}
	if (s->problem == NULL)
		s->problem = link_problem(before, s);
	if (r == 0 && s->problem != NULL)
		r = add_hole(c, &s->position, s->position.sequence, s->problem);
	s->is_later =
		c->options.not_after_ms != 0 &&
		((before != NULL && before->is_later) ||
			(s->problem == NULL && s->segment.created_ms > c->options.not_after_ms));
	journal->n_segments++;
	if (journal->end == s->position.sequence) {
		journal->end++;
		journal->end_checksum = s->problem == NULL ? s->segment.facts.head_checksum : 0;
	}
	if (s->problem == NULL && s->segment.type == SEGMENT_SEAL) {
		journal->is_sealed = true;
		journal->seal = s->position.sequence;
		journal->taker = s->segment.taker;
	}
	return r;
}

static size_t count_journals(const struct catalogue *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_segments; i++)
		n += i == 0 ||
		     !position_same_journal(&c->segments[i - 1].position, &c->segments[i].position);
	return n;
}

static int make_journals(struct catalogue *c)
{
	struct catalogue_journal *journal = NULL;
	const struct catalogue_segment *seal = NULL;
	int r = 0;

	c->journals = calloc(count_journals(c) + 1, sizeof(*c->journals));
	if (c->journals == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_segments && r == 0; i++) {
		struct catalogue_segment *s = &c->segments[i], *before = i > 0 ? s - 1 : NULL;
		size_t holes = c->n_holes;

		if (before == NULL || !position_same_journal(&before->position, &s->position)) {
			before = NULL;
			seal = NULL;
			journal = &c->journals[c->n_journals++];
			*journal = (struct catalogue_journal){.node = s->position.node,
				.incarnation = s->position.incarnation,
				.first = s->position.sequence,
				.end = s->position.sequence};
		}
		r = seal != NULL ? add_behind_seal(c, seal, s)
				 : add_to_journal(c, journal, before, s);
		if (seal == NULL && journal->is_sealed)
			seal = s;
		journal->has_holes = journal->has_holes || c->n_holes > holes;
	}
	return r;
}

/* ---- accounts */

static int compare_items(const void *a, const void *b)
{
	const struct catalogue_item *x = a, *y = b;

	if (x->account != y->account)
		return x->account < y->account ? -1 : 1;
	return x->segment < y->segment ? -1 : x->segment > y->segment;
}

static void add_items(struct catalogue *c, uint32_t index)
{
	const struct directory *directory = &c->segments[index].segment.directory;
	struct catalogue_item *item = NULL;

	for (uint32_t i = 0; i < directory->n_entries; i++) {
		uint32_t account = directory->entries[i].account;

		if (item == NULL || item->account != account) {
			item = &c->items[c->n_items++];
			*item = (struct catalogue_item){
				.account = account, .segment = index, .entry = i};
		}
		item->n_entries++;
		if (account >= c->next_account)
			c->next_account = account + 1;
	}
}

static int make_items(struct catalogue *c)
{
	c->items = calloc(c->n_sections + 1, sizeof(*c->items));
	if (c->items == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_segments; i++) {
		if (c->segments[i].problem == NULL)
			add_items(c, (uint32_t)i);
	}
	qsort(c->items, c->n_items, sizeof(*c->items), compare_items);
	return 0;
}

/* ---- life */

int catalogue_load(
	const struct catalogue_options *options, struct catalogue **ret, char **ret_message)
{
	struct catalogue *c = calloc(1, sizeof(*c));
	int r;

	*ret_message = NULL;
	if (c == NULL)
		return -ENOMEM;
	c->options = *options;
	r = list_segments(c, ret_message);
	if (r == 0)
		r = read_heads(c, ret_message);
	if (r == 0) {
		drop_removed(c);
		drop_false_seals(c);
		r = make_journals(c);
	}
	if (r == 0)
		r = make_items(c);
	if (r < 0) {
		catalogue_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void catalogue_free(struct catalogue *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n_segments; i++)
		segment_done(&c->segments[i].segment);
	free(c->segments);
	free(c->items);
	free(c->journals);
	free(c->holes);
	free(c);
}

size_t catalogue_n_journals(const struct catalogue *c)
{
	return c->n_journals;
}

const struct catalogue_journal *catalogue_journal(const struct catalogue *c, size_t i)
{
	return &c->journals[i];
}

size_t catalogue_n_holes(const struct catalogue *c)
{
	return c->n_holes;
}

const struct catalogue_hole *catalogue_hole(const struct catalogue *c, size_t i)
{
	return &c->holes[i];
}

uint32_t catalogue_next_account(const struct catalogue *c)
{
	return c->next_account;
}
