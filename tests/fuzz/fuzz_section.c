/*
 * fuzz_section.c: a section is refused, or gives the number of records that it should, which build
 * the same content again. The checksums would stop every change, so they are made right here.
 *
 * Input: encoding (1), number of records (4), size of the content (4), stored content.
 */
#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "replication/section.h"
#include "util/checksum.h"
#include "util/codec.h"

#define INPUT_HEAD_BYTES 9
#define MAX_CONTENT_BYTES (1U << 20) /* for speed */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static uint64_t content_checksum(const struct section_info *info, const uint8_t *stored)
{
	void *content;
	size_t size;
	uint64_t checksum = 0;

	if (info->encoding != SECTION_ZSTD || info->content_bytes > MAX_CONTENT_BYTES)
		return info->stored_checksum;
	content = malloc((size_t)info->content_bytes + 1);
	check(content != NULL);
	size = ZSTD_decompress(content, info->content_bytes, stored, info->stored_bytes);
	if (!ZSTD_isError(size))
		checksum = checksum_64(content, size);
	free(content);
	return checksum;
}

static void add_again(struct section_builder *builder, const struct section_record *r)
{
	int result;

	if (r->to != NULL)
		result = section_builder_remove_range(
			builder, r->table, r->key, r->key_bytes, r->to, r->to_bytes);
	else if (r->is_removal)
		result = section_builder_remove(builder, r->table, r->key, r->key_bytes);
	else
		result = section_builder_put(
			builder, r->table, r->key, r->key_bytes, r->value, r->value_bytes);

	check(result == 0);
}

static void read_records(struct section_reader *reader, const struct section_info *info)
{
	struct section_builder *builder = section_builder_new();
	struct section_record record;
	struct section again;
	uint32_t n = 0;

	check(builder != NULL);
	for (; section_reader_next(reader, &record); n++)
		add_again(builder, &record);
	check(n == info->n_records);
	check(section_builder_content_bytes(builder) == info->content_bytes);
	check(section_builder_finish(builder, &again) == 0);
	check(again.info.content_checksum == info->content_checksum);
	check(section_info_is_valid(&again.info));
	section_done(&again);
	section_builder_free(builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decoder d = decoder_over(data, size);
	struct section_info info = {.encoding = decode_u8(&d), .n_records = decode_u32(&d)};
	struct section_reader reader;
	const char *problem = NULL;
	const uint8_t *stored;

	info.content_bytes = decode_u32(&d);
	if (!decoder_ok(&d) || size > MAX_CONTENT_BYTES)
		return 0;
	info.stored_bytes = (uint32_t)(size - INPUT_HEAD_BYTES);
	stored = data + INPUT_HEAD_BYTES;
	info.stored_checksum = checksum_64(stored, info.stored_bytes);
	info.content_checksum = content_checksum(&info, stored);
	if (section_reader_open(&reader, &info, stored, info.stored_bytes, &problem) < 0) {
		check(problem != NULL || info.content_bytes > MAX_CONTENT_BYTES);
		return 0;
	}
	read_records(&reader, &info);
	section_reader_close(&reader);
	return 0;
}
