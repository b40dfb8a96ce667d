/*
 * store_private.h: what store.c, store_open.c, store_log.c and store_reclaim.c share.
 */
#ifndef MAILFS_CACHE_STORE_PRIVATE_H
#define MAILFS_CACHE_STORE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <rocksdb/c.h>
#include "cache/store.h"
#include "util/lock.h"

struct store {
	rocksdb_t *db;
	rocksdb_options_t *options[STORE_TABLES];
	rocksdb_column_family_handle_t *tables[STORE_TABLES];
	rocksdb_cache_t *block_cache;
	rocksdb_readoptions_t *read_options;
	rocksdb_writeoptions_t *write_options;
	char *directory;
	uint64_t reserve_bytes; /* so much of the disk is left for deletes and for RocksDB */
	_Atomic uint64_t space_checked_ms;
	_Atomic uint64_t written_bytes; /* since the disk was looked at */
	_Atomic uint64_t free_disk_bytes;
	_Atomic bool is_full;
	_Atomic uint64_t relieved_ms;

	/* ---- of store_reclaim.c; the first ones of its thread */
	uint64_t reclaim_from_bytes, reclaim_pass_bytes, keep_log_bytes, look_ms, not_before_ms;
	bool is_rewriting;
	bool has_thread;
	pthread_t thread;
	struct lock lock; /* only for `changed` */
	struct lock_condition changed;
	_Atomic bool is_stopping, is_room_wanted;
};

struct store_batch {
	struct store *store;
	rocksdb_writebatch_t *batch;
};

struct store_snapshot {
	struct store *store;
	const rocksdb_snapshot_t *snapshot;
	rocksdb_readoptions_t *options;
};

struct store_iterator {
	rocksdb_readoptions_t *options;
	rocksdb_iterator_t *iterator;
	struct key from, end; /* live as long as the iterator, as RocksDB asks */
};

/* ---- store_log.c */

/* Removes what is above keep_log_bytes. */
void store_log_prune(struct store *store);

/* ---- store_reclaim.c */
int store_reclaim_start(struct store *store, const struct store_options *options);

/* The disk has become full. */
void store_reclaim_wake(struct store *store);
void store_reclaim_stop(struct store *store);

#endif
