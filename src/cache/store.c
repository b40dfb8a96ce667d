#include <config.h>
#include "cache/store.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <rocksdb/c.h>
#include "cache/log_batch.h"
#include "cache/store_private.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

#define SPACE_CHECK_INTERVAL_MS 100
#define RELIEF_INTERVAL_MS 500
#define SPACE_RESERVE_MAX_BYTES (UINT64_C(256) << 20)

/* Looks again when this part of the reserve may have been used: a fast writer must not get through
 * it between two looks. What is written comes twice, in the log and in the tables. */
#define SPACE_LOOKS_PER_RESERVE 8

/* What RocksDB says, as errno; frees the text. */
static int translate(char *error, const char *what)
{
	int r = -EIO;

	if (strstr(error, "No space left") != NULL || strstr(error, "NoSpace") != NULL)
		r = -ENOSPC;
	log_error("the local store failed to %s: %s", what, error);
	rocksdb_free(error);
	return r;
}

static int get(struct store *store, rocksdb_readoptions_t *options, enum store_table table,
	const struct key *key, struct store_value *ret)
{
	char *error = NULL;
	rocksdb_pinnableslice_t *pin = rocksdb_get_pinned_cf(store->db, options,
		store->tables[table], (const char *)key->bytes, key->size_bytes, &error);

	if (error != NULL)
		return translate(error, "read");
	if (pin == NULL)
		return -ENOENT;
	ret->pin = pin;
	ret->data = rocksdb_pinnableslice_value(pin, &ret->size_bytes);
	return 0;
}

int store_get(
	struct store *store, enum store_table table, const struct key *key, struct store_value *ret)
{
	return get(store, store->read_options, table, key, ret);
}

int store_get_at(const struct store_snapshot *snapshot, enum store_table table,
	const struct key *key, struct store_value *ret)
{
	return get(snapshot->store, snapshot->options, table, key, ret);
}

struct store_snapshot *store_snapshot_new(struct store *store)
{
	struct store_snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (snapshot == NULL)
		return NULL;
	snapshot->store = store;
	snapshot->snapshot = rocksdb_create_snapshot(store->db);
	snapshot->options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_snapshot(snapshot->options, snapshot->snapshot);
	return snapshot;
}

void store_snapshot_free(struct store_snapshot *snapshot)
{
	if (snapshot == NULL)
		return;
	rocksdb_readoptions_destroy(snapshot->options);
	rocksdb_release_snapshot(snapshot->store->db, snapshot->snapshot);
	free(snapshot);
}

void store_value_done(struct store_value *value)
{
	if (value->pin != NULL)
		rocksdb_pinnableslice_destroy(value->pin);
	value->pin = NULL;
	value->data = NULL;
}

/* ---- changes */
struct store_batch *store_batch_new(struct store *store)
{
	struct store_batch *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->store = store;
	b->batch = rocksdb_writebatch_create();
	return b;
}

void store_batch_put(struct store_batch *b, enum store_table table, const struct key *key,
	const void *data, size_t size_bytes)
{
	rocksdb_writebatch_put_cf(b->batch, b->store->tables[table], (const char *)key->bytes,
		key->size_bytes, data, size_bytes);
}

void store_batch_delete(struct store_batch *b, enum store_table table, const struct key *key)
{
	rocksdb_writebatch_delete_cf(
		b->batch, b->store->tables[table], (const char *)key->bytes, key->size_bytes);
}

void store_batch_delete_range(
	struct store_batch *b, enum store_table table, const struct key *from, const struct key *to)
{
	rocksdb_writebatch_delete_range_cf(b->batch, b->store->tables[table],
		(const char *)from->bytes, from->size_bytes, (const char *)to->bytes,
		to->size_bytes);
}

void store_batch_mark_copy(struct store_batch *b)
{
	rocksdb_writebatch_put_log_data(
		b->batch, LOG_BATCH_COPY_MARK, sizeof(LOG_BATCH_COPY_MARK) - 1);
}

void store_batch_clear(struct store_batch *b)
{
	rocksdb_writebatch_clear(b->batch);
}

bool store_batch_is_empty(const struct store_batch *b)
{
	return rocksdb_writebatch_count(b->batch) == 0;
}

void store_batch_free(struct store_batch *b)
{
	if (b == NULL)
		return;
	rocksdb_writebatch_destroy(b->batch);
	free(b);
}

int store_write(struct store *store, struct store_batch *b)
{
	char *error = NULL;
	size_t size_bytes = 0;

	(void)rocksdb_writebatch_data(b->batch, &size_bytes);
	atomic_fetch_add_explicit(&store->written_bytes, size_bytes, memory_order_relaxed);
	rocksdb_write(store->db, store->write_options, b->batch, &error);
	return error == NULL ? 0 : translate(error, "write");
}

int store_sync(struct store *store)
{
	char *error = NULL;

	rocksdb_flush_wal(store->db, 1, &error);
	return error == NULL ? 0 : translate(error, "sync");
}

/* ---- scans */
static struct store_iterator *iterator_new(struct store *store, const rocksdb_snapshot_t *snapshot,
	enum store_table table, const struct key *from, const struct key *to)
{
	struct store_iterator *it = calloc(1, sizeof(*it));

	if (it == NULL)
		return NULL;
	it->from = *from;
	it->end = *to;
	it->options = rocksdb_readoptions_create();
	if (snapshot != NULL)
		rocksdb_readoptions_set_snapshot(it->options, snapshot);
	rocksdb_readoptions_set_iterate_lower_bound(
		it->options, (const char *)it->from.bytes, it->from.size_bytes);
	rocksdb_readoptions_set_iterate_upper_bound(
		it->options, (const char *)it->end.bytes, it->end.size_bytes);
	it->iterator = rocksdb_create_iterator_cf(store->db, it->options, store->tables[table]);
	rocksdb_iter_seek(it->iterator, (const char *)from->bytes, from->size_bytes);
	return it;
}

struct store_iterator *store_iterator_new(
	struct store *store, enum store_table table, const struct key *from, const struct key *to)
{
	return iterator_new(store, NULL, table, from, to);
}

struct store_iterator *store_iterator_new_at(const struct store_snapshot *snapshot,
	enum store_table table, const struct key *from, const struct key *to)
{
	return iterator_new(snapshot->store, snapshot->snapshot, table, from, to);
}

bool store_iterator_valid(const struct store_iterator *it)
{
	return rocksdb_iter_valid(it->iterator);
}

void store_iterator_next(struct store_iterator *it)
{
	rocksdb_iter_next(it->iterator);
}

void store_iterator_seek(struct store_iterator *it, const struct key *key)
{
	rocksdb_iter_seek(it->iterator, (const char *)key->bytes, key->size_bytes);
}

void store_iterator_seek_back(struct store_iterator *it, const struct key *key)
{
	rocksdb_iter_seek_for_prev(it->iterator, (const char *)key->bytes, key->size_bytes);
}

const uint8_t *store_iterator_key(const struct store_iterator *it, size_t *ret_size_bytes)
{
	return (const uint8_t *)rocksdb_iter_key(it->iterator, ret_size_bytes);
}

const uint8_t *store_iterator_value(const struct store_iterator *it, size_t *ret_size_bytes)
{
	return (const uint8_t *)rocksdb_iter_value(it->iterator, ret_size_bytes);
}

int store_iterator_error(const struct store_iterator *it)
{
	char *error = NULL;

	rocksdb_iter_get_error(it->iterator, &error);
	return error == NULL ? 0 : translate(error, "scan");
}

void store_iterator_free(struct store_iterator *it)
{
	if (it == NULL)
		return;
	rocksdb_iter_destroy(it->iterator);
	rocksdb_readoptions_destroy(it->options);
	free(it);
}

/* ---- disk space */
static void look_at_disk(struct store *store)
{
	struct statvfs st;
	uint64_t free_bytes, reserve_bytes;

	if (statvfs(store->directory, &st) < 0)
		return; /* keeps the last figures */
	free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	reserve_bytes = (uint64_t)st.f_blocks * st.f_frsize / 20;
	if (reserve_bytes > SPACE_RESERVE_MAX_BYTES)
		reserve_bytes = SPACE_RESERVE_MAX_BYTES;
	if (reserve_bytes < store->reserve_bytes)
		reserve_bytes = store->reserve_bytes;
	atomic_store(&store->free_disk_bytes, free_bytes);
	atomic_store(&store->is_full, free_bytes < reserve_bytes);
}

/* What was deleted takes room until it is compacted, which a store that takes no writes would not
 * do by itself: asks for it, in the background. */
static void relieve(struct store *store, uint64_t now_ms)
{
	uint64_t last_ms = atomic_load(&store->relieved_ms);
	rocksdb_flushoptions_t *options;
	char *error = NULL;

	if (now_ms - last_ms < RELIEF_INTERVAL_MS ||
		!atomic_compare_exchange_strong(&store->relieved_ms, &last_ms, now_ms))
		return;
	options = rocksdb_flushoptions_create();
	rocksdb_flushoptions_set_wait(options, 0);
	for (int i = 0; i < STORE_TABLES && error == NULL; i++) {
		rocksdb_flush_cf(store->db, options, store->tables[i], &error);
		if (error == NULL)
			rocksdb_suggest_compact_range_cf(store->db, store->tables[i], "", 0,
				"\xff\xff\xff\xff\xff", 5, &error);
	}
	rocksdb_flushoptions_destroy(options);
	if (error != NULL)
		(void)translate(error, "compact");
	store_reclaim_wake(store);
}

static void refresh_space(struct store *store)
{
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t last_ms = atomic_load_explicit(&store->space_checked_ms, memory_order_relaxed);

	bool much_written = atomic_load_explicit(&store->written_bytes, memory_order_relaxed) >
			    store->reserve_bytes / SPACE_LOOKS_PER_RESERVE;

	if (!much_written && now_ms - last_ms < SPACE_CHECK_INTERVAL_MS)
		return;
	if (atomic_compare_exchange_strong(&store->space_checked_ms, &last_ms, now_ms)) {
		atomic_store_explicit(&store->written_bytes, 0, memory_order_relaxed);
		look_at_disk(store);
	}
}

int store_check_space(struct store *store)
{
	refresh_space(store);
	if (atomic_load_explicit(&store->is_full, memory_order_relaxed))
		relieve(store, clock_monotonic_ms());
	return atomic_load_explicit(&store->is_full, memory_order_relaxed) ? -ENOSPC : 0;
}

uint64_t store_free_disk_bytes(struct store *store)
{
	look_at_disk(store);
	return atomic_load(&store->free_disk_bytes);
}

uint64_t store_disk_bytes(
	struct store *store, enum store_table table, const struct key *from, const struct key *to)
{
	const char *const begin[] = {(const char *)from->bytes};
	const char *const end[] = {(const char *)to->bytes};
	uint64_t size_bytes = 0;
	char *error = NULL;

	rocksdb_approximate_sizes_cf(store->db, store->tables[table], 1, begin, &from->size_bytes,
		end, &to->size_bytes, &size_bytes, &error);
	if (error != NULL)
		(void)translate(error, "measure");
	return error == NULL ? size_bytes : 0;
}
