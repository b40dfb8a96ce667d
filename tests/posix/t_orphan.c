/* Files that lost their last name while they are open. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void use_orphan(int fd)
{
	uint8_t want[100000], got[100000];
	EQ(kit_fstat(fd).st_nlink, 0);
	EQ(kit_fstat(fd).st_size, 100000);
	kit_pattern(want, sizeof(want), 1, 0);
	kit_pread(fd, got, sizeof(got), 0);
	EQ_MEM(got, want, sizeof(want));
	kit_pwrite(fd, "changed", 7, 50000);
	kit_pwrite(fd, "beyond", 6, 200000);
	kit_pread(fd, got, 7, 50000);
	EQ_MEM(got, "changed", 7);
	EQ(kit_fstat(fd).st_size, 200006);
	OK(fsync(fd));
	OK(fchmod(fd, 0600));
	OK(ftruncate(fd, 10));
	EQ(kit_fstat(fd).st_size, 10);
	kit_pread(fd, got, 10, 0);
	EQ_MEM(got, want, 10);
	EQ(kit_fstat(fd).st_mode & 07777, 0600);
}

static void after_unlink(void)
{
	kit_pattern_file("file", 100000, 1);
	int fd = OK(open("file", O_RDWR));
	OK(unlink("file"));
	kit_expect_absent("file");
	EQ(kit_count_names("."), 0);
	use_orphan(fd);
	OK(close(fd));
}

static void after_rename_over(void)
{
	kit_pattern_file("file", 100000, 1);
	kit_file("new", "new");
	int fd = OK(open("file", O_RDWR));
	OK(rename("new", "file"));
	use_orphan(fd);
	kit_expect_text("file", "new");
}

static void new_file_of_the_same_name_is_apart(void)
{
	int fds[20];
	char name[8], text[8], got[8];
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "text%d", i);
		fds[i] = OK(open("file", O_RDWR | O_CREAT | O_EXCL, 0644));
		kit_write(fds[i], text, strlen(text));
		OK(unlink("file"));
	}
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "text%d", i);
		kit_pread(fds[i], got, strlen(name), 0);
		EQ_MEM(got, name, strlen(name));
		for (int k = 0; k < i; k++)
			CHECK(kit_fstat(fds[i]).st_ino != kit_fstat(fds[k]).st_ino);
	}
}

static void written_only_after_unlink(void)
{
	uint8_t data[70000], got[70000];
	int fd = OK(open("file", O_RDWR | O_CREAT | O_EXCL, 0644));
	OK(unlink("file"));
	kit_pattern(data, sizeof(data), 2, 0);
	kit_write(fd, data, sizeof(data));
	OK(fsync(fd));
	kit_pread(fd, got, sizeof(got), 0);
	EQ_MEM(got, data, sizeof(data));
}

static void one_of_two_names_removed(void)
{
	kit_file("a", "text");
	OK(link("a", "b"));
	int fd = OK(open("a", O_RDWR));
	OK(unlink("a"));
	EQ(kit_fstat(fd).st_nlink, 1);
	kit_pwrite(fd, "TEXT", 4, 0);
	kit_expect_text("b", "TEXT");
	OK(unlink("b"));
	EQ(kit_fstat(fd).st_nlink, 0);
	char got[4];
	kit_pread(fd, got, 4, 0);
	EQ_MEM(got, "TEXT", 4);
}

static void two_descriptors_and_a_duplicate(void)
{
	char got[4];
	kit_file("file", "text");
	int a = OK(open("file", O_RDWR)), b = OK(open("file", O_RDONLY));
	OK(unlink("file"));
	int c = OK(dup(a));
	OK(close(a));
	kit_pwrite(c, "more", 4, 0);
	OK(close(c));
	kit_pread(b, got, 4, 0);
	EQ_MEM(got, "more", 4);
}

static void mapping_outlives_name_and_descriptor(void)
{
	uint8_t want[8192];
	kit_pattern_file("file", sizeof(want), 3);
	int fd = OK(open("file", O_RDWR));
	uint8_t *p = mmap(NULL, sizeof(want), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	OK(close(fd));
	OK(unlink("file"));
	kit_pattern(want, sizeof(want), 3, 0);
	EQ_MEM(p, want, sizeof(want));
	p[4096] = 0;
	OK(msync(p, sizeof(want), MS_SYNC));
	OK(munmap(p, sizeof(want)));
}

static void held_by_child(void *arg)
{
	struct kit_shared *shared = arg;
	char got[4];
	kit_wait_for(&shared->go, 1);
	kit_pread((int)shared->value[0], got, 4, 0);
	EQ_MEM(got, "text", 4);
}

static void child_keeps_it_open(void)
{
	struct kit_shared *shared = kit_shared_new();
	kit_file("file", "text");
	int fd = OK(open("file", O_RDONLY));
	shared->value[0] = (uint64_t)fd;
	pid_t pid = kit_fork(held_by_child, shared);
	OK(unlink("file"));
	OK(close(fd));
	kit_raise(&shared->go);
	kit_join(pid);
}

static void many_orphans(void)
{
	static int fds[500];
	for (unsigned int i = 0; i < COUNT_OF(fds); i++) {
		fds[i] = OK(open("file", O_RDWR | O_CREAT | O_EXCL, 0644));
		kit_pwrite(fds[i], &i, sizeof(i), 5000);
		OK(unlink("file"));
	}
	for (unsigned int i = 0; i < COUNT_OF(fds); i++) {
		unsigned int got;
		kit_pread(fds[i], &got, sizeof(got), 5000);
		EQ(got, i);
		OK(close(fds[i]));
	}
}

static const struct test_case cases[] = {
	CASE(after_unlink),
	CASE(after_rename_over),
	CASE(new_file_of_the_same_name_is_apart),
	CASE(written_only_after_unlink),
	CASE(one_of_two_names_removed),
	CASE(two_descriptors_and_a_duplicate),
	CASE(mapping_outlives_name_and_descriptor),
	CASE(child_keeps_it_open),
	CASE(many_orphans),
};
DEFINE_GROUP(orphan);
