/* truncate and ftruncate. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void shrink_and_grow_leaves_zeros(void)
{
	static const off_t cuts[] = {
		0, 1, 511, 4095, 4096, 4097, 16383, 16385, 65536, 131071, 131073, 262143, 299999};
	uint8_t *want = kit_alloc(300000), *got = kit_alloc(300000);
	kit_pattern(want, 300000, 1, 0);
	for (size_t i = 0; i < COUNT_OF(cuts); i++) {
		kit_pattern_file("file", 300000, 1);
		int fd = OK(open("file", O_RDWR));
		OK(ftruncate(fd, cuts[i]));
		EQ(kit_fstat(fd).st_size, cuts[i]);
		OK(ftruncate(fd, 300000));
		kit_pread(fd, got, (size_t)cuts[i], 0);
		EQ_MEM(got, want, (size_t)cuts[i]);
		kit_expect_zeros(fd, cuts[i], (size_t)(300000 - cuts[i]));
		OK(close(fd));
		OK(unlink("file"));
	}
}

static void shrink_and_write_past_leaves_zeros(void)
{
	kit_pattern_file("file", 200000, 2);
	int fd = OK(open("file", O_RDWR));
	OK(ftruncate(fd, 5001));
	kit_pwrite(fd, "end", 3, 150000);
	kit_expect_zeros(fd, 5001, 150000 - 5001);
	EQ(kit_fstat(fd).st_size, 150003);
}

static void by_path_and_through_other_descriptor(void)
{
	char c;
	kit_pattern_file("file", 10000, 3);
	int fd = OK(open("file", O_RDONLY));
	OK(truncate("file", 100));
	EQ(kit_fstat(fd).st_size, 100);
	EQ(OKL(pread(fd, &c, 1, 100)), 0);
	OK(truncate("file", 1000));
	kit_expect_zeros(fd, 100, 900);
}

static void errors(void)
{
	kit_file("file", "text");
	kit_mkdir("dir", 0755);
	FAILS(EINVAL, truncate("file", -1));
	FAILS(EISDIR, truncate("dir", 0));
	int fd = OK(open("file", O_RDONLY));
	FAILS_ANY(EINVAL, EBADF, ftruncate(fd, 0));
	fd = OK(open("file", O_RDWR));
	FAILS(EINVAL, ftruncate(fd, -1));
	OK(mkfifo("fifo", 0644));
	FAILS(EINVAL, truncate("fifo", 0));
	kit_expect_text("file", "text");
}

static void largest_size_or_efbig(void)
{
	kit_file("file", "text");
	if (truncate("file", 0x7fffffffffffffff) < 0) {
		CHECK(errno == EFBIG || errno == EINVAL);
		EQ(kit_stat("file").st_size, 4);
	} else {
		EQ(kit_stat("file").st_size, 0x7fffffffffffffff);
	}
	OK(truncate("file", 2));
	kit_expect_text("file", "te");
}

static void needs_write_permission(void)
{
	kit_need_root();
	kit_file("file", "text");
	kit_become(KIT_USER, KIT_USER);
	WATCH(FAILS(EACCES, truncate("file", 0)), SEES("file", 0));
	kit_file("own", "text");
	int fd = OK(open("own", O_RDWR));
	OK(chmod("own", 0));
	OK(ftruncate(fd, 1)); /* the right of the descriptor counts */
	FAILS(EACCES, truncate("own", 0));
	EQ(kit_fstat(fd).st_size, 1);
}

static void blocks_are_given_back(void)
{
	kit_pattern_file("file", 4 << 20, 4);
	int fd = OK(open("file", O_RDWR));
	OK(fsync(fd));
	CHECK(kit_fstat(fd).st_blocks > 0);
	OK(ftruncate(fd, 0));
	OK(fsync(fd));
	EQ(kit_fstat(fd).st_size, 0);
	CHECK(kit_fstat(fd).st_blocks <= 16);
}

static void terabyte_file(void)
{
	const off_t tib = (off_t)1 << 40;
	char data[4];
	int fd = OK(open("file", O_RDWR | O_CREAT, 0644));
	OK(ftruncate(fd, tib));
	EQ(kit_fstat(fd).st_size, tib);
	kit_pwrite(fd, "tail", 4, tib);
	EQ(kit_stat("file").st_size, tib + 4);
	kit_pread(fd, data, 4, tib);
	EQ_MEM(data, "tail", 4);
	kit_expect_zeros(fd, tib - 100000, 100000);
	kit_expect_zeros(fd, tib / 2 + 7, 100000);
	kit_expect_zeros(fd, 0, 4096);
	CHECK((off_t)kit_stat("file").st_blocks * 512 < (off_t)1 << 30);
	OK(close(fd));
	fd = OK(open("file", O_RDWR));
	kit_pread(fd, data, 4, tib);
	EQ_MEM(data, "tail", 4);
	OK(ftruncate(fd, 10));
	OK(ftruncate(fd, tib + 4));
	kit_expect_zeros(fd, tib - 10, 14);
}

static void file_size_limit_of_process(void)
{
	struct rlimit limit = {10000, 10000};
	char data[200];
	memset(data, 'x', sizeof(data));
	signal(SIGXFSZ, SIG_IGN);
	OK(setrlimit(RLIMIT_FSIZE, &limit));
	int fd = OK(open("file", O_RDWR | O_CREAT, 0644));
	EQ(OKL(pwrite(fd, data, sizeof(data), 9900)), 100);
	FAILS(EFBIG, pwrite(fd, data, sizeof(data), 10000));
	FAILS(EFBIG, ftruncate(fd, 10001));
	EQ(kit_fstat(fd).st_size, 10000);
}

static const struct test_case cases[] = {
	CASE(shrink_and_grow_leaves_zeros),
	CASE(shrink_and_write_past_leaves_zeros),
	CASE(by_path_and_through_other_descriptor),
	CASE(errors),
	CASE(largest_size_or_efbig),
	CASE(needs_write_permission),
	CASE(blocks_are_given_back),
	CASE(terabyte_file),
	CASE(file_size_limit_of_process),
};
DEFINE_GROUP(truncate);
