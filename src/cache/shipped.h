/*
 * shipped.h: the node's own notes of its journal: which segments it has made, and what they have.
 *
 * Each segment is noted before it is put (so what the backend has and this store does not know was
 * lost here, with the machine's power) and again when it and all before it are on the backend; then
 * the notes of earlier ones go. Notes need no sync: the store keeps the order, so a note is never
 * there without the changes that its segment has.
 *
 * Sequence 0 is no segment: the note says that up to there nothing was left to ship.
 */
#ifndef MAILFS_CACHE_SHIPPED_H
#define MAILFS_CACHE_SHIPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/uuid.h"

struct node;

/* How many notes there may be: of segments in flight, and the last that was complete. */
#define SHIPPED_MAX_NOTES 128

struct shipped {
	uint64_t incarnation, sequence;
	uint64_t store_sequence; /* cut_store_sequence() */
	uint64_t checksum;       /* of the segment's head */
	bool is_complete;        /* it and all before it are on the backend */
};

/* A place in any node's journal, as position.h of replication/ has it. */
struct shipped_position {
	struct uuid node;
	uint64_t incarnation, sequence;
};

/* With is_synced it is on the local disk on return, and all changes before it. */
int shipped_note(struct node *node, const struct shipped *segment, bool is_synced);

/* The store's number of its newest change, as in a note. */
uint64_t shipped_store_sequence(struct node *node);

/* Notes that it is complete, and that it, in the journal of `self`, is the latest of these
 * accounts; forgets the note of the segment before it. */
int shipped_complete(struct node *node, const struct shipped *segment, const struct uuid *self,
	const uint32_t *accounts, size_t n_accounts);

/* All notes, sorted by incarnation and sequence. -EBADMSG: damaged, or too many. */
int shipped_load(struct node *node, struct shipped ret[SHIPPED_MAX_NOTES], size_t *ret_n);
int shipped_forget(struct node *node, const struct shipped *segment);

/* The latest segment with changes of the account, of whatever node. -ENOENT: none. */
int shipped_latest(struct node *node, uint32_t account, struct shipped_position *ret);

/* Of an account that is being loaded, before that ends: what its next segment has to name. */
int shipped_set_latest(
	struct node *node, uint32_t account, const struct shipped_position *position);

/* What was noted so far is on stable storage when it returns. */
int shipped_sync(struct node *node);

#endif
