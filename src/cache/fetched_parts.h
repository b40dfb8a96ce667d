/*
 * fetched_parts.h: what one read has fetched from the backend and could not store.
 *
 * With a full disk nothing can be added to the local cache, but what came and was verified can
 * still be read. Parts are named by object and place in it: objects never change, so a part is
 * right for whatever extent refers to that place. No locks: a list belongs to one operation.
 */
#ifndef MAILFS_CACHE_FETCHED_PARTS_H
#define MAILFS_CACHE_FETCHED_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/record.h"

/* More than the smallest blocks that a read has room for. */
#define FETCHED_PARTS_MAX 4096

/* An empty list is NULL. */
struct fetched_part;

/* Copies what the extent holds of the file's bytes [from, end) out of its object's content.
 * -EBADMSG: the extent reaches beyond the content; -EFBIG: too many parts; -ENOMEM. */
int fetched_parts_add(struct fetched_part **list, const struct extent *x, uint64_t from_bytes,
	uint64_t end_bytes, const void *content, size_t content_bytes);

/* Copies [from, end) of the file, all of which lies in the extent; false when it is not here. */
bool fetched_parts_copy(const struct fetched_part *list, const struct extent *x,
	uint64_t from_bytes, uint64_t end_bytes, void *data);

void fetched_parts_free(struct fetched_part *list);

#endif
