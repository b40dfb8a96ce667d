/*
 * replication_kit.h: small sections and flat objects, for the tests of src/replication/.
 */
#ifndef TESTS_UNIT_REPLICATION_KIT_H
#define TESTS_UNIT_REPLICATION_KIT_H

#include <stddef.h>
#include <stdint.h>
#include "replication/frame.h"
#include "replication/position.h"
#include "replication/section.h"

/* The position that the documents' examples have: 00112233-…, incarnation 2, sequence 7. */
struct position kit_position(void);

/* Bytes of words, or of noise that does not compress. malloc()ed. */
uint8_t *kit_content(size_t size_bytes, bool noise);

/* A section with one put (meta, key "N" and two bytes) of value_bytes words or noise. */
struct section kit_section(size_t value_bytes, bool noise);

/* The whole object in one malloc()ed block. */
uint8_t *kit_flatten(const struct frame *frame);

/* Writes a number, big-endian, and makes the checksum of a header of that size right again. */
void kit_forge(uint8_t *object, size_t header_bytes, size_t at, size_t n_bytes, uint64_t value);

/* The same in a directory behind the header: its checksum is made right, too. */
void kit_forge_directory(uint8_t *object, size_t header_bytes, size_t directory_bytes, size_t at,
	size_t n_bytes, uint64_t value);

#endif
