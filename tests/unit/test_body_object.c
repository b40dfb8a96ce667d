#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/backend.h"
#include "cache/body_object.h"
#include "util/checksum.h"
#include "util/cleanup.h"
#include "util/codec.h"

static const struct uuid id = {.bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

/* A body of this size: of words, or of noise. */
static uint8_t *content_new(size_t size, bool noise)
{
	static const char words[] = "Received: from mail.example by mx.example with ESMTP; ";
	uint8_t *data = malloc(size + 1);
	uint32_t state = 1;

	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < size; i++) {
		state = state * 1664525 + 1013904223;
		data[i] = noise ? (uint8_t)(state >> 24) : (uint8_t)words[i % (sizeof(words) - 1)];
	}
	return data;
}

static uint8_t *flatten(const struct body_object_buffer *buffer)
{
	uint8_t *object = malloc(buffer->size_bytes);
	size_t at = 0;

	ck_assert_ptr_nonnull(object);
	for (int i = 0; i < buffer->n_parts; i++) {
		if (buffer->parts[i].iov_len > 0)
			memcpy(object + at, buffer->parts[i].iov_base, buffer->parts[i].iov_len);
		at += buffer->parts[i].iov_len;
	}
	ck_assert_uint_eq(at, buffer->size_bytes);
	return object;
}

static uint8_t *encode(const uint8_t *data, size_t size, int n_parts, size_t *ret_size)
{
	struct body_object_buffer buffer;
	struct iovec parts[BODY_OBJECT_MAX_PARTS];
	size_t each = size / (size_t)n_parts;
	uint8_t *object;

	for (int i = 0; i < n_parts; i++)
		parts[i] = (struct iovec){(void *)(uintptr_t)(data + (size_t)i * each),
			i == n_parts - 1 ? size - (size_t)i * each : each};
	ck_assert_int_eq(body_object_encode(&id, parts, n_parts, size, &buffer), 0);
	object = flatten(&buffer);
	*ret_size = buffer.size_bytes;
	body_object_buffer_done(&buffer);
	return object;
}

static const size_t sizes[] = {0, 1, 255, 256, 257, 5000, 70000, 1 << 20};

START_TEST(test_there_and_back)
{
	size_t size = sizes[_i / 6];
	int n_parts = _i % 3 == 0 ? 1 : _i % 3 == 1 ? 2 : 7;
	CLEANUP_FREE uint8_t *data = content_new(size, _i % 6 >= 3), *object = NULL;
	CLEANUP_FREE void *again = NULL;
	size_t object_size = 0, again_size = 77;

	object = encode(data, size, n_parts, &object_size);
	ck_assert_uint_le(object_size, size + BODY_OBJECT_HEADER_BYTES);
	if (size >= 5000 && _i % 6 < 3)
		ck_assert_uint_lt(object_size, size / 4);
	ck_assert_int_eq(body_object_decode(object, object_size, &id, &again, &again_size), 0);
	ck_assert_uint_eq(again_size, size);
	ck_assert(memcmp(again, data, size) == 0);
}
END_TEST

START_TEST(test_raw_content_is_not_copied)
{
	CLEANUP_FREE uint8_t *data = content_new(5000, true);
	struct iovec parts[2] = {{data, 1000}, {data + 1000, 4000}};
	struct body_object_buffer buffer;

	ck_assert_int_eq(body_object_encode(&id, parts, 2, 5000, &buffer), 0);
	ck_assert_ptr_null(buffer.compressed);
	ck_assert_int_eq(buffer.n_parts, 3);
	ck_assert_ptr_eq(buffer.parts[1].iov_base, data);
	ck_assert_ptr_eq(buffer.parts[2].iov_base, data + 1000);
	body_object_buffer_done(&buffer);
}
END_TEST

static void assert_bad(const void *object, size_t size)
{
	void *data = NULL;
	size_t data_size = 77;

	ck_assert_int_eq(body_object_decode(object, size, &id, &data, &data_size), -EBADMSG);
	ck_assert_ptr_null(data);
	ck_assert_uint_eq(data_size, 77);
}

/* 0: raw, 1: compressed. Each byte is changed in several ways, and each shorter object refused. */
START_TEST(test_every_corruption)
{
	CLEANUP_FREE uint8_t *data = content_new(1500, _i == 0), *object = NULL;
	size_t size = 0;

	object = encode(data, 1500, 1, &size);
	ck_assert((size < 1500) == (_i == 1));
	for (size_t i = 0; i < size; i++) {
		uint8_t good = object[i];

		for (int bit = 0; bit < 8; bit++) {
			object[i] = good ^ (uint8_t)(1 << bit);
			assert_bad(object, size);
		}
		object[i] = (uint8_t)~good;
		assert_bad(object, size);
		object[i] = good;
		assert_bad(object, i);
	}
	object = realloc(object, size + 1);
	object[size] = 0;
	assert_bad(object, size + 1);
}
END_TEST

START_TEST(test_another_id)
{
	CLEANUP_FREE uint8_t *data = content_new(300, false), *object = NULL;
	struct uuid other = id;
	void *again = NULL;
	size_t size = 0;

	object = encode(data, 300, 1, &size);
	other.bytes[15] ^= 1;
	ck_assert_int_eq(body_object_decode(object, size, &other, &again, &size), -EBADMSG);
}
END_TEST

/* Sets 8 bytes of the header and makes its checksum right again. */
static void forge(uint8_t *object, size_t at, uint64_t value)
{
	struct encoder e = encoder_over(object + at, 8);

	encode_u64(&e, value);
	e = encoder_over(object + BODY_OBJECT_HEADER_BYTES - 8, 8);
	encode_u64(&e, checksum_64(object, BODY_OBJECT_HEADER_BYTES - 8));
}

START_TEST(test_forged_headers)
{
	static const uint64_t raw_sizes[] = {0, 4999, 5001, BODY_OBJECT_MAX_BYTES + 1, UINT64_MAX};
	CLEANUP_FREE uint8_t *data = content_new(5000, false), *object = NULL;
	size_t size = 0;

	object = encode(data, 5000, 1, &size);
	for (size_t i = 0; i < sizeof(raw_sizes) / sizeof(raw_sizes[0]); i++) {
		forge(object, 32, raw_sizes[i]);
		assert_bad(object, size);
	}
	forge(object, 32, 5000);
	forge(object, 40, UINT64_MAX);
	assert_bad(object, size);
	forge(object, 40, size - BODY_OBJECT_HEADER_BYTES);
	forge(object, 48, 1); /* the raw checksum */
	assert_bad(object, size);
}
END_TEST

START_TEST(test_future_versions)
{
	CLEANUP_FREE uint8_t *data = content_new(300, false), *object = NULL;
	uint8_t good[BODY_OBJECT_HEADER_BYTES];
	size_t size = 0;

	object = encode(data, 300, 1, &size);
	memcpy(good, object, sizeof(good));
	for (size_t at = 9; at < 16; at++) { /* version, encoding, reserved, header size */
		object[at] = (uint8_t)(object[at] + 2);
		forge(object, 16, 0x0102030405060708);
		assert_bad(object, size);
		memcpy(object, good, sizeof(good));
	}
}
END_TEST

START_TEST(test_ceilings)
{
	CLEANUP_FREE uint8_t *data = content_new(BODY_OBJECT_MAX_BYTES, true);
	struct iovec part = {data, BODY_OBJECT_MAX_BYTES}, parts[BODY_OBJECT_MAX_PARTS + 1] = {{0}};
	struct body_object_buffer buffer;

	ck_assert_int_eq(body_object_encode(&id, &part, 1, BODY_OBJECT_MAX_BYTES, &buffer), 0);
	body_object_buffer_done(&buffer);
	ck_assert_int_eq(
		body_object_encode(&id, &part, 1, (size_t)BODY_OBJECT_MAX_BYTES + 1, &buffer),
		-EFBIG);
	ck_assert_int_eq(
		body_object_encode(&id, parts, BODY_OBJECT_MAX_PARTS + 1, 0, &buffer), -EFBIG);
	ck_assert_int_eq(body_object_encode(&id, &part, 1, 10, &buffer), -EINVAL);
	part.iov_len = 9;
	ck_assert_int_eq(body_object_encode(&id, &part, 1, 10, &buffer), -EINVAL);
}
END_TEST

START_TEST(test_keys)
{
	char key[BODY_OBJECT_KEY_BYTES], other[BODY_OBJECT_KEY_BYTES];

	body_object_key(0x1234abcd, &id, key);
	ck_assert(strncmp(key, "accounts/", 9) == 0);
	ck_assert_str_eq(key + 11, "/1234abcd/body/01020304-0506-0708-090a-0b0c0d0e0f10");
	body_object_key(0x1234abcd, &id, other);
	ck_assert_str_eq(key, other);
	body_object_key(UINT64_MAX, &id, key);
	ck_assert_str_eq(key + 11, "/ffffffffffffffff/body/01020304-0506-0708-090a-0b0c0d0e0f10");
	ck_assert(backend_key_is_valid(key));
	body_object_key(1, &id, key);
	ck_assert_ptr_nonnull(strstr(key, "/00000001/"));
}
END_TEST

#define ID_TEXT "01020304-0506-0708-090a-0b0c0d0e0f10"

START_TEST(test_keys_are_parsed_strictly)
{
	static const char *const bad[] = {"", "accounts/", "accounts/77/00000001/body/",
		"accounts/00/00000001/body/" ID_TEXT, "accounts/aa/0000001/body/" ID_TEXT,
		"accounts/aa/00000000000000001/body/" ID_TEXT, "volume.json"};
	static const uint64_t accounts[] = {0, 1, 0x1234abcd, 0x100000000, UINT64_MAX};
	char key[BODY_OBJECT_KEY_BYTES + 1];
	uint64_t account = 77;
	struct uuid parsed;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert(!body_object_parse_key(bad[i], &account, &parsed));
	ck_assert_uint_eq(account, 77);
	for (size_t i = 0; i < sizeof(accounts) / sizeof(accounts[0]); i++) {
		body_object_key(accounts[i], &id, key);
		ck_assert(body_object_parse_key(key, &account, &parsed));
		ck_assert_uint_eq(account, accounts[i]);
		ck_assert_mem_eq(parsed.bytes, id.bytes, UUID_BYTES);
		for (size_t at = 0; key[at] != '\0'; at++) {
			char good = key[at];

			key[at] = 'x';
			ck_assert(!body_object_parse_key(key, &account, &parsed));
			key[at] = '\0';
			ck_assert(!body_object_parse_key(key, &account, &parsed));
			key[at] = good;
		}
		strcat(key, "0");
		ck_assert(!body_object_parse_key(key, &account, &parsed));
	}
}
END_TEST

/* Each kind of damage has a sentence of its own, and the header is given all the same. */
START_TEST(test_problems_are_named)
{
	static const struct {
		size_t at;
		const char *word;
	} cases[] = {{0, "magic"}, {9, "version"}, {33, "header's checksum"},
		{BODY_OBJECT_HEADER_BYTES, "stored content's checksum"}};
	CLEANUP_FREE uint8_t *data = content_new(300, false), *object = NULL;
	struct body_object_header header;
	const char *problem = NULL;
	void *content = NULL;
	size_t size = 0, content_size;

	object = encode(data, 300, 1, &size);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		object[cases[i].at] ^= 0x10;
		ck_assert_int_eq(body_object_inspect(object, size, &id, &header, &problem, &content,
					 &content_size),
			-EBADMSG);
		ck_assert_msg(strstr(problem, cases[i].word) != NULL, "%s", problem);
		ck_assert_mem_eq(header.id.bytes, id.bytes, UUID_BYTES);
		object[cases[i].at] ^= 0x10;
	}
	ck_assert_int_eq(
		body_object_inspect(object, size, &id, &header, &problem, &content, &content_size),
		0);
	ck_assert_ptr_null(problem);
	ck_assert_uint_eq(header.raw_size_bytes, 300);
	free(content);
}
END_TEST

/* The bytes of doc/format-objects.md. */
START_TEST(test_bytes_are_as_documented)
{
	static const uint8_t expected[] = {'M', 'F', 'S', 'B', 'O', 'D', 'Y', 0, 0, 1, 0, 0, 0, 0,
		0, 72, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0, 0, 0, 0, 0, 0,
		5, 0, 0, 0, 0, 0, 0, 0, 5, 0x95, 0x55, 0xe8, 0x55, 0x5c, 0x62, 0xdc, 0xfd, 0x95,
		0x55, 0xe8, 0x55, 0x5c, 0x62, 0xdc, 0xfd};
	CLEANUP_FREE uint8_t *object = NULL;
	size_t size = 0;

	object = encode((const uint8_t *)"hello", 5, 1, &size);
	ck_assert_uint_eq(size, 77);
	ck_assert_mem_eq(object, expected, sizeof(expected));
	ck_assert_mem_eq(object + BODY_OBJECT_HEADER_BYTES, "hello", 5);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("body_object");
	TCase *tc = tcase_create("body_object");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(
		tc, test_there_and_back, 0, 6 * (int)(sizeof(sizes) / sizeof(sizes[0])));
	tcase_add_test(tc, test_raw_content_is_not_copied);
	tcase_add_loop_test(tc, test_every_corruption, 0, 2);
	tcase_add_test(tc, test_another_id);
	tcase_add_test(tc, test_forged_headers);
	tcase_add_test(tc, test_future_versions);
	tcase_add_test(tc, test_ceilings);
	tcase_add_test(tc, test_keys);
	tcase_add_test(tc, test_keys_are_parsed_strictly);
	tcase_add_test(tc, test_problems_are_named);
	tcase_add_test(tc, test_bytes_are_as_documented);
	suite_add_tcase(suite, tc);
	return suite;
}
