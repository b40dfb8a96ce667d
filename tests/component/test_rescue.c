/*
 * test_rescue.c: what a superseded node never shipped becomes files of the node that runs: these
 * accounts and no others, whole, once, whatever goes wrong in between.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/fault_backend.h"
#include "backends/memory_backend.h"
#include "cache/node_private.h"
#include "cache/shipped.h"
#include "check_main.h"
#include "node_fixture.h"
#include "transfer/fs_calls.h"
#include "transfer/rescue.h"
#include "util/file_io.h"

#define STORE "test-rescue"

static struct node_fixture old, now;
static struct uuid old_uuid;
static char scratch[64], path[128];
static unsigned int depth;
static int flush_error;
static unsigned int n_flushes;
static uint64_t tops[3]; /* of accounts, or of directories that are none */

static int flush(void *arg)
{
	(void)arg;
	n_flushes++;
	return flush_error;
}

static void write_file(uint64_t directory, const char *name, size_t n, char with)
{
	uint64_t ino = node_fixture_create(old.fs, directory, name);
	char *data = malloc(n);

	memset(data, with, n);
	ck_assert_int_eq(node_fixture_write(old.fs, ino, 0, data, n), 0);
	free(data);
}

static void open_node(struct node_fixture *f)
{
	node_fixture_init(f);
	backend_free(f->backend);
	ck_assert_int_eq(memory_backend_open(STORE, &f->backend), 0);
	f->options.backend = f->backend;
	f->options.account_depth = depth;
	f->options.journal = true;
	f->options.commit_interval_ms = 600000;
	node_fixture_open(f);
}

static void note_shipped(void)
{
	struct shipped note = {.incarnation = 3, .sequence = 9, .is_complete = true};
	uint32_t accounts[1];

	note.store_sequence = store_last_sequence(old.node->store);
	ck_assert_int_eq(shipped_complete(old.node, &note, &old_uuid, accounts, 0), 0);
}

/* Where account i is, from the top. */
static void name_of(int i, char name[32])
{
	snprintf(name, 32, depth == 2 ? "domain/user%d" : "user%d", i);
}

static void make_old(void)
{
	uint64_t above = FS_ROOT_INO, evicted;
	char name[32];

	open_node(&old);
	ck_assert_int_eq(uuid_generate(&old_uuid), 0);
	if (depth == 2)
		above = node_fixture_mkdir(old.fs, FS_ROOT_INO, "domain");
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		tops[i] = node_fixture_mkdir(old.fs, above, name);
		for (int k = 0; k < 5; k++) {
			snprintf(name, sizeof(name), "u.%d", k);
			write_file(tops[i], name, 20000, (char)('a' + k));
		}
	}
	ck_assert_int_eq(node_flush(old.node, 20000), 0);
	ck_assert_int_eq(node_evict(old.node, 0, &evicted), 0);
}

/* The store goes to where the daemon sets it aside. */
static void set_aside(void)
{
	char db[160];

	node_fixture_close(&old);
	snprintf(path, sizeof(path), "%s/old", scratch);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(db, sizeof(db), "%s/db", path);
	ck_assert_int_eq(rename(old.directory, db), 0);
	open_node(&now);
}

static void setup(void)
{
	snprintf(scratch, sizeof(scratch), "/tmp/mailfs-rescue-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(scratch));
	flush_error = 0;
	n_flushes = 0;
}

static void teardown(void)
{
	backend_free(old.backend);
	node_fixture_done(&now);
	ck_assert_int_eq(file_io_remove_tree(scratch), 0);
}

static int rescue(struct rescue_figures *figures)
{
	struct rescue_options options = {.node = now.node,
		.fs = now.fs,
		.backend = now.backend,
		.account_depth = depth,
		.path = path,
		.name = "node-3",
		.old_node = old_uuid,
		.flush = flush};
	char *message;
	int r = rescue_run(&options, figures, &message);

	free(message);
	return r;
}

/* Size of what is at this path; -1: nothing is. */
static int64_t size_at(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int64_t size_at(const char *format, ...)
{
	va_list arguments;
	struct fs_attributes a;
	char at[256];
	int r;

	va_start(arguments, format);
	(void)vsnprintf(at, sizeof(at), format, arguments);
	va_end(arguments);
	r = fs_calls_find(now.fs, FS_ROOT_INO, at, &a);
	if (r < 0)
		return -1;
	fs_forget(now.fs, a.ino, 1);
	ck_assert_uint_eq(a.uid, 0);
	return (int64_t)a.size_bytes;
}

static size_t count_objects(void)
{
	struct backend_result all;
	size_t n;

	ck_assert_int_eq(backend_list_wait(now.backend, "", NULL, 1000, &all), 0);
	n = all.n_entries;
	backend_result_done(&all);
	return n;
}

static bool is_there(void)
{
	return access(path, F_OK) == 0;
}

/* ---- tests */

/* Account 1 was changed behind the last segment; its tree comes whole, with what was shipped. */
START_TEST(test_changed_account)
{
	struct rescue_figures figures;
	struct fs_attributes a;
	char name[32], data[8];
	size_t before;

	depth = (unsigned int)_i;
	make_old();
	note_shipped();
	write_file(tops[1], "unshipped", 3000, 'u');
	ck_assert_int_eq(fs_setxattr(old.fs, tops[1], "user.mark", "yes", 3, 0), 0);
	set_aside();
	before = count_objects();
	ck_assert_int_eq(rescue(&figures), 0);
	ck_assert_uint_eq(figures.accounts, 1);
	ck_assert_uint_eq(figures.files, depth == 0 ? 16 : 6);
	ck_assert_uint_eq(figures.lost, 0);
	ck_assert_uint_eq(n_flushes, 1);
	ck_assert(!is_there());
	ck_assert_uint_eq(count_objects(), before);
	name_of(1, name);
	ck_assert_int_eq(size_at(".superseded/node-3/%s/unshipped", name), 3000);
	ck_assert_int_eq(size_at(".superseded/node-3/%s/u.4", name), 20000);
	ck_assert_int_gt(size_at(".superseded/node-3/%s", "COMPLETE"), 0);
	ck_assert_int_eq(size_at(".superseded/node-3/%s", "LOST"), -1);
	name_of(2, name);
	ck_assert_int_eq(size_at(".superseded/node-3/%s/u.4", name), depth == 0 ? 20000 : -1);
	ck_assert_int_eq(fs_calls_find(now.fs, FS_ROOT_INO, ".superseded", &a), 0);
	ck_assert_uint_eq(a.mode, S_IFDIR | 0700);
	fs_forget(now.fs, a.ino, 1);
	ck_assert_int_eq(fs_calls_find(now.fs, FS_ROOT_INO, ".superseded/node-3", &a), 0);
	ck_assert_uint_eq(a.mode, S_IFDIR | 0700);
	fs_forget(now.fs, a.ino, 1);
	name_of(1, name);
	snprintf(path, sizeof(path), ".superseded/node-3/%s/unshipped", name);
	ck_assert_int_eq(fs_calls_find(now.fs, FS_ROOT_INO, path, &a), 0);
	ck_assert_int_eq(fs_calls_read(now.fs, a.ino, 2990, data, 8), 8);
	ck_assert_int_eq(memcmp(data, "uuuuuuuu", 8), 0);
	fs_forget(now.fs, a.ino, 1);
}
END_TEST

START_TEST(test_nothing_to_do)
{
	struct rescue_figures figures;

	depth = 1;
	make_old();
	note_shipped();
	set_aside();
	ck_assert_int_eq(rescue(&figures), 0);
	ck_assert_uint_eq(figures.accounts, 0);
	ck_assert(!is_there());
	ck_assert_int_eq(size_at("%s", ".superseded"), -1);
}
END_TEST

/* No notes of what was shipped: all accounts, but for what cannot be had. */
START_TEST(test_unknown)
{
	struct rescue_figures figures;
	struct backend_result all;
	char name[32];

	depth = 1;
	make_old();
	set_aside();
	ck_assert_int_eq(backend_list_wait(now.backend, "accounts/", NULL, 1, &all), 0);
	ck_assert_int_eq(backend_remove_wait(now.backend, all.entries[0].key), 0);
	backend_result_done(&all);
	ck_assert_int_eq(rescue(&figures), 0);
	ck_assert_uint_eq(figures.accounts, 4); /* with the root account */
	ck_assert_uint_eq(figures.files + figures.lost, 15);
	ck_assert_uint_ge(figures.lost, 1);
	ck_assert_int_gt(size_at(".superseded/node-3/%s", "LOST"), 0);
	for (int i = 0; i < 3; i++) {
		name_of(i, name);
		ck_assert_int_ge(size_at(".superseded/node-3/%s", name), 0);
	}
	ck_assert(!is_there());
}
END_TEST

/* A store in trouble has not lost anything: what cannot be read now is had later. */
START_TEST(test_store_in_trouble)
{
	static const char *const rules[] = {"get:key=accounts/*:error=EIO",
		"get:key=accounts/*:error=EIO:times=1", "get:key=accounts/*:error=ETIMEDOUT"};
	struct fault_rules none = {0};
	struct rescue_figures figures;
	char name[32], *message;

	depth = 1;
	make_old();
	note_shipped();
	write_file(tops[1], "unshipped", 3000, 'u');
	set_aside();
	ck_assert_int_eq(fault_backend_new(now.backend, &none, &now.backend), 0);
	ck_assert_int_eq(fault_backend_set(now.backend, rules[_i], &message), 0);
	ck_assert_int_lt(rescue(&figures), 0);
	ck_assert_uint_gt(fault_backend_hits(now.backend, 0), 0);
	ck_assert_uint_eq(figures.lost, 0);
	ck_assert(is_there());
	ck_assert_int_eq(size_at(".superseded/node-3/%s", "COMPLETE"), -1);
	ck_assert_int_eq(fault_backend_set(now.backend, "", &message), 0);
	ck_assert_int_eq(rescue(&figures), 0);
	ck_assert_uint_eq(figures.lost, 0);
	name_of(1, name);
	ck_assert_int_eq(size_at(".superseded/node-3/%s/u.4", name), 20000);
	ck_assert(!is_there());
}
END_TEST

/* What failed half is begun anew; what was complete is not. */
START_TEST(test_again)
{
	struct rescue_figures figures;
	uint64_t top;
	char name[32];

	depth = (unsigned int)_i;
	make_old();
	note_shipped();
	write_file(tops[1], "unshipped", 3000, 'u');
	set_aside();
	top = node_fixture_mkdir(
		now.fs, node_fixture_mkdir(now.fs, FS_ROOT_INO, ".superseded"), "node-3");
	(void)node_fixture_create(now.fs, node_fixture_mkdir(now.fs, top, "half"), "left");
	flush_error = -EIO;
	ck_assert_int_eq(rescue(&figures), -EIO);
	ck_assert(is_there());
	ck_assert_int_eq(size_at(".superseded/node-3/%s", "half"), -1);
	name_of(1, name);
	ck_assert_int_eq(size_at(".superseded/node-3/%s/unshipped", name), 3000);
	/* Meanwhile somebody has merged a mail and removed it. */
	{
		struct fs_attributes a;
		char at[64];

		snprintf(at, sizeof(at), ".superseded/node-3/%s", name);
		ck_assert_int_eq(fs_calls_find(now.fs, FS_ROOT_INO, at, &a), 0);
		ck_assert_int_eq(fs_unlink(now.fs, a.ino, "unshipped"), 0);
		fs_forget(now.fs, a.ino, 1);
	}
	flush_error = 0;
	ck_assert_int_eq(rescue(&figures), 0);
	ck_assert_int_eq(size_at(".superseded/node-3/%s/unshipped", name), -1);
	ck_assert_int_eq(size_at(".superseded/node-3/%s/u.1", name), 20000);
	ck_assert(!is_there());
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("rescue");
	TCase *tc = tcase_create("rescue");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_changed_account, 0, 3);
	tcase_add_test(tc, test_nothing_to_do);
	tcase_add_test(tc, test_unknown);
	tcase_add_loop_test(tc, test_store_in_trouble, 0, 3);
	tcase_add_loop_test(tc, test_again, 0, 3);
	suite_add_tcase(suite, tc);
	return suite;
}
