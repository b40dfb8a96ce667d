/*
 * section.c: building sections; section_reader.c reads them.
 */
#include <config.h>
#include "replication/section.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "replication/section_format.h"
#include "util/checksum.h"
#include "util/codec.h"

#define COMPRESSION_LEVEL 1
#define MIN_COMPRESSED_BYTES 256 /* smaller content is not tried */
#define FIRST_CAPACITY_BYTES 4096

struct section_builder {
	ZSTD_CCtx *context;
	uint8_t *content;
	size_t content_bytes, capacity_bytes;
	uint32_t n_records;
};

struct section_builder *section_builder_new(void)
{
	struct section_builder *builder = calloc(1, sizeof(*builder));

	if (builder == NULL)
		return NULL;
	builder->context = ZSTD_createCCtx();
	if (builder->context == NULL) {
		free(builder);
		return NULL;
	}
	(void)ZSTD_CCtx_setParameter(builder->context, ZSTD_c_compressionLevel, COMPRESSION_LEVEL);
	return builder;
}

void section_builder_free(struct section_builder *builder)
{
	if (builder == NULL)
		return;
	ZSTD_freeCCtx(builder->context);
	free(builder->content);
	free(builder);
}

size_t section_builder_content_bytes(const struct section_builder *builder)
{
	return builder->content_bytes;
}

void section_builder_clear(struct section_builder *builder)
{
	builder->content_bytes = 0;
	builder->n_records = 0;
}

/* Room for this many bytes more; they stay within SECTION_MAX_CONTENT_BYTES. */
static int make_room(struct section_builder *builder, size_t more_bytes)
{
	size_t needed = builder->content_bytes + more_bytes, capacity = builder->capacity_bytes;
	uint8_t *content;

	if (needed <= capacity)
		return 0;
	if (capacity == 0)
		capacity = FIRST_CAPACITY_BYTES;
	while (capacity < needed)
		capacity *= 2;
	if (capacity > SECTION_MAX_CONTENT_BYTES)
		capacity = SECTION_MAX_CONTENT_BYTES;
	content = realloc(builder->content, capacity);
	if (content == NULL)
		return -ENOMEM;
	builder->content = content;
	builder->capacity_bytes = capacity;
	return 0;
}

static int add(
	struct section_builder *builder, uint8_t operation, const struct section_record *record)
{
	size_t size = SECTION_RECORD_HEAD_BYTES + record->key_bytes + record->value_bytes;
	struct encoder e;
	int r;

	if (record->key_bytes == 0 || record->key_bytes > SECTION_MAX_KEY_BYTES ||
		record->value_bytes > SECTION_MAX_VALUE_BYTES)
		return -EINVAL;
	if (builder->content_bytes > 0 && builder->content_bytes + size > SECTION_FULL_BYTES)
		return -ENOSPC;
	r = make_room(builder, size);
	if (r < 0)
		return r;
	e = encoder_over(builder->content + builder->content_bytes, size);
	encode_u8(&e, (uint8_t)record->table);
	encode_u8(&e, operation);
	encode_u16(&e, (uint16_t)record->key_bytes);
	encode_u32(&e, (uint32_t)record->value_bytes);
	encode_bytes(&e, record->key, record->key_bytes);
	encode_bytes(&e, record->value, record->value_bytes);
	builder->content_bytes += size;
	builder->n_records++;
	return 0;
}

int section_builder_put(struct section_builder *builder, enum section_table table, const void *key,
	size_t key_bytes, const void *value, size_t value_bytes)
{
	struct section_record record = {.table = table,
		.key = key,
		.key_bytes = key_bytes,
		.value = value,
		.value_bytes = value_bytes};

	return add(builder, SECTION_PUT, &record);
}

int section_builder_remove(struct section_builder *builder, enum section_table table,
	const void *key, size_t key_bytes)
{
	struct section_record record = {.table = table, .key = key, .key_bytes = key_bytes};

	return add(builder, SECTION_REMOVE, &record);
}

int section_builder_remove_range(struct section_builder *builder, enum section_table table,
	const void *key, size_t key_bytes, const void *to, size_t to_bytes)
{
	struct section_record record = {.table = table,
		.key = key,
		.key_bytes = key_bytes,
		.value = to,
		.value_bytes = to_bytes};

	if (key_bytes == 0 || to_bytes == 0 || to_bytes > SECTION_MAX_KEY_BYTES ||
		!section_range_is_valid(key, key_bytes, to, to_bytes))
		return -EINVAL;
	return add(builder, SECTION_REMOVE_RANGE, &record);
}

/* *ret_stored stays NULL when compression does not pay. */
static int compress(struct section_builder *builder, void **ret_stored, size_t *ret_stored_bytes)
{
	size_t limit = builder->content_bytes - builder->content_bytes / 8, size;
	void *stored, *shrunk;

	if (builder->content_bytes < MIN_COMPRESSED_BYTES)
		return 0;
	stored = malloc(limit);
	if (stored == NULL)
		return -ENOMEM;
	size = ZSTD_compress2(
		builder->context, stored, limit, builder->content, builder->content_bytes);
	if (ZSTD_isError(size)) { /* it does not fit into the limit */
		free(stored);
		return 0;
	}
	shrunk = realloc(stored, size); /* many of these wait for one put */
	*ret_stored = shrunk == NULL ? stored : shrunk;
	*ret_stored_bytes = size;
	return 0;
}

static int copy_raw(const struct section_builder *builder, void **ret_stored)
{
	*ret_stored = malloc(builder->content_bytes);
	if (*ret_stored == NULL)
		return -ENOMEM;
	memcpy(*ret_stored, builder->content, builder->content_bytes);
	return 0;
}

int section_builder_finish(struct section_builder *builder, struct section *ret)
{
	struct section_info info = {.encoding = SECTION_ZSTD,
		.content_bytes = (uint32_t)builder->content_bytes,
		.n_records = builder->n_records};
	size_t stored_bytes = builder->content_bytes;
	void *stored = NULL;
	int r;

	if (builder->n_records == 0)
		return -EINVAL;
	r = compress(builder, &stored, &stored_bytes);
	if (r == 0 && stored == NULL) {
		info.encoding = SECTION_RAW;
		r = copy_raw(builder, &stored);
	}
	if (r < 0)
		return r;
	info.stored_bytes = (uint32_t)stored_bytes;
	info.content_checksum = checksum_64(builder->content, builder->content_bytes);
	info.stored_checksum = info.encoding == SECTION_RAW ? info.content_checksum
							    : checksum_64(stored, stored_bytes);
	*ret = (struct section){.info = info, .stored = stored};
	section_builder_clear(builder);
	return 0;
}

void section_done(struct section *section)
{
	free(section->stored);
	section->stored = NULL;
}
