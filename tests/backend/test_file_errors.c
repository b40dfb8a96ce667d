/*
 * test_file_errors.c: what is particular to files: directories that cannot be used, leftovers,
 * foreign files, names in the way.
 */
#include <config.h>
#include "battery.h"
#include "check_main.h"
#include "file_target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/file/file_backend.h"
#include "backends/probe.h"
#include "backends/registry.h"

static struct backend *backend;

static void set_up(void)
{
	backend = file_target.open();
}

static void tear_down(void)
{
	backend_free(backend);
	file_target.clean();
}

static const char *path_of(const char *name)
{
	static char path[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", file_target_path(), name);
	return path;
}

static void check_url(const char *url, int error, const char *expected)
{
	struct backend *b = NULL;
	char *message = NULL;

	ck_assert_int_eq(backend_open_url(url, NULL, &b, &message), error);
	ck_assert_ptr_null(b);
	ck_assert_ptr_nonnull(message);
	ck_assert_msg(strstr(message, expected) != NULL, "%s", message);
	free(message);
}

static void make_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	fclose(f);
}

START_TEST(test_bad_urls)
{
	check_url("", -EINVAL, "URL");
	check_url("/srv/mail", -EINVAL, "file:///srv/mail");
	check_url("file://srv/mail", -EINVAL, "three slashes");
	check_url("file:/srv/mail", -EINVAL, "understood");
	check_url("ftp://x/y", -EINVAL, "ftp://x/y");
	check_url("memory://", -EINVAL, "malformed");
	check_url("file:///no/such/directory", -ENOENT, "/no/such/directory does not exist");
}
END_TEST

START_TEST(test_good_urls)
{
	struct backend *b = NULL, *again = NULL;
	char url[2 * PATH_MAX + 8], *message = NULL;

	snprintf(url, sizeof(url), "file://%s", file_target_path());
	ck_assert_int_eq(battery_put(backend, "k", "x", NULL, NULL), 0);
	ck_assert_int_eq(backend_open_url(url, NULL, &b, &message), 0);
	battery_assert_is(b, "k", "x");
	backend_free(b);
	ck_assert_int_eq(backend_open_url("memory://m", NULL, &b, &message), 0);
	ck_assert_int_eq(backend_open_url("memory://m", NULL, &again, &message), 0);
	ck_assert_int_eq(battery_put(b, "k", "y", NULL, NULL), 0);
	battery_assert_is(again, "k", "y");
	backend_free(b);
	backend_free(again);
}
END_TEST

START_TEST(test_root_is_a_file)
{
	char url[2 * PATH_MAX + 8];

	make_file(path_of("plain"), "x");
	snprintf(url, sizeof(url), "file://%s", path_of("plain"));
	check_url(url, -ENOTDIR, "is not a directory");
}
END_TEST

/* Root may write everywhere: the test gives that up. */
START_TEST(test_unwritable_root)
{
	char url[2 * PATH_MAX + 8];

	ck_assert_int_eq(mkdir(path_of("closed"), 0555), 0);
	snprintf(url, sizeof(url), "file://%s", path_of("closed"));
	ck_assert_int_eq(chmod(file_target_path(), 0755), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	check_url(url, -EACCES, "cannot be written to by user");
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* A file system of 256 KiB of its own over the test's directory; false without the rights. */
static bool mount_small(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", file_target_path(), "tmpfs", 0, "size=256k") == 0;
}

START_TEST(test_full_and_read_only_file_system)
{
	static char content[100 << 10];
	struct iovec part = {content, sizeof(content)};
	struct backend_result result;
	struct backend *b;
	char url[2 * PATH_MAX + 8];
	int r = 0;

	if (!mount_small())
		return;
	b = file_target.open_again();
	for (int i = 0; i < 4 && r == 0; i++) {
		char key[] = {'k', (char)('0' + i), '\0'};

		r = backend_put_wait(b, key, &part, 1, NULL, &result);
	}
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_int_eq(backend_get_wait(b, "k0", 0, SIZE_MAX, &result), 0);
	ck_assert_uint_eq(result.data_size_bytes, sizeof(content));
	backend_result_done(&result);
	ck_assert_int_eq(backend_head_wait(b, "k3", &result), -ENOENT);
	backend_free(b);
	ck_assert_int_eq(mount(NULL, file_target_path(), NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	snprintf(url, sizeof(url), "file://%s", file_target_path());
	check_url(url, -EROFS, "read-only");
	ck_assert_int_eq(umount(file_target_path()), 0);
}
END_TEST

START_TEST(test_names_in_the_way)
{
	struct backend_condition if_absent = {.type = BACKEND_IF_ABSENT};
	struct backend_condition record = {.type = BACKEND_IF_ABSENT, .record = true};

	ck_assert_int_eq(battery_put(backend, "a/b", "x", NULL, NULL), 0);
	ck_assert_int_eq(battery_put(backend, "a", "x", NULL, NULL), -EISDIR);
	ck_assert_int_eq(battery_put(backend, "a", "x", &if_absent, NULL), -EISDIR);
	ck_assert_int_eq(battery_put(backend, "a", "x", &record, NULL), -EISDIR);
	ck_assert_int_eq(battery_put(backend, "a/b/c", "x", NULL, NULL), -ENOTDIR);
	battery_assert_is(backend, "a/b", "x");
}
END_TEST

START_TEST(test_swap_of_an_ordinary_object)
{
	struct backend_condition condition = {.type = BACKEND_IF_VERSION};
	struct backend_condition record = {.type = BACKEND_ALWAYS, .record = true};

	ck_assert_int_eq(battery_put(backend, "k", "x", NULL, &condition.version), 0);
	ck_assert_int_eq(battery_put(backend, "k", "y", &condition, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(battery_put(backend, "k", "y", &record, NULL), -EOPNOTSUPP);
	battery_assert_is(backend, "k", "x");
}
END_TEST

START_TEST(test_foreign_files_are_not_listed)
{
	struct backend_result result;

	make_file(path_of("not a key"), "x");
	make_file(path_of("+x"), "x");
	ck_assert_int_eq(symlink("k", path_of("link")), 0);
	ck_assert_int_eq(mkdir(path_of("lost+found"), 0700), 0);
	ck_assert_int_eq(mkdir(path_of("empty"), 0700), 0);
	ck_assert_int_eq(battery_put(backend, "k", "x", NULL, NULL), 0);
	ck_assert_int_eq(backend_list_wait(backend, "", NULL, 100, &result), 0);
	ck_assert_uint_eq(result.n_entries, 1);
	ck_assert_str_eq(result.entries[0].key, "k");
	backend_result_done(&result);
}
END_TEST

static void make_old(const char *path)
{
	struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

START_TEST(test_leftovers)
{
	struct backend *b;

	make_file(path_of(".tmp+/old"), "x");
	make_old(path_of(".tmp+/old"));
	make_file(path_of(".tmp+/young"), "x");
	ck_assert_int_eq(mkdir(path_of(".tmp+/record"), 0700), 0);
	ck_assert_int_eq(mkdir(path_of(".tmp+/record/+0123456789abcdef"), 0700), 0);
	make_file(path_of(".tmp+/record/+0123456789abcdef/0000000000000001"), "x");
	make_old(path_of(".tmp+/record"));
	b = file_target.open_again();
	ck_assert_int_lt(access(path_of(".tmp+/old"), F_OK), 0);
	ck_assert_int_eq(access(path_of(".tmp+/young"), F_OK), 0);
	ck_assert_int_lt(access(path_of(".tmp+/record"), F_OK), 0);
	backend_free(b);
}
END_TEST

/* Nothing is left in .tmp+ after all kinds of calls. */
START_TEST(test_no_leftovers)
{
	struct backend_condition condition = {.type = BACKEND_IF_ABSENT, .record = true};
	struct probe_result probe;
	char *message = NULL;

	ck_assert_int_eq(backend_probe(backend, &probe, &message), 0);
	ck_assert_int_eq(battery_put(backend, "r", "x", &condition, &condition.version), 0);
	ck_assert_int_eq(battery_put(backend, "r", "x", &condition, NULL), -EEXIST);
	condition.type = BACKEND_IF_VERSION;
	ck_assert_int_eq(battery_put(backend, "r", "y", &condition, NULL), 0);
	ck_assert_int_eq(battery_put(backend, "r", "z", &condition, NULL), -ESTALE);
	ck_assert_int_eq(backend_remove_wait(backend, "r"), 0);
	ck_assert_int_lt(access(path_of("r"), F_OK), 0);
	ck_assert_int_eq(rmdir(path_of(".tmp+")), 0); /* empty */
}
END_TEST

START_TEST(test_directory_removed_by_hand)
{
	ck_assert_int_eq(battery_put(backend, "a/b/c", "x", NULL, NULL), 0);
	ck_assert_int_eq(backend_remove_wait(backend, "a/b/c"), 0);
	ck_assert_int_eq(rmdir(path_of("a/b")), 0);
	ck_assert_int_eq(rmdir(path_of("a")), 0);
	ck_assert_int_eq(battery_put(backend, "a/b/c", "y", NULL, NULL), 0);
	battery_assert_is(backend, "a/b/c", "y");
}
END_TEST

/* More directories than stay open. */
START_TEST(test_many_directories)
{
	for (int i = 0; i < 600; i++) {
		char key[32];

		snprintf(key, sizeof(key), "d/%03d/k", i % 300);
		ck_assert_int_eq(battery_put(backend, key, key, NULL, NULL), 0);
		battery_assert_is(backend, key, key);
	}
}
END_TEST

START_TEST(test_old_generations_are_forgotten)
{
	struct backend_condition condition = {.type = BACKEND_IF_ABSENT, .record = true};
	char command[2 * PATH_MAX + 64];
	FILE *pipe;
	int n = 0;

	ck_assert_int_eq(battery_put(backend, "r", "x", &condition, &condition.version), 0);
	condition.type = BACKEND_IF_VERSION;
	for (int i = 0; i < 150; i++)
		ck_assert_int_eq(battery_put(backend, "r", "x", &condition, &condition.version), 0);
	snprintf(command, sizeof(command), "ls %s/+* | wc -l", path_of("r"));
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	ck_assert_int_eq(fscanf(pipe, "%d", &n), 1);
	pclose(pipe);
	ck_assert_int_le(n, 66);
	ck_assert_int_ge(n, 2);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("file_errors");
	TCase *tc = tcase_create("file_errors");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_bad_urls);
	tcase_add_test(tc, test_good_urls);
	tcase_add_test(tc, test_root_is_a_file);
	tcase_add_test(tc, test_unwritable_root);
	tcase_add_test(tc, test_full_and_read_only_file_system);
	tcase_add_test(tc, test_names_in_the_way);
	tcase_add_test(tc, test_swap_of_an_ordinary_object);
	tcase_add_test(tc, test_foreign_files_are_not_listed);
	tcase_add_test(tc, test_leftovers);
	tcase_add_test(tc, test_no_leftovers);
	tcase_add_test(tc, test_directory_removed_by_hand);
	tcase_add_test(tc, test_many_directories);
	tcase_add_test(tc, test_old_generations_are_forgotten);
	suite_add_tcase(suite, tc);
	return suite;
}
