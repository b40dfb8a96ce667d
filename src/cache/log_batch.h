/*
 * log_batch.h: what is in one batch of RocksDB's log.
 *
 * The iterator over a batch that RocksDB's C interface has does not know column families, so the
 * batch's bytes are read here: as db/write_batch.cc (the comment at its top,
 * ReadRecordFromWriteBatch) and db/dbformat.h (ValueType) of RocksDB 7.8 have them. Numbers there
 * are little-endian. Pure: no I/O, no locks; every bound is checked, and what this program never
 * writes is refused.
 */
#ifndef MAILFS_CACHE_LOG_BATCH_H
#define MAILFS_CACHE_LOG_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A note in the log, of no effect on the tables: the record behind it is a copy (store.h). */
#define LOG_BATCH_COPY_MARK "copy"

struct log_batch_record {
	uint32_t family; /* column family */
	bool is_copy;
	bool is_removal;
	const uint8_t *key;
	size_t key_bytes;
	const uint8_t *to; /* not NULL: the end of a range that is deleted */
	size_t to_bytes;
};

/* A result other than 0 ends the parsing. */
typedef int log_batch_take_fn(void *arg, const struct log_batch_record *record);

struct log_batch_head {
	uint64_t sequence; /* of its first change */
	uint32_t n_changes;
};

/* -EBADMSG, or what `take` gives. Records may have been given before either. *ret_head is set
 * unless there is too little for one. */
int log_batch_parse(const void *data, size_t size_bytes, log_batch_take_fn *take, void *arg,
	struct log_batch_head *ret_head);

#endif
