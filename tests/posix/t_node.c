/* mkfifo, mknod, symlink and readlink. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void fifo_mode_and_times(void)
{
	umask(022);
	WATCH(OK(mkfifo("fifo", 0666)), SEES(".", MARK_MC));
	struct stat st = kit_lstat("fifo");
	CHECK(S_ISFIFO(st.st_mode));
	EQ(st.st_mode & 07777, 0644);
	EQ(st.st_nlink, 1);
	EQ(st.st_size, 0);
	EQ(st.st_uid, geteuid());
}

static void fifo_carries_data(void)
{
	char data[5];
	OK(mkfifo("fifo", 0600));
	int fd = OK(open("fifo", O_RDWR));
	kit_write(fd, "hello", 5);
	OK(rename("fifo", "pipe"));
	int rd = OK(open("pipe", O_RDONLY | O_NONBLOCK));
	EQ(OKL(read(rd, data, 5)), 5);
	EQ_MEM(data, "hello", 5);
}

static void mknod_regular(void)
{
	OK(mknod("file", S_IFREG | 0640, 0));
	struct stat st = kit_lstat("file");
	CHECK(S_ISREG(st.st_mode));
	EQ(st.st_mode & 07777, 0640);
	EQ(st.st_size, 0);
	OK(mknod("bare", 0600, 0));
	CHECK(S_ISREG(kit_lstat("bare").st_mode));
}

static void mknod_devices(void)
{
	kit_need_root();
	OK(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	OK(mknod("disk", S_IFBLK | 0600, makedev(7, 1)));
	OK(mknod("big", S_IFCHR | 0600, makedev(511, 70000)));
	struct stat st = kit_lstat("null");
	CHECK(S_ISCHR(st.st_mode));
	EQ(major(st.st_rdev), 1);
	EQ(minor(st.st_rdev), 3);
	st = kit_lstat("disk");
	CHECK(S_ISBLK(st.st_mode));
	EQ(st.st_rdev, makedev(7, 1));
	EQ(kit_lstat("big").st_rdev, makedev(511, 70000));
}

static void mknod_devices_need_root(void)
{
	kit_need_root();
	kit_become(KIT_USER, KIT_USER);
	FAILS(EPERM, mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	FAILS(EPERM, mknod("disk", S_IFBLK | 0600, makedev(7, 1)));
	OK(mknod("fifo", S_IFIFO | 0600, 0));
	OK(mknod("sock", S_IFSOCK | 0600, 0));
	CHECK(S_ISSOCK(kit_lstat("sock").st_mode));
	EQ(kit_count_names("."), 2);
}

static void mknod_bad_type(void)
{
	FAILS(EPERM, mknod("dir", S_IFDIR | 0755, 0));
	FAILS(EINVAL, mknod("odd", S_IFMT | 0755, 0));
	EQ(kit_count_names("."), 0);
}

static void symlink_text_is_kept(void)
{
	static const char *const texts[] = {
		"a", "../x/./y//z", "/absolute/path", " ", "\xff\xfe\n", "trailing/"};
	char got[PATH_MAX];
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		OK(symlink(texts[i], "link"));
		size_t len = strlen(texts[i]);
		EQ(OKL(readlink("link", got, sizeof(got))), len);
		EQ_MEM(got, texts[i], len);
		struct stat st = kit_lstat("link");
		EQ(st.st_size, len);
		CHECK(S_ISLNK(st.st_mode));
		EQ(st.st_mode & 0777, 0777);
		OK(unlink("link"));
	}
}

static void symlink_longest(void)
{
	char text[PATH_MAX + 1], got[PATH_MAX + 1];
	static const size_t lengths[] = {59, 60, 61, 255, 256, 1023, 4000, 4095};
	memset(text, 't', sizeof(text));
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		text[lengths[i]] = '\0';
		OK(symlink(text, "link"));
		EQ(OKL(readlink("link", got, sizeof(got))), lengths[i]);
		EQ_MEM(got, text, lengths[i]);
		OK(unlink("link"));
		text[lengths[i]] = 't';
	}
	text[PATH_MAX] = '\0';
	FAILS(ENAMETOOLONG, symlink(text, "link"));
}

static void symlink_empty_target(void)
{
	FAILS(ENOENT, symlink("", "link"));
	kit_expect_absent("link");
}

static void readlink_cuts_and_errors(void)
{
	char got[4];
	OK(symlink("abcdef", "link"));
	EQ(OKL(readlink("link", got, 3)), 3);
	EQ_MEM(got, "abc", 3);
	FAILS(EINVAL, readlink("link", got, 0));
	kit_file("file", "x");
	FAILS(EINVAL, readlink("file", got, sizeof(got)));
	FAILS(EINVAL, readlink(".", got, sizeof(got)));
}

static void symlink_followed_everywhere(void)
{
	kit_mkdir("dir", 0755);
	kit_file("dir/file", "text");
	OK(symlink("dir", "d"));
	OK(symlink("d/file", "f"));
	kit_expect_text("f", "text");
	kit_expect_text("d/file", "text");
	OK(chmod("f", 0600));
	EQ(kit_mode("dir/file"), 0600);
	OK(truncate("f", 2));
	kit_expect_text("dir/file", "te");
	EQ(kit_stat("d/..").st_ino, kit_ino("."));
}

static void symlink_times(void)
{
	kit_mkdir("dir", 0755);
	WATCH(OK(symlink("x", "dir/l")), SEES("dir", MARK_MC), SEES(".", 0));
	struct timespec times[2] = {{100, 0}, {200, 5}};
	OK(utimensat(AT_FDCWD, "dir/l", times, AT_SYMLINK_NOFOLLOW));
	struct stat st = kit_lstat("dir/l");
	EQ(st.st_mtim.tv_sec, 200);
	EQ(st.st_mtim.tv_nsec, 5);
}

static void symlink_owner(void)
{
	kit_need_root();
	kit_file("file", "x");
	OK(symlink("file", "link"));
	OK(lchown("link", KIT_USER, KIT_OTHER));
	EQ(kit_lstat("link").st_uid, KIT_USER);
	EQ(kit_lstat("link").st_gid, KIT_OTHER);
	EQ(kit_lstat("file").st_uid, 0);
	OK(chown("link", KIT_OTHER, KIT_USER));
	EQ(kit_lstat("file").st_uid, KIT_OTHER);
	EQ(kit_lstat("link").st_uid, KIT_USER);
}

static const struct test_case cases[] = {
	CASE(fifo_mode_and_times),
	CASE(fifo_carries_data),
	CASE(mknod_regular),
	CASE(mknod_devices),
	CASE(mknod_devices_need_root),
	CASE(mknod_bad_type),
	CASE(symlink_text_is_kept),
	CASE(symlink_longest),
	CASE(symlink_empty_target),
	CASE(readlink_cuts_and_errors),
	CASE(symlink_followed_everywhere),
	CASE(symlink_times),
	CASE(symlink_owner),
};
DEFINE_GROUP(node);
