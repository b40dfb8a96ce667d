/*
 * The disk that dead content takes in the store's files: given back, and living content left alone.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "cache/store.h"
#include "util/clock.h"

#define BLOCK_BYTES 8192
#define ACCOUNTS 64
#define MIB ((uint64_t)1 << 20)
#define PATIENCE_MS 60000

static char directory[64];
static struct store *store;

/* Write buffers of 1 MiB: many small files. */
static void open_store(uint64_t reclaim_from_bytes)
{
	struct store_options options = {.directory = directory,
		.memory_bytes = 8 * MIB,
		.reclaim_from_bytes = reclaim_from_bytes,
		.reclaim_pass_bytes = 8 * MIB, /* many passes */
		.reclaim_look_ms = 50};
	char *message = NULL;

	ck_assert_int_eq(store_open(&options, &store, &message), 0);
}

static void set_up(void)
{
	snprintf(directory, sizeof(directory), "/tmp/mailfs-reclaim-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void tear_down(void)
{
	char command[96];

	store_close(store);
	store = NULL;
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	ck_assert_int_eq(system(command), 0);
}

/* Block n: of one account after the other, so that each part of what is written is of all. */
static struct key key_of(unsigned int n)
{
	return key_data((uint64_t)(n % ACCOUNTS + 1) << KEY_INO_LOCAL_BITS | 16, n / ACCOUNTS);
}

static void content_of(unsigned int n, uint8_t content[static BLOCK_BYTES])
{
	for (unsigned int i = 0; i < BLOCK_BYTES; i++)
		content[i] = (uint8_t)(n * 31 + i * (n % 7 + 1));
}

static void put(unsigned int from, unsigned int to)
{
	uint8_t content[BLOCK_BYTES];

	for (unsigned int n = from; n < to; n++) {
		struct store_batch *b = store_batch_new(store);
		struct key key = key_of(n);

		content_of(n, content);
		store_batch_put(b, STORE_DATA, &key, content, sizeof(content));
		ck_assert_int_eq(store_write(store, b), 0);
		store_batch_free(b);
	}
}

/* One of four stays. */
static bool stays(unsigned int n)
{
	return n / ACCOUNTS % 4 == 0;
}

static void delete_one(unsigned int n)
{
	struct store_batch *b = store_batch_new(store);
	struct key key = key_of(n);

	store_batch_delete(b, STORE_DATA, &key);
	ck_assert_int_eq(store_write(store, b), 0);
	store_batch_free(b);
}

static void delete_most(unsigned int to)
{
	for (unsigned int n = 0; n < to; n++) {
		if (!stays(n))
			delete_one(n);
	}
}

static void check_block(unsigned int n)
{
	uint8_t content[BLOCK_BYTES];
	struct store_value value;
	struct key key = key_of(n);

	ck_assert_int_eq(store_get(store, STORE_DATA, &key, &value), 0);
	content_of(n, content);
	ck_assert_uint_eq(value.size_bytes, sizeof(content));
	ck_assert_int_eq(memcmp(value.data, content, sizeof(content)), 0);
	store_value_done(&value);
}

static void check_content(unsigned int to, unsigned int deleted_to)
{
	struct store_value value;

	for (unsigned int n = 0; n < to; n++) {
		struct key key = key_of(n);

		if (n >= deleted_to || stays(n))
			check_block(n);
		else
			ck_assert_int_eq(store_get(store, STORE_DATA, &key, &value), -ENOENT);
	}
}

static uint64_t written_bytes(void)
{
	FILE *f = fopen("/proc/self/io", "r");
	unsigned long long bytes = 0, found = 0;
	char line[64];

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL)
		found += sscanf(line, "wchar: %llu", &bytes) == 1;
	fclose(f);
	ck_assert_uint_eq(found, 1);
	return bytes;
}

static void usage(uint64_t *ret_bytes, uint64_t *ret_dead_bytes)
{
	store_get_content(store, ret_bytes, ret_dead_bytes);
	ck_assert_uint_le(*ret_dead_bytes, *ret_bytes);
}

/* The log and the files: whatever is compacted, content is written twice. */
START_TEST(test_living_content_is_left_alone)
{
	const unsigned int n = 64 * MIB / BLOCK_BYTES;
	uint64_t before = written_bytes(), bytes, dead_bytes;

	open_store(MIB);
	put(0, n);
	store_close(store);
	ck_assert_uint_lt(written_bytes() - before, 64 * MIB * 5 / 2);
	open_store(MIB);
	usage(&bytes, &dead_bytes);
	ck_assert_uint_ge(bytes, 48 * MIB); /* it is there, but for what is still in the log */
	ck_assert_uint_eq(dead_bytes, 0);
	check_content(n, 0);
}
END_TEST

/* A quarter may be dead, and what only the next compactions find out. */
static bool is_reclaimed(uint64_t alive_blocks)
{
	uint64_t bytes, dead_bytes;

	usage(&bytes, &dead_bytes);
	return bytes <= alive_blocks * (BLOCK_BYTES + 128) * 4 / 3 + MIB;
}

/* What is dead comes to light as more mail comes: from that block on, at most 16 MiB. The block
 * behind the last. */
static unsigned int put_until_reclaimed(unsigned int from, uint64_t alive_blocks)
{
	const unsigned int most = from + 16 * MIB / BLOCK_BYTES;
	uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
	unsigned int end = from;
	bool is_done;

	while (!(is_done = is_reclaimed(alive_blocks + (end - from))) &&
		clock_monotonic_ms() < until_ms) {
		if (end < most)
			put(end, end + 16);
		end += end < most ? 16 : 0;
		clock_sleep_ms(10);
	}
	ck_assert(is_done);
	return end;
}

START_TEST(test_dead_content_gives_its_disk_back)
{
	const unsigned int n = 32 * MIB / BLOCK_BYTES;
	unsigned int end;

	open_store(MIB);
	put(0, n);
	delete_most(n);
	end = put_until_reclaimed(n, n / 4);
	check_content(end, n);
	store_close(store);
	open_store(MIB);
	check_content(end, n);
}
END_TEST

START_TEST(test_little_is_left_where_it_is)
{
	const unsigned int n = 32 * MIB / BLOCK_BYTES;
	uint64_t bytes, dead_bytes, until_ms = clock_monotonic_ms() + PATIENCE_MS;

	open_store(1024 * MIB);
	put(0, n);
	delete_most(n);
	put(n, 2 * n);
	do {
		clock_sleep_ms(20);
		usage(&bytes, &dead_bytes);
	} while (dead_bytes < 4 * MIB && clock_monotonic_ms() < until_ms);
	clock_sleep_ms(500); /* ten looks */
	usage(&bytes, &dead_bytes);
	ck_assert_uint_ge(dead_bytes, 4 * MIB);
	check_content(2 * n, n);

	store_reclaim_soon(store); /* who wants it gets it */
	until_ms = clock_monotonic_ms() + PATIENCE_MS;
	do {
		clock_sleep_ms(20);
		usage(&bytes, &dead_bytes);
	} while ((bytes > (uint64_t)(n / 4 + n) * (BLOCK_BYTES + 128) * 16 / 15 ||
			 dead_bytes > bytes / 16) &&
		 clock_monotonic_ms() < until_ms);
	ck_assert_uint_le(dead_bytes, bytes / 16);
	ck_assert_uint_le(bytes, (uint64_t)(n / 4 + n) * (BLOCK_BYTES + 128) * 16 / 15);
	check_content(2 * n, n);
}
END_TEST

/* The oldest files, which are taken first, are all alive. */
START_TEST(test_what_is_dead_may_be_young)
{
	const unsigned int old = 32 * MIB / BLOCK_BYTES, n = old + 96 * MIB / BLOCK_BYTES;

	open_store(MIB);
	put(0, n);
	for (unsigned int i = old; i < n; i++)
		delete_one(i);
	(void)put_until_reclaimed(n, old);
	check_content(old, 0);
}
END_TEST

/* In a mount namespace of the test's own. */
static bool begin_small_disk(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", directory, "tmpfs", 0, "size=96m") == 0;
}

/* As whoever changes files does: only while there is room. The first block that found none. */
static unsigned int put_until_full(unsigned int from)
{
	unsigned int n = from;

	for (; store_check_space(store) == 0; n++) {
		ck_assert_uint_lt((uint64_t)(n - from) * BLOCK_BYTES, 96 * MIB);
		put(n, n + 1);
	}
	return n;
}

/* Nothing but that is refused, and what is deleted makes room again without a restart. */
START_TEST(test_full_disk)
{
	uint64_t until_ms;
	unsigned int n, alive_to, more;

	if (!begin_small_disk()) {
		printf("# SKIPPED: a tmpfs cannot be mounted\n");
		return;
	}
	open_store(1024 * MIB);
	n = put_until_full(0);
	alive_to = n / 3;
	for (unsigned int i = alive_to; i < n; i++)
		delete_one(i);
	until_ms = clock_monotonic_ms() + PATIENCE_MS;
	while (store_check_space(store) != 0 && clock_monotonic_ms() < until_ms)
		clock_sleep_ms(20);
	ck_assert_int_eq(store_check_space(store), 0);
	more = put_until_full(n);
	ck_assert_int_eq(store_sync(store), 0);
	check_content(alive_to, 0);
	store_close(store);
	open_store(1024 * MIB);
	check_content(alive_to, 0);
	for (unsigned int i = n; i < more; i++)
		check_block(i);
	store_close(store);
	store = NULL;
	ck_assert_int_eq(umount2(directory, MNT_DETACH), 0);
}
END_TEST

static uint64_t free_bytes(void)
{
	struct statvfs st;

	ck_assert_int_eq(statvfs(directory, &st), 0);
	return (uint64_t)st.f_bavail * st.f_frsize;
}

/* Until so much is free. */
static void fill_disk(const char *path, uint64_t leave_bytes)
{
	static const uint8_t data[65536];
	FILE *f = fopen(path, "a");

	ck_assert_ptr_nonnull(f);
	while (free_bytes() > leave_bytes)
		ck_assert_uint_eq(fwrite(data, sizeof(data), 1, f), 1);
	ck_assert_int_eq(fclose(f), 0);
}

/* Content that is so small that it stands with the keys, on a disk where these find no second
 * place: nothing is tried that would fill it, and what was asked for comes when there is room. */
START_TEST(test_no_room_for_keys)
{
	static const uint8_t small[1500];
	uint64_t least = UINT64_MAX, until_ms;
	char filler[96];
	bool is_done;

	if (!begin_small_disk()) {
		printf("# SKIPPED: a tmpfs cannot be mounted\n");
		return;
	}
	open_store(1024 * MIB);
	put(0, 8 * MIB / BLOCK_BYTES);
	for (unsigned int n = 0; n < 24 * MIB / sizeof(small); n++) {
		struct store_batch *b = store_batch_new(store);
		struct key key = key_of(1 << 20 | n);

		store_batch_put(b, STORE_DATA, &key, small, sizeof(small));
		ck_assert_int_eq(store_write(store, b), 0);
		store_batch_free(b);
	}
	delete_most(8 * MIB / BLOCK_BYTES);
	clock_sleep_ms(500);
	snprintf(filler, sizeof(filler), "%s/filler", directory);
	fill_disk(filler, 12 * MIB);
	store_reclaim_soon(store);
	until_ms = clock_monotonic_ms() + 2000;
	while (clock_monotonic_ms() < until_ms) {
		least = free_bytes() < least ? free_bytes() : least;
		clock_sleep_ms(2);
	}
	ck_assert_uint_ge(least, MIB);
	ck_assert_int_eq(unlink(filler), 0);
	until_ms = clock_monotonic_ms() + PATIENCE_MS;
	while (!(is_done = is_reclaimed(8 * MIB / BLOCK_BYTES / 4)) &&
		clock_monotonic_ms() < until_ms)
		clock_sleep_ms(20);
	ck_assert(is_done);
	check_content(8 * MIB / BLOCK_BYTES, 8 * MIB / BLOCK_BYTES);
	store_close(store);
	store = NULL;
	ck_assert_int_eq(umount2(directory, MNT_DETACH), 0);
}
END_TEST

/* Whatever it is doing at that moment, nothing is lost. */
START_TEST(test_close_at_any_moment)
{
	const unsigned int n = 16 * MIB / BLOCK_BYTES;

	for (unsigned int i = 0; i < 8; i++) {
		open_store(1);
		put(0, n);
		delete_most(n);
		put(n, n + 1024);
		store_reclaim_soon(store);
		clock_sleep_ms(i * 30);
		store_close(store);
	}
	open_store(1024 * MIB);
	check_content(n + 1024, n);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("store_reclaim");
	TCase *tc = tcase_create("store_reclaim");

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_living_content_is_left_alone);
	tcase_add_test(tc, test_dead_content_gives_its_disk_back);
	tcase_add_test(tc, test_little_is_left_where_it_is);
	tcase_add_test(tc, test_what_is_dead_may_be_young);
	tcase_add_test(tc, test_full_disk);
	tcase_add_test(tc, test_no_room_for_keys);
	tcase_add_test(tc, test_close_at_any_moment);
	suite_add_tcase(suite, tc);
	return suite;
}
