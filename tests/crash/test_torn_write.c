/*
 * An append that arrives in two requests, and a SIGKILL between or behind them (torn_write.h). The
 * nodes live in children: RocksDB's threads do not survive a fork.
 */
#include <config.h>
#include "check_main.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "backends/memory_backend.h"
#include "node_fixture.h"

#define DIRECTORY_NAME "storage" /* of an mdbox */
#define LOG_NAME "dovecot.index.log"
#define MAP_LOG_NAME "dovecot.map.index.log" /* its sync is deferred (file_class.h) */
#define WRITER 11
#define SOMEBODY 12

static struct node_fixture fixture;
static const char *log_name = LOG_NAME;
static uint64_t settle_ms = 600000;
static uint8_t content[8192];

/* A backend has threads, so each process that opens a node makes its own. */
static void begin(void)
{
	if (fixture.backend == NULL)
		ck_assert_int_eq(memory_backend_new(&fixture.backend), 0);
	fixture.options.backend = fixture.backend;
	node_fixture_open(&fixture);
}

static uint64_t open_log(void)
{
	struct fs_attributes a;

	begin();
	ck_assert_int_eq(fs_lookup(fixture.fs, FS_ROOT_INO, "user", &a), 0);
	ck_assert_int_eq(fs_lookup(fixture.fs, a.ino, DIRECTORY_NAME, &a), 0);
	ck_assert_int_eq(fs_lookup(fixture.fs, a.ino, log_name, &a), 0);
	return a.ino;
}

static void append(uint64_t ino, uint64_t offset, size_t size)
{
	ck_assert_int_eq(node_fixture_write(fixture.fs, ino, offset, content + offset, size), 0);
}

/* Runs the steps in a child that kills itself behind them. */
static void run_and_die(void (*steps)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		steps();
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void make_log(void)
{
	uint64_t directory;

	begin();
	directory = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
	directory = node_fixture_mkdir(fixture.fs, directory, DIRECTORY_NAME);
	append(node_fixture_create(fixture.fs, directory, log_name), 0, 4000);
}

static void append_first_half(void)
{
	append(open_log(), 4000, 96);
}

static void append_both_halves(void)
{
	uint64_t ino = open_log();

	append(ino, 4000, 96);
	append(ino, 4096, 30);
}

static void append_and_sync(void)
{
	uint64_t ino = open_log();

	append(ino, 4000, 96);
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, ino), 0);
}

static void append_and_wait(void)
{
	append(open_log(), 4000, 96);
	usleep(500000); /* a hundred times what the note lives: no race even under a sanitizer */
}

static uint64_t append_half_as_writer(void)
{
	uint64_t ino = open_log();

	ck_assert_int_eq(
		node_fixture_write_by(fixture.fs, WRITER, ino, 4000, content + 4000, 96), 0);
	return ino;
}

static void append_and_ask(void)
{
	append_half_as_writer();
	fs_note_request(fixture.fs, WRITER, 0);
}

static void append_and_write_elsewhere(void)
{
	uint64_t ino = append_half_as_writer();

	fs_note_request(fixture.fs, WRITER, ino + 1);
}

/* What comes between the halves: other threads' requests, and the request of the second half. */
static void append_first_half_among_others(void)
{
	uint64_t ino = append_half_as_writer();

	fs_note_request(fixture.fs, SOMEBODY, 0);
	fs_note_request(fixture.fs, 0, 0);
	fs_note_request(fixture.fs, WRITER, ino);
}

/* Of a log whose sync is left to the one that follows. */
static void append_and_defer_sync(void)
{
	struct node_figures figures;

	append_and_sync();
	node_get_figures(fixture.node, &figures);
	ck_assert_uint_eq(figures.syncs_elided, 1);
}

static void append_and_touch(void)
{
	uint64_t ino = open_log();

	append(ino, 4000, 96);
	ck_assert_int_eq(node_fixture_truncate(fixture.fs, ino, 4096), 0);
}

static void verify_size(uint64_t expected)
{
	uint64_t ino = open_log();
	uint8_t found[sizeof(content)];
	struct fs_attributes a;

	ck_assert_int_eq(fs_getattr(fixture.fs, ino, &a), 0);
	ck_assert_uint_eq(a.size_bytes, expected);
	ck_assert_int_eq(node_fixture_read(fixture.fs, ino, 0, found, sizeof(found)), expected);
	ck_assert_mem_eq(found, content, expected);
	node_fixture_close(&fixture);
}

/* The last thing in a test's process, which may open a node of its own now. Notes do not settle by
 * themselves while a step runs, however busy the machine is, unless settle_ms is set. */
static void check_case(void (*steps)(void), uint64_t expected)
{
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i * 31 + 7);
	memset(&fixture, 0, sizeof(fixture));
	snprintf(fixture.directory, sizeof(fixture.directory), "/tmp/mailfs-component-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fixture.directory));
	fixture.options = (struct node_options){.directory = fixture.directory,
		.account_depth = 1,
		.memory_bytes = 16 << 20,
		.torn_settle_ms = settle_ms};
	run_and_die(make_log);
	run_and_die(steps);
	verify_size(expected);
	verify_size(expected); /* also after a clean end */
	node_fixture_done(&fixture);
}

START_TEST(test_half_is_cut_off)
{
	check_case(append_first_half, 4000);
}
END_TEST

START_TEST(test_whole_is_kept)
{
	check_case(append_both_halves, 4126);
}
END_TEST

START_TEST(test_synced_is_kept)
{
	check_case(append_and_sync, 4096);
}
END_TEST

START_TEST(test_deferred_sync_is_kept)
{
	log_name = MAP_LOG_NAME;
	check_case(append_and_defer_sync, 4096);
}
END_TEST

START_TEST(test_returned_is_kept)
{
	check_case(append_and_ask, 4096);
}
END_TEST

START_TEST(test_write_elsewhere_is_kept)
{
	check_case(append_and_write_elsewhere, 4096);
}
END_TEST

START_TEST(test_half_among_others_is_cut_off)
{
	check_case(append_first_half_among_others, 4000);
}
END_TEST

START_TEST(test_settled_is_kept)
{
	settle_ms = 0;
	check_case(append_and_wait, 4096);
}
END_TEST

START_TEST(test_changed_is_kept)
{
	check_case(append_and_touch, 4096);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("torn_write");
	TCase *tc = tcase_create("torn_write");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_half_is_cut_off);
	tcase_add_test(tc, test_whole_is_kept);
	tcase_add_test(tc, test_synced_is_kept);
	tcase_add_test(tc, test_deferred_sync_is_kept);
	tcase_add_test(tc, test_returned_is_kept);
	tcase_add_test(tc, test_write_elsewhere_is_kept);
	tcase_add_test(tc, test_half_among_others_is_cut_off);
	tcase_add_test(tc, test_settled_is_kept);
	tcase_add_test(tc, test_changed_is_kept);
	suite_add_tcase(suite, tc);
	return suite;
}
