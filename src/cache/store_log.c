/*
 * store_log.c: the part of store.h that reads RocksDB's log.
 */
#include <config.h>
#include "cache/store.h"

#include <errno.h>
#include <rocksdb/c.h>
#include "cache/log_batch.h"
#include "cache/store_private.h"
#include "util/log.h"

uint64_t store_last_sequence(struct store *store)
{
	return rocksdb_get_latest_sequence_number(store->db);
}

struct reading {
	struct store *store;
	uint64_t next; /* the number that has to come */
	store_log_take_fn *take;
	void *arg;
	int taken; /* what `take` gave, so that it is told from damage */
};

static int table_of(struct store *store, uint32_t family, enum store_table *ret)
{
	for (int i = 0; i < STORE_TABLES; i++) {
		if (rocksdb_column_family_handle_get_id(store->tables[i]) == family) {
			*ret = (enum store_table)i;
			return 0;
		}
	}
	return -EBADMSG;
}

static int take_record(void *arg, const struct log_batch_record *from)
{
	struct reading *reading = arg;
	struct store_log_record record = {
		.is_copy = from->is_copy,
		.is_removal = from->is_removal,
		.key = from->key,
		.key_bytes = from->key_bytes,
		.to = from->to,
		.to_bytes = from->to_bytes,
	};
	int r = table_of(reading->store, from->family, &record.table);

	if (r == 0)
		r = reading->taken = reading->take(reading->arg, &record);
	return r;
}

/* The iterator gives the batch again that `next` is in the middle of. */
static int take_batch(struct reading *reading, rocksdb_wal_iterator_t *it)
{
	uint64_t sequence = 0;
	rocksdb_writebatch_t *batch = rocksdb_wal_iter_get_batch(it, &sequence);
	struct log_batch_head head = {0};
	size_t size_bytes = 0;
	const char *data = rocksdb_writebatch_data(batch, &size_bytes);
	int r = sequence > reading->next ? -ENODATA : 0;

	if (r == 0)
		r = log_batch_parse(data, size_bytes, take_record, reading, &head);
	if (r == 0 && sequence + head.n_changes > reading->next)
		reading->next = sequence + head.n_changes;
	rocksdb_writebatch_destroy(batch);
	if (r < 0 && reading->taken == 0)
		r = -ENODATA;
	return r;
}

/* False: there is nothing more, or no more that can be read. */
static bool is_valid(rocksdb_wal_iterator_t *it)
{
	char *error = NULL;

	if (!rocksdb_wal_iter_valid(it))
		return false;
	rocksdb_wal_iter_status(it, &error);
	if (error == NULL)
		return true;
	log_warning("the log of the local store cannot be read: %s", error);
	rocksdb_free(error);
	return false;
}

int store_log_read(struct store *store, uint64_t after, store_log_take_fn *take, void *arg)
{
	struct reading reading = {.store = store, .next = after + 1, .take = take, .arg = arg};
	uint64_t last = store_last_sequence(store);
	rocksdb_wal_iterator_t *it;
	char *error = NULL;
	int r = 0;

	if (after == last)
		return 0;
	if (after > last)
		return -ENODATA;
	it = rocksdb_get_updates_since(store->db, after + 1, NULL, &error);
	if (error != NULL) {
		log_debug("the log of the local store does not reach back: %s", error);
		rocksdb_free(error);
		return -ENODATA;
	}
	for (; r == 0 && is_valid(it); rocksdb_wal_iter_next(it))
		r = take_batch(&reading, it);
	rocksdb_wal_iter_destroy(it);
	return r == 0 && reading.next <= last ? -ENODATA : r;
}
