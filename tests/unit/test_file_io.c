#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/cleanup.h"
#include "util/file_io.h"

static char directory[PATH_MAX];

static void set_up(void)
{
	const char *parent = getenv("TMPDIR");

	snprintf(directory, sizeof(directory), "%s/mailfs-test-XXXXXX",
		parent != NULL ? parent : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void tear_down(void)
{
	(void)nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *path_of(const char *name)
{
	static char path[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void assert_content(const char *name, const char *expected)
{
	CLEANUP_FREE char *text = NULL;
	size_t size = 0;

	ck_assert_int_eq(file_io_read_file(path_of(name), 1000, &text, &size), 0);
	ck_assert_uint_eq(size, strlen(expected));
	ck_assert_str_eq(text, expected);
}

START_TEST(test_write_and_read)
{
	struct iovec parts[] = {{(char[]){"abc"}, 3}, {NULL, 0}, {(char[]){"defg"}, 4}};
	CLEANUP_CLOSE int fd = open(path_of("f"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char text[16];

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(file_io_write_all(fd, parts, 3), 0);
	assert_content("f", "abcdefg");
	ck_assert_int_eq(file_io_read_at(fd, text, 3, 2), 3);
	ck_assert_mem_eq(text, "cde", 3);
	ck_assert_int_eq(file_io_read_at(fd, text, 10, 5), 2);
	ck_assert_int_eq(file_io_read_at(fd, text, 10, 100), 0);
}
END_TEST

START_TEST(test_errors)
{
	struct iovec part = {(char[]){"abc"}, 3};
	CLEANUP_CLOSE int read_only = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CLEANUP_CLOSE int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	char *text = NULL, byte;
	size_t size;

	ck_assert_int_eq(file_io_write_all(read_only, &part, 1), -EBADF);
	ck_assert_int_eq(file_io_write_all(full, &part, 1), -ENOSPC);
	ck_assert_int_eq(file_io_read_at(full, &byte, 1, 0), -EBADF);
	ck_assert_int_eq(file_io_read_file(path_of("absent"), 10, &text, &size), -ENOENT);
	ck_assert_int_eq(file_io_replace_file(path_of("f"), "12345", 5, 0600), 0);
	ck_assert_int_eq(file_io_read_file(path_of("f"), 4, &text, &size), -EFBIG);
	ck_assert_ptr_null(text);
	ck_assert_int_eq(file_io_sync_directory(path_of("absent")), -ENOENT);
}
END_TEST

START_TEST(test_replace)
{
	struct stat st;

	ck_assert_int_eq(file_io_replace_file(path_of("f"), "one", 3, 0640), 0);
	assert_content("f", "one");
	ck_assert_int_eq(file_io_replace_file(path_of("f"), "twotwo", 6, 0640), 0);
	assert_content("f", "twotwo");
	ck_assert_int_eq(stat(path_of("f"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0137, 0);
	ck_assert_int_eq(access(path_of("f.new"), F_OK), -1);
	ck_assert_int_eq(file_io_replace_file(path_of("no/f"), "x", 1, 0600), -ENOENT);
	ck_assert_int_eq(mkdir(path_of("d"), 0700), 0);
	ck_assert_int_eq(file_io_replace_file(path_of("d"), "x", 1, 0600), -EISDIR);
	ck_assert_int_eq(access(path_of("d.new"), F_OK), -1);
}
END_TEST

START_TEST(test_make_directories)
{
	struct stat st;

	ck_assert_int_eq(file_io_make_directories(path_of("a/b/c"), 0700), 0);
	ck_assert_int_eq(file_io_make_directories(path_of("a/b/c"), 0700), 0);
	ck_assert_int_eq(stat(path_of("a/b/c"), &st), 0);
	ck_assert(S_ISDIR(st.st_mode));
	ck_assert_int_eq(file_io_sync_directory(path_of("a/b")), 0);
	ck_assert_int_eq(file_io_replace_file(path_of("f"), "x", 1, 0600), 0);
	ck_assert_int_eq(file_io_make_directories(path_of("f"), 0700), -ENOTDIR);
	ck_assert_int_eq(file_io_make_directories(path_of("f/d"), 0700), -ENOTDIR);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("file_io");
	TCase *tc = tcase_create("file_io");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_write_and_read);
	tcase_add_test(tc, test_errors);
	tcase_add_test(tc, test_replace);
	tcase_add_test(tc, test_make_directories);
	suite_add_tcase(suite, tc);
	return suite;
}
