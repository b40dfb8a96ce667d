/*
 * takeover_chain.c: where a journal ends of which segments are missing (takeover_private.h).
 *
 * One that is missing near the end was in flight when its node died, or is still. There the seal
 * belongs: whatever is behind it did not count, and if the missing one comes it must find its place
 * taken. One that is missing further away was there, was acknowledged, and is lost: a seal in its
 * place would make nothing of all that follows, and say nothing of it. What tells:
 *
 * - a segment that is begun only when the missing one is complete (journal_was_complete());
 * - a seal with the checksum of the segment before it: whoever put it had gone up to there, and
 *   knew what was missing as well as we do;
 * - a seal that is further away than the many that are put at once (takeover_seal.c). A taker that
 *   died over these leaves some of them behind places that are free, and they tell nothing: there
 *   the old owner may still write.
 *
 * What cannot be read is taken for a segment.
 */
#include <config.h>
#include "replication/takeover_private.h"

#include <errno.h>
#include <string.h>
#include "replication/journal.h"
#include "util/message.h"

/* Over `next`, which is there or lost, to the next one that is missing. */
static void advance(struct takeover_chain *chain)
{
	bool is_there;

	do {
		chain->next.sequence++;
		is_there = (chain->ahead & 1) != 0;
		chain->ahead >>= 1;
		if (is_there)
			chain->before = chain->next.sequence;
	} while (is_there);
}

/* As far as numbers alone tell, whether they are of seals or not. */
void takeover_chain_add(struct takeover_chain *chain, uint64_t sequence)
{
	chain->last = sequence;
	while (sequence - chain->next.sequence >= TAKEOVER_VOLLEY) {
		if (chain->ahead == 0)
			chain->next.sequence = sequence - (TAKEOVER_VOLLEY - 1);
		else
			advance(chain);
	}
	if (sequence == chain->next.sequence) {
		chain->before = sequence;
		advance(chain);
	} else {
		chain->ahead |= UINT64_C(1) << (sequence - chain->next.sequence - 1);
	}
}

/* 1: by that one the missing one was complete. */
static int tells(struct takeover *t, const struct takeover_chain *chain, uint64_t sequence)
{
	struct takeover_chain looked = *chain;
	char key[POSITION_SEGMENT_KEY_BYTES];
	int r;

	looked.next.sequence = sequence;
	looked.is_sealed = false;
	position_segment_key(&looked.next, 0, key);
	r = takeover_look(t, &looked, key);
	if (r == -ENOENT) /* its owner, or another who takes over, has removed it */
		return 0;
	if (r < 0)
		return message_set(t->ret_message, r, "cannot read %s: %s", key, strerror(-r));
	if (looked.is_sealed)
		return looked.seal_previous != 0;
	return journal_was_complete(chain->next.sequence, sequence);
}

/* The last one first: mostly it tells. */
static int was_complete(struct takeover *t, const struct takeover_chain *chain)
{
	int r = 0;

	for (unsigned int i = TAKEOVER_VOLLEY - 1; r == 0 && i-- > 0;) {
		if ((chain->ahead >> i & 1) != 0)
			r = tells(t, chain, chain->next.sequence + 1 + i);
	}
	return r;
}

int takeover_chain_settle(struct takeover *t, struct takeover_chain *chain)
{
	int r = 0;

	while (chain->ahead != 0 && (r = was_complete(t, chain)) > 0)
		advance(chain);
	return r < 0 ? r : 0;
}
