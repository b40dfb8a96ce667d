/*
 * takeover.c: where the journals end: from listings alone, and the last head of each journal. What
 * the segments hold is of no interest here, and a seal has to come soon.
 *
 * A journal's end is before its first segment that is missing and was not complete
 * (takeover_chain.c). Segments behind that were in flight when their node died; the seal in the
 * place of the missing one ends them too: nobody reads what is behind a seal, and a late put of the
 * missing one finds its place taken.
 *
 * The first one may be missing like any other, if its node died at once. But truncation removes
 * first segments too: of a sealed journal, or of a long one (keeper_remove.c). And it may be lost,
 * which must not make nothing of all that follows. So it never came only if all there is can have
 * been in flight with it, and none is a seal, or damaged, so that it may have been one.
 */
#include <config.h>
#include "replication/takeover.h"
#include "replication/takeover_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "replication/fetch_queue.h"
#include "replication/journal.h"
#include "replication/segment.h"
#include "util/cleanup.h"
#include "util/failpoint.h"
#include "util/log.h"
#include "util/message.h"

#define HEADS_IN_FLIGHT 32

/* How often the journals are listed, if their owner goes on meanwhile (takeover_private.h). */
#define MOST_LISTINGS 10

/* ---- which journals there are */

static int add_chain(struct takeover *t, const struct position *next, uint64_t first)
{
	size_t capacity = t->capacity > 0 ? 2 * t->capacity : 16;
	struct takeover_chain *bigger;

	if (t->n == TAKEOVER_MAX_JOURNALS)
		return message_set(t->ret_message, -EFBIG, "there are more than %u journals",
			TAKEOVER_MAX_JOURNALS);
	if (t->n == t->capacity) {
		bigger = reallocarray(t->chains, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		t->chains = bigger;
		t->capacity = capacity;
	}
	t->chains[t->n++] = (struct takeover_chain){
		.next = *next, .before = first, .first = first, .last = first};
	return 0;
}

static bool is_own(const struct takeover *t, const struct position *position)
{
	const struct owner *self = t->options->self;

	return memcmp(position->node.bytes, self->node.bytes, UUID_BYTES) == 0 &&
	       position->incarnation == self->incarnation;
}

/* Listings sort as positions do, so those of a journal come one behind the other. */
static int add_segment(struct takeover *t, const struct position *position)
{
	struct takeover_chain *last = t->n > 0 ? &t->chains[t->n - 1] : NULL;
	struct position next = *position;

	if (is_own(t, position))
		return 0;
	if (last != NULL && position_same_journal(&last->next, position)) {
		takeover_chain_add(last, position->sequence);
		return 0;
	}
	next.sequence++;
	return add_chain(t, &next, position->sequence);
}

static int list_journals(struct takeover *t)
{
	CLEANUP_FREE char *continuation = NULL;
	struct position position;
	struct backend_result page;
	uint16_t part;
	int r;

	do {
		r = backend_list_wait(t->options->backend, "journal/", continuation,
			BACKEND_LIST_MAX_ENTRIES, &page);
		if (r < 0)
			return message_set(
				t->ret_message, r, "cannot list the journals: %s", strerror(-r));
		for (size_t i = 0; r == 0 && i < page.n_entries; i++) {
			if (position_parse_segment_key(page.entries[i].key, &position, &part) &&
				part == 0)
				r = add_segment(t, &position);
		}
		free(continuation);
		continuation = TAKE_PTR(page.continuation);
		backend_result_done(&page);
	} while (r == 0 && continuation != NULL);
	return r;
}

/* Journals of owners that have written nothing yet. */
static int add_owner(struct takeover *t, const struct owner *owner, size_t n_listed)
{
	struct position first = {
		.node = owner->node, .incarnation = owner->incarnation, .sequence = 1};

	if (is_own(t, &first))
		return 0;
	for (size_t i = 0; i < n_listed; i++) {
		if (position_same_journal(&t->chains[i].next, &first))
			return 0;
	}
	return add_chain(t, &first, 0);
}

/* After the listing: whoever claimed later may have written into what was listed. */
static int add_owners(struct takeover *t, const struct owner *owners, size_t n)
{
	size_t n_listed = t->n;
	int r = 0;

	if (n > 0 && owners[n - 1].epoch > t->options->self->epoch)
		return message_set(t->ret_message, -ESTALE,
			"another node has become the owner of the volume meanwhile");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_owner(t, &owners[i], n_listed);
	return r;
}

/* ---- their last segments */

static int start_head(struct fetch_queue *q, struct takeover_chain *chain)
{
	struct position last = chain->next;
	char key[POSITION_SEGMENT_KEY_BYTES];

	last.sequence = chain->before;
	position_segment_key(&last, 0, key);
	return fetch_queue_get(q, key, 0, FRAME_FIRST_READ_BYTES, chain);
}

/* A head may be longer than the first read: then it is none of a seal, and all of it is read. */
static int decode_head(struct takeover *t, struct takeover_chain *chain, const struct position *at,
	const void *data, size_t size_bytes)
{
	char key[POSITION_SEGMENT_KEY_BYTES];
	struct fetch_queue_result more;
	struct segment segment;
	size_t needed_bytes = 0;
	int r = segment_decode(data, size_bytes, at, &segment, &needed_bytes, NULL);

	if (r == -EAGAIN && needed_bytes > FRAME_FIRST_READ_BYTES) {
		position_segment_key(at, 0, key);
		r = fetch_queue_read(
			t->options->backend, BACKEND_READER, NULL, key, 0, needed_bytes, &more);
		if (r < 0)
			return r;
		r = segment_decode(more.data, more.size_bytes, at, &segment, &needed_bytes, NULL);
		free(more.data);
	}
	chain->last_checksum = 0;
	chain->is_damaged = r == -EAGAIN || r == -EBADMSG;
	if (chain->is_damaged)
		return 0; /* the seal belongs behind it all the same */
	if (r < 0)
		return r;
	chain->last_checksum = segment.facts.head_checksum;
	chain->is_sealed = segment.type == SEGMENT_SEAL;
	chain->seal_previous = segment.previous_checksum;
	segment_done(&segment);
	return 0;
}

static int take_head(struct takeover *t, struct fetch_queue *q)
{
	struct fetch_queue_result result;
	char key[POSITION_SEGMENT_KEY_BYTES];
	struct position last;
	struct takeover_chain *chain;
	int r = fetch_queue_take(q, &result);

	if (r < 0)
		return r;
	chain = result.arg;
	last = chain->next;
	last.sequence = chain->before;
	r = result.error;
	if (r == 0)
		r = decode_head(t, chain, &last, result.data, result.size_bytes);
	free(result.data);
	if (chain->before + 1 != chain->next.sequence)
		chain->last_checksum = 0; /* the seal follows one that is lost */
	if (r == 0)
		return 0;
	position_segment_key(&last, 0, key);
	return message_set(t->ret_message, r, "cannot read %s: %s", key, strerror(-r));
}

/* The one at chain->next, which moves on. */
int takeover_look(struct takeover *t, struct takeover_chain *chain, const char *key)
{
	struct fetch_queue_result result;
	int r = fetch_queue_read(
		t->options->backend, BACKEND_READER, NULL, key, 0, FRAME_FIRST_READ_BYTES, &result);

	if (r < 0)
		return r;
	r = decode_head(t, chain, &chain->next, result.data, result.size_bytes);
	free(result.data);
	chain->before = chain->next.sequence++;
	return r;
}

static int read_last_heads(struct takeover *t)
{
	struct fetch_queue *q = fetch_queue_new(t->options->backend, BACKEND_READER, NULL);
	size_t next = 0;
	int r = q == NULL ? -ENOMEM : 0;

	while (r == 0 && (next < t->n || fetch_queue_length(q) > 0)) {
		if (next < t->n && t->chains[next].before == 0)
			next++;
		else if (next < t->n && fetch_queue_length(q) < HEADS_IN_FLIGHT)
			r = start_head(q, &t->chains[next++]);
		else if (fetch_queue_length(q) > 0)
			r = take_head(t, q);
	}
	fetch_queue_free(q);
	return r;
}

/* ---- journals whose first segment never came */

static bool may_lack_first(const struct takeover_chain *chain)
{
	return chain->first > 1 && !journal_was_complete(1, chain->last) && !chain->is_sealed;
}

/* Behind a seal there may be what was in flight, so that the last head is not it. */
static int find_seal(struct takeover *t, struct takeover_chain *chain, bool *ret_may_be)
{
	struct takeover_chain looked = *chain;

	*ret_may_be = false;
	looked.next.sequence = chain->first;
	while (!looked.is_sealed && looked.next.sequence <= chain->last) {
		char key[POSITION_SEGMENT_KEY_BYTES];
		int r;

		position_segment_key(&looked.next, 0, key);
		r = takeover_look(t, &looked, key);
		if (r == -ENOENT)
			looked.next.sequence++;
		else if (r < 0)
			return message_set(
				t->ret_message, r, "cannot read %s: %s", key, strerror(-r));
		*ret_may_be = *ret_may_be || (r == 0 && looked.is_damaged);
	}
	chain->is_sealed = looked.is_sealed;
	return 0;
}

static int find_missing_firsts(struct takeover *t)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->n; i++) {
		struct takeover_chain *chain = &t->chains[i];
		bool may_be_sealed;

		if (!may_lack_first(chain))
			continue;
		r = find_seal(t, chain, &may_be_sealed);
		if (r == 0 && !chain->is_sealed && !may_be_sealed) {
			chain->next.sequence = 1;
			chain->before = chain->last_checksum = 0;
		}
	}
	return r;
}

/* ---- the whole */

/* Their journals are sealed, so nobody needs to know of them any more. */
static void remove_old(const struct takeover *t, const struct owner *owners, size_t n)
{
	char key[OWNER_KEY_BYTES];

	for (size_t i = 0; i + OWNER_KEPT < n; i++) {
		owner_key(owners[i].epoch, key);
		if (backend_remove_wait(t->options->backend, key) < 0)
			log_warning("%s could not be removed", key);
	}
}

static int seal_all(struct takeover *t, const struct owner *owners, size_t n_owners)
{
	int r = add_owners(t, owners, n_owners);

	for (size_t i = 0; r == 0 && i < t->n; i++)
		r = takeover_chain_settle(t, &t->chains[i]);
	if (r == 0)
		r = read_last_heads(t);
	if (r == 0)
		r = find_missing_firsts(t);
	for (size_t i = 0; r == 0 && i < t->n; i++)
		r = takeover_seal(t, &t->chains[i]);
	failpoint("takeover.sealed");
	if (r == 0)
		remove_old(t, owners, n_owners);
	return r;
}

static int take_over(const struct takeover_options *options, char **ret_message)
{
	struct takeover t = {.options = options, .ret_message = ret_message};
	struct owner *owners = NULL;
	size_t n_owners = 0;
	int r;

	r = list_journals(&t);
	if (r == 0)
		r = owner_list(
			options->backend, &options->self->volume, &owners, &n_owners, ret_message);
	if (r == 0)
		r = seal_all(&t, owners, n_owners);
	free(owners);
	free(t.chains);
	return r;
}

int takeover_seal_others(const struct takeover_options *options, char **ret_message)
{
	int r = -EAGAIN;

	*ret_message = NULL;
	for (int i = 0; r == -EAGAIN && i < MOST_LISTINGS; i++) {
		free(*ret_message);
		*ret_message = NULL;
		r = take_over(options, ret_message);
	}
	if (r == -EAGAIN)
		return message_set(ret_message, -EBUSY,
			"an earlier owner of the volume goes on faster than its journal can be "
			"sealed: stop it, or try again");
	return r;
}
