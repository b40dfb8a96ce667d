#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "replication/segment.h"
#include "replication_kit.h"
#include "util/checksum.h"
#include "util/cleanup.h"

#define CREATED_MS 1767225600000
#define N_SECTIONS 5

static const struct uuid taker = {{0xf0, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9, 10, 11, 12, 13, 14, 15}};

/* Accounts 3 (one section), 26 (three, with a previous segment), 27 (one). */
static struct section sections[N_SECTIONS];
static struct position previous;
static struct segment segment;

static void setup(void)
{
	for (int i = 0; i < N_SECTIONS; i++)
		sections[i] = kit_section((size_t)(100 + 700 * i), i % 2 == 1);
	previous = kit_position();
	previous.sequence = 4;
	segment = (struct segment){.type = SEGMENT_CHANGES,
		.position = kit_position(),
		.created_ms = CREATED_MS,
		.previous_checksum = 0x1122334455667788};
}

static void teardown(void)
{
	segment_done(&segment);
	for (int i = 0; i < N_SECTIONS; i++)
		section_done(&sections[i]);
}

/* parts: of each section, as a string of digits. */
static void add_sections(const char *parts)
{
	static const uint32_t accounts[N_SECTIONS] = {3, 26, 26, 26, 27};

	for (int i = 0; i < N_SECTIONS; i++)
		ck_assert_int_eq(
			directory_add(&segment.directory, accounts[i], (uint16_t)(parts[i] - '0'),
				accounts[i] == 26 ? &previous : NULL, &sections[i]),
			0);
}

static uint8_t *encode(size_t *ret_size)
{
	struct frame frame;
	uint8_t *object;

	ck_assert_int_eq(segment_encode(&segment, &frame), 0);
	object = kit_flatten(&frame);
	*ret_size = (size_t)frame.size_bytes;
	ck_assert_uint_eq(frame.head_checksum, checksum_64(object, frame.head_bytes));
	frame_done(&frame);
	return object;
}

static uint8_t *encode_part(uint16_t part, size_t *ret_size)
{
	struct frame frame;
	uint8_t *object;

	ck_assert_int_eq(segment_encode_part(&segment, part, &frame), 0);
	object = kit_flatten(&frame);
	*ret_size = (size_t)frame.size_bytes;
	frame_done(&frame);
	return object;
}

static int decode(const void *object, size_t size, struct segment *ret)
{
	size_t needed = 0;

	return segment_decode(object, size, &segment.position, ret, &needed, NULL);
}

static void assert_bad(const void *object, size_t size)
{
	struct segment again = {.created_ms = 77};
	const char *problem = NULL;
	size_t needed = 0;

	ck_assert_int_eq(segment_decode(object, size, &segment.position, &again, &needed, &problem),
		-EBADMSG);
	ck_assert_ptr_nonnull(problem);
	ck_assert_int_eq(again.created_ms, 77);
}

static void assert_section(const struct directory_entry *entry, const uint8_t *object, size_t size,
	const struct section *expected)
{
	struct section_reader reader;
	struct section_record record;

	ck_assert_uint_le(entry->offset_bytes + entry->section.stored_bytes, size);
	ck_assert_int_eq(section_reader_open(&reader, &entry->section, object + entry->offset_bytes,
				 entry->section.stored_bytes, NULL),
		0);
	ck_assert_mem_eq(
		object + entry->offset_bytes, expected->stored, expected->info.stored_bytes);
	ck_assert(section_reader_next(&reader, &record));
	ck_assert_mem_eq(record.key, "N\x01\x02", 3);
	section_reader_close(&reader);
}

START_TEST(test_there_and_back)
{
	CLEANUP_FREE uint8_t *object = NULL;
	const struct directory_entry *entry;
	struct segment again;
	size_t size = 0;
	uint32_t n = 77;

	add_sections("00000");
	object = encode(&size);
	ck_assert_int_eq(decode(object, size, &again), 0);
	ck_assert_uint_eq(again.type, SEGMENT_CHANGES);
	ck_assert(position_equal(&again.position, &segment.position));
	ck_assert_int_eq(again.created_ms, CREATED_MS);
	ck_assert_uint_eq(again.previous_checksum, segment.previous_checksum);
	ck_assert_uint_eq(again.n_parts, 0);
	ck_assert_uint_eq(again.facts.object_bytes, size);
	ck_assert_uint_eq(again.facts.head_checksum, checksum_64(object, again.facts.head_bytes));
	ck_assert_uint_eq(again.directory.n_entries, N_SECTIONS);
	for (uint32_t i = 0; i < N_SECTIONS; i++)
		assert_section(&again.directory.entries[i], object, size, &sections[i]);
	entry = directory_find(&again.directory, 26, &n);
	ck_assert_ptr_eq(entry, &again.directory.entries[1]);
	ck_assert_uint_eq(n, 3);
	ck_assert(entry->has_previous && position_equal(&entry->previous, &previous));
	ck_assert(!again.directory.entries[0].has_previous);
	ck_assert_ptr_null(directory_find(&again.directory, 4, &n));
	ck_assert_ptr_null(directory_find(&again.directory, 28, &n));
	segment_done(&again);
}
END_TEST

/* Nothing but the head is copied. */
START_TEST(test_sections_are_not_copied)
{
	struct frame frame;

	add_sections("00000");
	ck_assert_int_eq(segment_encode(&segment, &frame), 0);
	ck_assert_int_eq(frame.n_parts, 1 + N_SECTIONS);
	ck_assert_ptr_eq(frame.parts[0].iov_base, frame.head);
	for (int i = 0; i < N_SECTIONS; i++)
		ck_assert_ptr_eq(frame.parts[1 + i].iov_base, sections[i].stored);
	frame_done(&frame);
}
END_TEST

START_TEST(test_parts)
{
	CLEANUP_FREE uint8_t *object = NULL, *first = NULL, *second = NULL;
	const uint8_t *objects[3];
	size_t sizes[3], needed;
	struct segment_part part;
	struct segment again;

	add_sections("11202");
	first = encode_part(1, &sizes[1]);
	second = encode_part(2, &sizes[2]);
	object = encode(&sizes[0]);
	objects[0] = object;
	objects[1] = first;
	objects[2] = second;
	ck_assert_int_eq(decode(object, sizes[0], &again), 0);
	ck_assert_uint_eq(again.n_parts, 2);
	ck_assert_uint_eq(again.facts.object_bytes, sizes[0]);
	for (uint32_t i = 0; i < N_SECTIONS; i++) {
		const struct directory_entry *entry = &again.directory.entries[i];

		ck_assert_uint_eq(entry->part, (uint16_t)("11202"[i] - '0'));
		assert_section(entry, objects[entry->part], sizes[entry->part], &sections[i]);
	}
	for (uint16_t p = 1; p <= 2; p++) {
		ck_assert_int_eq(segment_decode_part(objects[p], sizes[p], &segment.position, p,
					 &part, &needed, NULL),
			0);
		ck_assert_uint_eq(part.directory.n_entries, 2);
		ck_assert_uint_eq(part.part, p);
		ck_assert_uint_eq(part.facts.object_bytes, sizes[p]);
		segment_part_done(&part);
		ck_assert_int_eq(segment_decode_part(objects[p], sizes[p], &segment.position,
					 (uint16_t)(3 - p), &part, &needed, NULL),
			-EBADMSG);
	}
	segment_done(&again);
}
END_TEST

/* A section of a part that was never made has no place. */
START_TEST(test_parts_come_first)
{
	CLEANUP_FREE uint8_t *first = NULL;
	struct frame frame;
	size_t size;

	add_sections("11200");
	ck_assert_int_eq(segment_encode(&segment, &frame), -EINVAL);
	first = encode_part(1, &size);
	ck_assert_int_eq(segment_encode(&segment, &frame), -EINVAL);
	ck_assert_int_eq(segment_encode_part(&segment, 0, &frame), -EINVAL);
	ck_assert_int_eq(segment_encode_part(&segment, 3, &frame), -EINVAL);
}
END_TEST

START_TEST(test_no_part_is_left_out)
{
	CLEANUP_FREE uint8_t *first = NULL, *third = NULL;
	struct frame frame;
	size_t size;

	add_sections("11300");
	first = encode_part(1, &size);
	third = encode_part(3, &size);
	ck_assert_int_eq(segment_encode(&segment, &frame), -EINVAL);
}
END_TEST

START_TEST(test_seal)
{
	CLEANUP_FREE uint8_t *object = NULL;
	struct segment again;
	struct frame frame;
	size_t size = 0;

	segment.type = SEGMENT_SEAL;
	ck_assert_int_eq(segment_encode(&segment, &frame), -EINVAL); /* by nobody */
	segment.taker = taker;
	object = encode(&size);
	ck_assert_uint_eq(size, SEGMENT_HEADER_BYTES);
	ck_assert_int_eq(decode(object, size, &again), 0);
	ck_assert_uint_eq(again.type, SEGMENT_SEAL);
	ck_assert_mem_eq(again.taker.bytes, taker.bytes, UUID_BYTES);
	segment_done(&again);
	kit_forge(object, SEGMENT_HEADER_BYTES, 10, 1, SEGMENT_CHANGES);
	assert_bad(object, size);
	add_sections("00000");
	ck_assert_int_eq(segment_encode(&segment, &frame), -EINVAL);
	segment.type = SEGMENT_CHANGES;
	ck_assert_int_eq(segment_encode(&segment, &frame), -EINVAL); /* with a taker */
}
END_TEST

START_TEST(test_directory_refuses)
{
	struct directory *d = &segment.directory;
	struct position other = previous;

	other.sequence--;
	ck_assert_int_eq(directory_add(d, 26, 0, &previous, &sections[0]), 0);
	ck_assert_int_eq(directory_add(d, 25, 0, NULL, &sections[1]), -EINVAL);
	ck_assert_int_eq(directory_add(d, 26, 0, NULL, &sections[1]), -EINVAL);
	ck_assert_int_eq(directory_add(d, 26, 0, &other, &sections[1]), -EINVAL);
	ck_assert_int_eq(
		directory_add(d, 26, DIRECTORY_MAX_PARTS + 1, &previous, &sections[1]), -EFBIG);
	ck_assert_int_eq(
		directory_add(d, POSITION_MAX_ACCOUNT + 1, 0, NULL, &sections[1]), -EINVAL);
	ck_assert_uint_eq(d->n_entries, 1);
	for (uint32_t i = 1; i < DIRECTORY_MAX_ENTRIES; i++)
		ck_assert_int_eq(directory_add(d, 26, 0, &previous, &sections[1]), 0);
	ck_assert_int_eq(directory_add(d, 26, 0, &previous, &sections[1]), -EFBIG);
}
END_TEST

/* It asks for what it needs, whatever it is given first. */
START_TEST(test_decode_asks_for_more)
{
	CLEANUP_FREE uint8_t *object = NULL;
	struct segment again;
	size_t size = 0, head = SEGMENT_HEADER_BYTES + N_SECTIONS * DIRECTORY_ENTRY_BYTES;

	add_sections("00000");
	object = encode(&size);
	for (size_t given = 0; given <= size; given++) {
		CLEANUP_FREE uint8_t *beginning = malloc(given + 1);
		size_t needed = 0;
		int r;

		memcpy(beginning, object, given);
		r = segment_decode(beginning, given, &segment.position, &again, &needed, NULL);
		ck_assert_int_eq(r, given < head ? -EAGAIN : 0);
		if (r == 0)
			segment_done(&again);
		else
			ck_assert_uint_eq(
				needed, given < SEGMENT_HEADER_BYTES ? SEGMENT_HEADER_BYTES : head);
	}
}
END_TEST

/* Every bit of the head; the sections' own are test_section.c's. */
START_TEST(test_every_corruption)
{
	CLEANUP_FREE uint8_t *object = NULL, *part = NULL;
	size_t size = 0, part_size = 0, needed;
	struct segment_part decoded;

	add_sections("11000");
	part = encode_part(1, &part_size);
	object = encode(&size);
	for (size_t i = 0; i < SEGMENT_HEADER_BYTES + N_SECTIONS * DIRECTORY_ENTRY_BYTES; i++) {
		for (int bit = 0; bit < 8; bit++) {
			object[i] ^= (uint8_t)(1 << bit);
			assert_bad(object, size);
			object[i] ^= (uint8_t)(1 << bit);
		}
	}
	for (size_t i = 0; i < SEGMENT_PART_HEADER_BYTES + 2 * DIRECTORY_ENTRY_BYTES; i++) {
		part[i] ^= 0x10;
		ck_assert_int_eq(segment_decode_part(part, part_size, &segment.position, 1,
					 &decoded, &needed, NULL),
			-EBADMSG);
		part[i] ^= 0x10;
	}
}
END_TEST

START_TEST(test_another_position)
{
	CLEANUP_FREE uint8_t *object = NULL;
	struct position other = segment.position;
	struct segment again;
	size_t size = 0, needed;

	add_sections("00000");
	object = encode(&size);
	other.sequence++;
	ck_assert_int_eq(segment_decode(object, size, &other, &again, &needed, NULL), -EBADMSG);
}
END_TEST

START_TEST(test_forged_headers)
{
	static const struct {
		size_t at, n_bytes;
		uint64_t value;
	} cases[] = {{8, 2, 2}, {8, 2, 0}, {10, 1, 0}, {10, 1, 2}, {10, 1, 3}, {11, 1, 1},
		{12, 4, 103}, {12, 4, 105}, {79, 1, 1}, {80, 4, 1},
		{80, 4, DIRECTORY_MAX_PARTS + 1}, {80, 4, UINT32_MAX}, {84, 4, 4},
		{84, 4, DIRECTORY_MAX_ENTRIES + 1}, {84, 4, UINT32_MAX}};
	CLEANUP_FREE uint8_t *object = NULL, *good = NULL;
	size_t size = 0;

	add_sections("00000");
	object = encode(&size);
	good = malloc(size);
	memcpy(good, object, size);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		kit_forge(object, SEGMENT_HEADER_BYTES, cases[i].at, cases[i].n_bytes,
			cases[i].value);
		assert_bad(object, size);
		memcpy(object, good, size);
	}
}
END_TEST

/* In the second entry, of account 26, with all checksums right. */
START_TEST(test_forged_directories)
{
	static const struct {
		size_t at, n_bytes;
		uint64_t value;
	} cases[] = {{0, 4, 2}, {0, 4, 27}, {0, 4, POSITION_MAX_ACCOUNT + 1}, {0, 4, UINT32_MAX},
		{4, 2, 1}, {4, 2, UINT16_MAX}, {6, 1, 0}, {6, 1, 2}, {7, 1, 1}, {7, 1, 2},
		{32, 8, 7}, {32, 8, UINT64_MAX}, {32, 8, 3}, {40, 8, 0}, {40, 8, 1},
		{40, 8, UINT64_MAX}, {48, 4, 0}, {48, 4, 1}, {48, 4, UINT32_MAX}, {52, 4, 0},
		{52, 4, UINT32_MAX}, {56, 4, 0}, {56, 4, UINT32_MAX}, {60, 4, 1}, {64, 8, 1}};
	size_t directory = N_SECTIONS * DIRECTORY_ENTRY_BYTES;
	CLEANUP_FREE uint8_t *object = NULL, *good = NULL;
	struct segment again;
	size_t size = 0;

	add_sections("00000");
	object = encode(&size);
	good = malloc(size);
	memcpy(good, object, size);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		kit_forge_directory(object, SEGMENT_HEADER_BYTES, directory,
			SEGMENT_HEADER_BYTES + DIRECTORY_ENTRY_BYTES + cases[i].at,
			cases[i].n_bytes, cases[i].value);
		assert_bad(object, size);
		memcpy(object, good, size);
	}
	kit_forge_directory(object, SEGMENT_HEADER_BYTES, directory, SEGMENT_HEADER_BYTES, 4, 3);
	ck_assert_int_eq(decode(object, size, &again), 0); /* the forger is a good one */
	segment_done(&again);
}
END_TEST

START_TEST(test_peek)
{
	CLEANUP_FREE uint8_t *object = NULL;
	struct segment seen;
	uint16_t version = 77;
	size_t size = 0;

	add_sections("00000");
	object = encode(&size);
	object[100] ^= 1; /* its checksum */
	segment_peek(object, size, &seen, &version);
	ck_assert_uint_eq(version, SEGMENT_FORMAT_VERSION);
	ck_assert(position_equal(&seen.position, &segment.position));
	ck_assert_int_eq(seen.created_ms, CREATED_MS);
	segment_peek(object, SEGMENT_HEADER_BYTES - 1, &seen, &version);
	ck_assert_uint_eq(version, 0);
	segment_peek(NULL, 0, &seen, &version);
	ck_assert_uint_eq(version, 0);
}
END_TEST

/* The bytes of doc/format-objects.md: the section is that of test_section.c. */
static void document_section(struct section *ret)
{
	struct section_builder *builder = section_builder_new();

	ck_assert_int_eq(
		section_builder_put(builder, SECTION_META, "S\0\0\0\0\0\0\0\2", 9, "../u1", 5), 0);
	ck_assert_int_eq(section_builder_remove(
				 builder, SECTION_DATA, "D\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\0", 17),
		0);
	ck_assert_int_eq(section_builder_finish(builder, ret), 0);
	section_builder_free(builder);
}

static const uint8_t documented_segment[] = {0x4d, 0x46, 0x53, 0x53, 0x45, 0x47, 0x4d, 0x00, 0x00,
	0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x68, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x46, 0x77,
	0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x01, 0x9b, 0x76, 0xda,
	0xa8, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x01, 0x11, 0xaf, 0x08, 0xd5, 0x2d, 0xb4, 0xbe, 0xa4, 0x59, 0x70, 0x20,
	0x29, 0xf6, 0x4d, 0x27, 0x9b, 0x00, 0x00, 0x00, 0x1a, 0x00, 0x00, 0x01, 0x00, 0x00, 0x11,
	0x22, 0x33, 0x44, 0x55, 0x46, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xb8, 0x00, 0x00, 0x00, 0x2f, 0x00, 0x00, 0x00,
	0x2f, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x98, 0x27, 0x7a, 0x80, 0xea, 0xef,
	0x3a, 0x13, 0x98, 0x27, 0x7a, 0x80, 0xea, 0xef, 0x3a, 0x13, 0x00, 0x01, 0x00, 0x09, 0x00,
	0x00, 0x00, 0x05, 0x53, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x2e, 0x2e, 0x2f,
	0x75, 0x31, 0x01, 0x02, 0x00, 0x11, 0x00, 0x00, 0x00, 0x00, 0x44, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
static const uint8_t documented_part[] = {0x4d, 0x46, 0x53, 0x50, 0x41, 0x52, 0x54, 0x00, 0x00,
	0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x48, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x46, 0x77,
	0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
	0x00, 0x01, 0x6c, 0x74, 0x2c, 0xd3, 0x30, 0x65, 0x72, 0xa7, 0xd5, 0xbe, 0xce, 0x7d, 0xbb,
	0xa3, 0xd6, 0x02, 0x00, 0x00, 0x00, 0x1a, 0x00, 0x01, 0x01, 0x00, 0x00, 0x11, 0x22, 0x33,
	0x44, 0x55, 0x46, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x98, 0x00, 0x00, 0x00, 0x2f, 0x00, 0x00, 0x00, 0x2f, 0x00,
	0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x98, 0x27, 0x7a, 0x80, 0xea, 0xef, 0x3a, 0x13,
	0x98, 0x27, 0x7a, 0x80, 0xea, 0xef, 0x3a, 0x13, 0x00, 0x01, 0x00, 0x09, 0x00, 0x00, 0x00,
	0x05, 0x53, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x2e, 0x2e, 0x2f, 0x75, 0x31,
	0x01, 0x02, 0x00, 0x11, 0x00, 0x00, 0x00, 0x00, 0x44, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};

START_TEST(test_bytes_are_as_documented)
{
	CLEANUP_FREE uint8_t *object = NULL, *part = NULL;
	struct section section;
	size_t size = 0, part_size = 0;

	document_section(&section);
	segment.previous_checksum = 0x0102030405060708;
	ck_assert_int_eq(directory_add(&segment.directory, 26, 0, &previous, &section), 0);
	object = encode(&size);
	directory_done(&segment.directory);
	ck_assert_int_eq(directory_add(&segment.directory, 26, 1, &previous, &section), 0);
	part = encode_part(1, &part_size);
	ck_assert_uint_eq(size, sizeof(documented_segment));
	ck_assert_mem_eq(object, documented_segment, size);
	ck_assert_uint_eq(part_size, sizeof(documented_part));
	ck_assert_mem_eq(part, documented_part, part_size);
	section_done(&section);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("segment");
	TCase *tc = tcase_create("segment");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_there_and_back);
	tcase_add_test(tc, test_sections_are_not_copied);
	tcase_add_test(tc, test_parts);
	tcase_add_test(tc, test_parts_come_first);
	tcase_add_test(tc, test_no_part_is_left_out);
	tcase_add_test(tc, test_seal);
	tcase_add_test(tc, test_directory_refuses);
	tcase_add_test(tc, test_decode_asks_for_more);
	tcase_add_test(tc, test_every_corruption);
	tcase_add_test(tc, test_another_position);
	tcase_add_test(tc, test_forged_headers);
	tcase_add_test(tc, test_forged_directories);
	tcase_add_test(tc, test_peek);
	tcase_add_test(tc, test_bytes_are_as_documented);
	suite_add_tcase(suite, tc);
	return suite;
}
