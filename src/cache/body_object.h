/*
 * body_object.h: the format of an object that holds one body (doc/format-objects.md).
 *
 * Pure: no I/O, no locks. A decoded object was checked to the last bit.
 */
#ifndef MAILFS_CACHE_BODY_OBJECT_H
#define MAILFS_CACHE_BODY_OBJECT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "util/uuid.h"

#define BODY_OBJECT_FORMAT_VERSION 1
#define BODY_OBJECT_HEADER_BYTES 72
#define BODY_OBJECT_MAX_BYTES (16U << 20) /* of content; larger bodies are cut into several */
#define BODY_OBJECT_MAX_PARTS 64
#define BODY_OBJECT_KEY_BYTES 96

enum body_object_encoding {
	BODY_OBJECT_RAW = 0,
	BODY_OBJECT_ZSTD = 1,
};

/* An encoded object, ready for backend_put(). */
struct body_object_buffer {
	uint8_t header[BODY_OBJECT_HEADER_BYTES];
	void *compressed;  /* owned; NULL when the content is stored raw */
	size_t size_bytes; /* of the whole object */
	int n_parts;
	struct iovec parts[BODY_OBJECT_MAX_PARTS + 1]; /* point into this struct and, if the content
							* is stored raw, to the caller's buffers */
};

/* Encodes `parts` (raw_size_bytes together) as the object `id`. Compressed with zstd when that
 * saves an eighth or more; otherwise nothing is copied. *ret must not be moved, and the caller's
 * buffers must live as long as it. -EFBIG above the ceilings, -EINVAL when the sizes differ,
 * -ENOMEM. */
int body_object_encode(const struct uuid *id, const struct iovec *parts, int n_parts,
	size_t raw_size_bytes, struct body_object_buffer *ret);

void body_object_buffer_done(struct body_object_buffer *buffer);

/* *ret_data is malloc()ed, also for an empty body. -EBADMSG: damaged, cut, of another id, or of a
 * format this program does not know. -ENOMEM. */
int body_object_decode(const void *object, size_t size_bytes, const struct uuid *expected_id,
	void **ret_data, size_t *ret_size_bytes);

/* accounts/<hash>/<account>/body/<id>: the hash spreads accounts over an object store's partitions.
 */
void body_object_key(uint64_t account, const struct uuid *id, char key[BODY_OBJECT_KEY_BYTES]);

#endif
