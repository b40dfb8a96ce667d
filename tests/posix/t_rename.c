/* rename and renameat2. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <unistd.h>

static int rename_flags(const char *from, const char *to, unsigned int flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void each_type_moves(void)
{
	static const char *const names[] = {"file", "dir", "fifo", "sym", "sock"};
	char to[16];
	kit_file("file", "x");
	kit_mkdir("dir", 0755);
	OK(mkfifo("fifo", 0644));
	OK(symlink("nowhere", "sym"));
	OK(mknod("sock", S_IFSOCK | 0600, 0));
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct stat before = kit_lstat(names[i]);
		snprintf(to, sizeof(to), "%s2", names[i]);
		OK(rename(names[i], to));
		struct stat after = kit_lstat(to);
		kit_expect_absent(names[i]);
		EQ(after.st_ino, before.st_ino);
		EQ(after.st_mode, before.st_mode);
		EQ(after.st_nlink, before.st_nlink);
	}
}

static void over_existing_file(void)
{
	kit_file("a", "new");
	kit_file("b", "old");
	OK(link("b", "c"));
	uint64_t ino = kit_ino("a");
	WATCH(OK(rename("a", "b")), SEES("c", MARK_CTIME), SEES(".", MARK_MC));
	kit_expect_absent("a");
	kit_expect_text("b", "new");
	kit_expect_text("c", "old");
	EQ(kit_ino("b"), ino);
	EQ(kit_nlink("b"), 1);
	EQ(kit_nlink("c"), 1);
}

static void over_other_types(void)
{
	kit_file("a", "text");
	OK(mkfifo("fifo", 0644));
	OK(symlink("nowhere", "sym"));
	OK(rename("a", "fifo"));
	kit_expect_text("fifo", "text");
	OK(rename("fifo", "sym"));
	CHECK(S_ISREG(kit_lstat("sym").st_mode));
	OK(symlink("x", "s2"));
	OK(rename("s2", "sym"));
	CHECK(S_ISLNK(kit_lstat("sym").st_mode));
}

static void same_file_does_nothing(void)
{
	kit_file("a", "text");
	OK(link("a", "b"));
	WATCH(OK(rename("a", "b")), SEES("a", 0), SEES("b", 0), SEES(".", 0));
	EQ(kit_nlink("a"), 2);
	OK(rename("a", "a"));
	kit_mkdir("dir", 0755);
	OK(rename("dir", "dir"));
	EQ(kit_count_names("."), 3);
}

static void directory_over_empty_directory(void)
{
	kit_mkdir("a", 0755);
	kit_file("a/file", "x");
	kit_mkdir("b", 0755);
	uint64_t ino = kit_ino("a");
	OK(rename("a", "b"));
	EQ(kit_ino("b"), ino);
	kit_expect_text("b/file", "x");
	kit_expect_absent("a");
}

static void directory_over_nonempty(void)
{
	kit_mkdir("a", 0755);
	kit_mkdir("b", 0755);
	kit_file("b/file", "x");
	WATCH(FAILS_ANY(ENOTEMPTY, EEXIST, rename("a", "b")), SEES("a", 0), SEES("b", 0),
		SEES(".", 0));
	kit_expect_text("b/file", "x");
}

static void directory_and_file_mixed(void)
{
	kit_mkdir("dir", 0755);
	kit_file("file", "x");
	OK(mkfifo("fifo", 0644));
	OK(symlink("dir", "sym"));
	FAILS(ENOTDIR, rename("dir", "file"));
	FAILS(ENOTDIR, rename("dir", "fifo"));
	FAILS(ENOTDIR, rename("dir", "sym"));
	FAILS(EISDIR, rename("file", "dir"));
	FAILS(EISDIR, rename("fifo", "dir"));
	FAILS(EISDIR, rename("sym", "dir"));
	EQ(kit_count_names("."), 4);
}

static void into_own_subtree(void)
{
	kit_mkdir("a", 0755);
	kit_mkdir("a/b", 0755);
	kit_mkdir("a/b/c", 0755);
	FAILS(EINVAL, rename("a", "a/new"));
	FAILS(EINVAL, rename("a", "a/b/new"));
	FAILS(EINVAL, rename("a", "a/b/c"));
	FAILS_ANY(ENOTEMPTY, EEXIST, rename("a/b/c", "a"));
	FAILS_ANY(ENOTEMPTY, EEXIST, rename("a/b/c", "a/b"));
	EQ(kit_count_names("a/b"), 1);
}

static void dot_names(void)
{
	kit_mkdir("a", 0755);
	FAILS_ANY(EINVAL, EBUSY, rename("a/.", "b"));
	FAILS_ANY(EINVAL, EBUSY, rename("a/..", "b"));
	kit_mkdir("c", 0755);
	FAILS_ANY(EINVAL, EBUSY, rename("c", "a/."));
}

static void dotdot_follows_the_move(void)
{
	kit_mkdir("a", 0755);
	kit_mkdir("b", 0755);
	kit_mkdir("a/sub", 0755);
	OK(rename("a/sub", "b/sub"));
	EQ(kit_ino("b/sub/.."), kit_ino("b"));
	OK(chdir("b/sub"));
	OK(chdir(".."));
	EQ(kit_ino("."), kit_ino("../b"));
}

static void times_of_both_parents(void)
{
	kit_mkdir("a", 0755);
	kit_mkdir("b", 0755);
	kit_file("a/f", "x");
	kit_mkdir("a/d", 0755);
	WATCH(OK(rename("a/f", "b/g")), SEES("a", MARK_MC), SEES("b", MARK_MC), SEES(".", 0));
	WATCH(OK(rename("a/d", "b/d")), SEES("a", MARK_MC), SEES("b", MARK_MC), SEES(".", 0));
	WATCH(OK(rename("b/g", "b/h")), SEES("b", MARK_MC));
}

static void file_times_kept(void)
{
	kit_file("a", "x");
	struct stat before = kit_stat("a");
	kit_tick();
	OK(rename("a", "b"));
	struct stat after = kit_stat("b");
	EQ(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	CHECK(after.st_ctim.tv_sec >= before.st_ctim.tv_sec);
}

static void directory_link_counts(void)
{
	kit_mkdir("a", 0755);
	kit_mkdir("b", 0755);
	kit_mkdir("a/d", 0755);
	unsigned long base = kit_nlink("b");
	if (base == 1)
		SKIP("this filesystem does not count sub-directories");
	EQ(kit_nlink("a"), base + 1);
	OK(rename("a/d", "b/d"));
	EQ(kit_nlink("a"), base);
	EQ(kit_nlink("b"), base + 1);
	kit_mkdir("a/d", 0755);
	OK(rename("a/d", "b/d"));
	EQ(kit_nlink("a"), base);
	EQ(kit_nlink("b"), base + 1);
}

static void noreplace(void)
{
	kit_file("a", "a");
	kit_file("b", "b");
	kit_mkdir("dir", 0755);
	FAILS(EEXIST, rename_flags("a", "b", RENAME_NOREPLACE));
	FAILS(EEXIST, rename_flags("a", "dir", RENAME_NOREPLACE));
	FAILS(EEXIST, rename_flags("a", "a", RENAME_NOREPLACE));
	FAILS(ENOENT, rename_flags("missing", "new", RENAME_NOREPLACE));
	kit_expect_text("b", "b");
	OK(rename_flags("a", "c", RENAME_NOREPLACE));
	kit_expect_text("c", "a");
	kit_expect_absent("a");
}

static void exchange_files(void)
{
	kit_mkdir("d", 0755);
	kit_file("a", "a");
	kit_file("d/b", "bb");
	uint64_t a = kit_ino("a"), b = kit_ino("d/b");
	WATCH(OK(rename_flags("a", "d/b", RENAME_EXCHANGE)), SEES(".", MARK_MC),
		SEES("d", MARK_MC));
	EQ(kit_ino("a"), b);
	EQ(kit_ino("d/b"), a);
	kit_expect_text("a", "bb");
	kit_expect_text("d/b", "a");
	EQ(kit_nlink("a"), 1);
}

static void exchange_directory_with_file(void)
{
	kit_mkdir("x", 0755);
	kit_mkdir("x/dir", 0755);
	kit_file("x/dir/inner", "i");
	kit_mkdir("y", 0755);
	kit_file("y/file", "f");
	unsigned long x = kit_nlink("x"), y = kit_nlink("y");
	OK(rename_flags("x/dir", "y/file", RENAME_EXCHANGE));
	kit_expect_text("x/dir", "f");
	kit_expect_text("y/file/inner", "i");
	EQ(kit_ino("y/file/.."), kit_ino("y"));
	if (x != 1) {
		EQ(kit_nlink("x"), x - 1);
		EQ(kit_nlink("y"), y + 1);
	}
}

static void exchange_errors(void)
{
	kit_mkdir("a", 0755);
	kit_mkdir("a/b", 0755);
	kit_file("f", "x");
	FAILS(ENOENT, rename_flags("f", "missing", RENAME_EXCHANGE));
	FAILS(ENOENT, rename_flags("missing", "f", RENAME_EXCHANGE));
	FAILS(EINVAL, rename_flags("a", "a/b", RENAME_EXCHANGE));
	FAILS(EINVAL, rename_flags("a/b", "a", RENAME_EXCHANGE));
	FAILS(EINVAL, rename_flags("f", "a", RENAME_EXCHANGE | RENAME_NOREPLACE));
	OK(rename_flags("f", "f", RENAME_EXCHANGE));
}

static void unknown_flags(void)
{
	kit_file("a", "a");
	FAILS(EINVAL, rename_flags("a", "b", 0x40000000));
	kit_expect_text("a", "a");
}

static void open_files_survive(void)
{
	char data[3];
	kit_file("a", "new");
	kit_file("b", "old");
	int a = OK(open("a", O_RDWR)), b = OK(open("b", O_RDWR));
	OK(rename("a", "b"));
	kit_pread(a, data, 3, 0);
	EQ_MEM(data, "new", 3);
	kit_pread(b, data, 3, 0);
	EQ_MEM(data, "old", 3);
	EQ(kit_fstat(b).st_nlink, 0);
	EQ(kit_fstat(a).st_nlink, 1);
	kit_pwrite(a, "NEW!", 4, 0);
	kit_expect_text("b", "NEW!");
}

static void trailing_slash(void)
{
	kit_mkdir("dir", 0755);
	kit_file("file", "x");
	OK(rename("dir/", "moved/"));
	CHECK(S_ISDIR(kit_lstat("moved").st_mode));
	FAILS(ENOTDIR, rename("file", "new/"));
}

static void directory_move_needs_write_on_it(void)
{
	kit_need_root();
	kit_mkdir("a", 0777);
	kit_mkdir("b", 0777);
	kit_mkdir("a/dir", 0755); /* root's: its .. would have to change */
	kit_become(KIT_USER, KIT_USER);
	FAILS(EACCES, rename("a/dir", "b/dir"));
	OK(rename("a/dir", "a/dir2")); /* the same parent: no change of .. */
}

static void deep_tree_moves_at_once(void)
{
	kit_mkdir("a", 0755);
	kit_mkdir("a/b", 0755);
	kit_mkdir("a/b/c", 0755);
	kit_file("a/b/c/file", "x");
	int fd = OK(open("a/b/c/file", O_RDWR));
	OK(rename("a", "z"));
	kit_expect_text("z/b/c/file", "x");
	FAILS(ENOENT, open("a/b/c/file", O_RDONLY));
	kit_pwrite(fd, "yy", 2, 0);
	kit_expect_text("z/b/c/file", "yy");
}

static void back_and_forth(void)
{
	kit_file("a", "x");
	uint64_t ino = kit_ino("a");
	for (int i = 0; i < 500; i++) {
		OK(rename("a", "b"));
		kit_expect_absent("a");
		OK(rename("b", "a"));
	}
	EQ(kit_ino("a"), ino);
	EQ(kit_count_names("."), 1);
}

static const struct test_case cases[] = {
	CASE(each_type_moves),
	CASE(over_existing_file),
	CASE(over_other_types),
	CASE(same_file_does_nothing),
	CASE(directory_over_empty_directory),
	CASE(directory_over_nonempty),
	CASE(directory_and_file_mixed),
	CASE(into_own_subtree),
	CASE(dot_names),
	CASE(dotdot_follows_the_move),
	CASE(times_of_both_parents),
	CASE(file_times_kept),
	CASE(directory_link_counts),
	CASE(noreplace),
	CASE(exchange_files),
	CASE(exchange_directory_with_file),
	CASE(exchange_errors),
	CASE(unknown_flags),
	CASE(open_files_survive),
	CASE(trailing_slash),
	CASE(directory_move_needs_write_on_it),
	CASE(deep_tree_moves_at_once),
	CASE(back_and_forth),
};
DEFINE_GROUP(rename);
