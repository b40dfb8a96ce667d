/*
 * fuzz_segment.c: segments, checkpoints and their parts, told apart by their magic. Any input is
 * refused or decoded, also when its checksums were made right. The head of what was decoded can be
 * encoded again, to the same bytes; sections lie within the object that the head describes.
 */
#include <config.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "replication/checkpoint.h"
#include "replication/segment.h"
#include "util/checksum.h"
#include "util/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

/* What encoding needs and decoding does not give; it is only pointed to. */
static void set_stored(struct directory *directory, const uint8_t *data)
{
	for (uint32_t i = 0; i < directory->n_entries; i++)
		directory->entries[i].stored = data;
}

static void check_same(const struct frame *frame, const struct frame_facts *facts,
	const uint8_t *data, size_t size)
{
	check(facts->head_bytes <= size && frame->head_bytes == facts->head_bytes);
	check(memcmp(frame->head, data, frame->head_bytes) == 0);
	check(frame->head_checksum == facts->head_checksum);
	check(frame->size_bytes == facts->object_bytes);
}

static void read_sections(
	const struct directory *directory, uint16_t part, const uint8_t *data, size_t size)
{
	for (uint32_t i = 0; i < directory->n_entries; i++) {
		const struct directory_entry *entry = &directory->entries[i];
		struct section_reader reader;

		if (entry->part != part || entry->offset_bytes + entry->section.stored_bytes > size)
			continue;
		if (section_reader_open(&reader, &entry->section, data + entry->offset_bytes,
			    entry->section.stored_bytes, NULL) == 0)
			section_reader_close(&reader);
	}
}

static void fuzz_segment(const uint8_t *data, size_t size)
{
	struct segment peeked, segment;
	const char *problem = NULL;
	size_t needed = 0;
	uint16_t version;
	struct frame frame;
	uint32_t n;
	int r;

	segment_peek(data, size, &peeked, &version);
	r = segment_decode(data, size, &peeked.position, &segment, &needed, &problem);
	check(r == 0 || problem != NULL);
	check(r != -EAGAIN || needed > size);
	if (r < 0)
		return;
	read_sections(&segment.directory, 0, data, size);
	(void)directory_find(&segment.directory, 26, &n);
	set_stored(&segment.directory, data);
	check(segment_encode(&segment, &frame) == 0);
	check_same(&frame, &segment.facts, data, size);
	frame_done(&frame);
	segment_done(&segment);
}

static void fuzz_part(const uint8_t *data, size_t size)
{
	struct segment_part peeked, part;
	const char *problem = NULL;
	struct segment segment;
	struct frame frame;
	uint16_t version;
	size_t needed = 0;
	int r;

	segment_peek_part(data, size, &peeked, &version);
	r = segment_decode_part(
		data, size, &peeked.position, (uint16_t)peeked.part, &part, &needed, &problem);
	check(r == 0 || problem != NULL);
	check(r != -EAGAIN || needed > size);
	if (r < 0)
		return;
	read_sections(&part.directory, (uint16_t)part.part, data, size);
	set_stored(&part.directory, data);
	segment = (struct segment){
		.type = SEGMENT_CHANGES, .position = part.position, .directory = part.directory};
	if (part.part > 0) {
		check(segment_encode_part(&segment, (uint16_t)part.part, &frame) == 0);
		check_same(&frame, &part.facts, data, size);
		frame_done(&frame);
	}
	segment_part_done(&part);
}

static void fuzz_checkpoint(const uint8_t *data, size_t size)
{
	struct checkpoint peeked, checkpoint, header;
	const char *problem = NULL;
	struct frame frame;
	uint16_t version;
	size_t needed = 0;
	int r, alone;

	checkpoint_peek(data, size, &peeked, &version);
	r = checkpoint_decode(
		data, size, peeked.account, peeked.number, &checkpoint, &needed, &problem);
	check(r == 0 || problem != NULL);
	check(r != -EAGAIN || needed > size);
	alone = checkpoint_decode_header(data, size, peeked.account, peeked.number, &header);
	check(alone == 0 || (alone == -EBADMSG && r < 0));
	check(alone < 0 || (header.directory.n_entries == 0 &&
				   position_equal(&header.position, &peeked.position)));
	if (r < 0)
		return;
	read_sections(&checkpoint.directory, 0, data, size);
	set_stored(&checkpoint.directory, data);
	check(checkpoint_encode(&checkpoint, &frame) == 0);
	check_same(&frame, &checkpoint.facts, data, size);
	frame_done(&frame);
	checkpoint_done(&checkpoint);
}

static void fuzz_checkpoint_part(const uint8_t *data, size_t size)
{
	struct checkpoint_part peeked, part;
	const char *problem = NULL;
	struct checkpoint checkpoint;
	struct frame frame;
	uint16_t version;
	size_t needed = 0;
	int r;

	checkpoint_peek_part(data, size, &peeked, &version);
	r = checkpoint_decode_part(data, size, peeked.account, peeked.number, (uint16_t)peeked.part,
		&part, &needed, &problem);
	check(r == 0 || problem != NULL);
	check(r != -EAGAIN || needed > size);
	if (r < 0)
		return;
	read_sections(&part.directory, (uint16_t)part.part, data, size);
	set_stored(&part.directory, data);
	checkpoint = (struct checkpoint){.volume = part.volume,
		.account = part.account,
		.number = part.number,
		.directory = part.directory};
	if (part.part > 0) {
		check(checkpoint_encode_part(&checkpoint, (uint16_t)part.part, &frame) == 0);
		check_same(&frame, &part.facts, data, size);
		frame_done(&frame);
	}
	checkpoint_part_done(&part);
}

static void fuzz_all(const uint8_t *data, size_t size)
{
	fuzz_segment(data, size);
	fuzz_part(data, size);
	fuzz_checkpoint(data, size);
	fuzz_checkpoint_part(data, size);
}

/* Makes the checksums right, of as many sections as the header says and there is room for. */
static void mend(uint8_t *data, size_t size, size_t header_bytes)
{
	struct decoder d = decoder_over(data + header_bytes - FRAME_END_BYTES, 4);
	uint32_t n = decode_u32(&d);
	size_t directory_bytes = (size_t)n * DIRECTORY_ENTRY_BYTES;
	struct encoder e = encoder_over(data + header_bytes - 16, 16);

	if (n > DIRECTORY_MAX_ENTRIES || directory_bytes > size - header_bytes)
		directory_bytes = 0;
	encode_u64(&e, checksum_64(data + header_bytes, directory_bytes));
	encode_u64(&e, checksum_64(data, header_bytes - 8));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The parts of both have the same. */
	static const size_t headers[] = {
		SEGMENT_HEADER_BYTES, SEGMENT_PART_HEADER_BYTES, CHECKPOINT_HEADER_BYTES};
	uint8_t *copy = malloc(size + 1);

	if (copy == NULL)
		return 0;
	fuzz_all(data, size);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		if (size < headers[i])
			continue;
		memcpy(copy, data, size);
		mend(copy, size, headers[i]);
		fuzz_all(copy, size);
	}
	free(copy);
	return 0;
}
