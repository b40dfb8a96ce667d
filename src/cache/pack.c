#include <config.h>
#include "cache/pack.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "util/checksum.h"
#include "util/cleanup.h"
#include "util/codec.h"

#define MAGIC "MFSPACK" /* and its NUL */
#define MAGIC_BYTES 8
#define FOLDER "pack"

/* Packs are made in the background and read for years. */
#define COMPRESSION_LEVEL 3
#define MIN_COMPRESSED_BYTES 256 /* smaller bodies are not tried */
#define FIRST_CONTENT_BYTES (256U << 10)
#define FIRST_ENTRIES 64U

/* ---- making one */

struct pack_builder {
	uint32_t account;
	struct uuid id;
	ZSTD_CCtx *context;
	struct pack_entry *entries;
	unsigned int n_entries, entries_capacity;
	uint8_t *content;
	size_t content_bytes, content_capacity;
	uint8_t *head; /* header and index, by pack_builder_finish() */
};

struct pack_builder *pack_builder_new(uint32_t account, const struct uuid *id)
{
	struct pack_builder *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->account = account;
	b->id = *id;
	b->context = ZSTD_createCCtx();
	if (b->context == NULL) {
		free(b);
		return NULL;
	}
	return b;
}

void pack_builder_free(struct pack_builder *b)
{
	if (b == NULL)
		return;
	ZSTD_freeCCtx(b->context);
	free(b->entries);
	free(b->content);
	free(b->head);
	free(b);
}

static size_t head_bytes(unsigned int n_entries)
{
	return PACK_HEADER_BYTES + (size_t)n_entries * PACK_ENTRY_BYTES;
}

unsigned int pack_builder_n(const struct pack_builder *b)
{
	return b->n_entries;
}

size_t pack_builder_size_bytes(const struct pack_builder *b)
{
	return head_bytes(b->n_entries) + b->content_bytes;
}

size_t pack_builder_content_bytes(const struct pack_builder *b)
{
	return b->content_bytes;
}

const struct pack_entry *pack_builder_entry(const struct pack_builder *b, unsigned int i)
{
	assert(i < b->n_entries);
	return &b->entries[i];
}

/* Room for one more entry with so much content. */
static int make_room(struct pack_builder *b, size_t bytes)
{
	size_t capacity = b->content_capacity ? b->content_capacity : FIRST_CONTENT_BYTES;
	unsigned int n = b->entries_capacity ? b->entries_capacity * 2 : FIRST_ENTRIES;

	if (bytes > PACK_MAX_CONTENT_BYTES || b->n_entries == PACK_MAX_ENTRIES ||
		head_bytes(b->n_entries + 1) + b->content_bytes + bytes > PACK_MAX_BYTES)
		return -EFBIG;
	while (capacity < b->content_bytes + bytes)
		capacity *= 2;
	if (capacity > b->content_capacity) {
		uint8_t *content = realloc(b->content, capacity);

		if (content == NULL)
			return -ENOMEM;
		b->content = content;
		b->content_capacity = capacity;
	}
	if (b->n_entries == b->entries_capacity) {
		struct pack_entry *entries = reallocarray(b->entries, n, sizeof(*entries));

		if (entries == NULL)
			return -ENOMEM;
		b->entries = entries;
		b->entries_capacity = n;
	}
	return 0;
}

static void append(struct pack_builder *b, const struct pack_entry *entry)
{
	b->entries[b->n_entries++] = *entry;
	b->content_bytes += entry->stored_bytes;
}

int pack_builder_add(struct pack_builder *b, uint64_t ino, uint64_t offset_bytes, const void *raw,
	size_t raw_bytes)
{
	struct pack_entry entry = {.ino = ino, .offset_bytes = offset_bytes};
	int r = raw_bytes == 0 ? -EFBIG : make_room(b, raw_bytes);
	size_t size = 0, most = raw_bytes - raw_bytes / 8;
	uint8_t *to;

	if (r < 0)
		return r;
	to = b->content + b->content_bytes;
	if (raw_bytes >= MIN_COMPRESSED_BYTES)
		size = ZSTD_compressCCtx(b->context, to, most, raw, raw_bytes, COMPRESSION_LEVEL);
	entry.encoding = PACK_ZSTD;
	if (size == 0 || ZSTD_isError(size)) { /* what does not fit is an error */
		memcpy(to, raw, raw_bytes);
		size = raw_bytes;
		entry.encoding = PACK_RAW;
	}
	entry.raw_bytes = (uint32_t)raw_bytes;
	entry.stored_bytes = (uint32_t)size;
	entry.raw_checksum = checksum_64(raw, raw_bytes);
	entry.stored_checksum =
		entry.encoding == PACK_RAW ? entry.raw_checksum : checksum_64(to, size);
	append(b, &entry);
	return 0;
}

int pack_builder_add_stored(
	struct pack_builder *b, const struct pack_entry *entry, const void *stored)
{
	int r = make_room(b, entry->stored_bytes);

	if (r < 0)
		return r;
	memcpy(b->content + b->content_bytes, stored, entry->stored_bytes);
	append(b, entry);
	return 0;
}

static void encode_entry(struct encoder *e, const struct pack_entry *entry)
{
	encode_u64(e, entry->ino);
	encode_u64(e, entry->offset_bytes);
	encode_u64(e, entry->stored_offset_bytes);
	encode_u32(e, entry->stored_bytes);
	encode_u32(e, entry->raw_bytes);
	encode_u8(e, entry->encoding);
	encode_u8(e, 0);
	encode_u16(e, 0);
	encode_u32(e, 0);
	encode_u64(e, entry->raw_checksum);
	encode_u64(e, entry->stored_checksum);
}

static void encode_header(struct pack_builder *b, uint64_t index_checksum)
{
	struct encoder e = encoder_over(b->head, PACK_HEADER_BYTES);

	encode_bytes(&e, MAGIC, MAGIC_BYTES);
	encode_u16(&e, PACK_FORMAT_VERSION);
	encode_u16(&e, 0);
	encode_u32(&e, PACK_HEADER_BYTES);
	encode_bytes(&e, b->id.bytes, UUID_BYTES);
	encode_u32(&e, b->account);
	encode_u32(&e, b->n_entries);
	encode_u64(&e, b->content_bytes);
	encode_u64(&e, index_checksum);
	encode_u64(&e, checksum_64(b->head, e.size_bytes));
	assert(encoder_ok(&e) && e.size_bytes == PACK_HEADER_BYTES);
}

int pack_builder_finish(struct pack_builder *b, struct iovec ret_parts[PACK_BUILDER_PARTS])
{
	size_t size = head_bytes(b->n_entries), at = size;
	struct encoder e;

	assert(b->n_entries > 0 && b->head == NULL);
	b->head = malloc(size);
	if (b->head == NULL)
		return -ENOMEM;
	e = encoder_over(b->head + PACK_HEADER_BYTES, size - PACK_HEADER_BYTES);
	for (unsigned int i = 0; i < b->n_entries; i++) {
		b->entries[i].stored_offset_bytes = at;
		encode_entry(&e, &b->entries[i]);
		at += b->entries[i].stored_bytes;
	}
	assert(encoder_ok(&e) && e.size_bytes == size - PACK_HEADER_BYTES);
	encode_header(b, checksum_64(e.data, e.size_bytes));
	ret_parts[0] = (struct iovec){b->head, size};
	ret_parts[1] = (struct iovec){b->content, b->content_bytes};
	return 0;
}

/* ---- reading one */

void pack_index_done(struct pack_index *index)
{
	free(index->entries);
	index->entries = NULL;
	index->n_entries = 0;
}

struct header {
	uint64_t content_bytes, index_checksum;
};

/* *ret and *ret_index are filled as far as there is something, whatever else is wrong. */
static int decode_header(const void *data, struct header *ret, struct pack_index *ret_index,
	const char **ret_problem)
{
	struct decoder d = decoder_over(data, PACK_HEADER_BYTES);
	uint8_t magic[MAGIC_BYTES];
	uint16_t reserved;
	uint32_t size;
	uint64_t checksum;

	decode_bytes(&d, magic, sizeof(magic));
	ret_index->version = decode_u16(&d);
	reserved = decode_u16(&d);
	size = decode_u32(&d);
	decode_bytes(&d, ret_index->id.bytes, UUID_BYTES);
	ret_index->account = decode_u32(&d);
	ret_index->n_entries = decode_u32(&d);
	ret->content_bytes = decode_u64(&d);
	ret->index_checksum = decode_u64(&d);
	checksum = decode_u64(&d);
	if (memcmp(magic, MAGIC, MAGIC_BYTES) != 0)
		*ret_problem = "the magic is another";
	else if (ret_index->version != PACK_FORMAT_VERSION)
		*ret_problem = "the format version is unknown";
	else if (checksum != checksum_64(data, PACK_HEADER_BYTES - sizeof(checksum)))
		*ret_problem = "the header's checksum does not fit";
	else if (reserved != 0 || size != PACK_HEADER_BYTES)
		*ret_problem = "the header is not as this version has it";
	else if (ret_index->n_entries == 0 || ret_index->n_entries > PACK_MAX_ENTRIES)
		*ret_problem = "there are no bodies in it, or more than any may have";
	else if (ret->content_bytes > PACK_MAX_BYTES - head_bytes(ret_index->n_entries))
		*ret_problem = "the contents are larger than any may be";
	ret_index->object_bytes = head_bytes(ret_index->n_entries) + ret->content_bytes;
	return *ret_problem == NULL ? 0 : -EBADMSG;
}

static bool decode_entry(struct decoder *d, uint64_t *at, struct pack_entry *ret)
{
	uint8_t zero8;
	uint16_t zero16;
	uint32_t zero32;

	ret->ino = decode_u64(d);
	ret->offset_bytes = decode_u64(d);
	ret->stored_offset_bytes = decode_u64(d);
	ret->stored_bytes = decode_u32(d);
	ret->raw_bytes = decode_u32(d);
	ret->encoding = decode_u8(d);
	zero8 = decode_u8(d);
	zero16 = decode_u16(d);
	zero32 = decode_u32(d);
	ret->raw_checksum = decode_u64(d);
	ret->stored_checksum = decode_u64(d);
	if (!decoder_ok(d) || zero8 != 0 || zero16 != 0 || zero32 != 0 ||
		ret->stored_offset_bytes != *at || ret->encoding > PACK_ZSTD ||
		ret->raw_bytes == 0 || ret->raw_bytes > PACK_MAX_CONTENT_BYTES ||
		ret->stored_bytes == 0 || ret->stored_bytes > ret->raw_bytes)
		return false;
	if (ret->encoding == PACK_RAW &&
		(ret->stored_bytes != ret->raw_bytes || ret->stored_checksum != ret->raw_checksum))
		return false;
	*at += ret->stored_bytes;
	return true;
}

static int decode_entries(struct decoder *d, const struct header *h, struct pack_index *index,
	const char **ret_problem)
{
	uint64_t at = head_bytes(index->n_entries);
	struct pack_entry *entries = calloc(index->n_entries, sizeof(*entries));

	if (entries == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < index->n_entries && *ret_problem == NULL; i++) {
		if (!decode_entry(d, &at, &entries[i]))
			*ret_problem = "an entry of the index is not as this version has it";
	}
	if (*ret_problem == NULL && at != head_bytes(index->n_entries) + h->content_bytes)
		*ret_problem = "the contents do not have the size that the header says";
	if (*ret_problem != NULL) {
		free(entries);
		return -EBADMSG;
	}
	index->entries = entries;
	return 0;
}

int pack_decode_index(const void *beginning, size_t size_bytes, uint32_t expected_account,
	const struct uuid *expected_id, struct pack_index *ret, size_t *ret_needed_bytes,
	const char **ret_problem)
{
	const char *unused, **problem = ret_problem != NULL ? ret_problem : &unused;
	struct header h;
	struct decoder d;
	size_t head;
	int r;

	*ret = (struct pack_index){0};
	*problem = NULL;
	*ret_needed_bytes = PACK_HEADER_BYTES;
	if (size_bytes < PACK_HEADER_BYTES)
		return -EAGAIN;
	r = decode_header(beginning, &h, ret, problem);
	if (r == 0 && (ret->account != expected_account ||
			      memcmp(&ret->id, expected_id, sizeof(ret->id)) != 0)) {
		*problem = "account or id are not those of the key";
		r = -EBADMSG;
	}
	if (r < 0)
		return r;
	head = head_bytes(ret->n_entries);
	*ret_needed_bytes = head;
	if (size_bytes < head)
		return -EAGAIN;
	d = decoder_over((const uint8_t *)beginning + PACK_HEADER_BYTES, head - PACK_HEADER_BYTES);
	if (checksum_64(d.data, d.size_bytes) != h.index_checksum) {
		*problem = "the index's checksum does not fit";
		return -EBADMSG;
	}
	return decode_entries(&d, &h, ret, problem);
}

int pack_decode_content(const void *stored, size_t stored_bytes, uint8_t encoding,
	uint64_t raw_bytes, uint64_t raw_checksum, void **ret_data)
{
	CLEANUP_FREE void *data = NULL;
	size_t size = stored_bytes;

	if (raw_bytes == 0 || raw_bytes > PACK_MAX_CONTENT_BYTES || encoding > PACK_ZSTD ||
		(encoding == PACK_RAW && stored_bytes != raw_bytes))
		return -EBADMSG;
	data = malloc((size_t)raw_bytes);
	if (data == NULL)
		return -ENOMEM;
	if (encoding == PACK_RAW)
		memcpy(data, stored, size);
	else
		size = ZSTD_decompress(data, (size_t)raw_bytes, stored, stored_bytes);
	if (ZSTD_isError(size) || size != raw_bytes || checksum_64(data, size) != raw_checksum)
		return -EBADMSG;
	*ret_data = TAKE_PTR(data);
	return 0;
}

/* ---- keys */

void pack_key(uint64_t account, const struct uuid *id, char key[PACK_KEY_BYTES])
{
	account_path_key(account, FOLDER, id, key);
}

bool pack_parse_key(const char *key, uint64_t *ret_account, struct uuid *ret_id)
{
	return account_path_parse_key(key, FOLDER, ret_account, ret_id);
}
