/* open and creat. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void mode_is_kept_but_umask(void)
{
	static const mode_t modes[] = {0, 0100, 0644, 0755, 0777, 04755, 02755, 01644, 07777};
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		OK(close(OK(open("file", O_WRONLY | O_CREAT | O_EXCL, modes[i]))));
		EQ(kit_mode("file"), modes[i]);
		OK(unlink("file"));
	}
	umask(027);
	OK(close(OK(open("masked", O_WRONLY | O_CREAT, 0777))));
	EQ(kit_mode("masked"), 0750);
	umask(0777);
	OK(close(OK(open("nothing", O_RDWR | O_CREAT, 0777))));
	EQ(kit_mode("nothing"), 0);
}

static void mode_of_existing_is_left(void)
{
	kit_file("file", "text");
	OK(chmod("file", 0600));
	OK(close(OK(open("file", O_RDWR | O_CREAT, 0777))));
	EQ(kit_mode("file"), 0600);
	kit_expect_text("file", "text");
}

static void new_file_attributes(void)
{
	int fd = OK(open("file", O_RDWR | O_CREAT | O_EXCL, 0640));
	struct stat st = kit_fstat(fd);
	EQ(st.st_size, 0);
	EQ(st.st_nlink, 1);
	EQ(st.st_blocks, 0);
	CHECK(S_ISREG(st.st_mode));
	EQ(st.st_uid, geteuid());
	EQ(st.st_dev, kit_stat(".").st_dev);
	CHECK(st.st_ino != 0);
	CHECK(st.st_blksize > 0);
	EQ(st.st_ino, kit_ino("file"));
}

static void new_file_owner_and_group(void)
{
	kit_need_root();
	kit_become(KIT_USER, KIT_OTHER);
	kit_file("file", "x");
	struct stat st = kit_stat("file");
	EQ(st.st_uid, KIT_USER);
	EQ(st.st_gid, KIT_OTHER);
}

static void mode_without_write_still_writable_by_creator(void)
{
	kit_need_root();
	kit_become(KIT_USER, KIT_USER);
	int fd = OK(open("file", O_RDWR | O_CREAT | O_EXCL, 0));
	kit_write(fd, "text", 4);
	OK(close(fd));
	FAILS(EACCES, open("file", O_RDONLY));
	EQ(kit_stat("file").st_size, 4);
}

static void excl_existing(void)
{
	kit_file("file", "text");
	FAILS(EEXIST, open("file", O_RDWR | O_CREAT | O_EXCL, 0644));
	FAILS(EEXIST, open("file", O_RDWR | O_CREAT | O_EXCL | O_TRUNC, 0644));
	kit_expect_text("file", "text");
}

static void excl_does_not_follow_symlinks(void)
{
	OK(symlink("target", "link"));
	FAILS(EEXIST, open("link", O_RDWR | O_CREAT | O_EXCL, 0644));
	kit_expect_absent("target");
	OK(close(OK(open("link", O_RDWR | O_CREAT, 0644))));
	CHECK(S_ISREG(kit_lstat("target").st_mode));
}

static void trunc_empties(void)
{
	kit_pattern_file("file", 300000, 1);
	int fd = OK(open("file", O_RDWR | O_TRUNC));
	EQ(kit_fstat(fd).st_size, 0);
	kit_pwrite(fd, "z", 1, 9999);
	uint8_t data[9999], zeros[9999] = {0};
	kit_pread(fd, data, sizeof(data), 0);
	EQ_MEM(data, zeros, sizeof(data));
}

static void trunc_with_creat(void)
{
	kit_file("file", "text");
	uint64_t ino = kit_ino("file");
	OK(close(OK(open("file", O_WRONLY | O_CREAT | O_TRUNC, 0600))));
	EQ(kit_stat("file").st_size, 0);
	EQ(kit_ino("file"), ino);
	EQ(kit_mode("file"), 0644);
}

static void eisdir(void)
{
	kit_mkdir("dir", 0755);
	FAILS(EISDIR, open("dir", O_WRONLY));
	FAILS(EISDIR, open("dir", O_RDWR));
	FAILS(EISDIR, open("dir", O_RDONLY | O_TRUNC));
	FAILS(EISDIR, open("dir", O_RDONLY | O_CREAT, 0644));
	int fd = OK(open("dir", O_RDONLY));
	char c;
	FAILS(EISDIR, read(fd, &c, 1));
}

static void o_directory(void)
{
	kit_file("file", "x");
	kit_mkdir("dir", 0755);
	OK(symlink("dir", "link"));
	FAILS(ENOTDIR, open("file", O_RDONLY | O_DIRECTORY));
	OK(close(OK(open("dir", O_RDONLY | O_DIRECTORY))));
	OK(close(OK(open("link", O_RDONLY | O_DIRECTORY))));
	FAILS(ENOTDIR, open("link", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
}

static void o_nofollow(void)
{
	kit_file("file", "x");
	OK(symlink("file", "link"));
	FAILS(ELOOP, open("link", O_RDONLY | O_NOFOLLOW));
	FAILS(ELOOP, open("link", O_RDONLY | O_CREAT | O_NOFOLLOW, 0644));
	OK(close(OK(open("file", O_RDONLY | O_NOFOLLOW))));
	OK(close(OK(open("link", O_PATH | O_NOFOLLOW))));
}

static void o_path_and_reopen(void)
{
	char name[64];
	kit_file("file", "text");
	int fd = OK(open("file", O_PATH));
	char c;
	FAILS(EBADF, read(fd, &c, 1));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	kit_expect_text(name, "text");
}

static void access_mode_is_enforced(void)
{
	char c = 'x';
	kit_file("file", "text");
	int fd = OK(open("file", O_RDONLY));
	FAILS(EBADF, write(fd, &c, 1));
	FAILS_ANY(EINVAL, EBADF, ftruncate(fd, 0));
	OK(close(fd));
	fd = OK(open("file", O_WRONLY));
	FAILS(EBADF, read(fd, &c, 1));
	OK(ftruncate(fd, 2));
	OK(close(fd));
	kit_expect_text("file", "te");
}

static void fifo_nonblocking_writer(void)
{
	OK(mkfifo("fifo", 0644));
	FAILS(ENXIO, open("fifo", O_WRONLY | O_NONBLOCK));
	int rd = OK(open("fifo", O_RDONLY | O_NONBLOCK));
	int wr = OK(open("fifo", O_WRONLY | O_NONBLOCK));
	char data[3];
	kit_write(wr, "abc", 3);
	EQ(OKL(read(rd, data, 3)), 3);
	EQ_MEM(data, "abc", 3);
}

static void socket_cannot_be_opened(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "socket"};
	int s = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(bind(s, (struct sockaddr *)&addr, sizeof(addr)));
	CHECK(S_ISSOCK(kit_lstat("socket").st_mode));
	FAILS(ENXIO, open("socket", O_RDONLY));
	OK(listen(s, 1));
	int c = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(connect(c, (struct sockaddr *)&addr, sizeof(addr)));
	FAILS(EADDRINUSE,
		bind(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&addr, sizeof(addr)));
}

static void o_tmpfile(void)
{
	char name[64];
	int fd = open(".", O_RDWR | O_TMPFILE, 0600);
	if (fd < 0) {
		if (errno == EOPNOTSUPP || errno == EISDIR)
			SKIP("no O_TMPFILE: %m");
		FAIL("O_TMPFILE: %m");
	}
	EQ(kit_fstat(fd).st_nlink, 0);
	EQ(kit_count_names("."), 0);
	kit_write(fd, "text", 4);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, name, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	EQ(kit_fstat(fd).st_nlink, 1);
	kit_expect_text("named", "text");
}

static void openat_follows_a_moved_directory(void)
{
	kit_mkdir("dir", 0755);
	int dir = OK(open("dir", O_RDONLY | O_DIRECTORY));
	OK(rename("dir", "moved"));
	int fd = OK(openat(dir, "file", O_RDWR | O_CREAT | O_EXCL, 0644));
	kit_write(fd, "text", 4);
	kit_expect_text("moved/file", "text");
}

static void create_in_removed_directory(void)
{
	kit_mkdir("dir", 0755);
	int dir = OK(open("dir", O_RDONLY | O_DIRECTORY));
	OK(rmdir("dir"));
	FAILS(ENOENT, openat(dir, "file", O_RDWR | O_CREAT, 0644));
	FAILS(ENOENT, mkdirat(dir, "sub", 0755));
	FAILS(ENOENT, symlinkat("x", dir, "link"));
	EQ(kit_fstat(dir).st_nlink, 0);
}

static void many_open_descriptors(void)
{
	char name[16];
	static int fds[900];
	for (unsigned int i = 0; i < COUNT_OF(fds); i++) {
		snprintf(name, sizeof(name), "f%u", i);
		fds[i] = OK(open(name, O_RDWR | O_CREAT | O_EXCL, 0644));
	}
	for (unsigned int i = 0; i < COUNT_OF(fds); i++)
		kit_pwrite(fds[i], &i, sizeof(i), 0);
	for (unsigned int i = 0; i < COUNT_OF(fds); i++) {
		unsigned int got;
		kit_pread(fds[i], &got, sizeof(got), 0);
		EQ(got, i);
	}
}

static const struct test_case cases[] = {
	CASE(mode_is_kept_but_umask),
	CASE(mode_of_existing_is_left),
	CASE(new_file_attributes),
	CASE(new_file_owner_and_group),
	CASE(mode_without_write_still_writable_by_creator),
	CASE(excl_existing),
	CASE(excl_does_not_follow_symlinks),
	CASE(trunc_empties),
	CASE(trunc_with_creat),
	CASE(eisdir),
	CASE(o_directory),
	CASE(o_nofollow),
	CASE(o_path_and_reopen),
	CASE(access_mode_is_enforced),
	CASE(fifo_nonblocking_writer),
	CASE(socket_cannot_be_opened),
	CASE(o_tmpfile),
	CASE(openat_follows_a_moved_directory),
	CASE(create_in_removed_directory),
	CASE(many_open_descriptors),
};
DEFINE_GROUP(open);
