/*
 * checkpoint.h: one account whole, as an object (doc/format-objects.md).
 *
 * All records that the account has at a position of a journal; sections as in a segment. Replaying
 * the account from a checkpoint is: drop what is there, put these, then replay the segments behind
 * the position. Written and read as a segment is (segment.h), parts first. Pure: no I/O, no locks.
 */
#ifndef MAILFS_REPLICATION_CHECKPOINT_H
#define MAILFS_REPLICATION_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>
#include "replication/directory.h"
#include "replication/frame.h"
#include "replication/position.h"

#define CHECKPOINT_FORMAT_VERSION 2
#define CHECKPOINT_HEADER_BYTES 112
#define CHECKPOINT_PART_HEADER_BYTES 72

struct checkpoint {
	struct uuid volume;
	uint32_t account;
	uint64_t number; /* the one in its key */
	int64_t created_ms;
	struct position position;   /* the last one that it includes */
	uint32_t n_parts;           /* set by decoding; encoding takes it from the directory */
	struct directory directory; /* owned: checkpoint_done() */
	struct frame_facts facts;   /* set by decoding */
};

void checkpoint_done(struct checkpoint *checkpoint);

/* As segment_encode(). -EINVAL: a section of another account, or with a previous position, or parts
 * that were not encoded or have no section; -EFBIG, -ENOMEM. */
int checkpoint_encode(struct checkpoint *checkpoint, struct frame *ret);

/* The part `part` (from 1), once all of its sections are in the directory. -EINVAL: it has none. */
int checkpoint_encode_part(struct checkpoint *checkpoint, uint16_t part, struct frame *ret);

/* As segment_decode(). The volume is not checked; the caller knows which it should be. */
int checkpoint_decode(const void *data, size_t size_bytes, uint32_t expected_account,
	uint64_t expected_number, struct checkpoint *ret, size_t *ret_needed_bytes,
	const char **ret_problem);

/* The header alone, which has a checksum of its own: of one whose directory is damaged or missing.
 * The directory is empty. -EBADMSG. */
int checkpoint_decode_header(const void *data, size_t size_bytes, uint32_t expected_account,
	uint64_t expected_number, struct checkpoint *ret);

struct checkpoint_part {
	struct uuid volume;
	uint32_t account;
	uint64_t number;
	uint32_t part;
	struct directory directory; /* of its own sections only; owned: checkpoint_part_done() */
	struct frame_facts facts;
};

void checkpoint_part_done(struct checkpoint_part *part);

int checkpoint_decode_part(const void *data, size_t size_bytes, uint32_t expected_account,
	uint64_t expected_number, uint16_t expected_part, struct checkpoint_part *ret,
	size_t *ret_needed_bytes, const char **ret_problem);

/* What the header says, whatever is wrong; for showing it. *ret_version 0: there is none. */
void checkpoint_peek(
	const void *data, size_t size_bytes, struct checkpoint *ret, uint16_t *ret_version);
void checkpoint_peek_part(
	const void *data, size_t size_bytes, struct checkpoint_part *ret, uint16_t *ret_version);

#endif
