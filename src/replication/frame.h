/*
 * frame.h: what segments, their parts and checkpoints have in common (doc/format-objects.md).
 *
 * Such an object is a header, a directory and sections. All headers begin alike (magic, version,
 * type, size of the header) and end alike (number of sections, checksum of the directory, checksum
 * of the header); between them each has fields of its own. Pure: no I/O, no locks.
 */
#ifndef MAILFS_REPLICATION_FRAME_H
#define MAILFS_REPLICATION_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "replication/directory.h"
#include "util/codec.h"

#define FRAME_MAGIC_BYTES 8
#define FRAME_BEGIN_BYTES 16 /* what all headers begin with */
#define FRAME_END_BYTES 20   /* and end with */

/* So much of an object's beginning holds the heads of nearly all. */
#define FRAME_FIRST_READ_BYTES (64U << 10)
#define FRAME_MAX_HEAD_BYTES (128 + DIRECTORY_MAX_ENTRIES * DIRECTORY_ENTRY_BYTES)

/* ---- encoding */

/* An object that is ready for backend_put(). Points to the sections' content, which is the
 * caller's; the rest is its own: frame_done(). */
struct frame {
	uint8_t *head; /* header and directory */
	size_t head_bytes;
	uint64_t head_checksum; /* XXH3-64 of all of the head */
	uint64_t size_bytes;    /* of the whole object */
	struct iovec *parts;
	int n_parts;
};

void frame_done(struct frame *frame);

struct frame_kind {
	char magic[FRAME_MAGIC_BYTES];
	uint16_t version;
	uint32_t header_bytes;
};

/* Makes *ret for the object `part` of the directory: the head with the directory in it, and places
 * for all sections of the part. The directory of part 0 has the entries of all parts, which
 * therefore were framed before. Then the caller encodes the fields between with the encoder, and
 * calls frame_finish(). -EINVAL: a section is missing; -EFBIG, -ENOMEM. */
int frame_begin(const struct frame_kind *kind, uint8_t type, struct directory *directory,
	uint16_t part, struct frame *ret, struct encoder *ret_encoder);
void frame_finish(const struct frame_kind *kind, struct encoder *encoder, struct frame *frame);

/* ---- decoding */

/* What the head of an object says about it. */
struct frame_facts {
	size_t head_bytes;
	uint64_t head_checksum;
	uint64_t object_bytes;
};

struct frame_reader {
	const struct frame_kind *kind;
	const uint8_t *data; /* the beginning of the object; the caller's */
	size_t size_bytes;
	struct decoder fields; /* of the fields between; the caller takes them */
	uint16_t version;
	uint8_t type;
	uint32_t n_sections;
	uint64_t directory_checksum;
	const char *problem; /* which check failed; NULL: none. Never freed */
	size_t needed_bytes; /* with -EAGAIN: so much of the object is needed */
	struct frame_facts facts;
};

/* Checks all of the header but the fields between. -EAGAIN: there is less than a header. -EBADMSG:
 * the reader's fields hold all the same what stands there, for showing it. */
int frame_reader_begin(struct frame_reader *reader, const struct frame_kind *kind, const void *data,
	size_t size_bytes);

/* Decodes the directory behind a header that was good, and sets `facts`. limits->head_bytes is set
 * here. -EAGAIN: there is less than the directory; -EBADMSG, -ENOMEM. */
int frame_reader_directory(
	struct frame_reader *reader, struct directory_frame *limits, struct directory *ret);

/* Notes the problem; -EBADMSG. */
int frame_reader_fail(struct frame_reader *reader, const char *problem);

/* Hands on what belongs to the result r, and returns it: *ret_needed_bytes with -EAGAIN,
 * *ret_problem (NULL: not wanted) with any error. */
int frame_reader_report(const struct frame_reader *reader, int r, size_t *ret_needed_bytes,
	const char **ret_problem);

#endif
