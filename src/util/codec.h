/*
 * codec.h: numbers and byte strings to and from formats, big-endian, with bounds.
 *
 * An encoder writes into a buffer that the caller gives and remembers an overflow; a decoder reads
 * from one and remembers an underrun. Both go on harmlessly after that (a decoder gives zeros), so
 * that a caller checks once at the end with encoder_ok() or decoder_ok().
 */
#ifndef MAILFS_UTIL_CODEC_H
#define MAILFS_UTIL_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct encoder {
	uint8_t *data;
	size_t capacity_bytes;
	size_t size_bytes; /* written so far */
	bool overflow;
};

struct decoder {
	const uint8_t *data;
	size_t size_bytes;
	size_t position;
	bool underrun;
};

struct encoder encoder_over(void *data, size_t capacity_bytes);
bool encoder_ok(const struct encoder *e);
void encode_u8(struct encoder *e, uint8_t value);
void encode_u16(struct encoder *e, uint16_t value);
void encode_u32(struct encoder *e, uint32_t value);
void encode_u64(struct encoder *e, uint64_t value);
void encode_bytes(struct encoder *e, const void *data, size_t size_bytes);

struct decoder decoder_over(const void *data, size_t size_bytes);
bool decoder_ok(const struct decoder *d);
size_t decoder_left_bytes(const struct decoder *d);
uint8_t decode_u8(struct decoder *d);
uint16_t decode_u16(struct decoder *d);
uint32_t decode_u32(struct decoder *d);
uint64_t decode_u64(struct decoder *d);

/* Copies size_bytes to `to`, or zeros after an underrun. */
void decode_bytes(struct decoder *d, void *to, size_t size_bytes);

/* The next size_bytes in place, or NULL after an underrun. */
const uint8_t *decode_view(struct decoder *d, size_t size_bytes);

#endif
