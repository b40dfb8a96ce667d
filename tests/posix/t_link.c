/* link and unlink. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void link_is_the_same_file(void)
{
	kit_file("a", "text");
	OK(link("a", "b"));
	struct stat a = kit_stat("a"), b = kit_stat("b");
	EQ(a.st_ino, b.st_ino);
	EQ(a.st_nlink, 2);
	EQ(b.st_nlink, 2);
	OK(chmod("b", 0600));
	EQ(kit_mode("a"), 0600);
	OK(truncate("a", 2));
	kit_expect_text("b", "te");
	OK(unlink("a"));
	EQ(kit_nlink("b"), 1);
	kit_expect_text("b", "te");
	kit_expect_absent("a");
}

static void link_into_other_directory(void)
{
	kit_mkdir("dir", 0755);
	kit_file("a", "text");
	OK(link("a", "dir/b"));
	EQ(kit_ino("dir/b"), kit_ino("a"));
	OK(unlink("a"));
	kit_expect_text("dir/b", "text");
}

static void link_to_each_type(void)
{
	OK(mkfifo("fifo", 0644));
	OK(link("fifo", "fifo2"));
	EQ(kit_nlink("fifo"), 2);
	OK(symlink("nowhere", "sym"));
	OK(link("sym", "sym2"));
	CHECK(S_ISLNK(kit_lstat("sym2").st_mode));
	EQ(kit_nlink("sym"), 2);
	OK(mknod("sock", S_IFSOCK | 0600, 0));
	OK(link("sock", "sock2"));
	EQ(kit_ino("sock"), kit_ino("sock2"));
}

static void link_follow_flag(void)
{
	kit_file("file", "x");
	OK(symlink("file", "sym"));
	OK(linkat(AT_FDCWD, "sym", AT_FDCWD, "hard", AT_SYMLINK_FOLLOW));
	EQ(kit_ino("hard"), kit_ino("file"));
}

static void link_directory_eperm(void)
{
	kit_mkdir("dir", 0755);
	FAILS(EPERM, link("dir", "again"));
	kit_expect_absent("again");
}

static void link_existing_eexist(void)
{
	kit_file("a", "a");
	kit_file("b", "b");
	kit_mkdir("dir", 0755);
	WATCH(FAILS(EEXIST, link("a", "b")), SEES("a", 0), SEES("b", 0), SEES(".", 0));
	FAILS(EEXIST, link("a", "a"));
	FAILS(EEXIST, link("a", "dir"));
	EQ(kit_nlink("a"), 1);
	kit_expect_text("b", "b");
}

static void link_times(void)
{
	kit_mkdir("d", 0755);
	kit_file("a", "x");
	WATCH(OK(link("a", "d/b")), SEES("a", MARK_CTIME), SEES("d", MARK_MC), SEES(".", 0));
}

static void link_by_open_descriptor(void)
{
	char name[64];
	kit_file("a", "text");
	int fd = OK(open("a", O_RDONLY));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, name, AT_FDCWD, "b", AT_SYMLINK_FOLLOW));
	OK(unlink("a"));
	OK(unlink("b"));
	FAILS(ENOENT, linkat(AT_FDCWD, name, AT_FDCWD, "c", AT_SYMLINK_FOLLOW));
}

static void link_many(void)
{
	char name[32];
	kit_file("a", "text");
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		OK(link("a", name));
	}
	EQ(kit_nlink("a"), 1001);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		OK(unlink(name));
	}
	EQ(kit_nlink("a"), 1);
	EQ(kit_count_names("."), 1);
}

static void unlink_each_type(void)
{
	kit_file("file", "x");
	OK(mkfifo("fifo", 0644));
	OK(mknod("sock", S_IFSOCK | 0600, 0));
	OK(symlink("file", "sym"));
	OK(unlink("sym"));
	CHECK(S_ISREG(kit_lstat("file").st_mode));
	OK(unlink("file"));
	OK(unlink("fifo"));
	OK(unlink("sock"));
	EQ(kit_count_names("."), 0);
	FAILS(ENOENT, unlink("file"));
}

static void unlink_directory(void)
{
	kit_mkdir("dir", 0755);
	FAILS(EISDIR, unlink("dir"));
	FAILS(EISDIR, unlink("."));
	CHECK(S_ISDIR(kit_lstat("dir").st_mode));
}

static void unlink_times(void)
{
	kit_mkdir("d", 0755);
	kit_file("a", "x");
	OK(link("a", "d/b"));
	WATCH(OK(unlink("d/b")), SEES("a", MARK_CTIME), SEES("d", MARK_MC), SEES(".", 0));
	kit_file("d/c", "x");
	WATCH(OK(unlink("d/c")), SEES("a", 0), SEES("d", MARK_MC));
	WATCH(FAILS(ENOENT, unlink("d/c")), SEES("d", 0));
}

static void unlink_needs_no_permission_on_file(void)
{
	kit_need_root();
	kit_mkdir("d", 0777);
	kit_file("d/file", "x");
	OK(chmod("d/file", 0));
	kit_become(KIT_USER, KIT_USER);
	OK(unlink("d/file"));
}

static void name_is_free_after_unlink(void)
{
	kit_file("a", "one");
	uint64_t first = kit_ino("a");
	int fd = OK(open("a", O_RDONLY));
	OK(unlink("a"));
	kit_file("a", "two");
	CHECK(kit_ino("a") != first);
	kit_expect_text("a", "two");
	EQ(kit_fstat(fd).st_size, 3);
	OK(close(fd));
}

static void inode_numbers_stable(void)
{
	kit_mkdir("d", 0755);
	kit_mkdir("e", 0755);
	kit_file("a", "x");
	uint64_t a = kit_ino("a"), d = kit_ino("d");
	OK(rename("a", "d/b"));
	EQ(kit_ino("d/b"), a);
	OK(link("d/b", "e/c"));
	OK(unlink("d/b"));
	OK(rename("d", "e/d"));
	EQ(kit_ino("e/c"), a);
	EQ(kit_ino("e/d"), d);
	OK(truncate("e/c", 0));
	EQ(kit_ino("e/c"), a);
}

static const struct test_case cases[] = {
	CASE(link_is_the_same_file),
	CASE(link_into_other_directory),
	CASE(link_to_each_type),
	CASE(link_follow_flag),
	CASE(link_directory_eperm),
	CASE(link_existing_eexist),
	CASE(link_times),
	CASE(link_by_open_descriptor),
	CASE(link_many),
	CASE(unlink_each_type),
	CASE(unlink_directory),
	CASE(unlink_times),
	CASE(unlink_needs_no_permission_on_file),
	CASE(name_is_free_after_unlink),
	CASE(inode_numbers_stable),
};
DEFINE_GROUP(link);
