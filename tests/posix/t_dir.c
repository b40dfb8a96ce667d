/* mkdir, rmdir, sticky and setgid directories. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void mkdir_mode_and_umask(void)
{
	static const mode_t modes[] = {0, 0700, 0755, 0777, 01777, 0111};
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		OK(mkdir("dir", modes[i]));
		EQ(kit_mode("dir"), modes[i]);
		OK(rmdir("dir"));
	}
	umask(077);
	OK(mkdir("masked", 0777));
	EQ(kit_mode("masked"), 0700);
}

static void mkdir_attributes(void)
{
	unsigned long before = kit_nlink(".");
	kit_mkdir("dir", 0755);
	struct stat st = kit_stat("dir");
	CHECK(S_ISDIR(st.st_mode));
	CHECK(st.st_nlink == 2 || st.st_nlink == 1);
	EQ(st.st_uid, geteuid());
	EQ(kit_ino("dir/."), st.st_ino);
	EQ(kit_ino("dir/.."), kit_ino("."));
	if (before != 1)
		EQ(kit_nlink("."), before + 1);
	kit_mkdir("dir/sub", 0755);
	CHECK(kit_nlink("dir") == 3 || kit_nlink("dir") == 1);
	EQ(kit_count_names("dir"), 1);
}

static void mkdir_times(void)
{
	kit_mkdir("d", 0755);
	WATCH(OK(mkdir("d/e", 0755)), SEES("d", MARK_MC), SEES(".", 0));
	WATCH(FAILS(EEXIST, mkdir("d/e", 0755)), SEES("d", 0), SEES("d/e", 0));
	struct stat st = kit_stat("d/e");
	EQ(st.st_mtim.tv_sec, st.st_ctim.tv_sec);
}

static void mkdir_dot(void)
{
	FAILS(EEXIST, mkdir(".", 0755));
	FAILS(EEXIST, mkdir("..", 0755));
	FAILS(EEXIST, mkdir("/", 0755));
	OK(mkdir("dir/", 0755));
	CHECK(S_ISDIR(kit_stat("dir").st_mode));
}

static void rmdir_empty(void)
{
	unsigned long before = kit_nlink(".");
	kit_mkdir("p", 0755);
	kit_mkdir("p/d", 0755);
	WATCH(OK(rmdir("p/d")), SEES("p", MARK_MC), SEES(".", 0));
	kit_expect_absent("p/d");
	OK(rmdir("p"));
	EQ(kit_nlink("."), before);
	FAILS(ENOENT, rmdir("p"));
}

static void rmdir_not_empty(void)
{
	static const char *const inner[] = {"d/file", "d/.hidden", "d/ "};
	kit_mkdir("d", 0755);
	for (size_t i = 0; i < COUNT_OF(inner); i++) {
		kit_file(inner[i], "");
		WATCH(FAILS_ANY(ENOTEMPTY, EEXIST, rmdir("d")), SEES("d", 0), SEES(".", 0));
		OK(unlink(inner[i]));
	}
	kit_mkdir("d/sub", 0755);
	FAILS_ANY(ENOTEMPTY, EEXIST, rmdir("d"));
	OK(rmdir("d/sub"));
	OK(symlink("nowhere", "d/link"));
	FAILS_ANY(ENOTEMPTY, EEXIST, rmdir("d"));
	OK(unlink("d/link"));
	OK(rmdir("d"));
}

static void rmdir_dot(void)
{
	kit_mkdir("d", 0755);
	kit_mkdir("d/e", 0755);
	FAILS(EINVAL, rmdir("d/e/."));
	FAILS_ANY(ENOTEMPTY, EEXIST, rmdir("d/e/.."));
}

static void rmdir_other_types(void)
{
	kit_file("file", "x");
	kit_mkdir("dir", 0755);
	OK(mkfifo("fifo", 0644));
	OK(symlink("dir", "link"));
	FAILS(ENOTDIR, rmdir("file"));
	FAILS(ENOTDIR, rmdir("fifo"));
	FAILS(ENOTDIR, rmdir("link"));
	FAILS_ANY(ENOTDIR, ELOOP, rmdir("link/"));
	EQ(kit_count_names("."), 4);
}

static void rmdir_while_open(void)
{
	kit_mkdir("d", 0755);
	DIR *dir = opendir("d");
	CHECK(dir != NULL);
	OK(rmdir("d"));
	errno = 0;
	int names = 0;
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
		names += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 ? 1 : 0;
	CHECK(errno == 0 || errno == ENOENT);
	EQ(names, 0);
	closedir(dir);
	kit_mkdir("d", 0755);
	EQ(kit_count_names("d"), 0);
}

static void rmdir_current_directory(void)
{
	kit_mkdir("d", 0755);
	OK(chdir("d"));
	OK(rmdir("../d"));
	FAILS(ENOENT, open("file", O_RDWR | O_CREAT, 0644));
	FAILS(ENOENT, mkdir("x", 0755));
	char *cwd = getcwd((char[4096]){0}, 4096);
	CHECK(cwd == NULL && errno == ENOENT);
	EQ(kit_stat(".").st_nlink, 0);
}

static void deep_nesting(void)
{
	for (int i = 0; i < 300; i++) {
		kit_mkdir("d", 0755);
		OK(chdir("d"));
	}
	kit_file("bottom", "x");
	kit_expect_text("bottom", "x");
}

static void sticky_protects_files(void)
{
	kit_need_root();
	kit_mkdir("tmp", 01777);
	OK(chmod("tmp", 01777));
	kit_become(KIT_USER, KIT_USER);
	kit_file("tmp/mine", "m");
	kit_mkdir("tmp/mydir", 0777);
	kit_become_root();
	kit_become(KIT_OTHER, KIT_OTHER);
	kit_file("tmp/theirs", "t");
	FAILS(EPERM, unlink("tmp/mine"));
	FAILS(EPERM, rmdir("tmp/mydir"));
	FAILS(EPERM, rename("tmp/mine", "tmp/new"));
	FAILS(EPERM, rename("tmp/mydir", "tmp/new"));
	FAILS(EPERM, rename("tmp/theirs", "tmp/mine"));
	OK(rename("tmp/theirs", "tmp/renamed"));
	OK(unlink("tmp/renamed"));
	kit_become_root();
	kit_become(KIT_USER, KIT_USER);
	OK(unlink("tmp/mine"));
	OK(rmdir("tmp/mydir"));
}

static void sticky_owner_of_directory_may(void)
{
	kit_need_root();
	kit_mkdir("tmp", 0777);
	OK(chown("tmp", KIT_USER, KIT_USER));
	OK(chmod("tmp", 01777));
	kit_become(KIT_OTHER, KIT_OTHER);
	kit_file("tmp/a", "x");
	kit_file("tmp/b", "x");
	kit_become_root();
	kit_become(KIT_USER, KIT_USER);
	OK(unlink("tmp/a"));
	OK(rename("tmp/b", "tmp/c"));
}

static void setgid_is_inherited(void)
{
	kit_need_root();
	kit_mkdir("d", 0777);
	OK(chown("d", 0, KIT_OTHER));
	OK(chmod("d", 02777));
	kit_become(KIT_USER, KIT_USER);
	kit_file("d/file", "x");
	kit_mkdir("d/sub", 0755);
	OK(mkfifo("d/fifo", 0644));
	OK(symlink("x", "d/sym"));
	EQ(kit_lstat("d/file").st_gid, KIT_OTHER);
	EQ(kit_mode("d/file"), 0644);
	EQ(kit_lstat("d/sub").st_gid, KIT_OTHER);
	EQ(kit_mode("d/sub"), 02755);
	EQ(kit_lstat("d/fifo").st_gid, KIT_OTHER);
	EQ(kit_lstat("d/sym").st_gid, KIT_OTHER);
	EQ(kit_lstat("d/sub").st_uid, KIT_USER);
}

static void setgid_bit_stripped_from_foreign_group(void)
{
	kit_need_root();
	kit_mkdir("d", 0777);
	OK(chown("d", 0, KIT_OTHER));
	OK(chmod("d", 02777));
	kit_become(KIT_USER, KIT_USER);
	OK(close(OK(open("d/file", O_RDWR | O_CREAT | O_EXCL, 02775))));
	EQ(kit_mode("d/file"), 0775);
}

static const struct test_case cases[] = {
	CASE(mkdir_mode_and_umask),
	CASE(mkdir_attributes),
	CASE(mkdir_times),
	CASE(mkdir_dot),
	CASE(rmdir_empty),
	CASE(rmdir_not_empty),
	CASE(rmdir_dot),
	CASE(rmdir_other_types),
	CASE(rmdir_while_open),
	CASE(rmdir_current_directory),
	CASE(deep_nesting),
	CASE(sticky_protects_files),
	CASE(sticky_owner_of_directory_may),
	CASE(setgid_is_inherited),
	CASE(setgid_bit_stripped_from_foreign_group),
};
DEFINE_GROUP(dir);
