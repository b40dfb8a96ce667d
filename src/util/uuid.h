/*
 * uuid.h: random identifiers (RFC 9562 version 4).
 */
#ifndef MAILFS_UTIL_UUID_H
#define MAILFS_UTIL_UUID_H

#include <stdbool.h>
#include <stdint.h>

#define UUID_BYTES 16
#define UUID_TEXT_BYTES 37

struct uuid {
	uint8_t bytes[UUID_BYTES];
};

/* -EIO when the system gives no random numbers. */
int uuid_generate(struct uuid *ret);

/* Canonical lower-case text, NUL-terminated. */
void uuid_format(const struct uuid *uuid, char text[UUID_TEXT_BYTES]);

/* False when the text is not a UUID in canonical form. */
bool uuid_parse(const char *text, struct uuid *ret);

#endif
