/* utimensat, and which operation moves which file time. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static void set_times(const char *path, time_t atime, long ans, time_t mtime, long mns)
{
	struct timespec times[2] = {{atime, ans}, {mtime, mns}};
	OK(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
}

static void expect_times(const char *path, time_t atime, long ans, time_t mtime, long mns)
{
	struct stat st = kit_lstat(path);
	EQ(st.st_atim.tv_sec, atime);
	EQ(st.st_atim.tv_nsec, ans);
	EQ(st.st_mtim.tv_sec, mtime);
	EQ(st.st_mtim.tv_nsec, mns);
}

static void exact_nanoseconds_on_each_type(void)
{
	static const char *const names[] = {"file", "dir", "fifo", "sym"};
	kit_file("file", "x");
	kit_mkdir("dir", 0755);
	OK(mkfifo("fifo", 0600));
	OK(symlink("file", "sym"));
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		set_times(names[i], 1600000000, 123456789, 1500000001, 999999999);
		expect_times(names[i], 1600000000, 123456789, 1500000001, 999999999);
	}
}

static void far_years(void)
{
	static const time_t seconds[] = {
		0, 1, 0x7fffffff, 0x80000000, 4102444800, 0xffffffff, 9999999999};
	kit_file("file", "x");
	for (size_t i = 0; i < COUNT_OF(seconds); i++) {
		set_times("file", seconds[i], 1, seconds[i], 2);
		expect_times("file", seconds[i], 1, seconds[i], 2);
	}
}

static void before_1970(void)
{
	kit_file("file", "x");
	set_times("file", -1, 5, -1000000, 999999999);
	expect_times("file", -1, 5, -1000000, 999999999);
	set_times("file", -0x7fffffff, 0, -1, 0);
	expect_times("file", -0x7fffffff, 0, -1, 0);
}

static void utime_omit(void)
{
	struct timespec times[2] = {{0, UTIME_OMIT}, {1000, 7}};
	kit_file("file", "x");
	set_times("file", 10, 1, 20, 2);
	OK(utimensat(AT_FDCWD, "file", times, 0));
	expect_times("file", 10, 1, 1000, 7);
	times[0] = (struct timespec){2000, 8};
	times[1].tv_nsec = UTIME_OMIT;
	OK(utimensat(AT_FDCWD, "file", times, 0));
	expect_times("file", 2000, 8, 1000, 7);
	times[0].tv_nsec = UTIME_OMIT;
	WATCH(OK(utimensat(AT_FDCWD, "file", times, 0)), SEES("file", 0));
}

static void utime_now(void)
{
	struct timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
	kit_file("file", "x");
	set_times("file", 10, 1, 20, 2);
	time_t now = time(NULL);
	OK(utimensat(AT_FDCWD, "file", times, 0));
	struct stat st = kit_stat("file");
	CHECK(st.st_atim.tv_sec >= now - 2 && st.st_atim.tv_sec <= now + 5);
	EQ(st.st_atim.tv_sec, st.st_mtim.tv_sec);
	EQ(st.st_atim.tv_nsec, st.st_mtim.tv_nsec);
	set_times("file", 10, 1, 20, 2);
	OK(utimensat(AT_FDCWD, "file", NULL, 0));
	CHECK(kit_stat("file").st_mtim.tv_sec >= now - 2);
}

static void utime_marks_ctime(void)
{
	struct timespec times[2] = {{1000, 0}, {2000, 0}};
	kit_mkdir("d", 0755);
	kit_file("d/file", "x");
	struct stat before = kit_stat("d/file");
	kit_tick();
	int fd = OK(open("d/file", O_RDONLY));
	WATCH(OK(futimens(fd, times)), SEES("d", 0));
	struct stat after = kit_stat("d/file");
	CHECK(after.st_ctim.tv_sec > before.st_ctim.tv_sec ||
		after.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
	EQ(after.st_mtim.tv_sec, 2000);
}

static void utime_bad_nanoseconds(void)
{
	struct timespec times[2] = {{1, 1000000000}, {1, 0}};
	kit_file("file", "x");
	FAILS(EINVAL, utimensat(AT_FDCWD, "file", times, 0));
	times[0].tv_nsec = -1;
	FAILS(EINVAL, utimensat(AT_FDCWD, "file", times, 0));
}

static void utime_permissions(void)
{
	struct timespec set[2] = {{1, 0}, {1, 0}};
	struct timespec one_now[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
	kit_need_root();
	kit_file("readable", "x");
	kit_file("writable", "x");
	OK(chmod("writable", 0666));
	kit_become(KIT_USER, KIT_USER);
	FAILS(EACCES, utimensat(AT_FDCWD, "readable", NULL, 0));
	FAILS(EPERM, utimensat(AT_FDCWD, "readable", set, 0));
	OK(utimensat(AT_FDCWD, "writable", NULL, 0));
	FAILS(EPERM, utimensat(AT_FDCWD, "writable", set, 0));
	FAILS(EPERM, utimensat(AT_FDCWD, "writable", one_now, 0));
	kit_file("own", "x");
	OK(chmod("own", 0));
	OK(utimensat(AT_FDCWD, "own", set, 0));
	EQ(kit_stat("own").st_mtim.tv_sec, 1);
}

static void set_times_last_across_close(void)
{
	struct timespec times[2] = {{1000, 1}, {2000, 2}};
	int fd = OK(open("file", O_RDWR | O_CREAT, 0644));
	kit_write(fd, "text", 4);
	OK(futimens(fd, times));
	OK(fsync(fd));
	OK(close(fd));
	expect_times("file", 1000, 1, 2000, 2);
	fd = OK(open("file", O_RDWR)); /* an open for writing is no write */
	OK(close(fd));
	expect_times("file", 1000, 1, 2000, 2);
}

static void create_sets_all_three(void)
{
	time_t now = time(NULL);
	kit_file("file", "");
	struct stat st = kit_stat("file");
	CHECK(st.st_mtim.tv_sec >= now - 2 && st.st_mtim.tv_sec <= now + 2);
	CHECK(st.st_ctim.tv_sec >= now - 2 && st.st_ctim.tv_sec <= now + 2);
	CHECK(st.st_atim.tv_sec >= now - 2 && st.st_atim.tv_sec <= now + 2);
	kit_mkdir("d", 0755);
	WATCH(kit_file("d/new", ""), SEES("d", MARK_MC), SEES(".", 0));
	WATCH(OK(close(OK(open("d/new", O_RDWR | O_CREAT, 0644)))), SEES("d", 0), SEES("d/new", 0));
}

static void write_marks(void)
{
	kit_mkdir("d", 0755);
	kit_file("d/file", "text");
	int fd = OK(open("d/file", O_RDWR));
	WATCH(kit_pwrite(fd, "x", 1, 0), SEES("d/file", MARK_MC), SEES("d", 0));
	WATCH(kit_pwrite(fd, "x", 1, 100000), SEES("d/file", MARK_MC), SEES("d", 0));
	WATCH(kit_pwrite(fd, "", 0, 0), SEES("d/file", 0));
	WATCH(OK(fsync(fd)), SEES("d/file", 0));
	WATCH(OK(close(fd)), SEES("d/file", 0));
}

static void write_is_seen_by_stat_at_once(void)
{
	kit_file("file", "");
	int fd = OK(open("file", O_WRONLY | O_APPEND));
	for (int i = 1; i <= 100; i++) {
		kit_write(fd, "x", 1);
		EQ(kit_stat("file").st_size, i);
		EQ(kit_fstat(fd).st_size, i);
	}
}

static void truncate_marks(void)
{
	kit_mkdir("d", 0755);
	kit_file("d/file", "text");
	WATCH(OK(truncate("d/file", 2)), SEES("d/file", MARK_MC), SEES("d", 0));
	WATCH(OK(truncate("d/file", 5000)), SEES("d/file", MARK_MC));
	int fd = OK(open("d/file", O_RDWR));
	WATCH(OK(ftruncate(fd, 5000)), SEES("d/file", MARK_MC)); /* also without a change */
	WATCH(OK(close(OK(open("d/file", O_RDWR | O_TRUNC)))), SEES("d/file", MARK_MC),
		SEES("d", 0));
	WATCH(FAILS(EINVAL, ftruncate(fd, -1)), SEES("d/file", 0));
}

static void read_marks_atime(void)
{
	char c;
	struct statvfs sv;
	kit_file("file", "text");
	OK(statvfs("file", &sv));
	if ((sv.f_flag & ST_NOATIME) != 0)
		SKIP("mounted noatime");
	set_times("file", 1000, 0, 2000, 0); /* older than mtime: relatime updates it too */
	int fd = OK(open("file", O_RDONLY));
	kit_pread(fd, &c, 1, 0);
	struct stat st = kit_stat("file");
	CHECK(st.st_atim.tv_sec > 1000);
	EQ(st.st_mtim.tv_sec, 2000);
}

static void readdir_marks_atime(void)
{
	struct statvfs sv;
	kit_mkdir("d", 0755);
	kit_file("d/file", "x");
	OK(statvfs("d", &sv));
	if ((sv.f_flag & (ST_NOATIME | ST_NODIRATIME)) != 0)
		SKIP("mounted noatime or nodiratime");
	set_times("d", 1000, 0, 2000, 0);
	kit_count_names("d");
	CHECK(kit_stat("d").st_atim.tv_sec > 1000);
	EQ(kit_stat("d").st_mtim.tv_sec, 2000);
}

static void stat_and_open_mark_nothing(void)
{
	kit_mkdir("d", 0755);
	kit_file("d/file", "x");
	WATCH(OK(close(OK(open("d/file", O_RDONLY)))), SEES("d/file", 0), SEES("d", 0));
	WATCH(OK(access("d/file", R_OK)), SEES("d/file", 0), SEES("d", 0));
}

static void o_noatime_leaves_atime(void)
{
	char c;
	kit_file("file", "text");
	set_times("file", 1000, 0, 2000, 0);
	int fd = OK(open("file", O_RDONLY | O_NOATIME));
	kit_pread(fd, &c, 1, 0);
	OK(close(fd));
	EQ(kit_stat("file").st_atim.tv_sec, 1000);
}

static void mmap_write_marks(void)
{
	kit_pattern_file("file", 8192, 1);
	struct stat before = kit_stat("file");
	kit_tick();
	int fd = OK(open("file", O_RDWR));
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	p[5000] = 'x';
	OK(msync(p, 8192, MS_SYNC));
	struct stat after = kit_stat("file");
	CHECK(after.st_mtim.tv_sec != before.st_mtim.tv_sec ||
		after.st_mtim.tv_nsec > before.st_mtim.tv_nsec);
	CHECK(after.st_ctim.tv_sec != before.st_ctim.tv_sec ||
		after.st_ctim.tv_nsec > before.st_ctim.tv_nsec);
	EQ(after.st_size, 8192);
}

static void xattr_marks_ctime(void)
{
	kit_file("file", "x");
	if (setxattr("file", "user.a", "1", 1, 0) < 0 && errno == ENOTSUP)
		SKIP("no user xattrs");
	WATCH(OK(setxattr("file", "user.b", "1", 1, 0)), SEES("file", MARK_CTIME), SEES(".", 0));
	WATCH(OK(removexattr("file", "user.b")), SEES("file", MARK_CTIME), SEES(".", 0));
}

static void every_directory_change_moves_mtime(void)
{
	kit_mkdir("d", 0755);
	kit_file("a", "x");
	WATCH(OK(close(OK(open("d/f", O_CREAT | O_RDWR, 0644)))), SEES("d", MARK_MC));
	WATCH(OK(mkdir("d/s", 0755)), SEES("d", MARK_MC));
	WATCH(OK(rmdir("d/s")), SEES("d", MARK_MC));
	WATCH(OK(symlink("x", "d/l")), SEES("d", MARK_MC));
	WATCH(OK(mkfifo("d/p", 0644)), SEES("d", MARK_MC));
	WATCH(OK(mknod("d/n", S_IFREG | 0644, 0)), SEES("d", MARK_MC));
	WATCH(OK(link("a", "d/h")), SEES("d", MARK_MC));
	WATCH(OK(rename("d/h", "d/i")), SEES("d", MARK_MC));
	WATCH(OK(rename("a", "d/j")), SEES("d", MARK_MC), SEES(".", MARK_MC));
	WATCH(OK(rename("d/f", "d/l")), SEES("d", MARK_MC));
	WATCH(OK(unlink("d/p")), SEES("d", MARK_MC));
}

static const struct test_case cases[] = {
	CASE(exact_nanoseconds_on_each_type),
	CASE(far_years),
	CASE(before_1970),
	CASE(utime_omit),
	CASE(utime_now),
	CASE(utime_marks_ctime),
	CASE(utime_bad_nanoseconds),
	CASE(utime_permissions),
	CASE(set_times_last_across_close),
	CASE(create_sets_all_three),
	CASE(write_marks),
	CASE(write_is_seen_by_stat_at_once),
	CASE(truncate_marks),
	CASE(read_marks_atime),
	CASE(readdir_marks_atime),
	CASE(stat_and_open_mark_nothing),
	CASE(o_noatime_leaves_atime),
	CASE(mmap_write_marks),
	CASE(xattr_marks_ctime),
	CASE(every_directory_change_moves_mtime),
};
DEFINE_GROUP(time);
