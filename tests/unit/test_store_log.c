/*
 * The store's log, as RocksDB really writes it, read by store_log_read(); and batches that it never
 * writes.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/log_batch.h"
#include "cache/store.h"
#include "util/clock.h"

#define MOST 64

static char directory[64];
static struct store *store;

struct seen {
	size_t n;
	struct store_log_record records[MOST];
	uint8_t bytes[MOST][2][KEY_MAX_BYTES];
};

static struct seen seen;

static void open_store(void)
{
	struct store_options options = {
		.directory = directory, .memory_bytes = 8 << 20, .keep_log_bytes = 8 << 20};
	char *message = NULL;

	ck_assert_int_eq(store_open(&options, &store, &message), 0);
}

static void set_up(void)
{
	snprintf(directory, sizeof(directory), "/tmp/mailfs-log-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	open_store();
}

static void tear_down(void)
{
	char command[96];

	store_close(store);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	ck_assert_int_eq(system(command), 0);
}

static int take(void *arg, const struct store_log_record *record)
{
	struct store_log_record *r = &seen.records[seen.n];

	ck_assert_ptr_null(arg);
	ck_assert_uint_lt(seen.n, MOST);
	*r = *record;
	r->key = memcpy(seen.bytes[seen.n][0], record->key, record->key_bytes);
	if (record->to != NULL)
		r->to = memcpy(seen.bytes[seen.n][1], record->to, record->to_bytes);
	seen.n++;
	return 0;
}

static void read_after(uint64_t after)
{
	seen.n = 0;
	ck_assert_int_eq(store_log_read(store, after, take, NULL), 0);
}

static void write_batch(struct store_batch *b)
{
	ck_assert_int_eq(store_write(store, b), 0);
	store_batch_free(b);
}

static void put_one(uint64_t ino)
{
	struct store_batch *b = store_batch_new(store);
	struct key key = key_inode(ino);

	store_batch_put(b, STORE_META, &key, "value", 5);
	write_batch(b);
}

static void check_record(size_t i, enum store_table table, struct key key, bool is_copy)
{
	ck_assert_uint_lt(i, seen.n);
	ck_assert_int_eq(seen.records[i].table, table);
	ck_assert_int_eq(seen.records[i].is_copy, is_copy);
	ck_assert_uint_eq(seen.records[i].key_bytes, key.size_bytes);
	ck_assert_mem_eq(seen.records[i].key, key.bytes, key.size_bytes);
}

START_TEST(test_all_kinds)
{
	struct key ino = key_inode(5), block = key_data(5, 1), next = key_data(5, 2),
		   end = key_data(5, 9);
	uint64_t before = store_last_sequence(store);
	struct store_batch *b = store_batch_new(store);
	static uint8_t value[5000];

	store_batch_put(b, STORE_META, &ino, "x", 1);
	store_batch_mark_copy(b);
	store_batch_put(b, STORE_DATA, &block, value, sizeof(value));
	store_batch_put(b, STORE_DATA, &next, "", 0);
	store_batch_delete(b, STORE_META, &ino);
	store_batch_mark_copy(b);
	store_batch_delete(b, STORE_DATA, &block);
	store_batch_delete_range(b, STORE_DATA, &block, &end);
	store_batch_mark_copy(b);
	store_batch_delete_range(b, STORE_DATA, &next, &end);
	store_batch_delete_range(b, STORE_META, &next, &ino);
	write_batch(b);
	ck_assert_uint_eq(store_last_sequence(store), before + 8);
	read_after(before);
	ck_assert_uint_eq(seen.n, 8);
	check_record(0, STORE_META, ino, false);
	check_record(1, STORE_DATA, block, true);
	check_record(2, STORE_DATA, next, false);
	check_record(3, STORE_META, ino, false);
	check_record(4, STORE_DATA, block, true);
	check_record(5, STORE_DATA, block, false);
	check_record(6, STORE_DATA, next, true);
	check_record(7, STORE_META, next, false);
	for (size_t i = 0; i < 8; i++)
		ck_assert_int_eq(seen.records[i].to != NULL, i >= 5);
	ck_assert_uint_eq(seen.records[5].to_bytes, end.size_bytes);
	ck_assert_mem_eq(seen.records[5].to, end.bytes, end.size_bytes);
}
END_TEST

START_TEST(test_from_any_place)
{
	uint64_t first = store_last_sequence(store);

	for (uint64_t i = 0; i < 20; i++)
		put_one(i + 1);
	for (uint64_t i = 0; i <= 20; i++) {
		read_after(first + i);
		ck_assert_uint_eq(seen.n, 20 - i);
		if (i < 20)
			check_record(0, STORE_META, key_inode(i + 1), false);
	}
	ck_assert_int_eq(store_log_read(store, first + 21, take, NULL), -ENODATA);
}
END_TEST

START_TEST(test_across_openings)
{
	uint64_t first = store_last_sequence(store);

	for (uint64_t i = 0; i < 10; i++) {
		put_one(i + 1);
		store_close(store);
		open_store();
	}
	read_after(first + 3);
	ck_assert_uint_eq(seen.n, 7);
	check_record(6, STORE_META, key_inode(10), false);
}
END_TEST

/* Without keep_log_bytes nothing is kept across an opening. */
START_TEST(test_gone)
{
	struct store_options options = {.directory = directory, .memory_bytes = 8 << 20};
	uint64_t first = store_last_sequence(store);
	char *message = NULL;

	for (int i = 0; i < 3; i++) {
		store_close(store);
		ck_assert_int_eq(store_open(&options, &store, &message), 0);
		put_one(1);
	}
	seen.n = 0;
	ck_assert_int_eq(store_log_read(store, first - 1, take, NULL), -ENODATA);
}
END_TEST

static uint64_t archive_bytes(void)
{
	char command[128];
	unsigned long long kib = 0;
	FILE *f;

	snprintf(command, sizeof(command), "du -sk '%s/archive' 2>/dev/null", directory);
	f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	if (fscanf(f, "%llu", &kib) != 1)
		kib = 0;
	pclose(f);
	return kib * 1024;
}

/* 64 KiB each. */
static void put_much(unsigned int n)
{
	static uint8_t content[65536];
	struct key key = key_data(UINT64_C(1) << KEY_INO_LOCAL_BITS | 16, 1);

	for (unsigned int i = 0; i < n; i++) {
		struct store_batch *b = store_batch_new(store);

		store_batch_put(b, STORE_DATA, &key, content, sizeof(content));
		write_batch(b);
	}
}

/* However much is written, and whenever RocksDB looks itself. */
START_TEST(test_old_log_goes)
{
	struct store_options options = {.directory = directory,
		.memory_bytes = 8 << 20,
		.keep_log_bytes = 8 << 20,
		.reclaim_look_ms = 50};
	uint64_t first = store_last_sequence(store), last, bytes, most = 0, until_ms;
	char *message = NULL;

	store_close(store);
	ck_assert_int_eq(store_open(&options, &store, &message), 0);
	for (int i = 0; i < 16; i++) { /* 64 MiB */
		put_much(64);
		most = archive_bytes() > most ? archive_bytes() : most;
	}
	ck_assert_uint_ge(most, 4 << 20); /* there is something to remove */
	until_ms = clock_monotonic_ms() + 60000;
	do {
		clock_sleep_ms(20);
		bytes = archive_bytes(); /* one look: what is written last may still come */
	} while (bytes > (8 << 20) + 65536 && clock_monotonic_ms() < until_ms);
	ck_assert_uint_le(bytes, (8 << 20) + 65536);
	ck_assert_uint_ge(bytes, 1 << 20); /* and what shall stay is there */

	last = store_last_sequence(store);
	put_one(1);
	read_after(last);
	ck_assert_uint_eq(seen.n, 1);
	seen.n = 0;
	ck_assert_int_eq(store_log_read(store, first - 1, take, NULL), -ENODATA);
}
END_TEST

static int count(void *arg, const struct log_batch_record *record)
{
	(void)record;
	++*(int *)arg;
	return 0;
}

START_TEST(test_bad_batches)
{
	static const uint8_t good[] = {7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 'k', 'k', 1, 'v'};
	static const uint8_t tags[] = {2, 6, 7, 8, 9, 10, 11, 12, 16, 127, 255};
	struct log_batch_head head;
	uint8_t bytes[sizeof(good)];
	int n = 0;

	ck_assert_int_eq(log_batch_parse(good, sizeof(good), count, &n, &head), 0);
	ck_assert_int_eq(n, 1);
	ck_assert_uint_eq(head.sequence, 7);
	ck_assert_uint_eq(head.n_changes, 1);
	for (size_t i = 0; i < sizeof(good); i++)
		ck_assert_int_eq(log_batch_parse(good, i, count, &n, &head), -EBADMSG);
	memcpy(bytes, good, sizeof(good));
	bytes[8] = 2; /* more changes than there are */
	ck_assert_int_eq(log_batch_parse(bytes, sizeof(bytes), count, &n, &head), -EBADMSG);
	for (size_t i = 0; i < sizeof(tags); i++) {
		memcpy(bytes, good, sizeof(good));
		bytes[12] = tags[i];
		ck_assert_int_eq(log_batch_parse(bytes, sizeof(bytes), count, &n, &head), -EBADMSG);
	}
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("store_log");
	TCase *tc = tcase_create("store_log");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_all_kinds);
	tcase_add_test(tc, test_from_any_place);
	tcase_add_test(tc, test_across_openings);
	tcase_add_test(tc, test_gone);
	tcase_add_test(tc, test_old_log_goes);
	tcase_add_test(tc, test_bad_batches);
	suite_add_tcase(suite, tc);
	return suite;
}
