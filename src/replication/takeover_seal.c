/*
 * takeover_seal.c: the seal of one journal, at the end that was found (takeover.c).
 *
 * Between the listing and the seal the owner may go on, for minutes if whoever takes over is
 * stopped. He may then have removed what was listed, and the place of the seal may be free because
 * what stood there was removed too: such a seal ends nothing. What comes before the end of a living
 * journal is never removed. So it is looked for after the seal; where it is gone the seal is taken
 * away again, and the journals are listed anew.
 */
#include <config.h>
#include "replication/takeover_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "replication/journal.h"
#include "replication/segment.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/message.h"

/* A journal that is still being written to gets so many seals one by one, each behind what came
 * before the last; then TAKEOVER_VOLLEY at once. */
#define SINGLE_ATTEMPTS 3

static struct segment seal_at(
	const struct takeover *t, const struct takeover_chain *chain, uint64_t ahead)
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

static int put_seal(const struct takeover *t, const struct takeover_chain *chain, const char *key)
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
	} shots[TAKEOVER_VOLLEY];
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

static int load_volley(
	const struct takeover *t, const struct takeover_chain *chain, struct volley *v)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < TAKEOVER_VOLLEY; i++) {
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
	v->n_left = TAKEOVER_VOLLEY;
	for (size_t i = 0; i < TAKEOVER_VOLLEY; i++)
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
static int settle(const struct takeover *t, struct takeover_chain *chain, const struct volley *v)
{
	for (size_t i = 0; i < TAKEOVER_VOLLEY; i++) {
		if (v->shots[i].error == 0 && chain->is_sealed)
			(void)backend_remove_wait(t->options->backend, v->shots[i].key);
		else if (v->shots[i].error == 0) {
			chain->is_sealed = true;
			chain->own_seal = chain->next.sequence + i;
			if (i > 0)
				chain->before = chain->own_seal - 1;
		} else if (v->shots[i].error != -EEXIST)
			return v->shots[i].error;
	}
	chain->next.sequence += TAKEOVER_VOLLEY;
	if (!chain->is_sealed) {
		chain->before = chain->next.sequence - 1;
		chain->last_checksum = 0; /* nobody has looked at that one */
	}
	return 0;
}

static int put_many(const struct takeover *t, struct takeover_chain *chain)
{
	struct volley *v = calloc(1, sizeof(*v));
	int r = v == NULL ? -ENOMEM : load_volley(t, chain, v);

	if (r == 0) {
		fire(t, v);
		r = settle(t, chain, v);
	}
	for (size_t i = 0; v != NULL && i < TAKEOVER_VOLLEY; i++)
		frame_done(&v->shots[i].frame);
	free(v);
	return r;
}

/* ---- one journal */

static int try_seal(struct takeover *t, struct takeover_chain *chain, const char *key, int attempt)
{
	int r;

	if (attempt >= SINGLE_ATTEMPTS)
		return attempt < TAKEOVER_MAX_ATTEMPTS ? put_many(t, chain) : -EBUSY;
	r = put_seal(t, chain, key);
	if (r == -EEXIST) { /* another's seal, or a segment that was in flight */
		r = takeover_look(t, chain, key);
		return r == -ENOENT ? 0 : r; /* another has taken back his seal */
	}
	chain->is_sealed = r == 0;
	chain->own_seal = r == 0 ? chain->next.sequence : 0;
	return r;
}

/* ---- was it the end? */

/* A journal whose first segment never came has none behind those that can be in flight with it. */
static int check_first_is_missing(const struct takeover *t, const struct position *first)
{
	char prefix[POSITION_SEGMENT_KEY_BYTES];
	struct backend_result page;
	int r;

	position_journal_prefix(first, prefix);
	r = backend_list_wait(t->options->backend, prefix, NULL, BACKEND_LIST_MAX_ENTRIES, &page);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < page.n_entries; i++) {
		struct position position;
		uint16_t part;

		if (position_parse_segment_key(page.entries[i].key, &position, &part) &&
			journal_was_complete(1, position.sequence))
			r = -EAGAIN;
	}
	backend_result_done(&page);
	return r;
}

/* What was listed before the seal is still there. -EAGAIN: the owner is further. */
static int check_end(const struct takeover *t, const struct takeover_chain *chain)
{
	struct position before = chain->next;
	char key[POSITION_SEGMENT_KEY_BYTES];
	struct backend_result result;
	int r;

	before.sequence = chain->before;
	if (before.sequence == 0)
		return check_first_is_missing(t, &chain->next);
	position_segment_key(&before, 0, key);
	r = backend_head_wait(t->options->backend, key, &result);
	if (r == 0)
		backend_result_done(&result);
	return r == -ENOENT ? -EAGAIN : r;
}

static int seal_until_sealed(struct takeover *t, struct takeover_chain *chain)
{
	char key[POSITION_SEGMENT_KEY_BYTES];
	int r = 0;

	for (int attempt = 0; r == 0 && !chain->is_sealed; attempt++) {
		position_segment_key(&chain->next, 0, key);
		r = try_seal(t, chain, key, attempt);
	}
	if (r < 0)
		return message_set(t->ret_message, r, "cannot seal %s: %s", key, strerror(-r));
	return 0;
}

static int take_back(struct takeover *t, struct takeover_chain *chain)
{
	struct position seal = chain->next;
	char key[POSITION_SEGMENT_KEY_BYTES];
	int r;

	seal.sequence = chain->own_seal;
	position_segment_key(&seal, 0, key);
	log_info("the owner of %s is further: it is sealed again", key);
	r = backend_remove_wait(t->options->backend, key);
	return r < 0 ? message_set(t->ret_message, r, "cannot remove %s: %s", key, strerror(-r))
		     : -EAGAIN;
}

int takeover_seal(struct takeover *t, struct takeover_chain *chain)
{
	char key[POSITION_SEGMENT_KEY_BYTES];
	int r;

	if (chain->is_sealed)
		return 0;
	r = seal_until_sealed(t, chain);
	if (r < 0 || chain->own_seal == 0)
		return r;
	r = check_end(t, chain);
	if (r == -EAGAIN)
		return take_back(t, chain);
	chain->next.sequence = chain->own_seal;
	position_segment_key(&chain->next, 0, key);
	if (r < 0)
		return message_set(
			t->ret_message, r, "cannot look behind %s: %s", key, strerror(-r));
	log_info("sealed the journal of an earlier owner at %s", key);
	failpoint("takeover.seal");
	return 0;
}
