/*
 * position.h: places in a journal, and the keys of the journal's objects (doc/format-objects.md).
 *
 * A node has a journal for each incarnation of its state directory; segments are numbered in it
 * without gaps. Keys sort as positions do: the parts of a segment come behind it and before the
 * next, and no key is the parent of another. Parsers accept the one spelling that the formatters
 * give and nothing else, since listings come from outside.
 */
#ifndef MAILFS_REPLICATION_POSITION_H
#define MAILFS_REPLICATION_POSITION_H

#include <stdbool.h>
#include <stdint.h>
#include "util/codec.h"
#include "util/uuid.h"

#define POSITION_BYTES 32 /* encoded */
#define POSITION_SEGMENT_KEY_BYTES 96
#define POSITION_CHECKPOINT_KEY_BYTES 80
#define POSITION_MAX_ACCOUNT ((UINT32_C(1) << 24) - 1) /* as KEY_ACCOUNT_MAX of cache/key.h */

struct position {
	struct uuid node;
	uint64_t incarnation;
	uint64_t sequence;
};

bool position_equal(const struct position *a, const struct position *b);

/* Whether both are in the journal of one incarnation. */
bool position_same_journal(const struct position *a, const struct position *b);

void position_encode(struct encoder *e, const struct position *position);
void position_decode(struct decoder *d, struct position *ret);

/* ---- keys */

/* journal/<node>/<incarnation>/<sequence>, and with `.<part>` behind it for part > 0. */
void position_segment_key(
	const struct position *position, uint16_t part, char key[POSITION_SEGMENT_KEY_BYTES]);

/* *ret_part is 0 for the segment itself. */
bool position_parse_segment_key(const char *key, struct position *ret_position, uint16_t *ret_part);

/* The prefix of all keys of a position's journal, with the slash at its end, for listings. */
void position_journal_prefix(
	const struct position *position, char prefix[POSITION_SEGMENT_KEY_BYTES]);

/* accounts/<hash>/<account>/checkpoint/<number> */
void position_checkpoint_key(
	uint32_t account, uint64_t number, char key[POSITION_CHECKPOINT_KEY_BYTES]);

bool position_parse_checkpoint_key(const char *key, uint32_t *ret_account, uint64_t *ret_number);

/* The same with `.<part>` behind it, for part > 0; both also do for 0, the checkpoint itself. */
void position_checkpoint_part_key(
	uint32_t account, uint64_t number, uint16_t part, char key[POSITION_CHECKPOINT_KEY_BYTES]);
bool position_parse_checkpoint_part_key(
	const char *key, uint32_t *ret_account, uint64_t *ret_number, uint16_t *ret_part);

#endif
