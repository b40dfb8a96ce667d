/*
 * pack.h: the format of an object that holds many small bodies of one account
 * (doc/format-objects.md).
 *
 * Header, index and contents, each content compressed alone: so one body can be fetched and
 * verified by a range. Pure: no I/O, no locks. What was decoded was checked to the last bit.
 */
#ifndef MAILFS_CACHE_PACK_H
#define MAILFS_CACHE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "util/account_path.h"
#include "util/uuid.h"

#define PACK_FORMAT_VERSION 1
#define PACK_HEADER_BYTES 64
#define PACK_ENTRY_BYTES 56
#define PACK_MAX_BYTES (32U << 20) /* of the whole object */
#define PACK_MAX_ENTRIES 65536U
#define PACK_MAX_CONTENT_BYTES (4U << 20) /* of one body, or piece of one */
#define PACK_KEY_BYTES ACCOUNT_PATH_KEY_BYTES

enum pack_encoding {
	PACK_RAW = 0,
	PACK_ZSTD = 1,
};

/* One body, or a piece of one. */
struct pack_entry {
	uint64_t ino;                 /* the account's own number (key_ino_local()) */
	uint64_t offset_bytes;        /* in the file */
	uint64_t stored_offset_bytes; /* in the pack */
	uint32_t stored_bytes;
	uint32_t raw_bytes;
	uint8_t encoding; /* enum pack_encoding */
	uint64_t raw_checksum;
	uint64_t stored_checksum;
};

/* ---- making one */

struct pack_builder;

/* NULL without memory. */
struct pack_builder *pack_builder_new(uint32_t account, const struct uuid *id);
void pack_builder_free(struct pack_builder *b);

/* Adds a copy, compressed with zstd when that saves an eighth or more. -EFBIG: it does not fit into
 * this pack any more (or is empty, or too large for any); -ENOMEM. The pack is as before then. */
int pack_builder_add(struct pack_builder *b, uint64_t ino, uint64_t offset_bytes, const void *raw,
	size_t raw_bytes);

/* Adds what another pack has, as it is stored there. */
int pack_builder_add_stored(
	struct pack_builder *b, const struct pack_entry *entry, const void *stored);

unsigned int pack_builder_n(const struct pack_builder *b);

/* Of the object, as it would be now. */
size_t pack_builder_size_bytes(const struct pack_builder *b);

/* Of its contents, as they are stored. */
size_t pack_builder_content_bytes(const struct pack_builder *b);

/* No more is added: encodes header and index. The parts point into the builder, and the entries'
 * offsets are right from now on. The pack has at least one entry. -ENOMEM. */
#define PACK_BUILDER_PARTS 2
int pack_builder_finish(struct pack_builder *b, struct iovec ret_parts[PACK_BUILDER_PARTS]);
const struct pack_entry *pack_builder_entry(const struct pack_builder *b, unsigned int i);

/* ---- reading one */

struct pack_index {
	uint16_t version;
	uint32_t account;
	struct uuid id;
	uint64_t object_bytes; /* how large the object is */
	uint32_t n_entries;
	struct pack_entry *entries; /* malloc()ed */
};

void pack_index_done(struct pack_index *index);

/* From the beginning of a pack. -EAGAIN: *ret_needed_bytes of it are needed. -EBADMSG: damaged, of
 * another account or id, or of a format this program does not know (*ret_problem says which, a text
 * that is never freed; may be NULL). -ENOMEM. */
int pack_decode_index(const void *beginning, size_t size_bytes, uint32_t expected_account,
	const struct uuid *expected_id, struct pack_index *ret, size_t *ret_needed_bytes,
	const char **ret_problem);

/* One content. *ret_data is malloc()ed, raw_bytes long. -EBADMSG: it is not what the other
 * arguments say; -ENOMEM. */
int pack_decode_content(const void *stored, size_t stored_bytes, uint8_t encoding,
	uint64_t raw_bytes, uint64_t raw_checksum, void **ret_data);

/* ---- accounts/<hash>/<account>/pack/<id> */
void pack_key(uint64_t account, const struct uuid *id, char key[PACK_KEY_BYTES]);

/* False when the key is not exactly one that pack_key() makes. */
bool pack_parse_key(const char *key, uint64_t *ret_account, struct uuid *ret_id);

#endif
