/*
 * body_object.h: the format of an object that holds one body (doc/format-objects.md).
 *
 * Pure: no I/O, no locks. A decoded object was checked to the last bit.
 */
#ifndef MAILFS_CACHE_BODY_OBJECT_H
#define MAILFS_CACHE_BODY_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "util/account_path.h"
#include "util/uuid.h"

#define BODY_OBJECT_FORMAT_VERSION 1
#define BODY_OBJECT_HEADER_BYTES 72
#define BODY_OBJECT_MAX_BYTES (16U << 20) /* of content; larger bodies are cut into several */
#define BODY_OBJECT_MAX_PARTS 64
#define BODY_OBJECT_KEY_BYTES ACCOUNT_PATH_KEY_BYTES

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

/* accounts/<hash>/<account>/body/<id> */
void body_object_key(uint64_t account, const struct uuid *id, char key[BODY_OBJECT_KEY_BYTES]);

/* False when the key is not exactly one that body_object_key() makes. */
bool body_object_parse_key(const char *key, uint64_t *ret_account, struct uuid *ret_id);

/* ---- for showing an object that may be damaged */

/* The header without its own checksum, which stands at its end. */
struct body_object_header {
	uint16_t version;
	uint8_t encoding; /* enum body_object_encoding, if it is known */
	struct uuid id;
	uint64_t raw_size_bytes;
	uint64_t stored_size_bytes;
	uint64_t raw_checksum;
	uint64_t stored_checksum;
};

/* As body_object_decode(), but says which check failed (*ret_problem, a text that is never freed;
 * NULL when all is well), and gives the header as it stands there also with -EBADMSG, zeros when
 * the object is too short for one. */
int body_object_inspect(const void *object, size_t size_bytes, const struct uuid *expected_id,
	struct body_object_header *ret_header, const char **ret_problem, void **ret_data,
	size_t *ret_size_bytes);

#endif
