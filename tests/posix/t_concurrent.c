/* Several processes at once: counts stay right, and no reader sees a gap. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROCESSES 8
#define ROUNDS 150

static struct kit_shared *shared;

static void link_and_unlink(unsigned int index)
{
	char name[32];
	for (unsigned int i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof(name), "l%u.%u", index, i);
		OK(link("file", name));
		CHECK(kit_nlink("file") >= 2);
		if (i % 3 != 0)
			OK(unlink(name));
	}
}

static void link_count_is_right_after_all(void)
{
	kit_file("file", "x");
	kit_race(PROCESSES, link_and_unlink);
	EQ(kit_nlink("file"), 1 + PROCESSES * (ROUNDS / 3));
	EQ(kit_count_names("."), 1 + PROCESSES * (ROUNDS / 3));
}

/* Any of these may fail, but only with errors that another process's change explains. */
static void mixed_changes(unsigned int index)
{
	uint64_t random = index;
	char a[16], b[16];
	for (unsigned int i = 0; i < 600; i++) {
		snprintf(a, sizeof(a), "n%u", (unsigned int)kit_random_below(&random, 6));
		snprintf(b, sizeof(b), "n%u", (unsigned int)kit_random_below(&random, 6));
		errno = 0;
		int r = 0, fd;
		switch (kit_random_below(&random, 5)) {
		case 0:
			fd = open(a, O_RDWR | O_CREAT, 0644);
			r = fd < 0 ? -1 : close(fd);
			break;
		case 1:
			r = unlink(a);
			break;
		case 2:
			r = rename(a, b);
			break;
		case 3:
			r = link(a, b);
			break;
		default:
			r = renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
			break;
		}
		if (r < 0 && errno != ENOENT && errno != EEXIST)
			FAIL("unexpected %s", strerrorname_np(errno));
	}
}

static void mixed_changes_keep_counts_right(void)
{
	char a[16], b[16];
	struct stat sa, sb;
	kit_race(PROCESSES, mixed_changes);
	unsigned int present = 0;
	for (unsigned int i = 0; i < 6; i++) {
		snprintf(a, sizeof(a), "n%u", i);
		if (lstat(a, &sa) < 0) {
			EQ(errno, ENOENT);
			continue;
		}
		present++;
		unsigned int same = 0;
		for (unsigned int k = 0; k < 6; k++) {
			snprintf(b, sizeof(b), "n%u", k);
			same += lstat(b, &sb) == 0 && sb.st_ino == sa.st_ino ? 1 : 0;
		}
		EQ(sa.st_nlink, same);
	}
	EQ(kit_count_names("."), present);
}

static void make_and_remove(unsigned int index)
{
	for (unsigned int i = 0; i < 400; i++) {
		if ((i + index) % 2 == 0) {
			if (mkdir("p/d", 0755) < 0)
				EQ(errno, EEXIST);
			int fd = open("p/d/f", O_RDWR | O_CREAT, 0644);
			if (fd < 0)
				EQ(errno, ENOENT);
			else
				OK(close(fd));
		} else {
			if (unlink("p/d/f") < 0)
				EQ(errno, ENOENT);
			if (rmdir("p/d") < 0)
				CHECK(errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST);
		}
	}
}

static void mkdir_rmdir_and_create_inside(void)
{
	kit_mkdir("p", 0755);
	unsigned long before = kit_nlink("p");
	kit_race(PROCESSES, make_and_remove);
	unlink("p/d/f");
	rmdir("p/d");
	EQ(kit_count_names("p"), 0);
	EQ(kit_nlink("p"), before);
}

static void replace_again_and_again(void *arg)
{
	char name[16];
	(void)arg;
	for (unsigned int i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "new%u", i % 4);
		kit_file(name, "complete content");
		OK(rename(name, "target"));
	}
	kit_raise(&shared->stop);
}

static void renamed_over_is_never_missing(void)
{
	struct stat st;
	char got[32];
	unsigned int looks = 0;
	shared = kit_shared_new();
	kit_file("target", "complete content");
	pid_t pid = kit_fork(replace_again_and_again, NULL);
	while (kit_read_flag(&shared->stop) == 0) {
		OK(stat("target", &st));
		EQ(st.st_size, 16);
		int fd = OK(open("target", O_RDONLY));
		EQ(OKL(read(fd, got, sizeof(got))), 16);
		EQ_MEM(got, "complete content", 16);
		OK(close(fd));
		looks++;
	}
	kit_join(pid);
	CHECK(looks > 0);
}

static void exchange_again_and_again(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < 1500; i++)
		OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
	kit_raise(&shared->stop);
}

static void exchanged_names_are_never_missing(void)
{
	shared = kit_shared_new();
	kit_file("a", "one");
	kit_file("b", "two");
	uint64_t a = kit_ino("a"), b = kit_ino("b");
	pid_t pid = kit_fork(exchange_again_and_again, NULL);
	while (kit_read_flag(&shared->stop) == 0) {
		uint64_t now = kit_ino("a");
		CHECK(now == a || now == b);
		now = kit_ino("b");
		CHECK(now == a || now == b);
	}
	kit_join(pid);
}

static void rename_directories(unsigned int index)
{
	static const char *const dirs[] = {"a", "b", "a/x", "b/x", "a/x/y", "b/x/y"};
	uint64_t random = index + 1;
	for (unsigned int i = 0; i < 400; i++) {
		const char *from = dirs[kit_random_below(&random, COUNT_OF(dirs))];
		const char *to = dirs[kit_random_below(&random, COUNT_OF(dirs))];
		if (rename(from, to) < 0 && errno != ENOENT && errno != EINVAL &&
			errno != ENOTEMPTY && errno != EEXIST)
			FAIL("rename gave %s", strerrorname_np(errno));
		if (i % 10 == 0 && mkdir(to, 0755) < 0)
			CHECK(errno == EEXIST || errno == ENOENT);
	}
}

static unsigned int count_directories(const char *path)
{
	static const char *const names[] = {"a", "b", "x", "y"};
	char sub[4096];
	unsigned int n = 1;
	struct stat st;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (snprintf(sub, sizeof(sub), "%s/%s", path, names[i]) < 4000 &&
			lstat(sub, &st) == 0)
			n += count_directories(sub);
	}
	unsigned long links = kit_nlink(path);
	if (links != 1)
		EQ(links, 2 + kit_count_names(path));
	return n;
}

/* Crossing renames of directories: no cycle, no lost sub-tree, link counts right. */
static void directories_cross(void)
{
	kit_mkdir("a", 0755);
	kit_mkdir("b", 0755);
	kit_mkdir("a/x", 0755);
	kit_mkdir("b/x", 0755);
	kit_race(PROCESSES, rename_directories);
	CHECK(count_directories(".") >= 1);
}

static void write_own_part(unsigned int index)
{
	uint8_t data[1000];
	int fd = OK(open("file", O_RDWR));
	memset(data, (int)(index + 1), sizeof(data));
	for (unsigned int i = index; i < 400; i += PROCESSES)
		kit_pwrite(fd, data, sizeof(data), (off_t)(i * sizeof(data)));
}

static void neighbouring_writes_do_not_mix(void)
{
	static uint8_t data[400000];
	kit_file("file", "");
	kit_race(PROCESSES, write_own_part);
	EQ(kit_stat("file").st_size, sizeof(data));
	kit_pread(OK(open("file", O_RDONLY)), data, sizeof(data), 0);
	for (size_t i = 0; i < sizeof(data); i++)
		EQ(data[i], i / 1000 % PROCESSES + 1);
}

static const struct test_case cases[] = {
	CASE(link_count_is_right_after_all),
	CASE(mixed_changes_keep_counts_right),
	CASE(mkdir_rmdir_and_create_inside),
	CASE(renamed_over_is_never_missing),
	CASE(exchanged_names_are_never_missing),
	CASE(directories_cross),
	CASE(neighbouring_writes_do_not_mix),
};
DEFINE_GROUP(concurrent);
