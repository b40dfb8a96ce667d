#include <config.h>
#include "cache/body_object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "util/checksum.h"
#include "util/cleanup.h"
#include "util/codec.h"

#define MAGIC "MFSBODY" /* and its NUL */
#define MAGIC_BYTES 8
#define FOLDER "body"
#define COMPRESSION_LEVEL 1
#define MIN_COMPRESSED_BYTES 256 /* smaller bodies are not tried */

static void encode_header(const struct body_object_header *h, uint8_t to[BODY_OBJECT_HEADER_BYTES])
{
	struct encoder e = encoder_over(to, BODY_OBJECT_HEADER_BYTES);

	encode_bytes(&e, MAGIC, MAGIC_BYTES);
	encode_u16(&e, BODY_OBJECT_FORMAT_VERSION);
	encode_u8(&e, h->encoding);
	encode_u8(&e, 0);
	encode_u32(&e, BODY_OBJECT_HEADER_BYTES);
	encode_bytes(&e, h->id.bytes, UUID_BYTES);
	encode_u64(&e, h->raw_size_bytes);
	encode_u64(&e, h->stored_size_bytes);
	encode_u64(&e, h->raw_checksum);
	encode_u64(&e, h->stored_checksum);
	encode_u64(&e, checksum_64(to, e.size_bytes));
}

/* *ret is filled as far as there is something, whatever else is wrong. */
static int decode_header(const void *object, size_t size_bytes, struct body_object_header *ret,
	const char **ret_problem)
{
	struct decoder d = decoder_over(object, size_bytes);
	uint8_t magic[MAGIC_BYTES], reserved;
	uint32_t header_size;
	uint64_t checksum;

	decode_bytes(&d, magic, sizeof(magic));
	ret->version = decode_u16(&d);
	ret->encoding = decode_u8(&d);
	reserved = decode_u8(&d);
	header_size = decode_u32(&d);
	decode_bytes(&d, ret->id.bytes, UUID_BYTES);
	ret->raw_size_bytes = decode_u64(&d);
	ret->stored_size_bytes = decode_u64(&d);
	ret->raw_checksum = decode_u64(&d);
	ret->stored_checksum = decode_u64(&d);
	checksum = decode_u64(&d);
	if (!decoder_ok(&d))
		*ret_problem = "the object is shorter than its header";
	else if (memcmp(magic, MAGIC, MAGIC_BYTES) != 0)
		*ret_problem = "the magic is another";
	else if (ret->version != BODY_OBJECT_FORMAT_VERSION)
		*ret_problem = "the format version is unknown";
	else if (checksum != checksum_64(object, BODY_OBJECT_HEADER_BYTES - sizeof(checksum)))
		*ret_problem = "the header's checksum does not fit";
	else if (reserved != 0 || header_size != BODY_OBJECT_HEADER_BYTES)
		*ret_problem = "the header is not as this version has it";
	return *ret_problem == NULL ? 0 : -EBADMSG;
}

/* Compresses part after part into `limit_bytes`; the size, or 0 when it does not fit. */
static size_t compress_parts(
	ZSTD_CCtx *context, const struct iovec *parts, int n_parts, void *to, size_t limit_bytes)
{
	ZSTD_outBuffer out = {to, limit_bytes, 0};

	for (int i = 0; i < n_parts; i++) {
		ZSTD_inBuffer in = {parts[i].iov_base, parts[i].iov_len, 0};
		ZSTD_EndDirective end = i == n_parts - 1 ? ZSTD_e_end : ZSTD_e_continue;
		size_t left;

		do {
			left = ZSTD_compressStream2(context, &out, &in, end);
			if (ZSTD_isError(left) || (out.pos == out.size && left > 0))
				return 0;
		} while (in.pos < in.size || (end == ZSTD_e_end && left > 0));
	}
	return out.pos;
}

/* *ret_data stays NULL when compression does not pay. */
static int compress(const struct iovec *parts, int n_parts, size_t raw_size_bytes, void **ret_data,
	size_t *ret_size_bytes)
{
	size_t limit_bytes = raw_size_bytes - raw_size_bytes / 8, size;
	CLEANUP_FREE void *data = NULL;
	ZSTD_CCtx *context;

	if (raw_size_bytes < MIN_COMPRESSED_BYTES)
		return 0;
	data = malloc(limit_bytes);
	context = ZSTD_createCCtx();
	if (data == NULL || context == NULL) {
		ZSTD_freeCCtx(context);
		return -ENOMEM;
	}
	(void)ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, COMPRESSION_LEVEL);
	(void)ZSTD_CCtx_setPledgedSrcSize(context, raw_size_bytes);
	size = compress_parts(context, parts, n_parts, data, limit_bytes);
	ZSTD_freeCCtx(context);
	if (size > 0) {
		*ret_data = TAKE_PTR(data);
		*ret_size_bytes = size;
	}
	return 0;
}

static int check_sizes(const struct iovec *parts, int n_parts, size_t raw_size_bytes)
{
	size_t total = 0;

	if (n_parts < 0 || n_parts > BODY_OBJECT_MAX_PARTS ||
		raw_size_bytes > BODY_OBJECT_MAX_BYTES)
		return -EFBIG;
	for (int i = 0; i < n_parts; i++) {
		if (parts[i].iov_len > raw_size_bytes - total)
			return -EINVAL;
		total += parts[i].iov_len;
	}
	return total == raw_size_bytes ? 0 : -EINVAL;
}

int body_object_encode(const struct uuid *id, const struct iovec *parts, int n_parts,
	size_t raw_size_bytes, struct body_object_buffer *ret)
{
	struct body_object_header h = {.id = *id, .raw_size_bytes = raw_size_bytes};
	void *compressed = NULL;
	size_t compressed_size = 0;
	int r = check_sizes(parts, n_parts, raw_size_bytes);

	if (r == 0)
		r = compress(parts, n_parts, raw_size_bytes, &compressed, &compressed_size);
	if (r < 0)
		return r;
	h.raw_checksum = checksum_64_parts(parts, n_parts);
	h.encoding = compressed == NULL ? BODY_OBJECT_RAW : BODY_OBJECT_ZSTD;
	h.stored_size_bytes = compressed == NULL ? raw_size_bytes : compressed_size;
	h.stored_checksum =
		compressed == NULL ? h.raw_checksum : checksum_64(compressed, compressed_size);
	encode_header(&h, ret->header);
	ret->compressed = compressed;
	ret->size_bytes = BODY_OBJECT_HEADER_BYTES + (size_t)h.stored_size_bytes;
	ret->parts[0] = (struct iovec){ret->header, BODY_OBJECT_HEADER_BYTES};
	ret->n_parts = 1 + (compressed == NULL ? n_parts : 1);
	if (compressed != NULL)
		ret->parts[1] = (struct iovec){compressed, compressed_size};
	else if (n_parts > 0)
		memcpy(ret->parts + 1, parts, (size_t)n_parts * sizeof(*parts));
	return 0;
}

void body_object_buffer_done(struct body_object_buffer *buffer)
{
	free(buffer->compressed);
	buffer->compressed = NULL;
}

static int unpack(const struct body_object_header *h, const uint8_t *stored, void *to,
	const char **ret_problem)
{
	size_t size;

	if (h->encoding == BODY_OBJECT_RAW) {
		memcpy(to, stored, (size_t)h->raw_size_bytes);
		return 0;
	}
	size = ZSTD_decompress(to, (size_t)h->raw_size_bytes, stored, (size_t)h->stored_size_bytes);
	if (ZSTD_isError(size) || size != h->raw_size_bytes)
		*ret_problem = "the content cannot be decompressed to its size";
	else if (checksum_64(to, size) != h->raw_checksum)
		*ret_problem = "the content's checksum does not fit";
	return *ret_problem == NULL ? 0 : -EBADMSG;
}

static int check_header(const struct body_object_header *h, size_t size_bytes,
	const struct uuid *expected_id, const char **ret_problem)
{
	if (h->encoding > BODY_OBJECT_ZSTD)
		*ret_problem = "the encoding is unknown";
	else if (h->raw_size_bytes > BODY_OBJECT_MAX_BYTES)
		*ret_problem = "the content is larger than any may be";
	else if (h->stored_size_bytes != size_bytes - BODY_OBJECT_HEADER_BYTES)
		*ret_problem = "the object does not have the size that its header says";
	else if (memcmp(h->id.bytes, expected_id->bytes, UUID_BYTES) != 0)
		*ret_problem = "the id is not that of the key";
	else if (h->encoding == BODY_OBJECT_RAW && (h->stored_size_bytes != h->raw_size_bytes ||
							   h->stored_checksum != h->raw_checksum))
		*ret_problem = "sizes or checksums of raw content differ";
	return *ret_problem == NULL ? 0 : -EBADMSG;
}

static int check_stored(
	const struct body_object_header *h, const uint8_t *stored, const char **ret_problem)
{
	if (checksum_64(stored, (size_t)h->stored_size_bytes) == h->stored_checksum)
		return 0;
	*ret_problem = "the stored content's checksum does not fit";
	return -EBADMSG;
}

int body_object_inspect(const void *object, size_t size_bytes, const struct uuid *expected_id,
	struct body_object_header *ret_header, const char **ret_problem, void **ret_data,
	size_t *ret_size_bytes)
{
	CLEANUP_FREE void *data = NULL;
	const uint8_t *stored;
	int r;

	*ret_header = (struct body_object_header){0};
	*ret_problem = NULL;
	r = decode_header(object, size_bytes, ret_header, ret_problem);
	if (r == 0)
		r = check_header(ret_header, size_bytes, expected_id, ret_problem);
	if (r < 0)
		return r;
	stored = (const uint8_t *)object + BODY_OBJECT_HEADER_BYTES;
	r = check_stored(ret_header, stored, ret_problem);
	if (r < 0)
		return r;
	data = malloc((size_t)ret_header->raw_size_bytes + 1);
	if (data == NULL)
		return -ENOMEM;
	r = unpack(ret_header, stored, data, ret_problem);
	if (r < 0)
		return r;
	*ret_data = TAKE_PTR(data);
	*ret_size_bytes = (size_t)ret_header->raw_size_bytes;
	return 0;
}

int body_object_decode(const void *object, size_t size_bytes, const struct uuid *expected_id,
	void **ret_data, size_t *ret_size_bytes)
{
	struct body_object_header header;
	const char *problem;

	return body_object_inspect(
		object, size_bytes, expected_id, &header, &problem, ret_data, ret_size_bytes);
}

void body_object_key(uint64_t account, const struct uuid *id, char key[BODY_OBJECT_KEY_BYTES])
{
	account_path_key(account, FOLDER, id, key);
}

bool body_object_parse_key(const char *key, uint64_t *ret_account, struct uuid *ret_id)
{
	return account_path_parse_key(key, FOLDER, ret_account, ret_id);
}
