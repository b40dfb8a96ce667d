/*
 * store.h: the local store: RocksDB behind an interface without RocksDB's types.
 *
 * Two tables: STORE_META for records about files, STORE_DATA for their content in blocks. Keys are
 * made by key.h, values by record.h. All functions may be called from many threads; one batch is
 * for one thread.
 *
 * Durability. A batch that store_write() accepted survives the death of the process; it survives a
 * loss of power once a store_sync() that began later has returned 0. Batches become visible and
 * durable in the order in which they were accepted, each whole or not at all.
 *
 * Errors: -EIO with a line in the log, -ENOSPC when the disk is full, -ENOMEM.
 */
#ifndef MAILFS_CACHE_STORE_H
#define MAILFS_CACHE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/key.h"

enum store_table {
	STORE_META,
	STORE_DATA,
};
#define STORE_TABLES 2

struct store;
struct store_batch;
struct store_iterator;
struct store_snapshot;

/* A value found; valid until store_value_done(). */
struct store_value {
	const void *data;
	size_t size_bytes;
	void *pin;
};

struct store_options {
	const char *directory; /* made if missing; its parent exists */
	uint64_t memory_bytes; /* for block cache and write buffers together */

	/* So much of the log is kept for store_log_read(), beside what RocksDB itself needs; looked
	 * at every 10 s. 0: none. */
	uint64_t keep_log_bytes;

	/* Dead content below this is left where it is; of so many bytes of files the rest is
	 * written anew at a time; and so often is looked. 0: defaults. */
	uint64_t reclaim_from_bytes, reclaim_pass_bytes;
	uint32_t reclaim_look_ms;
};

/* -EBUSY: another process has it open; -EPROTONOSUPPORT: written by a newer or other version;
 * *ret_message: malloc()ed sentence for the user. Starts RocksDB's threads. */
int store_open(const struct store_options *options, struct store **ret, char **ret_message);

/* Everything accepted is synced first. NULL is allowed. */
void store_close(struct store *store);

/* -ENOENT: no such key. On success the caller calls store_value_done(). */
int store_get(struct store *store, enum store_table table, const struct key *key,
	struct store_value *ret);
void store_value_done(struct store_value *value);

/* ---- the store as it was at one moment */

/* Keeps that state readable until it is freed; NULL without memory. */
struct store_snapshot *store_snapshot_new(struct store *store);
void store_snapshot_free(struct store_snapshot *snapshot);

/* As store_get(), at that moment. */
int store_get_at(const struct store_snapshot *snapshot, enum store_table table,
	const struct key *key, struct store_value *ret);

/* As store_iterator_new(), at that moment. */
struct store_iterator *store_iterator_new_at(const struct store_snapshot *snapshot,
	enum store_table table, const struct key *from, const struct key *to);

/* ---- changes; errors of memory show up at store_write() */
struct store_batch *store_batch_new(struct store *store);
void store_batch_put(struct store_batch *b, enum store_table table, const struct key *key,
	const void *data, size_t size_bytes);
void store_batch_delete(struct store_batch *b, enum store_table table, const struct key *key);

/* Keys from `from` up to but without `to`. */
void store_batch_delete_range(struct store_batch *b, enum store_table table, const struct key *from,
	const struct key *to);

/* The next change is only a copy of what the backend has: store_log_read() says so. */
void store_batch_mark_copy(struct store_batch *b);
bool store_batch_is_empty(const struct store_batch *b);

/* Makes it an empty one that can be used again; it keeps its memory. */
void store_batch_clear(struct store_batch *b);
void store_batch_free(struct store_batch *b);

/* Applies the batch atomically; it can be freed afterwards, not used again. */
int store_write(struct store *store, struct store_batch *b);

/* Makes everything that was accepted before the call durable. Blocks for the disk. */
int store_sync(struct store *store);

/* ---- the log: what was written since, also by processes that are gone */

/* Of the newest change that was accepted: of the store, not of commit.h. */
uint64_t store_last_sequence(struct store *store);

/* One change; the pointers are valid during the call. */
struct store_log_record {
	enum store_table table;
	bool is_copy;    /* store_batch_mark_copy() */
	bool is_removal; /* of this key, or of the range */
	const uint8_t *key;
	size_t key_bytes;
	const uint8_t *to; /* not NULL: all keys up to but without this were deleted */
	size_t to_bytes;
};

/* A result other than 0 ends the reading. */
typedef int store_log_take_fn(void *arg, const struct store_log_record *record);

/* All changes behind sequence number `after`, up to the newest by the time of the call at least, in
 * their order; maybe a few before. -ENODATA: the log does not reach back so far, or is damaged;
 * some may have been given by then. -EIO, and what `take` gives. */
int store_log_read(struct store *store, uint64_t after, store_log_take_fn *take, void *arg);

/* ---- scans over a consistent view, from `from` up to but without `to` */
struct store_iterator *store_iterator_new(
	struct store *store, enum store_table table, const struct key *from, const struct key *to);
bool store_iterator_valid(const struct store_iterator *it);
void store_iterator_next(struct store_iterator *it);

/* Moves forward to the first key at or behind `key`. */
void store_iterator_seek(struct store_iterator *it, const struct key *key);

/* Moves to the last key at or before `key`; not valid when there is none from `from` on. */
void store_iterator_seek_back(struct store_iterator *it, const struct key *key);

/* Valid until the iterator moves. */
const uint8_t *store_iterator_key(const struct store_iterator *it, size_t *ret_size_bytes);
const uint8_t *store_iterator_value(const struct store_iterator *it, size_t *ret_size_bytes);

/* 0, or why the scan ended early. */
int store_iterator_error(const struct store_iterator *it);
void store_iterator_free(struct store_iterator *it);

/* -ENOSPC when so little disk is left that RocksDB itself could soon fail: changes that need room
 * are refused before that happens, so that deletions still work and nothing has to be repaired. */
int store_check_space(struct store *store);
uint64_t store_free_disk_bytes(struct store *store);

/* About what the records from `from` up to but without `to` take on the disk; those that are in
 * memory and the log only are not counted. Does not read them. */
uint64_t store_disk_bytes(
	struct store *store, enum store_table table, const struct key *from, const struct key *to);

/* Content in files, and how much of that is dead, as far as compactions have found out; what was
 * written last is in memory and the log only. When half of it is dead, and 256 MiB, a thread of the
 * store writes the rest to new files. */
void store_get_content(struct store *store, uint64_t *ret_bytes, uint64_t *ret_dead_bytes);

/* Much was deleted, and its disk is wanted back now: nearly all of it, in the background. */
void store_reclaim_soon(struct store *store);

#endif
