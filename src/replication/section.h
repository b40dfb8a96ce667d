/*
 * section.h: records of one account, packed: the content of segments and checkpoints
 * (doc/format-objects.md).
 *
 * A record is a change of the local store: a value that is put, the removal of one record, or of
 * all from a key up to but without another. Keys are the store's without the account's number in
 * front. Records are given back in the order
 * in which they were added. Pure: no I/O, no locks. What a reader gives was checked to the last
 * bit.
 */
#ifndef MAILFS_REPLICATION_SECTION_H
#define MAILFS_REPLICATION_SECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTION_MAX_KEY_BYTES 284 /* KEY_MAX_BYTES of cache/key.h without the account's number */
#define SECTION_MAX_VALUE_BYTES (16U << 20) /* a block of the local store */
#define SECTION_RECORD_HEAD_BYTES 8

/* A section that has anything in it takes no more than this; one that is empty takes one record,
 * whatever its size. So none is larger than the second number. */
#define SECTION_FULL_BYTES (8U << 20)
#define SECTION_MAX_CONTENT_BYTES \
	(SECTION_RECORD_HEAD_BYTES + SECTION_MAX_KEY_BYTES + SECTION_MAX_VALUE_BYTES)

enum section_table {
	SECTION_META = 0, /* STORE_META */
	SECTION_DATA = 1, /* STORE_DATA */
};

enum section_encoding {
	SECTION_RAW = 0,
	SECTION_ZSTD = 1,
};

/* What has to be known to read a section; stands in the directory of its object. */
struct section_info {
	uint8_t encoding; /* enum section_encoding */
	uint32_t content_bytes;
	uint32_t stored_bytes;
	uint32_t n_records;
	uint64_t content_checksum;
	uint64_t stored_checksum;
};

struct section_record {
	enum section_table table;
	bool is_removal;
	const uint8_t *key, *value; /* value NULL: a removal */
	const uint8_t *to; /* not NULL: of all records from the key up to but without this */
	size_t key_bytes, value_bytes, to_bytes;
};

/* ---- building; for one thread at a time */

struct section {
	struct section_info info;
	void *stored; /* owned: section_done() */
};

struct section_builder;

/* NULL without memory. One builder makes many sections, one after the other. */
struct section_builder *section_builder_new(void);
void section_builder_free(struct section_builder *builder); /* NULL is allowed */

/* Bytes of content so far; 0: nothing was added. */
size_t section_builder_content_bytes(const struct section_builder *builder);

/* Copies key and value. -ENOSPC: the section is full; section_builder_finish() it and add the
 * record again. -EINVAL: an empty key, or one or a value above the ceilings; -ENOMEM. Nothing was
 * added on failure. */
int section_builder_put(struct section_builder *builder, enum section_table table, const void *key,
	size_t key_bytes, const void *value, size_t value_bytes);
int section_builder_remove(struct section_builder *builder, enum section_table table,
	const void *key, size_t key_bytes);

/* All records from `key` up to but without `to`. -EINVAL also when there is nothing between. */
int section_builder_remove_range(struct section_builder *builder, enum section_table table,
	const void *key, size_t key_bytes, const void *to, size_t to_bytes);

/* Compresses (zstd, level 1; raw when that saves less than an eighth) what was added, and empties
 * the builder. -EINVAL: nothing was added; -ENOMEM: what was added is still there. */
int section_builder_finish(struct section_builder *builder, struct section *ret);

/* Forgets what was added. */
void section_builder_clear(struct section_builder *builder);

void section_done(struct section *section);

/* ---- reading */

struct section_reader {
	const uint8_t *content, *end, *position;
	void *owned; /* the content, if it had to be decompressed */
};

/* Whether the numbers themselves are possible; no section has others. */
bool section_info_is_valid(const struct section_info *info);

/* `stored` (stored_bytes of it) must live as long as the reader: raw content is read in place.
 * Everything is checked here, so that section_reader_next() cannot fail. -EBADMSG, and
 * *ret_problem (NULL: not wanted) is a text, never freed, that says which check failed; -ENOMEM. */
int section_reader_open(struct section_reader *reader, const struct section_info *info,
	const void *stored, size_t stored_bytes, const char **ret_problem);

/* False at the end. The record points into the content: nothing is copied. */
bool section_reader_next(struct section_reader *reader, struct section_record *ret);

void section_reader_close(struct section_reader *reader);

#endif
