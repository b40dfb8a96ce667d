/* Reading directories, also while they change. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static DIR *open_dir(const char *path)
{
	DIR *dir = opendir(path);
	if (dir == NULL)
		FAIL("opendir %s: %m", path);
	return dir;
}

static void make_files(unsigned int from, unsigned int to)
{
	char name[32];
	for (unsigned int i = from; i < to; i++) {
		snprintf(name, sizeof(name), "d/f%06u", i);
		OK(close(OK(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644))));
	}
}

/* Number in a name made by make_files, -1 for any other. */
static long number_of(const char *name)
{
	return name[0] == 'f' && strlen(name) == 7 ? strtol(name + 1, NULL, 10) : -1;
}

/* Reads on from where dir is, counts each numbered name in seen[]. */
static void scan(DIR *dir, uint8_t *seen, unsigned int count)
{
	errno = 0;
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		long n = number_of(e->d_name);
		if (n >= 0 && n < (long)count)
			seen[n]++;
		errno = 0;
	}
	EQ(errno, 0);
}

static void expect_each_once(const uint8_t *seen, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++) {
		if (seen[i] != 1)
			FAIL("f%06u was listed %u times", i, seen[i]);
	}
}

static void complete(unsigned int count)
{
	uint8_t *seen = kit_alloc(count);
	kit_mkdir("d", 0755);
	make_files(0, count);
	DIR *dir = open_dir("d");
	scan(dir, seen, count);
	closedir(dir);
	expect_each_once(seen, 0, count);
	EQ(kit_count_names("d"), count);
}

static void ten_thousand_entries(void)
{
	complete(10000);
}

static void hundred_thousand_entries(void)
{
	complete(100000);
}

static void empty_directory(void)
{
	kit_mkdir("d", 0755);
	EQ(kit_count_names("d"), 0);
	make_files(0, 1);
	EQ(kit_count_names("d"), 1);
	OK(unlink("d/f000000"));
	EQ(kit_count_names("d"), 0);
}

static void dot_and_dotdot(void)
{
	int dots = 0;
	kit_mkdir("d", 0755);
	DIR *dir = open_dir("d");
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		if (strcmp(e->d_name, ".") == 0)
			EQ(e->d_ino, kit_ino("d"));
		else if (strcmp(e->d_name, "..") == 0)
			EQ(e->d_ino, kit_ino("."));
		else
			FAIL("there is %s", e->d_name);
		EQ(e->d_type, DT_DIR);
		dots++;
	}
	EQ(dots, 2);
	closedir(dir);
}

static void types_and_inode_numbers(void)
{
	kit_file("file", "x");
	kit_mkdir("dir", 0755);
	OK(mkfifo("fifo", 0644));
	OK(symlink("x", "link"));
	OK(mknod("sock", S_IFSOCK | 0644, 0));
	OK(link("file", "hard"));
	DIR *dir = open_dir(".");
	int count = 0;
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		if (e->d_name[0] == '.')
			continue;
		struct stat st = kit_lstat(e->d_name);
		EQ(e->d_ino, st.st_ino);
		if (e->d_type != DT_UNKNOWN)
			EQ(e->d_type, IFTODT(st.st_mode));
		count++;
	}
	EQ(count, 6);
	closedir(dir);
}

/* getdents64 with this buffer; counts names into seen. */
static void scan_raw(const char *path, size_t buffer_size, uint8_t *seen, unsigned int count)
{
	uint64_t *buffer = kit_alloc(buffer_size); /* aligned for the records */
	int fd = OK(open(path, O_RDONLY | O_DIRECTORY));
	long n;
	while ((n = syscall(SYS_getdents64, fd, buffer, buffer_size)) > 0) {
		for (long at = 0; at < n;) {
			struct dirent64 *e = (void *)((char *)buffer + at);
			CHECK(e->d_reclen % 8 == 0 && e->d_reclen > 0);
			long number = number_of(e->d_name);
			if (number >= 0 && number < (long)count)
				seen[number]++;
			at += e->d_reclen;
		}
	}
	if (n < 0)
		FAIL("getdents64: %m");
	OK(close(fd));
	free(buffer);
}

static void buffers_of_all_sizes(void)
{
	static const size_t sizes[] = {32, 64, 100, 280, 1000, 4096, 32768};
	uint8_t *seen = kit_alloc(500);
	kit_mkdir("d", 0755);
	make_files(0, 500);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		memset(seen, 0, 500);
		scan_raw("d", sizes[i], seen, 500);
		expect_each_once(seen, 0, 500);
	}
}

static void buffer_too_small_is_einval(void)
{
	char name[256], buffer[64];
	memset(name, 'n', 255);
	name[255] = '\0';
	kit_mkdir("d", 0755);
	OK(chdir("d"));
	kit_file(name, "");
	int fd = OK(open(".", O_RDONLY | O_DIRECTORY));
	long n = 1;
	for (int i = 0; i < 3 && n > 0; i++)
		n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
	CHECK(n == -1 && errno == EINVAL);
}

static void rewinddir_sees_changes(void)
{
	uint8_t seen[200] = {0};
	kit_mkdir("d", 0755);
	make_files(0, 100);
	DIR *dir = open_dir("d");
	scan(dir, seen, 200);
	expect_each_once(seen, 0, 100);
	make_files(100, 200);
	OK(unlink("d/f000000"));
	memset(seen, 0, sizeof(seen));
	rewinddir(dir);
	scan(dir, seen, 200);
	expect_each_once(seen, 1, 200);
	EQ(seen[0], 0);
	closedir(dir);
}

static void seekdir_returns_to_the_place(void)
{
	enum { COUNT = 2000 };
	static long places[COUNT];
	static char names[COUNT][16];
	int n = 0;
	kit_mkdir("d", 0755);
	make_files(0, COUNT - 2);
	DIR *dir = open_dir("d");
	for (; n < COUNT; n++) {
		places[n] = telldir(dir);
		struct dirent *e = readdir(dir);
		CHECK(e != NULL);
		snprintf(names[n], sizeof(names[n]), "%.15s", e->d_name);
	}
	CHECK(readdir(dir) == NULL);
	uint64_t random = 1;
	for (int i = 0; i < 500; i++) {
		int k = (int)kit_random_below(&random, COUNT);
		seekdir(dir, places[k]);
		struct dirent *e = readdir(dir);
		CHECK(e != NULL);
		EQ_STR(e->d_name, names[k]);
	}
	closedir(dir);
}

/* Every entry that is there during the whole scan must appear exactly once. */
static void changes_during_scan(size_t buffer_hint)
{
	enum { COUNT = 3000 };
	static uint8_t seen[COUNT];
	char from[32], to[32];
	unsigned int steps = 0;
	kit_mkdir("d", 0755);
	make_files(0, COUNT);
	uint64_t *buffer = kit_alloc(buffer_hint);
	int fd = OK(open("d", O_RDONLY | O_DIRECTORY));
	long n;
	while ((n = syscall(SYS_getdents64, fd, buffer, buffer_hint)) > 0) {
		for (long at = 0; at < n;) {
			struct dirent64 *e = (void *)((char *)buffer + at);
			long number = number_of(e->d_name);
			if (number >= 0)
				seen[number]++;
			at += e->d_reclen;
		}
		if (steps++ >= COUNT / 3)
			continue;
		snprintf(from, sizeof(from), "d/f%06u", steps * 3); /* every third one may go */
		OK(unlink(from));
		snprintf(to, sizeof(to), "d/new%u", steps);
		kit_file(to, "");
		snprintf(from, sizeof(from), "d/a%u", steps);
		OK(rename(to, from));
	}
	CHECK(n == 0);
	for (unsigned int i = 0; i < COUNT; i++) {
		if (i % 3 == 0 ? seen[i] > 1 : seen[i] != 1)
			FAIL("f%06u was listed %u times", i, seen[i]);
	}
}

static void changes_during_scan_large_buffer(void)
{
	changes_during_scan(32768);
}

static void changes_during_scan_small_buffer(void)
{
	changes_during_scan(256);
}

static void removing_what_is_read(void)
{
	char name[300];
	uint8_t *seen = kit_alloc(5000);
	kit_mkdir("d", 0755);
	make_files(0, 5000);
	DIR *dir = open_dir("d");
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		long n = number_of(e->d_name);
		if (n < 0)
			continue;
		seen[n]++;
		snprintf(name, sizeof(name), "d/%s", e->d_name);
		OK(unlink(name));
	}
	closedir(dir);
	expect_each_once(seen, 0, 5000);
	EQ(kit_count_names("d"), 0);
	OK(rmdir("d"));
}

/* What Dovecot does at SELECT: each entry is renamed to another directory while it is read. */
static void moving_what_is_read(void)
{
	char from[300], to[300];
	unsigned int moved = 0;
	kit_mkdir("d", 0755);
	kit_mkdir("cur", 0755);
	make_files(0, 2000);
	DIR *dir = open_dir("d");
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		if (number_of(e->d_name) < 0)
			continue;
		snprintf(from, sizeof(from), "d/%s", e->d_name);
		snprintf(to, sizeof(to), "cur/%s:2,", e->d_name);
		OK(rename(from, to));
		moved++;
	}
	closedir(dir);
	EQ(moved, 2000);
	EQ(kit_count_names("cur"), 2000);
	EQ(kit_count_names("d"), 0);
}

static struct kit_shared *churn_state;

static void churn(void *arg)
{
	char name[32];
	(void)arg;
	for (unsigned int i = 0; kit_read_flag(&churn_state->stop) == 0; i++) {
		snprintf(name, sizeof(name), "d/x%u", i % 50);
		OK(close(OK(open(name, O_WRONLY | O_CREAT, 0644))));
		snprintf(name, sizeof(name), "d/x%u", (i + 25) % 50);
		unlink(name);
	}
}

static void changes_by_other_process(void)
{
	enum { COUNT = 1000 };
	static uint8_t seen[COUNT];
	churn_state = kit_shared_new();
	kit_mkdir("d", 0755);
	make_files(0, COUNT);
	pid_t pid = kit_fork(churn, NULL);
	for (int round = 0; round < 30; round++) {
		memset(seen, 0, sizeof(seen));
		scan_raw("d", round % 2 == 0 ? 512 : 32768, seen, COUNT);
		expect_each_once(seen, 0, COUNT);
	}
	kit_raise(&churn_state->stop);
	kit_join(pid);
}

static void two_streams_are_independent(void)
{
	uint8_t a[300] = {0}, b[300] = {0};
	kit_mkdir("d", 0755);
	make_files(0, 300);
	DIR *one = open_dir("d"), *two = open_dir("d");
	for (int i = 0; i < 50; i++) {
		struct dirent *e = readdir(one);
		if (number_of(e->d_name) >= 0)
			a[number_of(e->d_name)]++;
	}
	scan(two, b, 300);
	scan(one, a, 300);
	expect_each_once(a, 0, 300);
	expect_each_once(b, 0, 300);
	closedir(one);
	closedir(two);
}

static void new_names_are_listed_at_once(void)
{
	char name[32];
	kit_mkdir("d", 0755);
	for (unsigned int i = 1; i <= 200; i++) {
		snprintf(name, sizeof(name), "d/n%u", i);
		kit_file(name, "");
		EQ(kit_count_names("d"), i);
	}
	for (unsigned int i = 200; i >= 1; i--) {
		snprintf(name, sizeof(name), "d/n%u", i);
		OK(unlink(name));
		EQ(kit_count_names("d"), i - 1);
	}
}

static const struct test_case cases[] = {
	CASE(empty_directory),
	CASE(dot_and_dotdot),
	CASE(types_and_inode_numbers),
	CASE(buffers_of_all_sizes),
	CASE(buffer_too_small_is_einval),
	CASE_SLOW(ten_thousand_entries, 120),
	CASE_ASKED(hundred_thousand_entries, 900),
	CASE(rewinddir_sees_changes),
	CASE(seekdir_returns_to_the_place),
	CASE(changes_during_scan_large_buffer),
	CASE(changes_during_scan_small_buffer),
	CASE(removing_what_is_read),
	CASE(moving_what_is_read),
	CASE(changes_by_other_process),
	CASE(two_streams_are_independent),
	CASE(new_names_are_listed_at_once),
};
DEFINE_GROUP(readdir);
