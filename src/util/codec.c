#include <config.h>
#include "util/codec.h"

#include <string.h>

struct encoder encoder_over(void *data, size_t capacity_bytes)
{
	return (struct encoder){.data = data, .capacity_bytes = capacity_bytes};
}

bool encoder_ok(const struct encoder *e)
{
	return !e->overflow;
}

void encode_bytes(struct encoder *e, const void *data, size_t size_bytes)
{
	if (size_bytes > e->capacity_bytes - e->size_bytes) {
		e->overflow = true;
		return;
	}
	if (size_bytes > 0)
		memcpy(e->data + e->size_bytes, data, size_bytes);
	e->size_bytes += size_bytes;
}

static void encode_number(struct encoder *e, uint64_t value, size_t size_bytes)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < size_bytes; i++)
		bytes[i] = (uint8_t)(value >> (8 * (size_bytes - 1 - i)));
	encode_bytes(e, bytes, size_bytes);
}

void encode_u8(struct encoder *e, uint8_t value)
{
	encode_number(e, value, 1);
}

void encode_u16(struct encoder *e, uint16_t value)
{
	encode_number(e, value, 2);
}

void encode_u32(struct encoder *e, uint32_t value)
{
	encode_number(e, value, 4);
}

void encode_u64(struct encoder *e, uint64_t value)
{
	encode_number(e, value, 8);
}

struct decoder decoder_over(const void *data, size_t size_bytes)
{
	return (struct decoder){.data = data, .size_bytes = size_bytes};
}

bool decoder_ok(const struct decoder *d)
{
	return !d->underrun;
}

size_t decoder_left_bytes(const struct decoder *d)
{
	return d->size_bytes - d->position;
}

const uint8_t *decode_view(struct decoder *d, size_t size_bytes)
{
	const uint8_t *view;

	if (d->underrun || size_bytes > decoder_left_bytes(d)) {
		d->underrun = true;
		return NULL;
	}
	view = d->data + d->position;
	d->position += size_bytes;
	return view;
}

static uint64_t decode_number(struct decoder *d, size_t size_bytes)
{
	const uint8_t *bytes = decode_view(d, size_bytes);
	uint64_t value = 0;

	if (bytes == NULL)
		return 0;
	for (size_t i = 0; i < size_bytes; i++)
		value = value << 8 | bytes[i];
	return value;
}

uint8_t decode_u8(struct decoder *d)
{
	return (uint8_t)decode_number(d, 1);
}

uint16_t decode_u16(struct decoder *d)
{
	return (uint16_t)decode_number(d, 2);
}

uint32_t decode_u32(struct decoder *d)
{
	return (uint32_t)decode_number(d, 4);
}

uint64_t decode_u64(struct decoder *d)
{
	return decode_number(d, 8);
}

void decode_bytes(struct decoder *d, void *to, size_t size_bytes)
{
	const uint8_t *bytes = decode_view(d, size_bytes);

	if (bytes != NULL)
		memcpy(to, bytes, size_bytes);
	else if (size_bytes > 0)
		memset(to, 0, size_bytes);
}
