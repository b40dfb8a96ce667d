/*
 * section_reader.c: the reading half of section.h.
 */
#include <config.h>
#include "replication/section.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>
#include "replication/section_format.h"
#include "util/checksum.h"
#include "util/cleanup.h"
#include "util/codec.h"

static int bad(const char **ret_problem, const char *problem)
{
	if (ret_problem != NULL)
		*ret_problem = problem;
	return -EBADMSG;
}

/* Every record has a head and a key of one byte at least. */
bool section_info_is_valid(const struct section_info *info)
{
	if (info->encoding > SECTION_ZSTD || info->content_bytes > SECTION_MAX_CONTENT_BYTES ||
		info->stored_bytes == 0 || info->stored_bytes > info->content_bytes ||
		info->n_records == 0 ||
		info->n_records > info->content_bytes / (SECTION_RECORD_HEAD_BYTES + 1))
		return false;
	if (info->encoding == SECTION_ZSTD)
		return info->stored_bytes < info->content_bytes;
	return info->stored_bytes == info->content_bytes &&
	       info->stored_checksum == info->content_checksum;
}

/* Takes one record; false when it is none. */
static bool decode_record(struct decoder *d, struct section_record *ret)
{
	uint8_t table = decode_u8(d), operation = decode_u8(d);
	uint16_t key_bytes = decode_u16(d);
	uint32_t value_bytes = decode_u32(d);
	const uint8_t *key = decode_view(d, key_bytes), *value = decode_view(d, value_bytes);

	if (!decoder_ok(d) || table > SECTION_DATA || key_bytes == 0 ||
		key_bytes > SECTION_MAX_KEY_BYTES || value_bytes > SECTION_MAX_VALUE_BYTES)
		return false;
	*ret = (struct section_record){.table = (enum section_table)table,
		.is_removal = operation != SECTION_PUT,
		.key = key,
		.key_bytes = key_bytes};
	if (operation == SECTION_REMOVE)
		return value_bytes == 0;
	if (operation == SECTION_REMOVE_RANGE) {
		ret->to = value;
		ret->to_bytes = value_bytes;
		return value_bytes > 0 && value_bytes <= SECTION_MAX_KEY_BYTES &&
		       section_range_is_valid(key, key_bytes, value, value_bytes);
	}
	ret->value = value;
	ret->value_bytes = value_bytes;
	return operation == SECTION_PUT;
}

static int check_records(
	const struct section_info *info, const uint8_t *content, const char **ret_problem)
{
	struct decoder d = decoder_over(content, info->content_bytes);
	struct section_record record;

	for (uint32_t i = 0; i < info->n_records; i++) {
		if (!decode_record(&d, &record))
			return bad(ret_problem, "a record is malformed");
	}
	return decoder_left_bytes(&d) == 0
		       ? 0
		       : bad(ret_problem, "there is more than the number of records says");
}

/* *ret is malloc()ed. */
static int decompress(
	const struct section_info *info, const void *stored, void **ret, const char **ret_problem)
{
	CLEANUP_FREE void *content = malloc(info->content_bytes);
	size_t size;

	if (content == NULL)
		return -ENOMEM;
	size = ZSTD_decompress(content, info->content_bytes, stored, info->stored_bytes);
	if (ZSTD_isError(size) || size != info->content_bytes)
		return bad(ret_problem, "the content cannot be decompressed to its size");
	if (checksum_64(content, size) != info->content_checksum)
		return bad(ret_problem, "the content's checksum does not fit");
	*ret = TAKE_PTR(content);
	return 0;
}

int section_reader_open(struct section_reader *reader, const struct section_info *info,
	const void *stored, size_t stored_bytes, const char **ret_problem)
{
	CLEANUP_FREE void *owned = NULL;
	const uint8_t *content = stored;
	int r = 0;

	if (!section_info_is_valid(info))
		return bad(ret_problem, "sizes or encoding are not possible");
	if (stored_bytes != info->stored_bytes)
		return bad(ret_problem, "the stored content does not have its size");
	if (checksum_64(stored, stored_bytes) != info->stored_checksum)
		return bad(ret_problem, "the stored content's checksum does not fit");
	if (info->encoding == SECTION_ZSTD) {
		r = decompress(info, stored, &owned, ret_problem);
		content = owned;
	}
	if (r == 0)
		r = check_records(info, content, ret_problem);
	if (r < 0)
		return r;
	*reader = (struct section_reader){.content = content,
		.position = content,
		.end = content + info->content_bytes,
		.owned = TAKE_PTR(owned)};
	return 0;
}

bool section_reader_next(struct section_reader *reader, struct section_record *ret)
{
	struct decoder d = decoder_over(reader->position, (size_t)(reader->end - reader->position));

	if (reader->position == reader->end || !decode_record(&d, ret))
		return false;
	reader->position += d.position;
	return true;
}

void section_reader_close(struct section_reader *reader)
{
	free(reader->owned);
	*reader = (struct section_reader){.owned = NULL};
}
