#include <config.h>
#include "replication/frame.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/checksum.h"

#define CHECKSUM_BYTES 8

void frame_done(struct frame *frame)
{
	free(frame->head);
	free(frame->parts);
	*frame = (struct frame){.head = NULL};
}

static bool is_listed(const struct directory_entry *entry, uint16_t part)
{
	return part == 0 || entry->part == part;
}

/* The directory behind the header, and the sections behind both. */
static int fill(const struct frame_kind *kind, const struct directory *directory, uint16_t part,
	struct frame *frame)
{
	struct encoder e = encoder_over(
		frame->head + kind->header_bytes, frame->head_bytes - kind->header_bytes);

	frame->parts[frame->n_parts++] = (struct iovec){frame->head, frame->head_bytes};
	for (uint32_t i = 0; i < directory->n_entries; i++) {
		const struct directory_entry *entry = &directory->entries[i];

		if (!is_listed(entry, part))
			continue;
		if (entry->offset_bytes == 0 || (entry->part == part && entry->stored == NULL))
			return -EINVAL;
		directory_encode_entry(&e, entry);
		if (entry->part == part)
			frame->parts[frame->n_parts++] = (struct iovec){
				(void *)(uintptr_t)entry->stored, entry->section.stored_bytes};
	}
	assert(encoder_ok(&e) && e.size_bytes == e.capacity_bytes);
	return 0;
}

static void encode_beginning(const struct frame_kind *kind, uint8_t type, struct encoder *e)
{
	encode_bytes(e, kind->magic, FRAME_MAGIC_BYTES);
	encode_u16(e, kind->version);
	encode_u8(e, type);
	encode_u8(e, 0);
	encode_u32(e, kind->header_bytes);
}

int frame_begin(const struct frame_kind *kind, uint8_t type, struct directory *directory,
	uint16_t part, struct frame *ret, struct encoder *ret_encoder)
{
	uint32_t n_own = directory_count_part(directory, part);
	uint32_t n_listed = part == 0 ? directory->n_entries : n_own;
	struct frame frame = {
		.head_bytes = kind->header_bytes + (size_t)n_listed * DIRECTORY_ENTRY_BYTES};
	int r = directory_place(directory, part, frame.head_bytes, &frame.size_bytes);

	if (r < 0)
		return r;
	frame.head = calloc(1, frame.head_bytes);
	frame.parts = calloc((size_t)n_own + 1, sizeof(*frame.parts));
	r = frame.head == NULL || frame.parts == NULL ? -ENOMEM
						      : fill(kind, directory, part, &frame);
	if (r < 0) {
		frame_done(&frame);
		return r;
	}
	*ret_encoder = encoder_over(frame.head, kind->header_bytes);
	encode_beginning(kind, type, ret_encoder);
	*ret = frame;
	return 0;
}

void frame_finish(const struct frame_kind *kind, struct encoder *encoder, struct frame *frame)
{
	size_t directory_bytes = frame->head_bytes - kind->header_bytes;

	assert(encoder->size_bytes == kind->header_bytes - FRAME_END_BYTES);
	encode_u32(encoder, (uint32_t)(directory_bytes / DIRECTORY_ENTRY_BYTES));
	encode_u64(encoder, checksum_64(frame->head + kind->header_bytes, directory_bytes));
	encode_u64(encoder, checksum_64(frame->head, kind->header_bytes - CHECKSUM_BYTES));
	assert(encoder_ok(encoder));
	frame->head_checksum = checksum_64(frame->head, frame->head_bytes);
}

/* ---- decoding */

int frame_reader_fail(struct frame_reader *reader, const char *problem)
{
	reader->problem = problem;
	return -EBADMSG;
}

int frame_reader_report(const struct frame_reader *reader, int r, size_t *ret_needed_bytes,
	const char **ret_problem)
{
	if (r == -EAGAIN)
		*ret_needed_bytes = reader->needed_bytes;
	if (r < 0 && ret_problem != NULL)
		*ret_problem = reader->problem != NULL ? reader->problem : "out of memory";
	return r;
}

int frame_reader_begin(struct frame_reader *reader, const struct frame_kind *kind, const void *data,
	size_t size_bytes)
{
	struct decoder begin = decoder_over(data, size_bytes), end;
	uint8_t magic[FRAME_MAGIC_BYTES], reserved;
	uint32_t header_size;
	uint64_t checksum;

	*reader = (struct frame_reader){.kind = kind, .data = data, .size_bytes = size_bytes};
	if (size_bytes < kind->header_bytes) {
		reader->problem = "the object is shorter than its header";
		reader->needed_bytes = kind->header_bytes;
		return -EAGAIN;
	}
	decode_bytes(&begin, magic, sizeof(magic));
	reader->version = decode_u16(&begin);
	reader->type = decode_u8(&begin);
	reserved = decode_u8(&begin);
	header_size = decode_u32(&begin);
	reader->fields = decoder_over(reader->data + FRAME_BEGIN_BYTES,
		kind->header_bytes - FRAME_BEGIN_BYTES - FRAME_END_BYTES);
	end = decoder_over(reader->data + kind->header_bytes - FRAME_END_BYTES, FRAME_END_BYTES);
	reader->n_sections = decode_u32(&end);
	reader->directory_checksum = decode_u64(&end);
	checksum = decode_u64(&end);
	if (memcmp(magic, kind->magic, FRAME_MAGIC_BYTES) != 0)
		return frame_reader_fail(reader, "the magic is another");
	if (reader->version != kind->version)
		return frame_reader_fail(reader, "the format version is unknown");
	if (checksum != checksum_64(data, kind->header_bytes - CHECKSUM_BYTES))
		return frame_reader_fail(reader, "the header's checksum does not fit");
	if (reserved != 0 || header_size != kind->header_bytes)
		return frame_reader_fail(reader, "the header is not as this version has it");
	if (reader->n_sections > DIRECTORY_MAX_ENTRIES)
		return frame_reader_fail(reader, "there are more sections than may be");
	return 0;
}

int frame_reader_directory(
	struct frame_reader *reader, struct directory_frame *limits, struct directory *ret)
{
	size_t directory_bytes = (size_t)reader->n_sections * DIRECTORY_ENTRY_BYTES;
	size_t header_bytes = reader->kind->header_bytes;
	struct frame_facts facts = {.head_bytes = header_bytes + directory_bytes};
	int r;

	if (reader->size_bytes < facts.head_bytes) {
		reader->problem = "the object is shorter than its directory";
		reader->needed_bytes = facts.head_bytes;
		return -EAGAIN;
	}
	if (checksum_64(reader->data + header_bytes, directory_bytes) != reader->directory_checksum)
		return frame_reader_fail(reader, "the directory's checksum does not fit");
	limits->head_bytes = facts.head_bytes;
	r = directory_decode(reader->data + header_bytes, reader->n_sections, limits, ret,
		&facts.object_bytes, &reader->problem);
	if (r < 0)
		return r;
	facts.head_checksum = checksum_64(reader->data, facts.head_bytes);
	reader->facts = facts;
	return 0;
}
