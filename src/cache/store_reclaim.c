/*
 * store_reclaim.c: gives back the disk that dead content takes in the blob files of the store, and
 * old parts of its log.
 *
 * RocksDB can do it within its compactions, but then it writes all content again that a compaction
 * meets; and where mail comes for all accounts each compaction meets all keys, that is the whole
 * cache. So compactions only move keys (a blob file goes by itself once all of it is dead). When
 * half of what the files have is dead, a thread goes through them from the oldest on, a few at a
 * time: all keys are compacted, and what lives in these files is written to new ones; until three
 * quarters are alive. Nothing is written twice for what was not deleted first. Measured in
 * doc/decisions/0003-store-tuning.md.
 */
#include <config.h>
#include "cache/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "cache/store_private.h"
#include "util/clock.h"
#include "util/log.h"

#define LOOK_MS 10000
#define LOOK_WHEN_FULL_MS 500
#define PAUSE_AFTER_FAILURE_MS 60000
#define RECLAIM_FROM_BYTES (UINT64_C(256) << 20)

/* Of files at a time, and of free disk: what comes meanwhile must find room and be compacted. */
#define PASS_BYTES (UINT64_C(256) << 20)
#define SHARE_OF_FREE 4

/* Between passes compactions catch up: to so many files on level 0, or for so long. */
#define LEVEL0_FILES 4
#define LEVEL0_WAIT_MS 30000
#define LEVEL0_LOOK_MS 100

#define BEGIN_AT 2   /* when a half is dead */
#define END_AT 4     /* until less than a quarter is */
#define WANTED_AT 16 /* both, when the disk is full or somebody wants the room */

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

static bool is_dead_from(const struct usage *usage, uint64_t bytes, uint64_t part)
{
	return usage->dead_bytes >= bytes && usage->dead_bytes >= usage->bytes / part;
}

/* ---- one pass */

/* Compactions write content of the oldest files again only from now, or no more. Until the next
 * open at most. */
static int set_rewriting(struct store *s, bool on, const char *share)
{
	static const char *const names[] = {
		"enable_blob_garbage_collection", "blob_garbage_collection_age_cutoff"};
	const char *const values[] = {on ? "true" : "false", share};
	char *error = NULL;

	s->is_rewriting = true; /* perhaps also if it fails */
	rocksdb_set_options_cf(s->db, s->tables[STORE_DATA], 2, names, values, &error);
	if (error == NULL) {
		s->is_rewriting = on;
		return 0;
	}
	log_error("the local store cannot reclaim disk space: %s", error);
	rocksdb_free(error);
	return -EIO;
}

/* All keys, each once, also where nothing is to be merged. */
static void compact(struct store *s)
{
	rocksdb_compactoptions_t *options = rocksdb_compactoptions_create();

	rocksdb_compactoptions_set_bottommost_level_compaction(options, 3); /* kForceOptimized */
	rocksdb_compactoptions_set_exclusive_manual_compaction(options, 0);
	rocksdb_compact_range_cf_opt(s->db, s->tables[STORE_DATA], options, NULL, 0, NULL, 0);
	rocksdb_compactoptions_destroy(options);
}

/* All keys are written again before the old ones go, and so is what lives in the files that are
 * taken. RocksDB must not run out of disk meanwhile: it may then end the process when it cannot
 * write its own log. What is left to others on a full disk is more than what is left here. */
static bool has_room(struct store *s, uint64_t content_bytes)
{
	uint64_t keys_bytes = property(s, "rocksdb.live-sst-files-size");

	return store_free_disk_bytes(s) >= s->reserve_bytes / 2 + keys_bytes + content_bytes;
}

/* 0: there is no room even for one. */
static uint64_t files_at_once(struct store *s, const struct usage *usage)
{
	uint64_t each_bytes = usage->files > 0 ? usage->bytes / usage->files + 1 : 1;
	uint64_t n = s->reclaim_pass_bytes / each_bytes;
	uint64_t room = store_free_disk_bytes(s) / SHARE_OF_FREE / each_bytes;

	if (n > room)
		n = room;
	if (n > usage->files)
		n = usage->files;
	if (n == 0 || !has_room(s, n * each_bytes))
		n = usage->files > 0 && has_room(s, each_bytes) ? 1 : 0;
	return n;
}

static int pass(struct store *s, const struct usage *usage, uint64_t *ret_files)
{
	uint64_t n = files_at_once(s, usage);
	char share[32];
	int r;

	*ret_files = n;
	if (n == 0)
		return -ENOSPC;
	/* RocksDB rounds down. */
	snprintf(share, sizeof(share), "%.6f",
		n == usage->files ? 1.0 : ((double)n + 0.5) / (double)usage->files);
	r = set_rewriting(s, true, share);
	if (r == 0)
		compact(s);
	if (r == 0 && !has_room(s, 0))
		return -ENOSPC; /* look_after() sets it back when there is some */
	return r == 0 ? set_rewriting(s, false, share) : r;
}

static bool is_level0_long(struct store *s, enum store_table table)
{
	char *text =
		rocksdb_property_value_cf(s->db, s->tables[table], "rocksdb.num-files-at-level0");
	bool is_long = text != NULL && strtoul(text, NULL, 10) > LEVEL0_FILES;

	rocksdb_free(text);
	return is_long;
}

static void let_compactions_catch_up(struct store *s)
{
	uint64_t until_ms = clock_monotonic_ms() + LEVEL0_WAIT_MS;

	while (!atomic_load(&s->is_stopping) && clock_monotonic_ms() < until_ms &&
		(is_level0_long(s, STORE_META) || is_level0_long(s, STORE_DATA))) {
		clock_sleep_ms(LEVEL0_LOOK_MS);
		store_log_prune(s);
	}
}

/* ---- as many as it takes */

/* Until less than that part of the content is dead; each file that there is now is taken once,
 * since what is dead may be in the last. -EAGAIN: nothing came of all that. */
static int reclaim_until(struct store *s, uint64_t part)
{
	const struct usage first = look(s);
	struct usage now = first;
	uint64_t taken = 0, files = 0;
	int r = 0;

	while (r == 0 && taken < first.files && is_dead_from(&now, 1, part)) {
		if (atomic_load(&s->is_stopping))
			return -ECANCELED;
		r = pass(s, &now, &files);
		taken += files;
		store_log_prune(s);
		let_compactions_catch_up(s);
		now = look(s);
	}
	if (taken > 0)
		log_debug("the local store: of %" PRIu64 " bytes of content %" PRIu64
			  " were dead, now of %" PRIu64 " %" PRIu64,
			first.bytes, first.dead_bytes, now.bytes, now.dead_bytes);
	return r == 0 && taken > 0 && now.dead_bytes >= first.dead_bytes ? -EAGAIN : r;
}

/* What is asked for and finds no room stays asked for. */
static int reclaim_wanted(struct store *s)
{
	struct usage usage;
	int r;

	atomic_store(&s->is_room_wanted, false);
	compact(s); /* finds out what is dead */
	usage = look(s);
	r = is_dead_from(&usage, 1, WANTED_AT) ? reclaim_until(s, WANTED_AT) : 0;
	if (r == -ENOSPC) {
		atomic_store(&s->is_room_wanted, true);
		r = -EAGAIN;
	}
	return r;
}

static int reclaim(struct store *s)
{
	struct usage usage;

	if (atomic_load(&s->is_room_wanted) && has_room(s, 0))
		return reclaim_wanted(s);
	usage = look(s);
	if (atomic_load(&s->is_full))
		return is_dead_from(&usage, 1, WANTED_AT) ? reclaim_until(s, WANTED_AT) : 0;
	return is_dead_from(&usage, s->reclaim_from_bytes, BEGIN_AT) ? reclaim_until(s, END_AT) : 0;
}

/* ---- the thread */

/* What failed is not tried again before its time, also when the disk is full. */
static void look_after(struct store *s)
{
	int r = 0;

	store_log_prune(s);
	if (atomic_load(&s->is_full))
		(void)store_free_disk_bytes(s); /* nobody else may ask any more */
	if (clock_monotonic_ms() < s->not_before_ms)
		return;
	if (s->is_rewriting)
		r = has_room(s, 0) ? set_rewriting(s, false, "0.25") : -ENOSPC;
	if (r == 0)
		r = reclaim(s);
	if (r == -EIO || r == -EAGAIN)
		s->not_before_ms = clock_monotonic_ms() + PAUSE_AFTER_FAILURE_MS;
}

/* Who asks while it works is heard with the next look. */
static void *run(void *arg)
{
	struct store *s = arg;
	uint64_t pause_ms;

	lock_acquire(&s->lock);
	while (!atomic_load(&s->is_stopping)) {
		lock_release(&s->lock);
		look_after(s);
		lock_acquire(&s->lock);
		pause_ms = atomic_load(&s->is_full) ? LOOK_WHEN_FULL_MS : s->look_ms;
		if (!atomic_load(&s->is_stopping))
			(void)lock_condition_wait_until(
				&s->changed, &s->lock, clock_monotonic_ms() + pause_ms);
	}
	lock_release(&s->lock);
	return NULL;
}

int store_reclaim_start(struct store *s, const struct store_options *options)
{
	int r;

	s->reclaim_from_bytes =
		options->reclaim_from_bytes > 0 ? options->reclaim_from_bytes : RECLAIM_FROM_BYTES;
	s->reclaim_pass_bytes =
		options->reclaim_pass_bytes > 0 ? options->reclaim_pass_bytes : PASS_BYTES;
	s->keep_log_bytes = options->keep_log_bytes;
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

void store_reclaim_soon(struct store *s)
{
	atomic_store(&s->is_room_wanted, true);
	store_reclaim_wake(s);
}

void store_reclaim_stop(struct store *s)
{
	if (!s->has_thread)
		return;
	atomic_store(&s->is_stopping, true);
	store_reclaim_wake(s);
	rocksdb_disable_manual_compaction(s->db); /* one that runs ends soon */
	(void)pthread_join(s->thread, NULL);
	s->has_thread = false;
}
