#include <config.h>
#include "replication_kit.h"

#include <stdlib.h>
#include <string.h>
#include <check.h>
#include "util/checksum.h"
#include "util/cleanup.h"
#include "util/codec.h"

struct position kit_position(void)
{
	return (struct position){.node = {{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x46, 0x77, 0x88,
					 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}},
		.incarnation = 2,
		.sequence = 7};
}

uint8_t *kit_content(size_t size_bytes, bool noise)
{
	static const char words[] = "Received: from mail.example by mx.example with ESMTP; ";
	uint8_t *data = malloc(size_bytes + 1);
	uint32_t state = 1;

	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < size_bytes; i++) {
		state = state * 1664525 + 1013904223;
		data[i] = noise ? (uint8_t)(state >> 24) : (uint8_t)words[i % (sizeof(words) - 1)];
	}
	return data;
}

struct section kit_section(size_t value_bytes, bool noise)
{
	CLEANUP_FREE uint8_t *value = kit_content(value_bytes, noise);
	struct section_builder *builder = section_builder_new();
	struct section section;

	ck_assert_ptr_nonnull(builder);
	ck_assert_int_eq(
		section_builder_put(builder, SECTION_META, "N\x01\x02", 3, value, value_bytes), 0);
	ck_assert_int_eq(section_builder_finish(builder, &section), 0);
	section_builder_free(builder);
	return section;
}

uint8_t *kit_flatten(const struct frame *frame)
{
	uint8_t *object = malloc(frame->size_bytes);
	size_t at = 0;

	ck_assert_ptr_nonnull(object);
	for (int i = 0; i < frame->n_parts; i++) {
		ck_assert_uint_le(at + frame->parts[i].iov_len, frame->size_bytes);
		memcpy(object + at, frame->parts[i].iov_base, frame->parts[i].iov_len);
		at += frame->parts[i].iov_len;
	}
	ck_assert_uint_eq(at, frame->size_bytes);
	return object;
}

static void set_number(uint8_t *to, size_t n_bytes, uint64_t value)
{
	for (size_t i = 0; i < n_bytes; i++)
		to[i] = (uint8_t)(value >> (8 * (n_bytes - 1 - i)));
}

void kit_forge(uint8_t *object, size_t header_bytes, size_t at, size_t n_bytes, uint64_t value)
{
	set_number(object + at, n_bytes, value);
	set_number(object + header_bytes - 8, 8, checksum_64(object, header_bytes - 8));
}

void kit_forge_directory(uint8_t *object, size_t header_bytes, size_t directory_bytes, size_t at,
	size_t n_bytes, uint64_t value)
{
	set_number(object + at, n_bytes, value);
	kit_forge(object, header_bytes, header_bytes - 16, 8,
		checksum_64(object + header_bytes, directory_bytes));
}
