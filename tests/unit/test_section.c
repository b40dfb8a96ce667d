#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "replication/section.h"
#include "replication_kit.h"
#include "util/checksum.h"
#include "util/cleanup.h"

static struct section_builder *builder;
static uint8_t highest[SECTION_MAX_KEY_BYTES]; /* no key sorts behind */

static void setup(void)
{
	builder = section_builder_new();
	ck_assert_ptr_nonnull(builder);
	memset(highest, 0xff, sizeof(highest));
}

static void teardown(void)
{
	section_builder_free(builder);
}

static struct section finish(void)
{
	struct section section;

	ck_assert_int_eq(section_builder_finish(builder, &section), 0);
	return section;
}

static int open_section(struct section_reader *reader, const struct section *section)
{
	return section_reader_open(
		reader, &section->info, section->stored, section->info.stored_bytes, NULL);
}

/* n records of many shapes, of which the i-th is always the same. */
static struct section_record record_at(uint32_t i, const uint8_t *pool)
{
	static const size_t value_sizes[] = {0, 1, 99, 115, 200, 8192};
	struct section_record record = {.table = i % 3 == 0 ? SECTION_DATA : SECTION_META,
		.is_removal = i % 5 == 4,
		.key = pool + 1 + i % 7,
		.key_bytes = 1 + i * 31 % SECTION_MAX_KEY_BYTES,
		.value = pool + i % 11,
		.value_bytes = value_sizes[i % 6]};

	if (record.is_removal) {
		record.value = NULL;
		record.value_bytes = 0;
	}
	if (i % 15 == 9) {
		record.to = highest;
		record.to_bytes = 1 + i % SECTION_MAX_KEY_BYTES;
	}
	return record;
}

static int add(const struct section_record *r)
{
	if (r->to != NULL)
		return section_builder_remove_range(
			builder, r->table, r->key, r->key_bytes, r->to, r->to_bytes);
	if (r->is_removal)
		return section_builder_remove(builder, r->table, r->key, r->key_bytes);
	return section_builder_put(
		builder, r->table, r->key, r->key_bytes, r->value, r->value_bytes);
}

static void assert_same(const struct section_record *a, const struct section_record *b)
{
	ck_assert_int_eq(a->table, b->table);
	ck_assert_int_eq(a->is_removal, b->is_removal);
	ck_assert_uint_eq(a->key_bytes, b->key_bytes);
	ck_assert_mem_eq(a->key, b->key, a->key_bytes);
	ck_assert_uint_eq(a->value_bytes, b->value_bytes);
	ck_assert_int_eq(a->value == NULL, b->value == NULL);
	ck_assert_int_eq(a->to == NULL, b->to == NULL);
	ck_assert_uint_eq(a->to_bytes, b->to_bytes);
	if (a->to != NULL)
		ck_assert_mem_eq(a->to, b->to, a->to_bytes);
	if (a->value_bytes > 0)
		ck_assert_mem_eq(a->value, b->value, a->value_bytes);
}

static void assert_records(const struct section *section, uint32_t n, const uint8_t *pool)
{
	struct section_reader reader;
	struct section_record got;

	ck_assert_int_eq(open_section(&reader, section), 0);
	for (uint32_t i = 0; i < n; i++) {
		struct section_record expected = record_at(i, pool);

		ck_assert(section_reader_next(&reader, &got));
		assert_same(&got, &expected);
	}
	ck_assert(!section_reader_next(&reader, &got));
	ck_assert(!section_reader_next(&reader, &got));
	section_reader_close(&reader);
}

/* One builder makes several, one after the other: of words, and of noise. */
START_TEST(test_there_and_back)
{
	static const uint32_t counts[] = {1, 2, 7, 600};

	for (int noise = 0; noise < 2; noise++) {
		CLEANUP_FREE uint8_t *pool = kit_content(10000, noise);

		for (size_t c = 0; c < 4; c++) {
			struct section section;

			for (uint32_t i = 0; i < counts[c]; i++) {
				struct section_record record = record_at(i, pool);

				ck_assert_int_eq(add(&record), 0);
			}
			section = finish();
			ck_assert_uint_eq(section_builder_content_bytes(builder), 0);
			ck_assert_uint_eq(section.info.n_records, counts[c]);
			assert_records(&section, counts[c], pool);
			section_done(&section);
		}
	}
}
END_TEST

START_TEST(test_compressed_when_it_pays)
{
	struct section words = kit_section(5000, false), noise = kit_section(5000, true);
	struct section little = kit_section(200, false);
	struct section_reader reader;
	struct section_record record;

	ck_assert_uint_eq(words.info.encoding, SECTION_ZSTD);
	ck_assert_uint_lt(words.info.stored_bytes, 1000);
	ck_assert_uint_eq(noise.info.encoding, SECTION_RAW);
	ck_assert_uint_eq(noise.info.stored_bytes, noise.info.content_bytes);
	ck_assert_uint_eq(little.info.encoding, SECTION_RAW);
	ck_assert_int_eq(open_section(&reader, &noise), 0);
	ck_assert_ptr_null(reader.owned); /* read in place */
	ck_assert(section_reader_next(&reader, &record));
	ck_assert_ptr_eq(record.key, (uint8_t *)noise.stored + SECTION_RECORD_HEAD_BYTES);
	section_reader_close(&reader);
	section_done(&words);
	section_done(&noise);
	section_done(&little);
}
END_TEST

START_TEST(test_refused)
{
	CLEANUP_FREE uint8_t *data = kit_content(SECTION_MAX_VALUE_BYTES + 1, false);
	struct section section;

	ck_assert_int_eq(section_builder_finish(builder, &section), -EINVAL);
	ck_assert_int_eq(section_builder_put(builder, SECTION_META, data, 0, data, 1), -EINVAL);
	ck_assert_int_eq(section_builder_put(
				 builder, SECTION_META, data, SECTION_MAX_KEY_BYTES + 1, data, 1),
		-EINVAL);
	ck_assert_int_eq(section_builder_put(
				 builder, SECTION_META, data, 1, data, SECTION_MAX_VALUE_BYTES + 1),
		-EINVAL);
	ck_assert_int_eq(section_builder_remove(builder, SECTION_META, data, 0), -EINVAL);
	ck_assert_uint_eq(section_builder_content_bytes(builder), 0);
	ck_assert_int_eq(section_builder_remove(builder, SECTION_META, data, 1), 0);
	section_builder_clear(builder);
	ck_assert_int_eq(section_builder_finish(builder, &section), -EINVAL);
	section_builder_free(NULL);
}
END_TEST

/* It says when it is full, and loses nothing by that; the largest record fits into an empty one. */
START_TEST(test_full)
{
	CLEANUP_FREE uint8_t *data = kit_content(SECTION_MAX_VALUE_BYTES, true);
	struct section section;
	uint32_t n = 0;
	int r;

	while ((r = section_builder_put(builder, SECTION_DATA, data, 21, data, 8192)) == 0)
		n++;
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_uint_eq(n, SECTION_FULL_BYTES / (SECTION_RECORD_HEAD_BYTES + 21 + 8192));
	ck_assert_int_eq(section_builder_put(builder, SECTION_DATA, data, 21, data, 8192), -ENOSPC);
	section = finish();
	ck_assert_uint_eq(section.info.n_records, n);
	section_done(&section);
	ck_assert_int_eq(section_builder_put(builder, SECTION_DATA, data, SECTION_MAX_KEY_BYTES,
				 data, SECTION_MAX_VALUE_BYTES),
		0);
	ck_assert_int_eq(section_builder_remove(builder, SECTION_DATA, data, 1), -ENOSPC);
	section = finish();
	ck_assert_uint_eq(section.info.content_bytes, SECTION_MAX_CONTENT_BYTES);
	ck_assert(section_info_is_valid(&section.info));
	section_done(&section);
}
END_TEST

static void assert_bad(const struct section_info *info, const void *stored, size_t size)
{
	struct section_reader reader = {.content = NULL};
	const char *problem = NULL;

	ck_assert_int_eq(section_reader_open(&reader, info, stored, size, &problem), -EBADMSG);
	ck_assert_ptr_nonnull(problem);
	ck_assert_ptr_null(reader.content);
}

/* 0: raw, 1: compressed. */
START_TEST(test_every_corruption)
{
	struct section section = kit_section(1000, _i == 0);
	struct section_info *info = &section.info;
	uint8_t *stored = section.stored;

	ck_assert_uint_eq(info->encoding, (uint8_t)_i);
	for (size_t i = 0; i < info->stored_bytes; i++) {
		for (int bit = 0; bit < 8; bit++) {
			stored[i] ^= (uint8_t)(1 << bit);
			assert_bad(info, stored, info->stored_bytes);
			stored[i] ^= (uint8_t)(1 << bit);
		}
		assert_bad(info, stored, i);
	}
	section_done(&section);
}
END_TEST

START_TEST(test_forged_infos)
{
	struct section section = kit_section(1000, _i == 0);
	struct section_info bad;
	const struct section_info *good = &section.info;
	struct section_reader reader;

#define CASE(field, value)                                            \
	do {                                                          \
		bad = *good;                                          \
		bad.field = (value);                                  \
		assert_bad(&bad, section.stored, good->stored_bytes); \
	} while (0)
	CASE(encoding, 2);
	CASE(encoding, good->encoding ^ 1);
	CASE(content_bytes, 0);
	CASE(content_bytes, good->content_bytes - 1);
	CASE(content_bytes, good->content_bytes + 1);
	CASE(content_bytes, SECTION_MAX_CONTENT_BYTES + 1);
	CASE(content_bytes, UINT32_MAX);
	CASE(stored_bytes, 0);
	CASE(stored_bytes, good->stored_bytes - 1);
	CASE(stored_bytes, UINT32_MAX);
	CASE(n_records, 0);
	CASE(n_records, 2);
	CASE(n_records, UINT32_MAX);
	CASE(content_checksum, good->content_checksum ^ 1);
	CASE(stored_checksum, good->stored_checksum ^ 1);
#undef CASE
	ck_assert_int_eq(open_section(&reader, &section), 0);
	section_reader_close(&reader);
	section_done(&section);
}
END_TEST

/* Content with right checksums and wrong records: head of one record of 3 + 2 bytes. */
START_TEST(test_forged_records)
{
	static const uint8_t good[] = {0, 1, 0, 3, 0, 0, 0, 2, 'a', 'b', 'c', 'd', 'e'};
	static const struct {
		size_t at;
		uint8_t value;
	} cases[] = {{0, 2}, {0, 255}, {1, 0}, {1, 2}, {1, 4}, {2, 1}, {3, 0}, {3, 2}, {3, 4},
		{4, 1}, {4, 255}, {7, 1}, {7, 3}};
	struct section_info info = {.encoding = SECTION_RAW,
		.content_bytes = sizeof(good),
		.stored_bytes = sizeof(good),
		.n_records = 1};
	struct section_reader reader;
	uint8_t bytes[sizeof(good)];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(bytes, good, sizeof(bytes));
		bytes[cases[i].at] = cases[i].value;
		info.content_checksum = info.stored_checksum = checksum_64(bytes, sizeof(bytes));
		assert_bad(&info, bytes, sizeof(bytes));
	}
	info.content_checksum = info.stored_checksum = checksum_64(good, sizeof(good));
	ck_assert_int_eq(section_reader_open(&reader, &info, good, sizeof(good), NULL), 0);
	section_reader_close(&reader);
}
END_TEST

/* Content with right checksums: the range from `abc` up to an end that may be none. */
START_TEST(test_forged_ranges)
{
	static const struct {
		const char *to;
		bool good;
	} cases[] = {{"abd", true}, {"abca", true}, {"b", true}, {"abc", false}, {"ab", false},
		{"abb", false}, {"", false}};
	struct section_reader reader;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t bytes[32] = {
			0, 3, 0, 3, 0, 0, 0, (uint8_t)strlen(cases[i].to), 'a', 'b', 'c'};
		uint32_t size = 11 + bytes[7];
		struct section_info info = {.encoding = SECTION_RAW,
			.content_bytes = size,
			.stored_bytes = size,
			.n_records = 1};

		memcpy(bytes + 11, cases[i].to, bytes[7]);
		info.content_checksum = info.stored_checksum = checksum_64(bytes, size);
		ck_assert_int_eq(section_builder_remove_range(
					 builder, SECTION_META, "abc", 3, cases[i].to, bytes[7]),
			cases[i].good ? 0 : -EINVAL);
		if (!cases[i].good) {
			assert_bad(&info, bytes, size);
			continue;
		}
		ck_assert_int_eq(section_reader_open(&reader, &info, bytes, size, NULL), 0);
		section_reader_close(&reader);
	}
}
END_TEST

/* The record of doc/format-objects.md. */
START_TEST(test_bytes_of_a_range)
{
	static const uint8_t expected[] = {1, 3, 0, 0x11, 0, 0, 0, 9, 'D', 0, 0, 0, 0, 0, 0, 0, 3,
		0, 0, 0, 0, 0, 0, 0, 5, 'D', 0, 0, 0, 0, 0, 0, 0, 4};
	struct section section;

	ck_assert_int_eq(section_builder_remove_range(
				 builder, SECTION_DATA, expected + 8, 17, expected + 25, 9),
		0);
	section = finish();
	ck_assert_uint_eq(section.info.stored_bytes, sizeof(expected));
	ck_assert_mem_eq(section.stored, expected, sizeof(expected));
	section_done(&section);
}
END_TEST

/* The bytes of doc/format-objects.md. */
START_TEST(test_bytes_are_as_documented)
{
	static const uint8_t expected[] = {0x00, 0x01, 0x00, 0x09, 0x00, 0x00, 0x00, 0x05, 'S', 0,
		0, 0, 0, 0, 0, 0, 2, '.', '.', '/', 'u', '1', 0x01, 0x02, 0x00, 0x11, 0x00, 0x00,
		0x00, 0x00, 'D', 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0};
	struct section section;

	ck_assert_int_eq(
		section_builder_put(builder, SECTION_META, "S\0\0\0\0\0\0\0\2", 9, "../u1", 5), 0);
	ck_assert_int_eq(section_builder_remove(
				 builder, SECTION_DATA, "D\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\0", 17),
		0);
	section = finish();
	ck_assert_uint_eq(section.info.encoding, SECTION_RAW);
	ck_assert_uint_eq(section.info.stored_bytes, sizeof(expected));
	ck_assert_mem_eq(section.stored, expected, sizeof(expected));
	section_done(&section);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("section");
	TCase *tc = tcase_create("section");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_there_and_back);
	tcase_add_test(tc, test_compressed_when_it_pays);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_full);
	tcase_add_loop_test(tc, test_every_corruption, 0, 2);
	tcase_add_loop_test(tc, test_forged_infos, 0, 2);
	tcase_add_test(tc, test_forged_records);
	tcase_add_test(tc, test_forged_ranges);
	tcase_add_test(tc, test_bytes_of_a_range);
	tcase_add_test(tc, test_bytes_are_as_documented);
	suite_add_tcase(suite, tc);
	return suite;
}
