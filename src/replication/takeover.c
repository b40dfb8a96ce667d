/*
 * takeover.c: from listings alone, and the last head of each journal: what the segments hold is of
 * no interest here, and a seal has to come soon.
 *
 * A journal's end is before its first segment that is missing. Segments behind that were in flight
 * when their node died; the seal in the place of the missing one ends them too: nobody reads what
 * is behind a seal, and a late put of the missing one finds its place taken.
 *
 * The first one may be missing like any other, if its node died at once. But truncation removes
 * first segments too: of a sealed journal, or of one with more than JOURNAL_MAX_IN_FLIGHT segments
 * (keeper_remove.c). What is neither was never truncated, so its first segment never came.
 */
#include <config.h>
#include "replication/takeover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "replication/fetch_queue.h"
#include "replication/journal.h"
#include "replication/segment.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/message.h"

#define HEADS_IN_FLIGHT 32

/* A journal that is still being written to gets so many seals one by one, each behind what came
 * before the last; then so many at once, fewer than what add_to_chain() takes for a loss. */
#define SINGLE_ATTEMPTS 3
#define VOLLEY 32

struct chain {
	struct position next; /* where a seal belongs */
	uint64_t first, last; /* that there are; 0: none */
	uint64_t ahead;       /* bit i: there is one at next + 1 + i */
	bool is_sealed;
	uint64_t last_checksum; /* of the head before `next`; 0: there is none, or it is damaged */
};

struct takeover {
	const struct takeover_options *options;
	struct chain *chains;
	size_t n, capacity;
	char **ret_message;
};

/* ---- which journals there are */

static int add_chain(struct takeover *t, const struct position *next, uint64_t first)
{
	size_t capacity = t->capacity > 0 ? 2 * t->capacity : 16;
	struct chain *bigger;

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
	t->chains[t->n++] = (struct chain){.next = *next, .first = first, .last = first};
	return 0;
}

static bool is_own(const struct takeover *t, const struct position *position)
{
	const struct owner *self = t->options->self;

	return memcmp(position->node.bytes, self->node.bytes, UUID_BYTES) == 0 &&
	       position->incarnation == self->incarnation;
}

static void advance(struct chain *chain)
{
	bool is_there;

	do {
		chain->next.sequence++;
		is_there = (chain->ahead & 1) != 0;
		chain->ahead >>= 1;
	} while (is_there);
}

/* A node has so many in flight at most. Where there are later ones, the missing one was complete
 * and is lost: that is damage, and not the end. */
static void add_to_chain(struct chain *chain, uint64_t sequence)
{
	chain->last = sequence;
	while (sequence >= chain->next.sequence + JOURNAL_MAX_IN_FLIGHT) {
		if (chain->ahead == 0)
			chain->next.sequence = sequence;
		else
			advance(chain);
	}
	if (sequence == chain->next.sequence)
		advance(chain);
	else if (sequence > chain->next.sequence)
		chain->ahead |= UINT64_C(1) << (sequence - chain->next.sequence - 1);
}

/* Listings sort as positions do, so those of a journal come one behind the other. */
static int add_segment(struct takeover *t, const struct position *position)
{
	struct chain *last = t->n > 0 ? &t->chains[t->n - 1] : NULL;
	struct position next = *position;

	if (is_own(t, position))
		return 0;
	if (last != NULL && position_same_journal(&last->next, position)) {
		add_to_chain(last, position->sequence);
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

static int start_head(struct fetch_queue *q, struct chain *chain)
{
	struct position last = chain->next;
	char key[POSITION_SEGMENT_KEY_BYTES];

	last.sequence--;
	position_segment_key(&last, 0, key);
	return fetch_queue_get(q, key, 0, FRAME_FIRST_READ_BYTES, chain);
}

/* A head may be longer than the first read: then it is none of a seal, and all of it is read. */
static int decode_head(struct takeover *t, struct chain *chain, const struct position *at,
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
	if (r == -EAGAIN || r == -EBADMSG)
		return 0; /* it is damaged: the seal belongs behind it all the same */
	if (r < 0)
		return r;
	chain->last_checksum = segment.facts.head_checksum;
	chain->is_sealed = segment.type == SEGMENT_SEAL;
	segment_done(&segment);
	return 0;
}

static int take_head(struct takeover *t, struct fetch_queue *q)
{
	struct fetch_queue_result result;
	char key[POSITION_SEGMENT_KEY_BYTES];
	struct position last;
	struct chain *chain;
	int r = fetch_queue_take(q, &result);

	if (r < 0)
		return r;
	chain = result.arg;
	last = chain->next;
	last.sequence--;
	r = result.error;
	if (r == 0)
		r = decode_head(t, chain, &last, result.data, result.size_bytes);
	free(result.data);
	if (r == 0)
		return 0;
	position_segment_key(&last, 0, key);
	return message_set(t->ret_message, r, "cannot read %s: %s", key, strerror(-r));
}

/* The one at chain->next, which moves on. */
static int look(struct takeover *t, struct chain *chain, const char *key)
{
	struct fetch_queue_result result;
	int r = fetch_queue_read(
		t->options->backend, BACKEND_READER, NULL, key, 0, FRAME_FIRST_READ_BYTES, &result);

	if (r < 0)
		return r;
	r = decode_head(t, chain, &chain->next, result.data, result.size_bytes);
	free(result.data);
	chain->next.sequence++;
	return r;
}

static int read_last_heads(struct takeover *t)
{
	struct fetch_queue *q = fetch_queue_new(t->options->backend, BACKEND_READER, NULL);
	size_t next = 0;
	int r = q == NULL ? -ENOMEM : 0;

	while (r == 0 && (next < t->n || fetch_queue_length(q) > 0)) {
		if (next < t->n && t->chains[next].next.sequence == 1)
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

static bool may_lack_first(const struct chain *chain)
{
	return chain->first > 1 && chain->last <= JOURNAL_MAX_IN_FLIGHT && !chain->is_sealed;
}

/* Behind a seal there may be what was in flight, so that the last head is not it. */
static int has_seal(struct takeover *t, const struct chain *chain)
{
	struct chain looked = *chain;

	looked.next.sequence = chain->first;
	while (!looked.is_sealed && looked.next.sequence <= chain->last) {
		char key[POSITION_SEGMENT_KEY_BYTES];
		int r;

		position_segment_key(&looked.next, 0, key);
		r = look(t, &looked, key);
		if (r == -ENOENT)
			looked.next.sequence++;
		else if (r < 0)
			return message_set(
				t->ret_message, r, "cannot read %s: %s", key, strerror(-r));
	}
	return looked.is_sealed;
}

static int find_missing_firsts(struct takeover *t)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < t->n; i++) {
		struct chain *chain = &t->chains[i];

		if (!may_lack_first(chain))
			continue;
		r = has_seal(t, chain);
		if (r == 0) {
			chain->next.sequence = 1;
			chain->last_checksum = 0;
		}
	}
	return r < 0 ? r : 0;
}

/* ---- seals */

static struct segment seal_at(const struct takeover *t, const struct chain *chain, uint64_t ahead)
{
	struct segment seal = {.type = SEGMENT_SEAL,
		.position = chain->next,
		.created_ms = clock_realtime_ms(),
		.previous_checksum = ahead == 0 ? chain->last_checksum : 0,
		.taker = t->options->self->node};

	seal.position.sequence += ahead;
	return seal;
}

static struct backend_condition if_absent(const struct takeover *t)
{
	return (struct backend_condition){
		.type = t->options->plain_puts ? BACKEND_ALWAYS : BACKEND_IF_ABSENT};
}

static int put_seal(const struct takeover *t, const struct chain *chain, const char *key)
{
	struct segment seal = seal_at(t, chain, 0);
	struct backend_condition condition = if_absent(t);
	struct backend_result result;
	struct frame frame;
	int r = segment_encode(&seal, &frame);

	if (r < 0)
		return r;
	r = backend_put_wait(
		t->options->backend, key, frame.parts, frame.n_parts, &condition, &result);
	if (r == 0)
		backend_result_done(&result);
	frame_done(&frame);
	return r;
}

/* ---- a writer that is faster than one seal at a time: many at once */

struct volley {
	struct lock lock;
	struct lock_condition changed;
	size_t n_left;
	struct shot {
		struct volley *volley;
		struct frame frame;
		char key[POSITION_SEGMENT_KEY_BYTES];
		int error;
	} shots[VOLLEY];
};

static void shot_done(struct backend_result *result, void *arg)
{
	struct shot *shot = arg;
	struct volley *v = shot->volley;

	lock_acquire(&v->lock);
	shot->error = result->error;
	v->n_left--;
	lock_condition_signal(&v->changed);
	lock_release(&v->lock);
}

static void shoot(const struct takeover *t, struct shot *shot)
{
	struct backend_condition condition = if_absent(t);
	struct backend_call call = {.priority = BACKEND_COMMIT, .done = shot_done, .arg = shot};

	backend_put(t->options->backend, shot->key, shot->frame.parts, shot->frame.n_parts,
		&condition, &call);
}

static int load_volley(const struct takeover *t, const struct chain *chain, struct volley *v)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < VOLLEY; i++) {
		struct segment seal = seal_at(t, chain, i);

		v->shots[i].volley = v;
		position_segment_key(&seal.position, 0, v->shots[i].key);
		r = segment_encode(&seal, &v->shots[i].frame);
	}
	return r;
}

static void fire(const struct takeover *t, struct volley *v)
{
	lock_init(&v->lock);
	lock_condition_init(&v->changed);
	v->n_left = VOLLEY;
	for (size_t i = 0; i < VOLLEY; i++)
		shoot(t, &v->shots[i]);
	lock_acquire(&v->lock);
	while (v->n_left > 0)
		lock_condition_wait(&v->changed, &v->lock);
	lock_release(&v->lock);
	lock_condition_done(&v->changed);
	lock_done(&v->lock);
}

/* Now all places are taken, and the first seal among them is the end. The others are not needed;
 * one that stays is behind a seal. */
static int settle(const struct takeover *t, struct chain *chain, const struct volley *v)
{
	for (size_t i = 0; i < VOLLEY; i++) {
		if (v->shots[i].error == 0 && chain->is_sealed)
			(void)backend_remove_wait(t->options->backend, v->shots[i].key);
		else if (v->shots[i].error == 0)
			chain->is_sealed = true;
		else if (v->shots[i].error != -EEXIST)
			return v->shots[i].error;
	}
	chain->next.sequence += VOLLEY;
	return 0;
}

static int put_many(const struct takeover *t, struct chain *chain)
{
	struct volley *v = calloc(1, sizeof(*v));
	int r = v == NULL ? -ENOMEM : load_volley(t, chain, v);

	if (r == 0) {
		fire(t, v);
		r = settle(t, chain, v);
	}
	for (size_t i = 0; v != NULL && i < VOLLEY; i++)
		frame_done(&v->shots[i].frame);
	free(v);
	return r;
}

/* ---- one journal */

static int try_seal(struct takeover *t, struct chain *chain, const char *key, int attempt)
{
	int r;

	if (attempt >= SINGLE_ATTEMPTS)
		return attempt < TAKEOVER_MAX_ATTEMPTS ? put_many(t, chain) : -EBUSY;
	r = put_seal(t, chain, key);
	if (r == -EEXIST) /* another's seal, or a segment that was in flight */
		return look(t, chain, key);
	chain->is_sealed = r == 0;
	return r;
}

static int seal(struct takeover *t, struct chain *chain)
{
	char key[POSITION_SEGMENT_KEY_BYTES];
	bool was_sealed = chain->is_sealed;

	for (int attempt = 0; !chain->is_sealed; attempt++) {
		int r;

		position_segment_key(&chain->next, 0, key);
		r = try_seal(t, chain, key, attempt);
		if (r < 0)
			return message_set(
				t->ret_message, r, "cannot seal %s: %s", key, strerror(-r));
	}
	if (!was_sealed) {
		log_info("sealed the journal of an earlier owner at %s", key);
		failpoint("takeover.seal");
	}
	return 0;
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

	if (r == 0)
		r = read_last_heads(t);
	if (r == 0)
		r = find_missing_firsts(t);
	for (size_t i = 0; r == 0 && i < t->n; i++)
		r = seal(t, &t->chains[i]);
	failpoint("takeover.sealed");
	if (r == 0)
		remove_old(t, owners, n_owners);
	return r;
}

int takeover_seal_others(const struct takeover_options *options, char **ret_message)
{
	struct takeover t = {.options = options, .ret_message = ret_message};
	struct owner *owners = NULL;
	size_t n_owners = 0;
	int r;

	*ret_message = NULL;
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
