/*
 * fuzz_pack.c: whatever an index says, what it leads to lies within the pack, and encodes to the
 * same again. The checksums would stop every change, so a second run puts them right.
 */
#include <config.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/pack.h"
#include "util/checksum.h"
#include "util/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void decode_contents(const uint8_t *object, size_t size, const struct pack_index *index)
{
	for (uint32_t i = 0; i < index->n_entries; i++) {
		const struct pack_entry *e = &index->entries[i];
		void *content = NULL;

		check(e->stored_offset_bytes + e->stored_bytes <= index->object_bytes);
		if (e->stored_offset_bytes + e->stored_bytes > size)
			continue;
		if (pack_decode_content(object + e->stored_offset_bytes, e->stored_bytes,
			    e->encoding, e->raw_bytes, e->raw_checksum, &content) < 0)
			continue;
		check(checksum_64(content, e->raw_bytes) == e->raw_checksum);
		free(content);
	}
}

/* What was understood is what is made of it. */
static void encode_again(const uint8_t *object, size_t size, const struct pack_index *index)
{
	struct pack_builder *b = pack_builder_new(index->account, &index->id);
	struct iovec parts[PACK_BUILDER_PARTS];

	check(b != NULL);
	for (uint32_t i = 0; i < index->n_entries; i++)
		check(pack_builder_add_stored(b, &index->entries[i],
			      object + index->entries[i].stored_offset_bytes) == 0);
	check(pack_builder_finish(b, parts) == 0);
	check(parts[0].iov_len + parts[1].iov_len == size &&
		memcmp(parts[0].iov_base, object, parts[0].iov_len) == 0);
	pack_builder_free(b);
}

static void decode(const uint8_t *object, size_t size)
{
	struct decoder d = decoder_over(object, size);
	struct pack_index index;
	const char *problem;
	size_t needed = 0;
	struct uuid id;
	uint32_t account;
	int r;

	(void)decode_view(&d, 16);
	decode_bytes(&d, id.bytes, UUID_BYTES);
	account = decode_u32(&d);
	r = pack_decode_index(object, size, account, &id, &index, &needed, &problem);
	check(r == 0 || r == -EAGAIN || r == -EBADMSG);
	check((r == -EBADMSG) == (problem != NULL));
	check(r != -EAGAIN || needed > size);
	if (r == 0) {
		decode_contents(object, size, &index);
		if (index.object_bytes == size)
			encode_again(object, size, &index);
	}
	pack_index_done(&index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decoder d = decoder_over(data, size);
	struct encoder e;
	uint64_t index_bytes;
	uint8_t *copy;

	decode(data, size);
	if (size < PACK_HEADER_BYTES)
		return 0;
	(void)decode_view(&d, 36);
	index_bytes = (uint64_t)decode_u32(&d) * PACK_ENTRY_BYTES;
	if (index_bytes > size - PACK_HEADER_BYTES)
		index_bytes = size - PACK_HEADER_BYTES;
	copy = malloc(size);
	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	e = encoder_over(copy + 48, 16);
	encode_u64(&e, checksum_64(copy + PACK_HEADER_BYTES, (size_t)index_bytes));
	encode_u64(&e, checksum_64(copy, PACK_HEADER_BYTES - 8));
	decode(copy, size);
	free(copy);
	return 0;
}
