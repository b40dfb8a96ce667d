#include <config.h>
#include "replication/segment.h"

#include <errno.h>
#include <string.h>

static const struct frame_kind segment_kind = {
	"MFSSEGM", SEGMENT_FORMAT_VERSION, SEGMENT_HEADER_BYTES};
static const struct frame_kind part_kind = {
	"MFSPART", SEGMENT_FORMAT_VERSION, SEGMENT_PART_HEADER_BYTES};

void segment_done(struct segment *segment)
{
	directory_done(&segment->directory);
}

void segment_part_done(struct segment_part *part)
{
	directory_done(&part->directory);
}

/* ---- encoding */

static bool has_taker(const struct segment *segment)
{
	static const struct uuid none = {.bytes = {0}};

	return memcmp(segment->taker.bytes, none.bytes, UUID_BYTES) != 0;
}

/* The type, and what it allows. */
static bool type_is_valid(const struct segment *segment, uint32_t n_sections)
{
	if (segment->type == SEGMENT_SEAL)
		return has_taker(segment) && n_sections == 0 && segment->n_parts == 0;
	return segment->type == SEGMENT_CHANGES && !has_taker(segment);
}

static int check_parts(const struct segment *segment)
{
	for (uint32_t part = 1; part <= segment->n_parts; part++) {
		if (directory_count_part(&segment->directory, (uint16_t)part) == 0)
			return -EINVAL;
	}
	return 0;
}

int segment_encode(struct segment *segment, struct frame *ret)
{
	struct encoder e;
	struct frame frame;
	int r;

	segment->n_parts = directory_last_part(&segment->directory);
	if (!type_is_valid(segment, segment->directory.n_entries) || check_parts(segment) < 0)
		return -EINVAL;
	r = frame_begin(&segment_kind, segment->type, &segment->directory, 0, &frame, &e);
	if (r < 0)
		return r;
	position_encode(&e, &segment->position);
	encode_u64(&e, (uint64_t)segment->created_ms);
	encode_u64(&e, segment->previous_checksum);
	encode_bytes(&e, segment->taker.bytes, UUID_BYTES);
	encode_u32(&e, segment->n_parts);
	frame_finish(&segment_kind, &e, &frame);
	*ret = frame;
	return 0;
}

int segment_encode_part(struct segment *segment, uint16_t part, struct frame *ret)
{
	struct encoder e;
	struct frame frame;
	int r;

	if (part == 0 || directory_count_part(&segment->directory, part) == 0)
		return -EINVAL;
	r = frame_begin(&part_kind, 0, &segment->directory, part, &frame, &e);
	if (r < 0)
		return r;
	position_encode(&e, &segment->position);
	encode_u32(&e, part);
	frame_finish(&part_kind, &e, &frame);
	*ret = frame;
	return 0;
}

/* ---- decoding */

static void take_fields(struct frame_reader *reader, struct segment *ret)
{
	struct decoder *d = &reader->fields;

	*ret = (struct segment){.type = reader->type};
	position_decode(d, &ret->position);
	ret->created_ms = (int64_t)decode_u64(d);
	ret->previous_checksum = decode_u64(d);
	decode_bytes(d, ret->taker.bytes, UUID_BYTES);
	ret->n_parts = decode_u32(d);
}

static int check_fields(
	struct frame_reader *reader, const struct segment *segment, const struct position *expected)
{
	if (!position_equal(&segment->position, expected))
		return frame_reader_fail(reader, "the position is not that of the key");
	if (!type_is_valid(segment, reader->n_sections))
		return frame_reader_fail(
			reader, "the type is unknown or does not fit to what there is");
	if (segment->n_parts > DIRECTORY_MAX_PARTS)
		return frame_reader_fail(reader, "there are more parts than may be");
	return 0;
}

int segment_decode(const void *data, size_t size_bytes, const struct position *expected,
	struct segment *ret, size_t *ret_needed_bytes, const char **ret_problem)
{
	struct directory_frame limits = {
		.part_header_bytes = SEGMENT_PART_HEADER_BYTES, .self = expected};
	struct frame_reader reader;
	struct segment segment;
	int r = frame_reader_begin(&reader, &segment_kind, data, size_bytes);

	if (r == 0) {
		take_fields(&reader, &segment);
		r = check_fields(&reader, &segment, expected);
	}
	if (r == 0) {
		limits.last_part = (uint16_t)segment.n_parts;
		r = frame_reader_directory(&reader, &limits, &segment.directory);
	}
	if (r == 0) {
		segment.facts = reader.facts;
		*ret = segment;
	}
	return frame_reader_report(&reader, r, ret_needed_bytes, ret_problem);
}

static void take_part_fields(struct frame_reader *reader, struct segment_part *ret)
{
	*ret = (struct segment_part){.part = 0};
	position_decode(&reader->fields, &ret->position);
	ret->part = decode_u32(&reader->fields);
}

static int check_part_fields(struct frame_reader *reader, const struct segment_part *part,
	const struct position *expected, uint16_t expected_part)
{
	if (!position_equal(&part->position, expected))
		return frame_reader_fail(reader, "the position is not that of the key");
	if (part->part != expected_part)
		return frame_reader_fail(reader, "the part's number is not that of the key");
	if (reader->type != 0 || reader->n_sections == 0)
		return frame_reader_fail(reader, "the header is not as this version has it");
	return 0;
}

int segment_decode_part(const void *data, size_t size_bytes, const struct position *expected,
	uint16_t part, struct segment_part *ret, size_t *ret_needed_bytes, const char **ret_problem)
{
	struct directory_frame limits = {.part = part, .last_part = part, .self = expected};
	struct frame_reader reader;
	struct segment_part decoded;
	int r = frame_reader_begin(&reader, &part_kind, data, size_bytes);

	if (r == 0) {
		take_part_fields(&reader, &decoded);
		r = check_part_fields(&reader, &decoded, expected, part);
	}
	if (r == 0)
		r = frame_reader_directory(&reader, &limits, &decoded.directory);
	if (r == 0) {
		decoded.facts = reader.facts;
		*ret = decoded;
	}
	return frame_reader_report(&reader, r, ret_needed_bytes, ret_problem);
}

void segment_peek(const void *data, size_t size_bytes, struct segment *ret, uint16_t *ret_version)
{
	struct frame_reader reader;

	(void)frame_reader_begin(&reader, &segment_kind, data, size_bytes);
	take_fields(&reader, ret);
	*ret_version = reader.version;
}

void segment_peek_part(
	const void *data, size_t size_bytes, struct segment_part *ret, uint16_t *ret_version)
{
	struct frame_reader reader;

	(void)frame_reader_begin(&reader, &part_kind, data, size_bytes);
	take_part_fields(&reader, ret);
	*ret_version = reader.version;
}
