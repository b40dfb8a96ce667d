#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "replication/checkpoint.h"
#include "replication_kit.h"
#include "util/cleanup.h"

#define ACCOUNT 26
#define NUMBER 5
#define CREATED_MS 1767225600000
#define HEAD_BYTES (CHECKPOINT_HEADER_BYTES + 2 * DIRECTORY_ENTRY_BYTES)

static struct section sections[2];
static struct checkpoint checkpoint;

static void setup(void)
{
	sections[0] = kit_section(3000, false);
	sections[1] = kit_section(300, true);
	checkpoint = (struct checkpoint){
		.volume = {{0x0f, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9, 10, 11, 12, 13, 14, 15}},
		.account = ACCOUNT,
		.number = NUMBER,
		.created_ms = CREATED_MS,
		.position = kit_position()};
}

static void teardown(void)
{
	checkpoint_done(&checkpoint);
	section_done(&sections[0]);
	section_done(&sections[1]);
}

static void add_sections(void)
{
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(
			directory_add(&checkpoint.directory, ACCOUNT, 0, NULL, &sections[i]), 0);
}

static uint8_t *encode(size_t *ret_size)
{
	struct frame frame;
	uint8_t *object;

	ck_assert_int_eq(checkpoint_encode(&checkpoint, &frame), 0);
	object = kit_flatten(&frame);
	*ret_size = (size_t)frame.size_bytes;
	frame_done(&frame);
	return object;
}

static int decode(const void *object, size_t size, struct checkpoint *ret)
{
	size_t needed = 0;

	return checkpoint_decode(object, size, ACCOUNT, NUMBER, ret, &needed, NULL);
}

static void assert_bad(const void *object, size_t size)
{
	struct checkpoint again = {.number = 77};
	const char *problem = NULL;
	size_t needed = 0;

	ck_assert_int_eq(
		checkpoint_decode(object, size, ACCOUNT, NUMBER, &again, &needed, &problem),
		-EBADMSG);
	ck_assert_ptr_nonnull(problem);
	ck_assert_uint_eq(again.number, 77);
}

START_TEST(test_there_and_back)
{
	CLEANUP_FREE uint8_t *object = NULL;
	struct checkpoint again;
	size_t size = 0;

	add_sections();
	object = encode(&size);
	ck_assert_int_eq(decode(object, size, &again), 0);
	ck_assert_mem_eq(again.volume.bytes, checkpoint.volume.bytes, UUID_BYTES);
	ck_assert_uint_eq(again.account, ACCOUNT);
	ck_assert_uint_eq(again.number, NUMBER);
	ck_assert_int_eq(again.created_ms, CREATED_MS);
	ck_assert(position_equal(&again.position, &checkpoint.position));
	ck_assert_uint_eq(again.facts.object_bytes, size);
	ck_assert_uint_eq(again.directory.n_entries, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct directory_entry *entry = &again.directory.entries[i];
		struct section_reader reader;

		ck_assert_int_eq(
			section_reader_open(&reader, &entry->section, object + entry->offset_bytes,
				entry->section.stored_bytes, NULL),
			0);
		section_reader_close(&reader);
	}
	checkpoint_done(&again);
}
END_TEST

/* An account of which nothing is left. */
START_TEST(test_empty)
{
	CLEANUP_FREE uint8_t *object = NULL;
	struct checkpoint again;
	size_t size = 0;

	object = encode(&size);
	ck_assert_uint_eq(size, CHECKPOINT_HEADER_BYTES);
	ck_assert_int_eq(decode(object, size, &again), 0);
	ck_assert_uint_eq(again.directory.n_entries, 0);
	checkpoint_done(&again);
}
END_TEST

/* 0: another account, 1: with a previous segment, 2: in a part without there being one before. */
START_TEST(test_foreign_sections)
{
	struct position previous = kit_position();
	struct frame frame;

	ck_assert_int_eq(directory_add(&checkpoint.directory, _i == 0 ? ACCOUNT + 1 : ACCOUNT,
				 _i == 2 ? 2 : 0, _i == 1 ? &previous : NULL, &sections[0]),
		0);
	ck_assert_int_eq(checkpoint_encode(&checkpoint, &frame), -EINVAL);
}
END_TEST

START_TEST(test_every_corruption)
{
	CLEANUP_FREE uint8_t *object = NULL;
	struct checkpoint again;
	size_t size = 0;

	add_sections();
	object = encode(&size);
	for (size_t i = 0; i < HEAD_BYTES; i++) {
		for (int bit = 0; bit < 8; bit++) {
			object[i] ^= (uint8_t)(1 << bit);
			assert_bad(object, size);
			object[i] ^= (uint8_t)(1 << bit);
		}
		ck_assert_int_eq(decode(object, i, &again), -EAGAIN);
	}
}
END_TEST

START_TEST(test_forged)
{
	static const struct {
		size_t at, n_bytes;
		uint64_t value;
	} cases[] = {{8, 2, 1}, {8, 2, 3}, {10, 1, 1}, {11, 1, 1}, {12, 4, 96}, {32, 8, 6},
		{80, 4, 27}, {84, 4, 1}, {84, 4, UINT32_MAX}, {88, 4, 1}, {92, 4, 1},
		{92, 4, UINT32_MAX}};
	CLEANUP_FREE uint8_t *object = NULL, *good = NULL;
	size_t size = 0;

	add_sections();
	object = encode(&size);
	good = malloc(size);
	memcpy(good, object, size);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		kit_forge(object, CHECKPOINT_HEADER_BYTES, cases[i].at, cases[i].n_bytes,
			cases[i].value);
		assert_bad(object, size);
		memcpy(object, good, size);
	}
	/* the second section is of another account, then one with a previous segment */
	kit_forge_directory(object, CHECKPOINT_HEADER_BYTES, 2 * DIRECTORY_ENTRY_BYTES,
		CHECKPOINT_HEADER_BYTES + DIRECTORY_ENTRY_BYTES, 4, ACCOUNT + 1);
	assert_bad(object, size);
	memcpy(object, good, size);
	kit_forge_directory(object, CHECKPOINT_HEADER_BYTES, 2 * DIRECTORY_ENTRY_BYTES,
		CHECKPOINT_HEADER_BYTES + 6, 1, 1);
	assert_bad(object, size);
}
END_TEST

START_TEST(test_peek)
{
	CLEANUP_FREE uint8_t *object = NULL;
	struct checkpoint seen;
	uint16_t version = 77;
	size_t size = 0;

	add_sections();
	object = encode(&size);
	object[CHECKPOINT_HEADER_BYTES - 1] ^= 1;
	checkpoint_peek(object, size, &seen, &version);
	ck_assert_uint_eq(version, CHECKPOINT_FORMAT_VERSION);
	ck_assert_uint_eq(seen.account, ACCOUNT);
	checkpoint_peek(NULL, 0, &seen, &version);
	ck_assert_uint_eq(version, 0);
}
END_TEST

/* The header counts without the directory; and not when anything in it is wrong. */
START_TEST(test_header_alone)
{
	CLEANUP_FREE uint8_t *object = NULL;
	struct checkpoint seen = {.account = 0}, again;
	size_t size = 0;

	add_sections();
	object = encode(&size);
	ck_assert_int_eq(decode(object, size, &again), 0);
	object[CHECKPOINT_HEADER_BYTES] ^= 1;
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(
			checkpoint_decode_header(object, i == 0 ? size : CHECKPOINT_HEADER_BYTES,
				ACCOUNT, again.number, &seen),
			0);
		ck_assert_uint_eq(seen.account, ACCOUNT);
		ck_assert(position_equal(&seen.position, &again.position));
		ck_assert_int_eq(seen.created_ms, again.created_ms);
		ck_assert_uint_eq(seen.directory.n_entries, 0);
	}
	for (size_t i = 0; i < CHECKPOINT_HEADER_BYTES; i++) {
		object[i] ^= 1;
		ck_assert_int_eq(
			checkpoint_decode_header(object, size, ACCOUNT, again.number, &seen),
			-EBADMSG);
		object[i] ^= 1;
		ck_assert_int_eq(checkpoint_decode_header(object, i, ACCOUNT, again.number, &seen),
			-EBADMSG);
	}
	ck_assert_int_eq(
		checkpoint_decode_header(object, size, ACCOUNT + 1, again.number, &seen), -EBADMSG);
	ck_assert_int_eq(
		checkpoint_decode_header(object, size, ACCOUNT, again.number + 1, &seen), -EBADMSG);
	checkpoint_done(&again);
}
END_TEST

/* ---- parts */

static uint8_t *encode_part(uint16_t part, size_t *ret_size)
{
	struct frame frame;
	uint8_t *object;

	ck_assert_int_eq(checkpoint_encode_part(&checkpoint, part, &frame), 0);
	object = kit_flatten(&frame);
	*ret_size = (size_t)frame.size_bytes;
	frame_done(&frame);
	return object;
}

static void add_in_parts(void)
{
	for (uint16_t part = 1; part <= 2; part++)
		ck_assert_int_eq(directory_add(&checkpoint.directory, ACCOUNT, part, NULL,
					 &sections[part - 1]),
			0);
}

static void assert_bad_part(
	const void *object, size_t size, uint32_t account, uint64_t number, uint16_t part)
{
	struct checkpoint_part again = {.number = 77};
	const char *problem = NULL;
	size_t needed = 0;

	ck_assert_int_eq(checkpoint_decode_part(
				 object, size, account, number, part, &again, &needed, &problem),
		-EBADMSG);
	ck_assert_ptr_nonnull(problem);
	ck_assert_uint_eq(again.number, 77);
}

START_TEST(test_parts)
{
	CLEANUP_FREE uint8_t *object = NULL, *head = NULL;
	struct checkpoint again;
	struct checkpoint_part part;
	struct section_reader reader;
	struct frame frame;
	size_t size = 0, needed = 0;

	add_in_parts();
	ck_assert_int_eq(checkpoint_encode(&checkpoint, &frame), -EINVAL); /* the parts first */
	ck_assert_int_eq(checkpoint_encode_part(&checkpoint, 0, &frame), -EINVAL);
	ck_assert_int_eq(checkpoint_encode_part(&checkpoint, 3, &frame), -EINVAL);
	for (uint16_t i = 1; i <= 2; i++) {
		free(object);
		object = encode_part(i, &size);
		ck_assert_int_eq(checkpoint_decode_part(
					 object, size, ACCOUNT, NUMBER, i, &part, &needed, NULL),
			0);
		ck_assert_uint_eq(part.directory.n_entries, 1);
		ck_assert_uint_eq(part.facts.object_bytes, size);
		ck_assert_int_eq(section_reader_open(&reader, &part.directory.entries[0].section,
					 object + part.directory.entries[0].offset_bytes,
					 part.directory.entries[0].section.stored_bytes, NULL),
			0);
		section_reader_close(&reader);
		checkpoint_part_done(&part);
		assert_bad_part(object, size, ACCOUNT + 1, NUMBER, i);
		assert_bad_part(object, size, ACCOUNT, NUMBER + 1, i);
		assert_bad_part(object, size, ACCOUNT, NUMBER, (uint16_t)(i + 1));
	}
	head = encode(&needed);
	ck_assert_uint_eq(needed, HEAD_BYTES);
	ck_assert_int_eq(decode(head, needed, &again), 0);
	ck_assert_uint_eq(again.n_parts, 2);
	ck_assert_uint_eq(again.directory.entries[1].part, 2);
	checkpoint_done(&again);
}
END_TEST

START_TEST(test_every_corruption_of_a_part)
{
	CLEANUP_FREE uint8_t *object = NULL;
	struct checkpoint_part part;
	size_t size = 0, needed;

	add_in_parts();
	object = encode_part(1, &size);
	for (size_t i = 0; i < CHECKPOINT_PART_HEADER_BYTES + DIRECTORY_ENTRY_BYTES; i++) {
		for (int bit = 0; bit < 8; bit++) {
			object[i] ^= (uint8_t)(1 << bit);
			assert_bad_part(object, size, ACCOUNT, NUMBER, 1);
			object[i] ^= (uint8_t)(1 << bit);
		}
		ck_assert_int_eq(
			checkpoint_decode_part(object, i, ACCOUNT, NUMBER, 1, &part, &needed, NULL),
			-EAGAIN);
	}
	kit_forge(object, CHECKPOINT_PART_HEADER_BYTES, 48, 4, 1); /* what is reserved */
	assert_bad_part(object, size, ACCOUNT, NUMBER, 1);
}
END_TEST

static const uint8_t documented[] = {0x4d, 0x46, 0x53, 0x43, 0x48, 0x4b, 0x50, 0x00, 0x00, 0x02,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x70, 0x0f, 0x01, 0x02, 0x03, 0x04, 0x05, 0x46, 0x07, 0x88,
	0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05,
	0x00, 0x00, 0x01, 0x9b, 0x76, 0xda, 0xa8, 0x00, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x46,
	0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x1a, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xbc, 0x28, 0x84, 0x89,
	0xad, 0x9d, 0x74, 0xad, 0x69, 0xf3, 0x84, 0x8c, 0x27, 0x22, 0xb5, 0x92, 0x00, 0x00, 0x00,
	0x1a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0,
	0x00, 0x00, 0x00, 0x16, 0x00, 0x00, 0x00, 0x16, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
	0x00, 0x03, 0x50, 0x2f, 0x51, 0xe9, 0x95, 0x7a, 0x3c, 0x03, 0x50, 0x2f, 0x51, 0xe9, 0x95,
	0x7a, 0x3c, 0x00, 0x01, 0x00, 0x09, 0x00, 0x00, 0x00, 0x05, 0x53, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x02, 0x2e, 0x2e, 0x2f, 0x75, 0x31};

static const uint8_t documented_part[] = {0x4d, 0x46, 0x53, 0x43, 0x48, 0x50, 0x54, 0x00, 0x00,
	0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x48, 0x0f, 0x01, 0x02, 0x03, 0x04, 0x05, 0x46, 0x07,
	0x88, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x05, 0x00, 0x00, 0x00, 0x1a, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x01, 0xe3, 0x28, 0xcb, 0xfc, 0x65, 0x3c, 0x6f, 0x44, 0x24, 0xa4, 0x70, 0xd2, 0x5c,
	0x9c, 0x17, 0xc8, 0x00, 0x00, 0x00, 0x1a, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x98, 0x00, 0x00, 0x00, 0x16, 0x00, 0x00, 0x00, 0x16, 0x00,
	0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x03, 0x50, 0x2f, 0x51, 0xe9, 0x95, 0x7a, 0x3c,
	0x03, 0x50, 0x2f, 0x51, 0xe9, 0x95, 0x7a, 0x3c, 0x00, 0x01, 0x00, 0x09, 0x00, 0x00, 0x00,
	0x05, 0x53, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x2e, 0x2e, 0x2f, 0x75, 0x31};

/* The bytes of doc/format-objects.md. */
START_TEST(test_bytes_are_as_documented)
{
	CLEANUP_FREE uint8_t *object = NULL, *part = NULL;
	struct section_builder *builder = section_builder_new();
	struct section section;
	size_t size = 0;

	ck_assert_int_eq(
		section_builder_put(builder, SECTION_META, "S\0\0\0\0\0\0\0\2", 9, "../u1", 5), 0);
	ck_assert_int_eq(section_builder_finish(builder, &section), 0);
	section_builder_free(builder);
	ck_assert_int_eq(directory_add(&checkpoint.directory, ACCOUNT, 0, NULL, &section), 0);
	object = encode(&size);
	ck_assert_uint_eq(size, sizeof(documented));
	ck_assert_mem_eq(object, documented, size);
	checkpoint_done(&checkpoint);
	ck_assert_int_eq(directory_add(&checkpoint.directory, ACCOUNT, 1, NULL, &section), 0);
	part = encode_part(1, &size);
	ck_assert_uint_eq(size, sizeof(documented_part));
	ck_assert_mem_eq(part, documented_part, size);
	section_done(&section);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("checkpoint");
	TCase *tc = tcase_create("checkpoint");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_there_and_back);
	tcase_add_test(tc, test_empty);
	tcase_add_loop_test(tc, test_foreign_sections, 0, 3);
	tcase_add_test(tc, test_every_corruption);
	tcase_add_test(tc, test_forged);
	tcase_add_test(tc, test_peek);
	tcase_add_test(tc, test_header_alone);
	tcase_add_test(tc, test_parts);
	tcase_add_test(tc, test_every_corruption_of_a_part);
	tcase_add_test(tc, test_bytes_are_as_documented);
	suite_add_tcase(suite, tc);
	return suite;
}
