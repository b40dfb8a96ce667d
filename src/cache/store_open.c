#include <config.h>
#include "cache/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/store_private.h"
#include "util/codec.h"
#include "util/log.h"

/* Written as the first record; doc/format-metadata.md has the history. */
#define STORE_FORMAT_VERSION 2
#define STORE_FORMAT_MAGIC "mailfs-store"

/* Chosen by measurement: doc/decisions/0003-store-tuning.md. */
#define DEFAULT_MEMORY_BYTES (UINT64_C(192) << 20)
#define BLOB_MIN_BYTES 2048
#define BLOB_FILE_BYTES (UINT64_C(64) << 20)
#define BLOOM_BITS 10
#define KEEP_LOG_FILES 4
#define MIB (UINT64_C(1) << 20)
#define BACKGROUND_JOBS 3 /* one may reclaim for long: store_reclaim.c */

/* A flush of each table and a small compaction must always find room. */
#define RESERVE_WRITE_BUFFERS 4

/* A quarter of the memory for each table's write buffers, the rest for reading. */
static size_t write_buffer_bytes(uint64_t memory_bytes)
{
	uint64_t bytes = memory_bytes / 8;

	return (size_t)(bytes < (1 << 20) ? (1 << 20) : bytes);
}

static void set_table_options(rocksdb_options_t *o, rocksdb_cache_t *block_cache)
{
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();

	rocksdb_block_based_options_set_filter_policy(
		t, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
	rocksdb_block_based_options_set_block_cache(t, block_cache);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
	rocksdb_block_based_options_set_format_version(t, 5);
	rocksdb_options_set_block_based_table_factory(o, t);
	rocksdb_block_based_options_destroy(t);
}

static rocksdb_options_t *new_options(
	const struct store_options *options, rocksdb_cache_t *block_cache)
{
	uint64_t memory = options->memory_bytes ? options->memory_bytes : DEFAULT_MEMORY_BYTES;
	rocksdb_options_t *o = rocksdb_options_create();

	rocksdb_options_set_create_if_missing(o, 1);
	rocksdb_options_set_create_missing_column_families(o, 1);
	rocksdb_options_set_write_buffer_size(o, write_buffer_bytes(memory));
	rocksdb_options_set_max_total_wal_size(o, 4 * write_buffer_bytes(memory));
	rocksdb_options_set_WAL_size_limit_MB(o, (options->keep_log_bytes + MIB - 1) / MIB);
	rocksdb_options_set_max_background_jobs(o, BACKGROUND_JOBS);
	rocksdb_options_set_max_open_files(o, 512);
	rocksdb_options_set_keep_log_file_num(o, KEEP_LOG_FILES);
	rocksdb_options_set_info_log_level(o, 2); /* warnings */
	rocksdb_options_set_stats_dump_period_sec(o, 0);
	rocksdb_options_set_compression(o, rocksdb_no_compression);
	rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, 0.02);
	rocksdb_options_set_memtable_whole_key_filtering(o, 1);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
	rocksdb_options_set_bytes_per_sync(o, 1 << 20);
	/* A torn last record is what a crash leaves: everything before it is kept. */
	rocksdb_options_set_wal_recovery_mode(o, rocksdb_point_in_time_recovery);
	set_table_options(o, block_cache);
	return o;
}

/* Content is written once and dropped whole: blob files spare it the compactions. What is dead in
 * them is for store_reclaim.c. */
static void set_blob_options(rocksdb_options_t *o)
{
	rocksdb_options_set_enable_blob_files(o, 1);
	rocksdb_options_set_min_blob_size(o, BLOB_MIN_BYTES);
	rocksdb_options_set_blob_file_size(o, BLOB_FILE_BYTES);
	rocksdb_options_set_enable_blob_gc(o, 0);
}

static int explain_open_error(char *error, const char *directory, char **ret_message)
{
	int r = -EIO;

	if (strstr(error, "lock") != NULL) {
		r = -EBUSY;
		(void)!asprintf(ret_message,
			"the local store %s is in use by another process: unmount that first",
			directory);
	} else if (strstr(error, "No space left") != NULL) {
		r = -ENOSPC;
		(void)!asprintf(ret_message, "no space left for the local store %s: free some disk",
			directory);
	} else {
		(void)!asprintf(
			ret_message, "cannot open the local store %s: %s", directory, error);
	}
	rocksdb_free(error);
	return r;
}

static int open_database(struct store *store, char **ret_message)
{
	static const char *const names[STORE_TABLES] = {"default", "data"};
	const rocksdb_options_t *options[STORE_TABLES];
	char *error = NULL;

	for (int i = 0; i < STORE_TABLES; i++)
		options[i] = store->options[i];
	store->db = rocksdb_open_column_families(store->options[0], store->directory, STORE_TABLES,
		names, options, store->tables, &error);
	if (error != NULL)
		return explain_open_error(error, store->directory, ret_message);
	return 0;
}

static int write_format(struct store *store)
{
	uint8_t data[32];
	struct encoder e = encoder_over(data, sizeof(data));
	struct key key = key_node(KEY_NODE_FORMAT);
	struct store_batch *b = store_batch_new(store);
	int r;

	if (b == NULL)
		return -ENOMEM;
	encode_bytes(&e, STORE_FORMAT_MAGIC, sizeof(STORE_FORMAT_MAGIC));
	encode_u32(&e, STORE_FORMAT_VERSION);
	store_batch_put(b, STORE_META, &key, data, e.size_bytes);
	r = store_write(store, b);
	store_batch_free(b);
	return r < 0 ? r : store_sync(store);
}

static int refuse_format(const char *directory, uint32_t version, char **ret_message)
{
	(void)!asprintf(ret_message,
		"the local store %s has format version %u, this mailfs understands %d: use a newer "
		"mailfs, or another state directory",
		directory, version, STORE_FORMAT_VERSION);
	return -EPROTONOSUPPORT;
}

/* A store without a format record is new, or it is not ours. */
static int check_format(struct store *store, char **ret_message)
{
	struct key key = key_node(KEY_NODE_FORMAT), first = {0};
	struct store_value value;
	struct decoder d;
	struct store_iterator *it;
	char magic[sizeof(STORE_FORMAT_MAGIC)];
	uint32_t version;
	bool empty;
	int r = store_get(store, STORE_META, &key, &value);

	if (r == -ENOENT) {
		it = store_iterator_new(store, STORE_META, &first, &key);
		empty = it != NULL && !store_iterator_valid(it);
		store_iterator_free(it);
		return empty ? write_format(store)
			     : refuse_format(store->directory, 0, ret_message);
	}
	if (r < 0)
		return r;
	d = decoder_over(value.data, value.size_bytes);
	decode_bytes(&d, magic, sizeof(magic));
	version = decode_u32(&d);
	store_value_done(&value);
	if (!decoder_ok(&d) || memcmp(magic, STORE_FORMAT_MAGIC, sizeof(magic)) != 0)
		return refuse_format(store->directory, 0, ret_message);
	if (version != STORE_FORMAT_VERSION)
		return refuse_format(store->directory, version, ret_message);
	return 0;
}

int store_open(const struct store_options *options, struct store **ret, char **ret_message)
{
	struct store *store = calloc(1, sizeof(*store));
	uint64_t memory = options->memory_bytes ? options->memory_bytes : DEFAULT_MEMORY_BYTES;
	int r;

	*ret_message = NULL;
	if (store == NULL)
		return -ENOMEM;
	lock_init(&store->lock);
	lock_condition_init(&store->changed);
	store->directory = strdup(options->directory);
	store->reserve_bytes = RESERVE_WRITE_BUFFERS * write_buffer_bytes(memory);
	store->block_cache = rocksdb_cache_create_lru((size_t)(memory / 2));
	for (int i = 0; i < STORE_TABLES; i++)
		store->options[i] = new_options(options, store->block_cache);
	set_blob_options(store->options[STORE_DATA]);
	store->read_options = rocksdb_readoptions_create();
	store->write_options = rocksdb_writeoptions_create();
	r = store->directory == NULL ? -ENOMEM : open_database(store, ret_message);
	if (r == 0)
		r = check_format(store, ret_message);
	if (r == 0)
		r = store_reclaim_start(store, options);
	if (r < 0) {
		store_close(store);
		return r;
	}
	*ret = store;
	return 0;
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	if (store->db != NULL) {
		store_reclaim_stop(store);
		(void)store_sync(store);
		for (int i = 0; i < STORE_TABLES; i++)
			rocksdb_column_family_handle_destroy(store->tables[i]);
		rocksdb_close(store->db);
	}
	for (int i = 0; i < STORE_TABLES; i++)
		rocksdb_options_destroy(store->options[i]);
	rocksdb_cache_destroy(store->block_cache);
	rocksdb_readoptions_destroy(store->read_options);
	rocksdb_writeoptions_destroy(store->write_options);
	lock_condition_done(&store->changed);
	lock_done(&store->lock);
	free(store->directory);
	free(store);
}
