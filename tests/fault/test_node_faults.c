/*
 * A node whose backend fails, hangs, loses answers and gives wrong data, and whose disk is full:
 * reads give EIO and never wrong bytes, what is dirty stays and is uploaded when the store is
 * back, what is removed really goes.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/fault_backend.h"
#include "node_fixture.h"
#include "util/clock.h"

#define BODY_BYTES 50000

static struct node_fixture fixture;
static uint64_t user;

static void set_faults(const char *rules)
{
	char *message = NULL;

	ck_assert_msg(fault_backend_set(fixture.backend, rules, &message) == 0, "%s", message);
}

static void begin(void)
{
	struct fault_rules none = {0};

	node_fixture_init(&fixture);
	ck_assert_int_eq(fault_backend_new(fixture.backend, &none, &fixture.backend), 0);
	fixture.options.backend = fixture.backend;
	fixture.options.commit_interval_ms = 0;
	node_fixture_open(&fixture);
	user = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
}

static struct node_figures figures(void)
{
	struct node_figures f;

	node_get_figures(fixture.node, &f);
	return f;
}

static size_t n_objects(void)
{
	struct backend_result result;
	size_t n;

	ck_assert_int_eq(backend_list_wait(fixture.backend, "accounts/", NULL, 10000, &result), 0);
	n = result.n_entries;
	backend_result_done(&result);
	return n;
}

static void fill(uint8_t *data, size_t n, unsigned int seed)
{
	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)rand_r(&seed);
}

static uint64_t make_body(const char *name, unsigned int seed)
{
	uint64_t ino = node_fixture_create(fixture.fs, user, name);
	uint8_t data[BODY_BYTES];

	fill(data, sizeof(data), seed);
	ck_assert_int_eq(node_fixture_write(fixture.fs, ino, 0, data, sizeof(data)), 0);
	return ino;
}

/* 0 when the content is right, or the error of the read. */
static int read_body(uint64_t ino, unsigned int seed)
{
	uint8_t expected[BODY_BYTES], data[BODY_BYTES];
	ssize_t n;

	fill(expected, sizeof(expected), seed);
	n = node_fixture_read(fixture.fs, ino, 0, data, sizeof(data));
	if (n < 0)
		return (int)n;
	ck_assert_int_eq(n, BODY_BYTES);
	ck_assert_mem_eq(data, expected, sizeof(data));
	return 0;
}

static void evict_all(void)
{
	uint64_t evicted;

	ck_assert_int_eq(node_evict(fixture.node, 0, &evicted), 0);
}

static int flush(uint32_t timeout_ms)
{
	return node_flush(fixture.node, timeout_ms);
}

START_TEST(test_puts_fail)
{
	uint64_t ino;

	begin();
	set_faults("any:error=EIO");
	ino = make_body("u.1", 1);
	ck_assert_int_eq(flush(300), -EIO);
	ck_assert_uint_eq(figures().dirty_files, 1);
	ck_assert_int_eq(figures().backend_error, -EIO);
	evict_all(); /* must not take what only we have */
	ck_assert_int_eq(read_body(ino, 1), 0);
	node_fixture_reopen(&fixture);
	ck_assert_uint_eq(figures().dirty_files, 1);
	ck_assert_int_eq(read_body(ino, 1), 0);
	set_faults("");
	ck_assert_int_eq(flush(10000), 0);
	ck_assert_uint_eq(figures().dirty_files, 0);
	ck_assert_int_eq(figures().backend_error, 0);
	evict_all();
	ck_assert_int_eq(read_body(ino, 1), 0);
	ck_assert_uint_gt(figures().objects_fetched, 0);
	ck_assert_uint_eq(n_objects(), 1);
	node_fixture_done(&fixture);
}
END_TEST

/* The object is there though the put has failed: it must not stay beside the one that replaces it.
 */
START_TEST(test_answers_are_lost)
{
	uint64_t ino;

	begin();
	set_faults("put:error=ETIMEDOUT:after:times=2");
	ino = make_body("u.1", 2);
	ck_assert_int_eq(flush(10000), 0);
	ck_assert_uint_eq(n_objects(), 1);
	evict_all();
	ck_assert_int_eq(read_body(ino, 2), 0);
	node_fixture_done(&fixture);
}
END_TEST

static void wait_until_it_hangs(void)
{
	uint64_t end_ms = clock_monotonic_ms() + 5000;

	while (fault_backend_hanging(fixture.backend) == 0) {
		ck_assert_uint_lt(clock_monotonic_ms(), end_ms);
		usleep(2000);
	}
}

START_TEST(test_puts_hang)
{
	uint64_t ino, gone, changed;
	uint8_t data[BODY_BYTES];

	begin();
	set_faults("put:hang");
	ino = make_body("u.1", 3);
	gone = make_body("u.2", 4);
	changed = make_body("u.3", 5);
	wait_until_it_hangs();
	ck_assert_int_eq(flush(200), -ETIMEDOUT);
	ck_assert_int_eq(read_body(ino, 3), 0);
	/* While they are on their way: one goes, one is cut and written anew. */
	ck_assert_int_eq(fs_unlink(fixture.fs, user, "u.2"), 0);
	fs_forget(fixture.fs, gone, 1);
	ck_assert_int_eq(node_fixture_truncate(fixture.fs, changed, 20000), 0);
	fill(data, sizeof(data), 6);
	ck_assert_int_eq(node_fixture_write(fixture.fs, changed, 0, data, sizeof(data)), 0);
	set_faults("");
	fault_backend_release(fixture.backend);
	ck_assert_int_eq(flush(10000), 0);
	evict_all();
	ck_assert_int_eq(read_body(ino, 3), 0);
	ck_assert_int_eq(read_body(changed, 6), 0);
	ck_assert_uint_eq(n_objects(), 2);
	node_fixture_done(&fixture);
}
END_TEST

/* Reads while the backend cannot give the data, or gives wrong data. */
START_TEST(test_gets_fail)
{
	static const char *const faults[] = {"get:error=EIO", "get:error=ENOENT", "get:corrupt",
		"get:truncate=0", "get:truncate=50", "get:truncate=20000", "get:error=EACCES"};
	static const int errors[] = {-EIO, -EIO, -EIO, -EIO, -EIO, -EIO, -EACCES};
	uint8_t byte = 7;
	uint64_t ino;

	begin();
	ino = make_body("u.1", 7);
	ck_assert_int_eq(flush(10000), 0);
	evict_all();
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		set_faults(faults[i]);
		ck_assert_msg(read_body(ino, 7) == errors[i], "%s", faults[i]);
		/* a change in the middle of a block needs the rest of it */
		ck_assert_msg(node_fixture_write(fixture.fs, ino, 100, &byte, 1) == errors[i], "%s",
			faults[i]);
	}
	ck_assert_int_ne(figures().backend_error, 0);
	set_faults("");
	ck_assert_int_eq(read_body(ino, 7), 0);
	ck_assert_int_eq(figures().backend_error, 0);
	node_fixture_done(&fixture);
}
END_TEST

/* One bit in every place of the object in turn. */
START_TEST(test_gets_are_corrupt)
{
	char rules[64];
	uint64_t ino;

	begin();
	ino = make_body("u.1", 8);
	ck_assert_int_eq(flush(10000), 0);
	for (int i = 0; i < 50; i++) {
		evict_all();
		snprintf(rules, sizeof(rules), "get:corrupt:seed=%d", i);
		set_faults(rules);
		ck_assert_int_eq(read_body(ino, 8), -EIO);
	}
	node_fixture_done(&fixture);
}
END_TEST

START_TEST(test_object_is_lost)
{
	struct backend_result list;
	uint64_t ino, other;

	begin();
	ino = make_body("u.1", 9);
	ck_assert_int_eq(flush(10000), 0);
	ck_assert_int_eq(backend_list_wait(fixture.backend, "accounts/", NULL, 10, &list), 0);
	ck_assert_uint_eq(list.n_entries, 1);
	ck_assert_int_eq(backend_remove_wait(fixture.backend, list.entries[0].key), 0);
	backend_result_done(&list);
	other = make_body("u.2", 10);
	ck_assert_int_eq(flush(10000), 0);
	ck_assert_int_eq(read_body(ino, 9), 0); /* from the cache */
	evict_all();
	ck_assert_int_eq(read_body(ino, 9), -EIO);
	ck_assert_int_eq(read_body(other, 10), 0);
	ck_assert_int_eq(fs_unlink(fixture.fs, user, "u.1"), 0);
	fs_forget(fixture.fs, ino, 1);
	ck_assert_int_eq(flush(10000), 0);
	node_fixture_done(&fixture);
}
END_TEST

/* Each flush tries again at once. By themselves the eight failures would take two minutes, since
 * the pause doubles from 1 s on: no busy machine makes a bound of one minute wrong. */
START_TEST(test_removals_fail)
{
	uint64_t ino, start_ms;
	int r;

	begin();
	ino = make_body("u.1", 11);
	ck_assert_int_eq(flush(10000), 0);
	ck_assert_uint_eq(n_objects(), 1);
	set_faults("remove:error=EIO");
	ck_assert_int_eq(fs_unlink(fixture.fs, user, "u.1"), 0);
	fs_forget(fixture.fs, ino, 1);
	while (figures().backend_error == 0)
		sched_yield();
	ck_assert_int_eq(flush(1000), -EIO);
	ck_assert_uint_eq(n_objects(), 1);
	ck_assert_int_eq(figures().backend_error, -EIO);
	if (_i != 0)
		node_fixture_reopen(&fixture);
	set_faults("remove:error=EIO:times=8");
	start_ms = clock_monotonic_ms();
	do
		r = flush(50);
	while ((r == -EIO || r == -ETIMEDOUT) && clock_monotonic_ms() - start_ms < 60000);
	ck_assert_int_eq(r, 0);
	ck_assert_uint_eq(fault_backend_hits(fixture.backend, 0), 8);
	ck_assert_uint_eq(n_objects(), 0);
	ck_assert_uint_eq(figures().objects_removed, 1);
	node_fixture_done(&fixture);
}
END_TEST

/* A file deleted before its upload never travels; one that is deleted often leaves nothing. */
START_TEST(test_nothing_stays)
{
	char name[16];

	begin();
	set_faults("put:p=0.3:seed=1:error=EIO:after;remove:p=0.3:seed=2:error=EIO:after");
	for (unsigned int i = 0; i < 30; i++) {
		uint64_t ino;

		snprintf(name, sizeof(name), "u.%u", i + 1);
		ino = make_body(name, i);
		if (i % 3 == 0)
			(void)flush(50);
		ck_assert_int_eq(fs_unlink(fixture.fs, user, name), 0);
		fs_forget(fixture.fs, ino, 1);
	}
	set_faults("");
	ck_assert_int_eq(flush(20000), 0);
	ck_assert_uint_eq(n_objects(), 0);
	ck_assert_uint_eq(figures().dirty_files, 0);
	node_fixture_done(&fixture);
}
END_TEST

struct note {
	_Atomic int result; /* 1: right */
};

static void note_reply(void *arg, const struct fs_reply *reply)
{
	uint8_t expected[BODY_BYTES];
	struct note *note = arg;

	fill(expected, sizeof(expected), 21);
	if (reply->error < 0)
		atomic_store(&note->result, reply->error);
	else
		atomic_store(&note->result, memcmp(reply->data, expected, 1000) == 0 ? 1 : -EILSEQ);
}

/* While a read waits for an object, the body is written anew and the object goes: the read gets the
 * new content, not an error. */
START_TEST(test_replaced_while_fetched)
{
	uint8_t data[BODY_BYTES];
	struct note note = {0};
	uint64_t ino;

	begin();
	ino = make_body("u.1", 20);
	ck_assert_int_eq(flush(10000), 0);
	evict_all();
	set_faults("get:hang");
	fs_read(fixture.fs, ino, 0, 1000, note_reply, &note);
	wait_until_it_hangs();
	fill(data, sizeof(data), 21);
	ck_assert_int_eq(node_fixture_write(fixture.fs, ino, 0, data, sizeof(data)), 0);
	ck_assert_int_eq(flush(10000), 0);
	ck_assert_uint_eq(n_objects(), 1);
	set_faults("");
	fault_backend_release(fixture.backend);
	for (int i = 0; i < 1000 && atomic_load(&note.result) == 0; i++)
		usleep(5000);
	ck_assert_int_eq(atomic_load(&note.result), 1);
	node_fixture_done(&fixture);
}
END_TEST

/* ---- the disk is full */
#define DISK "size=96m"

/* In a mount namespace of the test's own, so that nothing is left of it. */
static bool begin_small_disk(void)
{
	struct fault_rules none = {0};

	node_fixture_init(&fixture);
	ck_assert_int_eq(fault_backend_new(fixture.backend, &none, &fixture.backend), 0);
	fixture.options.backend = fixture.backend;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("none", fixture.directory, "tmpfs", 0, DISK) < 0) {
		node_fixture_done(&fixture);
		return false;
	}
	fixture.options.commit_interval_ms = 600000;
	node_fixture_open(&fixture);
	user = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
	return true;
}

static void end_small_disk(void)
{
	node_fixture_close(&fixture);
	ck_assert_int_eq(umount2(fixture.directory, MNT_DETACH), 0);
	node_fixture_done(&fixture);
}

/* Writes files until the disk is full; how many there are whole. */
static unsigned int fill_disk(uint64_t *inos, unsigned int most)
{
	uint8_t data[BODY_BYTES];
	struct fs_caller caller = {0};
	struct fs_attributes a;
	char name[16];
	int r = 0;

	for (unsigned int i = 0; i < most; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		r = fs_mknod(fixture.fs, &caller, user, name, S_IFREG | 0600, 0, &a);
		if (r == 0) {
			inos[i] = a.ino;
			fill(data, sizeof(data), i);
			r = node_fixture_write(fixture.fs, a.ino, 0, data, sizeof(data));
			if (r < 0)
				ck_assert_int_eq(fs_unlink(fixture.fs, user, name), 0);
		}
		if (r < 0) {
			ck_assert_int_eq(r, -ENOSPC);
			return i;
		}
	}
	ck_abort_msg("the disk does not get full");
	return 0;
}

START_TEST(test_full_disk)
{
	static uint64_t inos[4000];
	struct fs_caller caller = {0};
	struct fs_attributes a;
	uint64_t end_ms;
	unsigned int n;
	char name[16];
	int r;

	if (!begin_small_disk())
		return; /* needs root */
	n = fill_disk(inos, 4000);
	ck_assert_uint_gt(n, 200);
	ck_assert_int_eq(figures().store_error, 0);
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, inos[n - 1]), 0);
	for (unsigned int i = 0; i < n; i++) {
		ck_assert_int_eq(read_body(inos[i], i), 0);
		if (i % 8 == 0)
			continue;
		snprintf(name, sizeof(name), "f%u", i);
		ck_assert_int_eq(fs_unlink(fixture.fs, user, name), 0);
		fs_forget(fixture.fs, inos[i], 1);
	}
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, user), 0);
	end_ms = clock_monotonic_ms() + 10000;
	do {
		r = fs_mknod(fixture.fs, &caller, user, "again", S_IFREG | 0600, 0, &a);
		usleep(20000);
	} while (r == -ENOSPC && clock_monotonic_ms() < end_ms);
	ck_assert_msg(r == 0, "no room ten seconds after most was deleted: %d", r);
	ck_assert_int_eq(node_fixture_write(fixture.fs, a.ino, 0, "x", 1), 0);
	for (unsigned int i = 0; i < n; i += 8)
		ck_assert_int_eq(read_body(inos[i], i), 0);
	node_fixture_reopen(&fixture);
	for (unsigned int i = 0; i < n; i += 8)
		ck_assert_int_eq(read_body(inos[i], i), 0);
	end_small_disk();
}
END_TEST

#define HALF_BYTES 49152

/* A body of two objects, the second of them put when the first was not local. */
static uint64_t make_body_in_two(const uint8_t data[2 * HALF_BYTES])
{
	uint64_t ino = node_fixture_create(fixture.fs, user, "u.2");

	for (size_t at = 0; at < 2 * HALF_BYTES; at += HALF_BYTES) {
		ck_assert_int_eq(node_fixture_write(fixture.fs, ino, at, data + at, HALF_BYTES), 0);
		ck_assert_int_eq(flush(10000), 0);
		evict_all();
	}
	return ino;
}

/* What is not here is read all the same, through both objects at once and past their edges. */
START_TEST(test_full_disk_and_evicted)
{
	static uint64_t inos[4000];
	uint8_t data[2 * HALF_BYTES], got[2 * HALF_BYTES];
	uint64_t one, two;

	if (!begin_small_disk())
		return; /* needs root */
	fill(data, sizeof(data), 31);
	one = make_body("u.1", 30);
	two = make_body_in_two(data);
	ck_assert_uint_eq(n_objects(), 3);
	(void)fill_disk(inos, 4000);
	ck_assert_int_eq(read_body(one, 30), 0);
	ck_assert_int_eq(node_fixture_read(fixture.fs, two, 0, got, sizeof(got)), sizeof(got));
	ck_assert_mem_eq(got, data, sizeof(got));
	ck_assert_int_eq(node_fixture_read(fixture.fs, two, 40000, got, 20000), 20000);
	ck_assert_mem_eq(got, data + 40000, 20000);
	ck_assert_uint_ge(figures().objects_fetched, 3);
	evict_all(); /* there may be room again by now */
	set_faults("get:corrupt:seed=1");
	ck_assert_int_eq(read_body(one, 30), -EIO);
	ck_assert_int_eq(node_fixture_read(fixture.fs, two, 0, got, sizeof(got)), -EIO);
	set_faults("");
	ck_assert_int_eq(read_body(one, 30), 0);
	end_small_disk();
}
END_TEST

static void without_conditions(struct backend *b, struct backend_capabilities *ret)
{
	(void)b;
	*ret = (struct backend_capabilities){.max_object_bytes = 1 << 24, .max_delete_many = 1};
}

/* A store that knows no conditional puts gets plain ones, and none before that is known. */
START_TEST(test_plain_puts)
{
	static struct backend_ops poor; /* used until the fixture frees the backend */

	node_fixture_init(&fixture);
	poor = *fixture.backend->ops;
	poor.get_capabilities = without_conditions;
	fixture.backend->ops = &poor;
	fixture.options.commit_interval_ms = 0;
	fixture.options.plain_puts = _i == 1;
	node_fixture_open(&fixture);
	user = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
	make_body("u.1", 1);
	ck_assert_int_eq(node_flush(fixture.node, 10000), _i == 1 ? 0 : -EOPNOTSUPP);
	ck_assert_uint_eq(n_objects(), _i == 1 ? 1 : 0);
	node_fixture_done(&fixture);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("node_faults");
	TCase *tc = tcase_create("node_faults");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_puts_fail);
	tcase_add_loop_test(tc, test_plain_puts, 0, 2);
	tcase_add_test(tc, test_answers_are_lost);
	tcase_add_test(tc, test_puts_hang);
	tcase_add_test(tc, test_gets_fail);
	tcase_add_test(tc, test_gets_are_corrupt);
	tcase_add_test(tc, test_object_is_lost);
	tcase_add_test(tc, test_replaced_while_fetched);
	tcase_add_loop_test(tc, test_removals_fail, 0, 2);
	tcase_add_test(tc, test_nothing_stays);
	tcase_add_test(tc, test_full_disk);
	tcase_add_test(tc, test_full_disk_and_evicted);
	suite_add_tcase(suite, tc);
	return suite;
}
