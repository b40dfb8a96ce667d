/* Holes and allocation. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void allocate(int fd, int mode, off_t from, off_t len)
{
	if (fallocate(fd, mode, from, len) == 0)
		return;
	if (errno == EOPNOTSUPP)
		SKIP("fallocate mode %d is not supported", mode);
	FAIL("fallocate mode %d: %m", mode);
}

static void holes_read_as_zeros(void)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0644));
	for (off_t at = 1000; at < 4000000; at += 333333)
		kit_pwrite(fd, "data", 4, at);
	for (off_t at = 1000; at + 333333 < 4000000; at += 333333) {
		kit_expect_zeros(fd, at + 4, 333329);
		char got[4];
		kit_pread(fd, got, 4, at);
		EQ_MEM(got, "data", 4);
	}
	kit_expect_zeros(fd, 0, 1000);
}

/* POSIX allows a filesystem to show no holes at all, but what it shows must be true. */
static void seek_hole_and_data(void)
{
	const off_t mib = 1 << 20;
	int fd = OK(open("file", O_RDWR | O_CREAT, 0644));
	kit_pwrite(fd, "data", 4, 4 * mib);
	kit_pwrite(fd, "data", 4, 8 * mib);
	OK(ftruncate(fd, 16 * mib));
	off_t data = OKL(lseek(fd, 0, SEEK_DATA));
	CHECK(data >= 0 && data <= 4 * mib);
	data = OKL(lseek(fd, 4 * mib + 2, SEEK_DATA));
	EQ(data, 4 * mib + 2);
	off_t hole = OKL(lseek(fd, 4 * mib, SEEK_HOLE));
	CHECK(hole >= 4 * mib + 4 && (hole <= 8 * mib || hole == 16 * mib));
	hole = OKL(lseek(fd, 8 * mib + 3, SEEK_HOLE));
	CHECK(hole >= 8 * mib + 4 && hole <= 16 * mib);
	EQ(OKL(lseek(fd, 0, SEEK_CUR)), hole);
}

static void seek_hole_and_data_errors(void)
{
	kit_file("file", "text");
	int fd = OK(open("file", O_RDWR));
	EQ(OKL(lseek(fd, 0, SEEK_DATA)), 0);
	EQ(OKL(lseek(fd, 0, SEEK_HOLE)), 4);
	EQ(OKL(lseek(fd, 3, SEEK_HOLE)), 4);
	FAILS(ENXIO, lseek(fd, 4, SEEK_DATA));
	FAILS(ENXIO, lseek(fd, 4, SEEK_HOLE));
	FAILS(ENXIO, lseek(fd, 100, SEEK_DATA));
	FAILS(ENXIO, lseek(fd, 100, SEEK_HOLE));
	int empty = OK(open("empty", O_RDWR | O_CREAT, 0644));
	FAILS(ENXIO, lseek(empty, 0, SEEK_DATA));
	FAILS(ENXIO, lseek(empty, 0, SEEK_HOLE));
}

/* Copy by walking SEEK_DATA and SEEK_HOLE, as cp and tar do: the copy must be equal. */
static void sparse_copy_is_equal(void)
{
	static const off_t at[] = {0, 5000, 70000, 131071, 500001, 1500000};
	const size_t size = 2000000;
	uint8_t *want = kit_alloc(size), *copy = kit_alloc(size);
	int fd = OK(open("file", O_RDWR | O_CREAT, 0644));
	for (size_t i = 0; i < COUNT_OF(at); i++) {
		kit_pattern(want + at[i], 3000, i, 0);
		kit_pwrite(fd, want + at[i], 3000, at[i]);
	}
	OK(ftruncate(fd, (off_t)size));
	off_t end = 0;
	while (end < (off_t)size) {
		off_t from = lseek(fd, end, SEEK_DATA);
		if (from < 0 && errno == ENXIO)
			break;
		OKL(from);
		end = OKL(lseek(fd, from, SEEK_HOLE));
		CHECK(end > from && end <= (off_t)size);
		kit_pread(fd, copy + from, (size_t)(end - from), from);
	}
	EQ_MEM(copy, want, size);
}

static void fallocate_grows(void)
{
	kit_pattern_file("file", 5000, 1);
	int fd = OK(open("file", O_RDWR));
	allocate(fd, 0, 0, 200000);
	EQ(kit_fstat(fd).st_size, 200000);
	kit_expect_pattern(fd, 0, 5000, 1, 0);
	kit_expect_zeros(fd, 5000, 195000);
	allocate(fd, 0, 100, 1000); /* inside: no change */
	EQ(kit_fstat(fd).st_size, 200000);
	kit_expect_pattern(fd, 0, 5000, 1, 0);
	EQ(posix_fallocate(fd, 200000, 1), 0);
	EQ(kit_fstat(fd).st_size, 200001);
}

static void fallocate_keep_size(void)
{
	kit_pattern_file("file", 5000, 1);
	int fd = OK(open("file", O_RDWR));
	allocate(fd, FALLOC_FL_KEEP_SIZE, 0, 200000);
	EQ(kit_fstat(fd).st_size, 5000);
	OK(ftruncate(fd, 100000));
	kit_expect_zeros(fd, 5000, 95000);
	kit_expect_pattern(fd, 0, 5000, 1, 0);
}

static void fallocate_errors(void)
{
	kit_file("file", "text");
	int fd = OK(open("file", O_RDWR)), rd = OK(open("file", O_RDONLY));
	FAILS(EINVAL, fallocate(fd, 0, -1, 10));
	FAILS(EINVAL, fallocate(fd, 0, 0, 0));
	FAILS(EINVAL, fallocate(fd, 0, 0, -5));
	FAILS(EBADF, fallocate(rd, 0, 0, 10));
	EQ(posix_fallocate(fd, 0, 0), EINVAL);
	EQ(posix_fallocate(rd, 0, 10), EBADF);
	FAILS_ANY(EOPNOTSUPP, EINVAL, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
	kit_expect_text("file", "text");
}

static void fallocate_marks_times(void)
{
	kit_file("file", "text");
	int fd = OK(open("file", O_RDWR));
	WATCH(allocate(fd, 0, 0, 100000), SEES("file", MARK_MC), SEES(".", 0));
	WATCH(allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192),
		SEES("file", MARK_MC));
}

static void punch_hole(void)
{
	static const off_t ranges[][2] = {{0, 1}, {4095, 2}, {5000, 10000}, {16384, 16384},
		{100000, 50001}, {299990, 100}, {400000, 10}};
	const size_t size = 300000;
	uint8_t *model = kit_alloc(size), *got = kit_alloc(size);
	kit_pattern_file("file", size, 7);
	kit_pattern(model, size, 7, 0);
	int fd = OK(open("file", O_RDWR));
	for (size_t i = 0; i < COUNT_OF(ranges); i++) {
		allocate(
			fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, ranges[i][0], ranges[i][1]);
		for (off_t k = ranges[i][0]; k < ranges[i][0] + ranges[i][1] && k < (off_t)size;
			k++)
			model[k] = 0;
		kit_pread(fd, got, size, 0);
		EQ_MEM(got, model, size);
		EQ(kit_fstat(fd).st_size, size);
	}
}

static void zero_range(void)
{
	const size_t size = 100000;
	kit_pattern_file("file", size, 7);
	int fd = OK(open("file", O_RDWR));
	allocate(fd, FALLOC_FL_ZERO_RANGE, 10001, 30000);
	kit_expect_pattern(fd, 0, 10001, 7, 0);
	kit_expect_zeros(fd, 10001, 30000);
	kit_expect_pattern(fd, 40001, size - 40001, 7, 40001);
	allocate(fd, FALLOC_FL_ZERO_RANGE, 99000, 5000);
	EQ(kit_fstat(fd).st_size, 104000);
}

/* A mode the filesystem does not know must be refused, not done as something else. */
static void unknown_modes_refused(void)
{
	kit_pattern_file("file", 65536, 7);
	int fd = OK(open("file", O_RDWR));
	FAILS_ANY(EOPNOTSUPP, EINVAL, fallocate(fd, 0x4000, 0, 4096));
	if (fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 4096, 4096) == 0) {
		EQ(kit_fstat(fd).st_size, 65536 - 4096);
	} else {
		CHECK(errno == EOPNOTSUPP || errno == EINVAL);
		kit_expect_pattern(fd, 0, 65536, 7, 0);
	}
}

static void sparse_file_takes_little_space(void)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0644));
	kit_pwrite(fd, "x", 1, (off_t)1 << 32);
	OK(fsync(fd));
	CHECK(kit_fstat(fd).st_blocks < 1 << 16);
	EQ(kit_fstat(fd).st_size, ((off_t)1 << 32) + 1);
}

static const struct test_case cases[] = {
	CASE(holes_read_as_zeros),
	CASE(seek_hole_and_data),
	CASE(seek_hole_and_data_errors),
	CASE(sparse_copy_is_equal),
	CASE(fallocate_grows),
	CASE(fallocate_keep_size),
	CASE(fallocate_errors),
	CASE(fallocate_marks_times),
	CASE(punch_hole),
	CASE(zero_range),
	CASE(unknown_modes_refused),
	CASE(sparse_file_takes_little_space),
};
DEFINE_GROUP(space);
