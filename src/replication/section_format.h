/*
 * section_format.h: what section.c writes and section_reader.c reads; for these two only.
 */
#ifndef MAILFS_REPLICATION_SECTION_FORMAT_H
#define MAILFS_REPLICATION_SECTION_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The second byte of a record. */
enum section_operation {
	SECTION_PUT = 1,
	SECTION_REMOVE = 2,
	SECTION_REMOVE_RANGE = 3, /* the value is where the range ends */
};

/* Whether there can be a key from the one on up to but without the other; both are not empty. */
static inline bool section_range_is_valid(
	const void *from, size_t from_bytes, const void *to, size_t to_bytes)
{
	int r = memcmp(from, to, from_bytes < to_bytes ? from_bytes : to_bytes);

	return r < 0 || (r == 0 && from_bytes < to_bytes);
}

#endif
