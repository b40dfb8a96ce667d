/*
 * fuzz_body_object.c: a decoded object must be one that encodes to the same content; any input must
 * be refused or decoded. The checksums would stop every change, so a second run puts them right.
 */
#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_object.h"
#include "util/checksum.h"
#include "util/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const uint8_t *object, size_t size)
{
	struct uuid id = {.bytes = {0}};
	void *content = NULL;
	size_t content_size = 0;

	if (size >= 32)
		memcpy(id.bytes, object + 16, UUID_BYTES);
	if (body_object_decode(object, size, &id, &content, &content_size) != 0)
		return;
	if (content_size > BODY_OBJECT_MAX_BYTES)
		abort();
	free(content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;
	struct encoder e;

	decode(data, size);
	if (size < BODY_OBJECT_HEADER_BYTES)
		return 0;
	copy = malloc(size);
	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	e = encoder_over(copy + 40, 8);
	encode_u64(&e, size - BODY_OBJECT_HEADER_BYTES);
	e = encoder_over(copy + 56, 16);
	encode_u64(
		&e, checksum_64(copy + BODY_OBJECT_HEADER_BYTES, size - BODY_OBJECT_HEADER_BYTES));
	encode_u64(&e, checksum_64(copy, BODY_OBJECT_HEADER_BYTES - 8));
	decode(copy, size);
	free(copy);
	return 0;
}
