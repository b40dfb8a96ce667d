/*
 * store_reclaim.c: gives back the disk that dead content takes in the blob files of the store.
 *
 * RocksDB can do it within its compactions, but then it writes all content again that a compaction
 * meets; and where mail comes for all accounts each compaction meets all keys, that is the whole
 * cache. So compactions only move keys (a blob file goes by itself once all of it is dead), and
 * when half of what the files have is dead, all keys are compacted once and the content of the
 * oldest quarter of the files, where most is dead, is written to new files; then the next quarter,
 * until three quarters are alive. Nothing is written twice for what was not deleted first. Measured
 * in doc/decisions/0003-store-tuning.md.
 */
#include <config.h>
#include "cache/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include "cache/store_private.h"
#include "util/clock.h"
#include "util/log.h"

#define LOOK_MS 10000
#define LOOK_WHEN_FULL_MS 500
#define PAUSE_AFTER_FAILURE_MS 60000
#define RECLAIM_FROM_BYTES (UINT64_C(256) << 20)
#define MAX_PASSES 16

/* So few are taken all at once. */
#define FEW_FILES 8
#define SHARE_OF_FILES 4

#define BEGIN_AT 2 /* when a half is dead */
#define END_AT 4   /* until less than a quarter is */
#define END_WHEN_FULL_AT 16

struct usage {
	uint64_t dead_bytes, bytes, files;
};

/* 0 when RocksDB does not say. */
static uint64_t property(struct store *s, const char *name)
{
	uint64_t value = 0;

	if (rocksdb_property_int_cf(s->db, s->tables[STORE_DATA], name, &value) != 0)
		return 0;
	return value;
}

static struct usage look(struct store *s)
{
	return (struct usage){
		.dead_bytes = property(s, "rocksdb.live-blob-file-garbage-size"),
		.bytes = property(s, "rocksdb.live-blob-file-size"),
		.files = property(s, "rocksdb.num-blob-files"),
	};
}

void store_get_content(struct store *s, uint64_t *ret_bytes, uint64_t *ret_dead_bytes)
{
	struct usage usage = look(s);

	*ret_bytes = usage.bytes;
	*ret_dead_bytes = usage.dead_bytes;
}

/* Compactions write content again only from now, or no more. Until the next open at most. */
static int set_rewriting(struct store *s, bool on, const char *share)
{
	static const char *const names[] = {
		"enable_blob_garbage_collection", "blob_garbage_collection_age_cutoff"};
	const char *const values[] = {on ? "true" : "false", share};
	char *error = NULL;

	rocksdb_set_options_cf(s->db, s->tables[STORE_DATA], 2, names, values, &error);
	if (error == NULL)
		return 0;
	log_error("the local store cannot reclaim disk space: %s", error);
	rocksdb_free(error);
	return -EIO;
}

/* The whole table, also where nothing is to be merged; others go on meanwhile. */
static void compact(struct store *s, enum store_table table)
{
	rocksdb_compactoptions_t *options = rocksdb_compactoptions_create();

	rocksdb_compactoptions_set_bottommost_level_compaction(options, 2);
	rocksdb_compactoptions_set_exclusive_manual_compaction(options, 0);
	rocksdb_compact_range_cf_opt(s->db, s->tables[table], options, NULL, 0, NULL, 0);
	rocksdb_compactoptions_destroy(options);
}

/* Files are gone only when all that lives in them is written again, so that must find room beside
 * the keys, which are all written again: on a disk that is almost full it goes file by file. 0: not
 * even that. */
static uint64_t files_at_once(struct store *s, const struct usage *usage)
{
	uint64_t n = usage->files <= FEW_FILES ? usage->files : usage->files / SHARE_OF_FILES;
	uint64_t each_bytes = usage->files > 0 ? usage->bytes / usage->files + 1 : 1;
	uint64_t free_bytes = store_free_disk_bytes(s);
	uint64_t keys_bytes = property(s, "rocksdb.live-sst-files-size");
	uint64_t room = free_bytes > keys_bytes ? (free_bytes - keys_bytes) / each_bytes : 0;

	return n < room ? n : room;
}

static int pass(struct store *s, const struct usage *usage)
{
	uint64_t n = files_at_once(s, usage);
	char share[32];
	int r;

	if (n == 0)
		return -ENOSPC;
	/* RocksDB rounds down. */
	snprintf(share, sizeof(share), "%.6f",
		n >= usage->files ? 1.0 : ((double)n + 0.5) / (double)usage->files);
	r = set_rewriting(s, true, share);
	if (r == 0)
		compact(s, STORE_DATA);
	return r == 0 ? set_rewriting(s, false, share) : r;
}

static bool is_dead_from(const struct usage *usage, uint64_t bytes, uint64_t part)
{
	return usage->dead_bytes >= bytes && usage->dead_bytes >= usage->bytes / part;
}

/* Until less than that part of the content is dead. -EAGAIN: nothing comes of it. */
static int reclaim_until(struct store *s, uint64_t part)
{
	struct usage before, now = look(s);
	int r = 0;

	for (int i = 0; r == 0 && i < MAX_PASSES && is_dead_from(&now, 1, part); i++) {
		if (atomic_load(&s->is_stopping))
			return -ECANCELED;
		before = now;
		r = pass(s, &before);
		now = look(s);
		log_debug("the local store: of %" PRIu64 " bytes of content %" PRIu64
			  " were dead, now of %" PRIu64 " %" PRIu64,
			before.bytes, before.dead_bytes, now.bytes, now.dead_bytes);
		if (r == 0 && now.dead_bytes >= before.dead_bytes)
			r = -EAGAIN;
	}
	return r;
}

static int reclaim(struct store *s)
{
	bool is_full = atomic_load(&s->is_full);
	struct usage usage = look(s);
	int r;

	if (is_full ? !is_dead_from(&usage, 1, END_WHEN_FULL_AT)
		    : !is_dead_from(&usage, s->reclaim_from_bytes, BEGIN_AT))
		return 0;
	lock_acquire(&s->reclaiming);
	r = reclaim_until(s, is_full ? END_WHEN_FULL_AT : END_AT);
	lock_release(&s->reclaiming);
	return r;
}

static uint64_t pause_ms(struct store *s, int r)
{
	if (r == -EIO || r == -EAGAIN)
		return PAUSE_AFTER_FAILURE_MS;
	return atomic_load(&s->is_full) ? LOOK_WHEN_FULL_MS : s->look_ms;
}

/* What failed is not tried again before its time, also when the disk is full. */
static void wait_locked(struct store *s, int r) REQUIRES(s->lock)
{
	uint64_t until_ms = clock_monotonic_ms() + pause_ms(s, r);

	do {
		if (atomic_load(&s->is_stopping))
			return;
	} while (lock_condition_wait_until(&s->changed, &s->lock, until_ms) == 0 && r < 0 &&
		 r != -ENOSPC);
}

static void *run(void *arg)
{
	struct store *s = arg;
	int r;

	lock_acquire(&s->lock);
	while (!atomic_load(&s->is_stopping)) {
		lock_release(&s->lock);
		r = reclaim(s);
		lock_acquire(&s->lock);
		wait_locked(s, r);
	}
	lock_release(&s->lock);
	return NULL;
}

int store_reclaim_start(struct store *s, const struct store_options *options)
{
	int r;

	s->reclaim_from_bytes =
		options->reclaim_from_bytes > 0 ? options->reclaim_from_bytes : RECLAIM_FROM_BYTES;
	s->look_ms = options->reclaim_look_ms > 0 ? options->reclaim_look_ms : LOOK_MS;
	r = pthread_create(&s->thread, NULL, run, s);
	if (r != 0)
		return -r;
	(void)pthread_setname_np(s->thread, "mfs-reclaim");
	s->has_thread = true;
	return 0;
}

void store_reclaim_wake(struct store *s)
{
	lock_acquire(&s->lock);
	lock_condition_signal(&s->changed);
	lock_release(&s->lock);
}

void store_reclaim_stop(struct store *s)
{
	if (!s->has_thread)
		return;
	lock_acquire(&s->lock);
	atomic_store(&s->is_stopping, true);
	lock_condition_signal(&s->changed);
	lock_release(&s->lock);
	rocksdb_disable_manual_compaction(s->db); /* one that runs ends soon */
	(void)pthread_join(s->thread, NULL);
	s->has_thread = false;
}

void store_compact(struct store *s, enum store_table table)
{
	lock_acquire(&s->reclaiming);
	compact(s, table); /* finds out what is dead */
	if (table == STORE_DATA)
		(void)reclaim_until(s, UINT64_MAX);
	lock_release(&s->reclaiming);
}
