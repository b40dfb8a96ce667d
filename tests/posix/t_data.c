/* Reading and writing: boundaries, append, sync and direct modes. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODEL_SIZE ((size_t)3 << 20)

static const size_t boundaries[] = {512, 4096, 16384, 65536, 131072, 262144, 1048576, 2097152};

/* Writes of these lengths that end before, on and after each boundary, compared with a model. */
static void write_around(int fd, uint8_t *model, size_t boundary, size_t len, uint64_t seed)
{
	uint8_t *data = kit_alloc(len);
	for (size_t back = 0; back <= len && back <= boundary; back += len / 3 + 1) {
		kit_pattern(data, len, seed + back, 0);
		kit_pwrite(fd, data, len, (off_t)(boundary - back));
		memcpy(model + boundary - back, data, len);
	}
	free(data);
}

static void boundaries_against_model(void)
{
	static const size_t lengths[] = {1, 2, 3, 200, 4095, 4096, 4097, 16385, 131073, 300001};
	uint8_t *model = kit_alloc(MODEL_SIZE), *got = kit_alloc(MODEL_SIZE);
	int fd = OK(open("file", O_RDWR | O_CREAT, 0644));
	OK(ftruncate(fd, (off_t)MODEL_SIZE));
	for (size_t b = 0; b < COUNT_OF(boundaries); b++) {
		for (size_t i = 0; i < COUNT_OF(lengths); i++)
			write_around(fd, model, boundaries[b], lengths[i], b * 100 + i);
	}
	kit_pread(fd, got, MODEL_SIZE, 0);
	EQ_MEM(got, model, MODEL_SIZE);
	OK(close(fd));
	fd = OK(open("file", O_RDONLY));
	for (size_t b = 0; b < COUNT_OF(boundaries); b++) {
		for (size_t i = 0; i < COUNT_OF(lengths); i++) {
			size_t from =
				boundaries[b] - (boundaries[b] < lengths[i] ? 0 : lengths[i] / 2);
			kit_pread(fd, got, lengths[i], (off_t)from);
			EQ_MEM(got, model + from, lengths[i]);
		}
	}
}

static void short_read_at_the_end(void)
{
	char data[10];
	kit_file("file", "abcdef");
	int fd = OK(open("file", O_RDONLY));
	EQ(OKL(pread(fd, data, 10, 4)), 2);
	EQ_MEM(data, "ef", 2);
	EQ(OKL(pread(fd, data, 10, 6)), 0);
	EQ(OKL(pread(fd, data, 10, 1000000)), 0);
	EQ(OKL(pread(fd, data, 0, 0)), 0);
	FAILS(EINVAL, pread(fd, data, 1, -1));
}

static void positions(void)
{
	char data[4];
	kit_file("file", "0123456789");
	int fd = OK(open("file", O_RDWR));
	EQ(OKL(read(fd, data, 4)), 4);
	EQ(OKL(lseek(fd, 0, SEEK_CUR)), 4);
	kit_pwrite(fd, "X", 1, 0); /* does not move it */
	EQ(OKL(lseek(fd, 0, SEEK_CUR)), 4);
	kit_write(fd, "Y", 1);
	EQ(OKL(lseek(fd, -2, SEEK_END)), 8);
	EQ(OKL(lseek(fd, 100, SEEK_SET)), 100);
	FAILS(EINVAL, lseek(fd, -1, SEEK_SET));
	FAILS(EINVAL, lseek(fd, 0, 99));
	EQ(kit_fstat(fd).st_size, 10);
	EQ(OKL(lseek(fd, 0, SEEK_CUR)), 100);
	kit_expect_text("file", "X123Y56789");
}

static void vectors(void)
{
	char a[3], b[5];
	static char abc[] = "abc", defgh[] = "defgh";
	struct iovec out[3] = {{abc, 3}, {abc, 0}, {defgh, 5}};
	struct iovec in[2] = {{a, 3}, {b, 5}};
	int fd = OK(open("file", O_RDWR | O_CREAT, 0644));
	EQ(OKL(pwritev(fd, out, 3, 4094)), 8);
	EQ(OKL(preadv(fd, in, 2, 4094)), 8);
	EQ_MEM(a, "abc", 3);
	EQ_MEM(b, "defgh", 5);
}

static void large_single_write(void)
{
	const size_t size = (size_t)20 << 20;
	uint8_t *data = kit_alloc(size), *got = kit_alloc(size);
	kit_pattern(data, size, 9, 0);
	int fd = OK(open("file", O_RDWR | O_CREAT, 0644));
	kit_write(fd, data, size);
	kit_pread(fd, got, size, 0);
	EQ_MEM(got, data, size);
	EQ(kit_fstat(fd).st_size, size);
}

static void append_ignores_position(void)
{
	kit_file("file", "start");
	int fd = OK(open("file", O_RDWR | O_APPEND));
	OKL(lseek(fd, 0, SEEK_SET));
	kit_write(fd, "+one", 4);
	EQ(OKL(lseek(fd, 0, SEEK_CUR)), 9);
	EQ(OKL(pwrite(fd, "+two", 4, 0)), 4); /* Linux appends here too */
	kit_expect_text("file", "start+one+two");
	OK(truncate("file", 3));
	kit_write(fd, "!", 1);
	kit_expect_text("file", "sta!");
}

#define APPENDERS 8
#define APPEND_ROUNDS 300
#define RECORD_MAX 700

static size_t record_length(unsigned int writer, unsigned int round)
{
	return 8 + (writer * 131 + round * 37) % (RECORD_MAX - 8);
}

static void append_records(unsigned int index)
{
	uint8_t record[RECORD_MAX];
	int fd = OK(open("log", O_WRONLY | O_APPEND));
	for (unsigned int i = 0; i < APPEND_ROUNDS; i++) {
		size_t len = record_length(index, i);
		memset(record, (int)('a' + index), len);
		record[0] = (uint8_t)(len & 0xff);
		record[1] = (uint8_t)(len >> 8);
		record[2] = (uint8_t)index;
		record[3] = (uint8_t)(i & 0xff);
		record[4] = (uint8_t)(i >> 8);
		kit_write(fd, record, len);
	}
	OK(close(fd));
}

/* Several processes append records of odd lengths: all there, whole, each writer's in order. */
static void append_from_processes(void)
{
	unsigned int next[APPENDERS] = {0};
	size_t at = 0;
	kit_file("log", "");
	kit_race(APPENDERS, append_records);
	size_t size = (size_t)kit_stat("log").st_size;
	uint8_t *data = kit_alloc(size);
	kit_pread(OK(open("log", O_RDONLY)), data, size, 0);
	while (at < size) {
		size_t len = (size_t)data[at] | (size_t)data[at + 1] << 8;
		unsigned int writer = data[at + 2];
		unsigned int round = data[at + 3] | (unsigned int)data[at + 4] << 8;
		CHECK(writer < APPENDERS && at + len <= size);
		EQ(round, next[writer % APPENDERS]);
		EQ(len, record_length(writer, round));
		for (size_t i = 5; i < len; i++)
			CHECK(data[at + i] == 'a' + writer);
		next[writer % APPENDERS]++;
		at += len;
	}
	for (unsigned int i = 0; i < APPENDERS; i++)
		EQ(next[i], APPEND_ROUNDS);
}

static void sync_modes(void)
{
	static const int flags[] = {O_SYNC, O_DSYNC};
	uint8_t data[9000], got[9000];
	kit_pattern(data, sizeof(data), 4, 0);
	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		int fd = OK(open("file", O_RDWR | O_CREAT | O_TRUNC | flags[i], 0644));
		kit_pwrite(fd, data, sizeof(data), 100);
		kit_pwrite(fd, data, 10, 5);
		kit_pread(fd, got, sizeof(got) - 10, 110);
		EQ_MEM(got, data + 10, sizeof(got) - 10);
		OK(close(fd));
	}
}

static void sync_calls(void)
{
	kit_pattern_file("file", 50000, 5);
	int fd = OK(open("file", O_RDWR));
	kit_pwrite(fd, "x", 1, 7);
	OK(fsync(fd));
	OK(fdatasync(fd));
	OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
	int rd = OK(open("file", O_RDONLY));
	OK(fsync(rd)); /* also through a read-only descriptor */
	int dir = OK(open(".", O_RDONLY | O_DIRECTORY));
	OK(fsync(dir));
	OK(fdatasync(dir));
	OK(syncfs(dir));
	OK(mkfifo("fifo", 0600));
	FAILS(EINVAL, fsync(OK(open("fifo", O_RDWR))));
}

static void direct_io(void)
{
	const size_t size = 256 << 10;
	uint8_t *data = aligned_alloc(4096, size), *got = aligned_alloc(4096, size);
	CHECK(data != NULL && got != NULL);
	int fd = open("file", O_RDWR | O_CREAT | O_DIRECT, 0644);
	if (fd < 0 && errno == EINVAL)
		SKIP("no O_DIRECT");
	OK(fd);
	kit_pattern(data, size, 6, 0);
	kit_pwrite(fd, data, size, 0);
	int buffered = OK(open("file", O_RDWR));
	kit_pread(buffered, got, size, 0);
	EQ_MEM(got, data, size);
	kit_pwrite(buffered, "changed", 7, 8000);
	memcpy(data + 8000, "changed", 7);
	memset(got, 0, size);
	kit_pread(fd, got, size, 0);
	EQ_MEM(got, data, size);
	kit_pwrite(fd, data, 4096, 4096 * 5); /* must be seen through the page cache */
	memcpy(data + (size_t)4096 * 5, data, 4096);
	kit_pread(buffered, got, size, 0);
	EQ_MEM(got, data, size);
}

static void seen_through_other_descriptor(void)
{
	char got[3];
	int a = OK(open("file", O_RDWR | O_CREAT, 0644));
	int b = OK(open("file", O_RDWR));
	for (int i = 0; i < 200; i++) {
		char text[4];
		snprintf(text, sizeof(text), "%03d", i);
		kit_pwrite(a, text, 3, i * 1000);
		kit_pread(b, got, 3, i * 1000);
		EQ_MEM(got, text, 3);
		EQ(kit_fstat(b).st_size, i * 1000 + 3);
	}
}

static void fadvise_is_harmless(void)
{
	uint8_t want[200000], got[200000];
	kit_pattern_file("file", sizeof(want), 8);
	kit_pattern(want, sizeof(want), 8, 0);
	int fd = OK(open("file", O_RDONLY));
	static const int advice[] = {POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED, POSIX_FADV_RANDOM,
		POSIX_FADV_SEQUENTIAL, POSIX_FADV_NOREUSE, POSIX_FADV_NORMAL};
	for (size_t i = 0; i < COUNT_OF(advice); i++) {
		EQ(posix_fadvise(fd, 0, 0, advice[i]), 0);
		kit_pread(fd, got, sizeof(got), 0);
		EQ_MEM(got, want, sizeof(got));
	}
	OKL(readahead(fd, 0, sizeof(want)));
}

static void statvfs_is_sane(void)
{
	struct statvfs a, b;
	int fd = OK(open(".", O_RDONLY));
	OK(statvfs(".", &a));
	OK(fstatvfs(fd, &b));
	EQ(a.f_blocks, b.f_blocks);
	EQ(a.f_namemax, 255);
	CHECK(a.f_frsize >= 512 && a.f_bsize >= 512);
	CHECK(a.f_blocks > 0);
	CHECK(a.f_bfree <= a.f_blocks);
	CHECK(a.f_bavail <= a.f_bfree);
	CHECK(a.f_bavail > 0);
	CHECK(a.f_ffree <= a.f_files);
	EQ(a.f_flag & ST_RDONLY, 0);
	EQ(pathconf(".", _PC_NAME_MAX), 255);
	CHECK(pathconf(".", _PC_LINK_MAX) >= 8);
}

static void executable_runs(void)
{
	static const char script[] = "#!/bin/sh\nexit 7\n";
	struct statvfs sv;
	OK(statvfs(".", &sv));
	if ((sv.f_flag & ST_NOEXEC) != 0)
		SKIP("mounted noexec");
	kit_file("script", script);
	pid_t pid = OK(fork());
	if (pid == 0) {
		execl("./script", "script", (char *)NULL);
		_exit(errno == EACCES ? 99 : 98);
	}
	int status = 0;
	OK(waitpid(pid, &status, 0));
	EQ(WEXITSTATUS(status), 99);
	OK(chmod("script", 0755));
	pid = OK(fork());
	if (pid == 0) {
		execl("./script", "script", (char *)NULL);
		_exit(98);
	}
	OK(waitpid(pid, &status, 0));
	EQ(WEXITSTATUS(status), 7);
}

static const struct test_case cases[] = {
	CASE(boundaries_against_model),
	CASE(short_read_at_the_end),
	CASE(positions),
	CASE(vectors),
	CASE(large_single_write),
	CASE(append_ignores_position),
	CASE_SLOW(append_from_processes, 120),
	CASE(sync_modes),
	CASE(sync_calls),
	CASE(direct_io),
	CASE(seen_through_other_descriptor),
	CASE(fadvise_is_harmless),
	CASE(statvfs_is_sane),
	CASE(executable_runs),
};
DEFINE_GROUP(data);
