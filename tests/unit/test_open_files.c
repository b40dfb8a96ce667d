#include <config.h>
#include "check_main.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/open_files.h"

static char directory[] = "/tmp/mailfs-open-XXXXXX";
static char path[64];
static struct stat st;

static void set_up(void)
{
	int fd;

	strcpy(directory, "/tmp/mailfs-open-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/file", directory);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	close(fd);
	ck_assert_int_eq(stat(path, &st), 0);
}

static void clean_up(void)
{
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}

/* In a child that does this until its standard input ends. */
static pid_t child(void (*take)(void), int *ret_fd)
{
	int pipes[2], ready[2];
	char c;
	pid_t pid;

	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(pipes[1]);
		take();
		(void)!write(ready[1], "", 1);
		(void)!read(pipes[0], &c, 1);
		_exit(0);
	}
	close(pipes[0]);
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	*ret_fd = pipes[1];
	return pid;
}

static void end(pid_t pid, int fd)
{
	close(fd);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

static char *who(uint64_t first, uint64_t last)
{
	struct open_files *files;
	char *text;

	ck_assert_int_eq(open_files_scan(major(st.st_dev), minor(st.st_dev), &files), 0);
	text = open_files_text(files, first, last);
	open_files_free(files);
	return text;
}

static void check_found(void (*take)(void), uint64_t ino)
{
	char expected[32], *text;
	int fd;
	pid_t pid = child(take, &fd);

	snprintf(expected, sizeof(expected), "(pid %d)", (int)pid);
	text = who(ino, ino);
	ck_assert_msg(text != NULL && strstr(text, expected) != NULL, "%s in %s", expected,
		text != NULL ? text : "nothing");
	free(text);
	ck_assert_ptr_null(who(ino + 1000000, ino + 2000000));
	end(pid, fd);
	ck_assert_ptr_null(who(ino, ino));
}

static void take_descriptor(void)
{
	(void)!open(path, O_RDONLY);
}

static void take_mapping(void)
{
	int fd = open(path, O_RDONLY);

	(void)!mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
}

static void take_directory(void)
{
	(void)!chdir(directory);
}

START_TEST(test_descriptor)
{
	check_found(take_descriptor, st.st_ino);
}
END_TEST

START_TEST(test_mapping)
{
	check_found(take_mapping, st.st_ino);
}
END_TEST

START_TEST(test_working_directory)
{
	ck_assert_int_eq(stat(directory, &st), 0);
	check_found(take_directory, st.st_ino);
}
END_TEST

/* This process does not count. */
START_TEST(test_not_itself)
{
	int fd = open(path, O_RDONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_ptr_null(who(st.st_ino, st.st_ino));
	close(fd);
}
END_TEST

START_TEST(test_text)
{
	struct open_files *files = open_files_new();
	char *text;

	ck_assert_ptr_nonnull(files);
	for (pid_t pid = 1; pid <= 8; pid++) {
		ck_assert_int_eq(open_files_add(files, pid + 4000000, 7), 0);
		ck_assert_int_eq(open_files_add(files, pid + 4000000, 7), 0);
		ck_assert_int_eq(open_files_add(files, pid + 4000000, 8), 0);
	}
	text = open_files_text(files, 5, 8);
	ck_assert_ptr_nonnull(strstr(text, "(pid 4000001), "));
	ck_assert_ptr_nonnull(strstr(text, "(pid 4000005) and 3 more"));
	free(text);
	ck_assert_ptr_null(open_files_text(files, 9, 10));
	open_files_free(files);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("open_files");
	TCase *tc = tcase_create("open_files");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, clean_up);
	tcase_add_test(tc, test_descriptor);
	tcase_add_test(tc, test_mapping);
	tcase_add_test(tc, test_working_directory);
	tcase_add_test(tc, test_not_itself);
	tcase_add_test(tc, test_text);
	suite_add_tcase(suite, tc);
	return suite;
}
