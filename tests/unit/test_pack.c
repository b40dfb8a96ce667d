#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/backend.h"
#include "cache/pack.h"
#include "util/checksum.h"
#include "util/cleanup.h"
#include "util/codec.h"

#define ACCOUNT 26

static const struct uuid id = {.bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

/* A body of this size: of words, or of noise. */
static uint8_t *content_new(size_t size, unsigned int seed, bool noise)
{
	static const char words[] = "Received: from mail.example by mx.example with ESMTP; ";
	uint8_t *data = malloc(size + 1);
	uint32_t state = seed;

	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < size; i++) {
		state = state * 1664525 + 1013904223;
		data[i] = noise ? (uint8_t)(state >> 24)
				: (uint8_t)words[(i + seed) % (sizeof(words) - 1)];
	}
	return data;
}

static uint8_t *finish(struct pack_builder *b, size_t *ret_size)
{
	struct iovec parts[PACK_BUILDER_PARTS];
	uint8_t *object;

	ck_assert_int_eq(pack_builder_finish(b, parts), 0);
	*ret_size = parts[0].iov_len + parts[1].iov_len;
	ck_assert_uint_eq(*ret_size, pack_builder_size_bytes(b));
	object = malloc(*ret_size);
	ck_assert_ptr_nonnull(object);
	memcpy(object, parts[0].iov_base, parts[0].iov_len);
	memcpy(object + parts[0].iov_len, parts[1].iov_base, parts[1].iov_len);
	return object;
}

static int decode(const uint8_t *object, size_t size, struct pack_index *ret, size_t *ret_needed)
{
	return pack_decode_index(object, size, ACCOUNT, &id, ret, ret_needed, NULL);
}

static const size_t sizes[] = {1, 5, 255, 256, 257, 5000, 70000, 128 << 10, 1, 4 << 20};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

START_TEST(test_there_and_back)
{
	struct pack_builder *b = pack_builder_new(ACCOUNT, &id);
	CLEANUP_FREE uint8_t *object = NULL;
	struct pack_index index;
	size_t size = 0, needed, raw_bytes = 0;
	bool noise = _i == 1;

	for (size_t i = 0; i < N_SIZES; i++) {
		CLEANUP_FREE uint8_t *data = content_new(sizes[i], (unsigned int)i, noise);

		raw_bytes += sizes[i];
		ck_assert_int_eq(pack_builder_add(b, i + 2, i << 12, data, sizes[i]), 0);
		ck_assert_uint_eq(pack_builder_n(b), i + 1);
	}
	object = finish(b, &size);
	ck_assert((pack_builder_content_bytes(b) < raw_bytes / 4) == !noise);
	ck_assert_int_eq(decode(object, size, &index, &needed), 0);
	ck_assert_uint_eq(index.object_bytes, size);
	ck_assert_uint_eq(index.n_entries, N_SIZES);
	for (size_t i = 0; i < N_SIZES; i++) {
		const struct pack_entry *e = &index.entries[i];
		const struct pack_entry *made = pack_builder_entry(b, (unsigned int)i);
		CLEANUP_FREE uint8_t *data = content_new(sizes[i], (unsigned int)i, noise);
		CLEANUP_FREE void *again = NULL;

		ck_assert_uint_eq(e->ino, i + 2);
		ck_assert_uint_eq(e->offset_bytes, i << 12);
		ck_assert_uint_eq(e->raw_bytes, sizes[i]);
		ck_assert_uint_eq(e->stored_offset_bytes, made->stored_offset_bytes);
		ck_assert_uint_eq(e->stored_bytes, made->stored_bytes);
		ck_assert_uint_eq(e->encoding, made->encoding);
		ck_assert_uint_eq(e->raw_checksum, made->raw_checksum);
		ck_assert_uint_eq(e->stored_checksum, made->stored_checksum);
		ck_assert_int_eq(
			pack_decode_content(object + e->stored_offset_bytes, e->stored_bytes,
				e->encoding, e->raw_bytes, e->raw_checksum, &again),
			0);
		ck_assert(memcmp(again, data, sizes[i]) == 0);
	}
	pack_index_done(&index);
	pack_builder_free(b);
}
END_TEST

static uint8_t *small_pack(size_t *ret_size)
{
	struct pack_builder *b = pack_builder_new(ACCOUNT, &id);
	CLEANUP_FREE uint8_t *words = content_new(700, 1, false);
	uint8_t *object;

	ck_assert_int_eq(pack_builder_add(b, 3, 0, "hello", 5), 0);
	ck_assert_int_eq(pack_builder_add(b, 4, 4096, words, 700), 0);
	object = finish(b, ret_size);
	pack_builder_free(b);
	return object;
}

/* Each byte of header and index is changed, and each shorter beginning asks for more. */
START_TEST(test_every_corruption)
{
	const size_t head = PACK_HEADER_BYTES + 2 * PACK_ENTRY_BYTES;
	struct pack_index index;
	size_t size, needed = 0;
	CLEANUP_FREE uint8_t *object = small_pack(&size);

	for (size_t i = 0; i < head; i++) {
		uint8_t good = object[i];

		for (int bit = 0; bit < 8; bit++) {
			object[i] = good ^ (uint8_t)(1 << bit);
			ck_assert_int_eq(decode(object, size, &index, &needed), -EBADMSG);
			ck_assert_ptr_null(index.entries);
		}
		object[i] = good;
		ck_assert_int_eq(decode(object, i, &index, &needed), -EAGAIN);
		ck_assert_uint_eq(needed, i < PACK_HEADER_BYTES ? PACK_HEADER_BYTES : head);
	}
	ck_assert_int_eq(decode(object, head, &index, &needed), 0);
	pack_index_done(&index);
}
END_TEST

START_TEST(test_damaged_content)
{
	struct pack_index index;
	size_t size, needed;
	CLEANUP_FREE uint8_t *object = small_pack(&size);

	ck_assert_int_eq(decode(object, size, &index, &needed), 0);
	for (uint32_t n = 0; n < index.n_entries; n++) {
		const struct pack_entry *e = &index.entries[n];
		uint8_t *stored = object + e->stored_offset_bytes;
		void *data = NULL;

		ck_assert_int_eq(e->encoding, n == 0 ? PACK_RAW : PACK_ZSTD);
		for (uint32_t i = 0; i < e->stored_bytes; i++) {
			stored[i] ^= 4;
			if (pack_decode_content(stored, e->stored_bytes, e->encoding, e->raw_bytes,
				    e->raw_checksum, &data) == 0) {
				/* A bit of a frame's header that says nothing. */
				ck_assert_uint_eq(checksum_64(data, e->raw_bytes), e->raw_checksum);
				free(data);
			}
			stored[i] ^= 4;
		}
		ck_assert_int_eq(pack_decode_content(stored, e->stored_bytes, e->encoding,
					 e->raw_bytes + 1, e->raw_checksum, &data),
			-EBADMSG);
		ck_assert_int_eq(pack_decode_content(stored, e->stored_bytes, 2, e->raw_bytes,
					 e->raw_checksum, &data),
			-EBADMSG);
		ck_assert_int_eq(pack_decode_content(stored, e->stored_bytes, e->encoding,
					 e->raw_bytes, e->raw_checksum ^ 1, &data),
			-EBADMSG);
		ck_assert_int_eq(pack_decode_content(stored, e->stored_bytes - 1, e->encoding,
					 e->raw_bytes, e->raw_checksum, &data),
			-EBADMSG);
	}
	pack_index_done(&index);
}
END_TEST

/* What another pack has is taken over as it is. */
START_TEST(test_stored)
{
	struct pack_builder *b = pack_builder_new(ACCOUNT, &id);
	struct pack_index index;
	size_t size, again_size, needed;
	CLEANUP_FREE uint8_t *object = small_pack(&size), *again = NULL;

	ck_assert_int_eq(decode(object, size, &index, &needed), 0);
	for (uint32_t i = 0; i < index.n_entries; i++)
		ck_assert_int_eq(pack_builder_add_stored(b, &index.entries[i],
					 object + index.entries[i].stored_offset_bytes),
			0);
	again = finish(b, &again_size);
	ck_assert_uint_eq(again_size, size);
	ck_assert_mem_eq(again, object, size);
	pack_index_done(&index);
	pack_builder_free(b);
}
END_TEST

START_TEST(test_ceilings)
{
	struct pack_builder *b = pack_builder_new(ACCOUNT, &id);
	CLEANUP_FREE uint8_t *noise = content_new(PACK_MAX_CONTENT_BYTES + 1, 1, true);
	unsigned int n = 0;

	ck_assert_int_eq(pack_builder_add(b, 2, 0, noise, 0), -EFBIG);
	ck_assert_int_eq(pack_builder_add(b, 2, 0, noise, PACK_MAX_CONTENT_BYTES + 1), -EFBIG);
	while (pack_builder_add(b, 2 + n, 0, noise, PACK_MAX_CONTENT_BYTES) == 0)
		n++;
	ck_assert_uint_eq(n, PACK_MAX_BYTES / PACK_MAX_CONTENT_BYTES - 1);
	ck_assert_uint_le(pack_builder_size_bytes(b), PACK_MAX_BYTES);
	pack_builder_free(b);
}
END_TEST

START_TEST(test_keys)
{
	char key[PACK_KEY_BYTES];
	struct uuid parsed;
	uint64_t account;

	pack_key(ACCOUNT, &id, key);
	ck_assert_str_eq(key, "accounts/67/0000001a/pack/01020304-0506-0708-090a-0b0c0d0e0f10");
	ck_assert(backend_key_is_valid(key));
	ck_assert(pack_parse_key(key, &account, &parsed));
	ck_assert_uint_eq(account, ACCOUNT);
	ck_assert_mem_eq(&parsed, &id, sizeof(id));
	key[strlen(key) - 1] = '\0';
	ck_assert(!pack_parse_key(key, &account, &parsed));
	ck_assert(!pack_parse_key("accounts/67/0000001a/body/01020304-0506-0708-090a-0b0c0d0e0f10",
		&account, &parsed));
}
END_TEST

/* The example of doc/format-objects.md. */
START_TEST(test_bytes)
{
	static const uint8_t begin[] = {0x4d, 0x46, 0x53, 0x50, 0x41, 0x43, 0x4b, 0, 0, 1, 0, 0, 0,
		0, 0, 0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0, 0, 0x1a, 0,
		0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5};
	static const uint8_t entry[] = {0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0x78, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0x95, 0x55, 0xe8,
		0x55, 0x5c, 0x62, 0xdc, 0xfd, 0x95, 0x55, 0xe8, 0x55, 0x5c, 0x62, 0xdc, 0xfd};
	struct pack_builder *b = pack_builder_new(ACCOUNT, &id);
	CLEANUP_FREE uint8_t *object = NULL;
	size_t size;

	ck_assert_int_eq(pack_builder_add(b, 3, 0, "hello", 5), 0);
	object = finish(b, &size);
	ck_assert_uint_eq(size, PACK_HEADER_BYTES + PACK_ENTRY_BYTES + 5);
	ck_assert_mem_eq(object, begin, sizeof(begin));
	ck_assert_mem_eq(object + PACK_HEADER_BYTES, entry, sizeof(entry));
	ck_assert_mem_eq(object + PACK_HEADER_BYTES + PACK_ENTRY_BYTES, "hello", 5);
	pack_builder_free(b);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("pack");
	TCase *tcase = tcase_create("pack");

	tcase_add_loop_test(tcase, test_there_and_back, 0, 2);
	tcase_add_test(tcase, test_every_corruption);
	tcase_add_test(tcase, test_damaged_content);
	tcase_add_test(tcase, test_stored);
	tcase_add_test(tcase, test_ceilings);
	tcase_add_test(tcase, test_keys);
	tcase_add_test(tcase, test_bytes);
	suite_add_tcase(suite, tcase);
	return suite;
}
