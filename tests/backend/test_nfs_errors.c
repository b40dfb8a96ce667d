/*
 * test_nfs_errors.c: what is particular to an NFS server: exports that cannot be used, other
 * clients in the same tree, leftovers.
 */
#include <config.h>
#include "battery.h"
#include "check_main.h"
#include "nfs_target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include "backends/probe.h"
#include "backends/registry.h"
#include "util/clock.h"

static struct backend *backend;
static struct nfs_context *client;

static const struct backend_condition new_record = {.type = BACKEND_IF_ABSENT, .record = true};

static void set_up(void)
{
	backend = nfs_target.open();
	client = nfs_target_client();
}

static void tear_down(void)
{
	backend_free(backend);
	nfs_destroy_context(client);
	nfs_target.clean();
}

/* Opening must fail soon, with this error and these words. */
static void check_url(const char *url, const char *option, int error, const char *words)
{
	const char *options[] = {option, NULL};
	uint64_t begin_ms = clock_monotonic_ms();
	struct backend *b = NULL;
	char *message = NULL;

	ck_assert_int_eq(backend_open_url(url, options, &b, &message), error);
	ck_assert_ptr_null(b);
	ck_assert_ptr_nonnull(message);
	ck_assert_msg(strstr(message, words) != NULL, "%s", message);
	free(message);
	ck_assert_uint_lt(clock_monotonic_ms() - begin_ms, 20000);
}

/* The URL of the test's directory with another path or more arguments. */
static const char *changed_url(const char *more_path, const char *more_arguments)
{
	static char url[2 * PATH_MAX];
	const char *base = nfs_target_url();
	size_t path_end = strcspn(base, "?");

	snprintf(url, sizeof(url), "%.*s%s%s%s%s", (int)path_end, base, more_path, base + path_end,
		base[path_end] == '\0' ? "?" : "&", more_arguments);
	return url;
}

START_TEST(test_unusable)
{
	ck_assert_int_eq(battery_put(backend, "file", "x", NULL, NULL), 0);
	check_url(changed_url("", "version=4"), NULL, -EOPNOTSUPP, "only version 3");
	check_url(changed_url("", "nfsport=1"), NULL, -EHOSTUNREACH, "at port 1:");
	check_url(changed_url("", "mountport=1"), NULL, -EHOSTUNREACH, "the mount service");
	check_url(changed_url("", "version=3"), "nfs_wsize=1", -EINVAL, "nfs_uid");
	check_url("nfs://no-such-host.invalid/x", NULL, -EHOSTUNREACH, "no-such-host.invalid");
	check_url("nfs://server", NULL, -EINVAL, "path");
}
END_TEST

/* Some servers say that there is none, others (NFS-Ganesha) that it is not allowed. */
START_TEST(test_no_such_directory)
{
	struct backend *b = NULL;
	char *message = NULL;
	int r = backend_open_url(changed_url("/no/such", "version=3"), NULL, &b, &message);

	ck_assert(r == -ENOENT || r == -EACCES);
	ck_assert_ptr_nonnull(message);
	ck_assert(strstr(message, "/no/such") != NULL && strstr(message, "directory") != NULL);
	free(message);
}
END_TEST

START_TEST(test_not_allowed)
{
	ck_assert_int_eq(nfs_chmod(client, nfs_target_path(""), 0700), 0);
	check_url(changed_url("", "version=3"), "nfs_uid=12345", -EACCES, "nfs_uid");
}
END_TEST

START_TEST(test_means_its_promises)
{
	struct probe_result result;
	char *message = NULL;

	ck_assert_int_eq(backend_probe(backend, &result, &message), 0);
	ck_assert(result.put_if_absent);
	ck_assert(result.compare_and_swap);
	ck_assert_ptr_null(message);
}
END_TEST

/* Handles of directories are kept; another client removes the directories. */
START_TEST(test_directories_removed_by_another)
{
	struct backend_result result;

	ck_assert_int_eq(battery_put(backend, "a/b/c", "one", NULL, NULL), 0);
	ck_assert_int_eq(battery_put(backend, "a/b/r", "two", &new_record, NULL), 0);
	nfs_target_remove(client, nfs_target_path("a"));
	ck_assert_int_eq(backend_get_wait(backend, "a/b/c", 0, 10, &result), -ENOENT);
	ck_assert_int_eq(backend_remove_wait(backend, "a/b/c"), 0);
	ck_assert_int_eq(battery_put(backend, "a/b/c", "again", NULL, NULL), 0);
	battery_assert_is(backend, "a/b/c", "again");
	nfs_target_remove(client, nfs_target_path("a"));
	ck_assert_int_eq(battery_put(backend, "a/b/r", "three", &new_record, NULL), 0);
	battery_assert_is(backend, "a/b/r", "three");
	ck_assert_int_eq(backend_list_wait(backend, "a/", NULL, 10, &result), 0);
	ck_assert_uint_eq(result.n_entries, 1);
	backend_result_done(&result);
}
END_TEST

/* Removed and made again between two calls: the old handle must not be believed. */
START_TEST(test_directory_made_again_by_another)
{
	struct backend *other = nfs_target.open_again();

	ck_assert_int_eq(battery_put(backend, "d/k", "old", NULL, NULL), 0);
	nfs_target_remove(client, nfs_target_path("d"));
	ck_assert_int_eq(battery_put(other, "d/k", "new", NULL, NULL), 0);
	battery_assert_is(backend, "d/k", "new");
	nfs_target_remove(client, nfs_target_path("d"));
	ck_assert_int_eq(battery_put(other, "d/k", "newer", NULL, NULL), 0);
	ck_assert_int_eq(backend_remove_wait(backend, "d/k"), 0);
	nfs_target_remove(client, nfs_target_path(".tmp+"));
	ck_assert_int_eq(battery_put(backend, "d/k", "newest", NULL, NULL), 0);
	battery_assert_is(other, "d/k", "newest");
	backend_free(other);
}
END_TEST

static void touch(const char *path, int64_t age_s)
{
	struct timeval times[2] = {{.tv_sec = clock_realtime_ms() / 1000 - age_s}, {.tv_sec = 0}};

	times[1] = times[0];
	ck_assert_int_eq(nfs_utimes(client, path, times), 0);
}

static void make_file(const char *path)
{
	struct nfsfh *file;

	ck_assert_int_eq(nfs_creat(client, path, 0600, &file), 0);
	ck_assert_int_eq(nfs_close(client, file), 0);
}

static bool exists(const char *path)
{
	struct nfs_stat_64 st;

	return nfs_lstat64(client, path, &st) == 0;
}

START_TEST(test_leftovers)
{
	make_file(nfs_target_path(".tmp+/old"));
	touch(nfs_target_path(".tmp+/old"), 7200);
	make_file(nfs_target_path(".tmp+/young"));
	ck_assert_int_eq(nfs_mkdir(client, nfs_target_path(".tmp+/record")), 0);
	ck_assert_int_eq(nfs_mkdir(client, nfs_target_path(".tmp+/record/+0123456789abcdef")), 0);
	make_file(nfs_target_path(".tmp+/record/+0123456789abcdef/0000000000000001"));
	touch(nfs_target_path(".tmp+/record"), 7200);
	backend_free(backend);
	backend = nfs_target.open_again();
	backend_shutdown(backend);
	ck_assert(!exists(nfs_target_path(".tmp+/old")));
	ck_assert(!exists(nfs_target_path(".tmp+/record")));
	ck_assert(exists(nfs_target_path(".tmp+/young")));
}
END_TEST

static size_t count_entries(const char *path)
{
	struct nfsdir *dir;
	size_t n = 0;

	ck_assert_int_eq(nfs_opendir(client, path, &dir), 0);
	while (nfs_readdir(client, dir) != NULL)
		n++;
	nfs_closedir(client, dir);
	return n;
}

START_TEST(test_nothing_is_left)
{
	struct backend_version version;
	struct backend_condition swap = {.type = BACKEND_IF_VERSION};
	static const struct backend_condition if_absent = {.type = BACKEND_IF_ABSENT};

	ck_assert_int_eq(battery_put(backend, "k", "1", NULL, NULL), 0);
	ck_assert_int_eq(battery_put(backend, "k", "2", NULL, NULL), 0);
	ck_assert_int_eq(battery_put(backend, "k", "3", &if_absent, NULL), -EEXIST);
	ck_assert_int_eq(battery_put(backend, "r", "1", &new_record, &version), 0);
	for (int i = 0; i < 100; i++) {
		swap.version = version;
		ck_assert_int_eq(battery_put(backend, "r", "x", &swap, &version), 0);
	}
	ck_assert_int_eq(battery_put(backend, "r", "4", &new_record, NULL), -EEXIST);
	ck_assert_int_eq(battery_put(backend, "s", "1", &new_record, NULL), 0);
	ck_assert_int_eq(backend_remove_wait(backend, "s"), 0);
	backend_shutdown(backend);
	ck_assert_uint_eq(count_entries(nfs_target_path(".tmp+")), 2); /* . and .. */
	ck_assert_uint_eq(count_entries(nfs_target_path("")), 5);      /* .tmp+ k r */
}
END_TEST

/* Foreign things among the objects are nobody's objects, and do no harm. */
START_TEST(test_foreign_files)
{
	struct backend_result result;

	ck_assert_int_eq(battery_put(backend, "a/k", "x", NULL, NULL), 0);
	make_file(nfs_target_path("a/with blank"));
	make_file(nfs_target_path("a/.nfs0000000000000001"));
	ck_assert_int_eq(nfs_symlink(client, "k", nfs_target_path("a/link")), 0);
	ck_assert_int_eq(backend_list_wait(backend, "", NULL, 10, &result), 0);
	ck_assert_uint_eq(result.n_entries, 1);
	ck_assert_str_eq(result.entries[0].key, "a/k");
	backend_result_done(&result);
	ck_assert_int_eq(backend_get_wait(backend, "a/link", 0, 1, &result), -ELOOP);
	ck_assert_int_eq(battery_put(backend, "a", "x", NULL, NULL), -EISDIR);
	ck_assert_int_eq(battery_put(backend, "a/k/below", "x", NULL, NULL), -ENOTDIR);
}
END_TEST

/* A listing goes down one directory for each '/', on the small stack of a coroutine. */
START_TEST(test_deepest_key)
{
	char key[BACKEND_KEY_MAX_BYTES + 1];
	struct backend_result result;

	for (size_t i = 0; i + 1 < sizeof(key); i++)
		key[i] = i % 2 == 0 ? 'd' : '/';
	key[sizeof(key) - 2] = '\0'; /* 511 bytes end with a name */
	ck_assert_int_eq(battery_put(backend, key, "deep", NULL, NULL), 0);
	battery_assert_is(backend, key, "deep");
	ck_assert_int_eq(backend_list_wait(backend, "", NULL, 10, &result), 0);
	ck_assert_uint_eq(result.n_entries, 1);
	ck_assert_str_eq(result.entries[0].key, key);
	backend_result_done(&result);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("nfs_errors");
	TCase *tc = tcase_create("nfs_errors");

	nfs_target_require();
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_unusable);
	tcase_add_test(tc, test_no_such_directory);
	tcase_add_test(tc, test_not_allowed);
	tcase_add_test(tc, test_means_its_promises);
	tcase_add_test(tc, test_directories_removed_by_another);
	tcase_add_test(tc, test_directory_made_again_by_another);
	tcase_add_test(tc, test_leftovers);
	tcase_add_test(tc, test_nothing_is_left);
	tcase_add_test(tc, test_foreign_files);
	tcase_add_test(tc, test_deepest_key);
	suite_add_tcase(suite, tc);
	return suite;
}
