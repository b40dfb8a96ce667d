/* Reading directories. */
#include <config.h>

#include "groups.h"
#include "kit.h"
#include "listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Reads on from where dir is, counts each numbered name in seen[]. */
static void scan(DIR *dir, uint8_t *seen, unsigned int count)
{
	errno = 0;
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		long n = listing_number(e->d_name);
		if (n >= 0 && n < (long)count)
			seen[n]++;
		errno = 0;
	}
	EQ(errno, 0);
}

static void complete(unsigned int count)
{
	uint8_t *seen = kit_alloc(count);
	kit_mkdir("d", 0755);
	listing_make_files(0, count);
	DIR *dir = listing_open("d");
	scan(dir, seen, count);
	closedir(dir);
	listing_expect_each_once(seen, 0, count);
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
	listing_make_files(0, 1);
	EQ(kit_count_names("d"), 1);
	OK(unlink("d/f000000"));
	EQ(kit_count_names("d"), 0);
}

static void dot_and_dotdot(void)
{
	int dots = 0;
	kit_mkdir("d", 0755);
	DIR *dir = listing_open("d");
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
	DIR *dir = listing_open(".");
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

static void buffers_of_all_sizes(void)
{
	static const size_t sizes[] = {32, 64, 100, 280, 1000, 4096, 32768};
	uint8_t *seen = kit_alloc(500);
	kit_mkdir("d", 0755);
	listing_make_files(0, 500);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		memset(seen, 0, 500);
		listing_scan_raw("d", sizes[i], seen, 500);
		listing_expect_each_once(seen, 0, 500);
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
	listing_make_files(0, 100);
	DIR *dir = listing_open("d");
	scan(dir, seen, 200);
	listing_expect_each_once(seen, 0, 100);
	listing_make_files(100, 200);
	OK(unlink("d/f000000"));
	memset(seen, 0, sizeof(seen));
	rewinddir(dir);
	scan(dir, seen, 200);
	listing_expect_each_once(seen, 1, 200);
	EQ(seen[0], 0);
	closedir(dir);
}

static const char *next_name(DIR *dir)
{
	struct dirent *e = readdir(dir);
	CHECK(e != NULL);
	return e != NULL ? e->d_name : "";
}

static void seekdir_returns_to_the_place(void)
{
	enum { COUNT = 2000 };
	static long places[COUNT];
	static char names[COUNT][16];
	int n = 0;
	kit_mkdir("d", 0755);
	listing_make_files(0, COUNT - 2);
	DIR *dir = listing_open("d");
	for (; n < COUNT; n++) {
		places[n] = telldir(dir);
		snprintf(names[n], sizeof(names[n]), "%.15s", next_name(dir));
	}
	CHECK(readdir(dir) == NULL);
	uint64_t random = 1;
	for (int i = 0; i < 500; i++) {
		int k = (int)kit_random_below(&random, COUNT);
		seekdir(dir, places[k]);
		EQ_STR(next_name(dir), names[k]);
	}
	closedir(dir);
}

static void two_streams_are_independent(void)
{
	uint8_t a[300] = {0}, b[300] = {0};
	kit_mkdir("d", 0755);
	listing_make_files(0, 300);
	DIR *one = listing_open("d"), *two = listing_open("d");
	for (int i = 0; i < 50; i++) {
		struct dirent *e = readdir(one);
		if (listing_number(e->d_name) >= 0)
			a[listing_number(e->d_name)]++;
	}
	scan(two, b, 300);
	scan(one, a, 300);
	listing_expect_each_once(a, 0, 300);
	listing_expect_each_once(b, 0, 300);
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
	CASE(two_streams_are_independent),
	CASE(new_names_are_listed_at_once),
};
DEFINE_GROUP(readdir);
