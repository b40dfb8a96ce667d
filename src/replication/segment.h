/*
 * segment.h: one group commit of a journal as an object, and the parts of a large one
 * (doc/format-objects.md).
 *
 * A segment is a consistent cut: what changed of each account since the one before. Sections that
 * do not fit go to parts, which are objects of their own beside it, put before it: what the segment
 * does not name does not exist. A seal is a segment by which somebody else ends the journal.
 *
 * Writing: directory_add() the sections; for each part segment_encode_part() and put it, after
 * which its sections may be freed; then segment_encode() and put that.
 * Reading: get FRAME_FIRST_READ_BYTES of the object, segment_decode(), again with more when it asks
 * for more; then the wanted sections by their offsets, each with section_reader_open(). Pure: no
 * I/O, no locks.
 */
#ifndef MAILFS_REPLICATION_SEGMENT_H
#define MAILFS_REPLICATION_SEGMENT_H

#include <stddef.h>
#include <stdint.h>
#include "replication/directory.h"
#include "replication/frame.h"
#include "replication/position.h"

#define SEGMENT_FORMAT_VERSION 1
#define SEGMENT_HEADER_BYTES 104
#define SEGMENT_PART_HEADER_BYTES 72

enum segment_type {
	SEGMENT_CHANGES = 1,
	SEGMENT_SEAL = 2,
};

struct segment {
	uint8_t type; /* enum segment_type */
	struct position position;
	int64_t created_ms;         /* since 1970 */
	uint64_t previous_checksum; /* head_checksum of the segment before; 0: this is the first */
	struct uuid taker;          /* of a seal: who wrote it; else zeros */
	uint32_t n_parts;           /* set by decoding; encoding takes it from the directory */
	struct directory directory; /* owned: segment_done() */
	struct frame_facts facts;   /* set by decoding */
};

void segment_done(struct segment *segment);

/* Makes the object; places are noted in the directory. All parts that the directory names must have
 * been encoded. -EINVAL: not so, or a part without a section before the last, a seal with sections
 * or without a taker, changes with one; -EFBIG, -ENOMEM. */
int segment_encode(struct segment *segment, struct frame *ret);

/* The part `part` (from 1) of the segment, once all of its sections are in the directory. -EINVAL:
 * it has none. */
int segment_encode_part(struct segment *segment, uint16_t part, struct frame *ret);

/* Checks and decodes an object of which `data` is the beginning. -EAGAIN: *ret_needed_bytes of it
 * are needed (more than size_bytes; if that is all there is, the object is damaged). -EBADMSG: it
 * is damaged, at another position than `expected`, or of a format that this program does not know;
 * -ENOMEM. *ret_problem (NULL: not wanted): a text, never freed, says which check failed. */
int segment_decode(const void *data, size_t size_bytes, const struct position *expected,
	struct segment *ret, size_t *ret_needed_bytes, const char **ret_problem);

/* The same of the part `part` of the segment at `expected`. */
struct segment_part {
	struct position position;
	uint32_t part;
	struct directory directory; /* of its own sections only; owned: segment_part_done() */
	struct frame_facts facts;
};

void segment_part_done(struct segment_part *part);

int segment_decode_part(const void *data, size_t size_bytes, const struct position *expected,
	uint16_t part, struct segment_part *ret, size_t *ret_needed_bytes,
	const char **ret_problem);

/* ---- for showing objects that may be damaged: what the header says, whatever is wrong with it or
 * with what follows. *ret_version 0: there is too little for a header. */
void segment_peek(const void *data, size_t size_bytes, struct segment *ret, uint16_t *ret_version);
void segment_peek_part(
	const void *data, size_t size_bytes, struct segment_part *ret, uint16_t *ret_version);

#endif
