/*
 * store_log.c: the part of store.h that reads RocksDB's log, and how much of it is kept.
 */
#include <config.h>
#include "cache/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
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

/* ---- how much is kept */

/* Looked at in one go; more go with the next looks. */
#define MAX_KEPT_FILES 4096

struct kept_log {
	uint64_t number, size_bytes;
};

static int by_number(const void *a, const void *b)
{
	const struct kept_log *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* Those of the archive, in no order. */
static size_t list_kept(DIR *archive, struct kept_log *logs, size_t most)
{
	const struct dirent *entry;
	struct stat st;
	size_t n = 0;
	int end;

	while (n < most && (entry = readdir(archive)) != NULL) {
		unsigned long long number;

		end = 0;
		if (sscanf(entry->d_name, "%llu.log%n", &number, &end) != 1 || end == 0 ||
			entry->d_name[end] != '\0' ||
			fstatat(dirfd(archive), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		logs[n++] = (struct kept_log){
			.number = (uint64_t)number, .size_bytes = (uint64_t)st.st_blocks * 512};
	}
	return n;
}

static void remove_oldest(struct store *store, struct kept_log *logs, size_t n)
{
	uint64_t sum_bytes = 0;
	char name[64];

	for (size_t i = 0; i < n; i++)
		sum_bytes += logs[i].size_bytes;
	qsort(logs, n, sizeof(*logs), by_number);
	for (size_t i = 0; i < n && sum_bytes > store->keep_log_bytes; i++) {
		/* RocksDB says nothing; a file that stays is met again by the next look. */
		snprintf(name, sizeof(name), "archive/%06llu.log",
			(unsigned long long)logs[i].number);
		rocksdb_delete_file(store->db, name);
		sum_bytes -= logs[i].size_bytes;
	}
}

/* RocksDB would do it every ten minutes only: by then a copy of many mails has filled the disk. */
void store_log_prune(struct store *store)
{
	struct kept_log *logs;
	char *path = NULL;
	DIR *archive;

	if (store->keep_log_bytes == 0 || asprintf(&path, "%s/archive", store->directory) < 0)
		return;
	archive = opendir(path);
	free(path);
	if (archive == NULL)
		return; /* nothing was kept yet */
	logs = calloc(MAX_KEPT_FILES, sizeof(*logs));
	if (logs != NULL)
		remove_oldest(store, logs, list_kept(archive, logs, MAX_KEPT_FILES));
	free(logs);
	closedir(archive);
}
