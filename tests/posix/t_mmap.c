/* Mappings of files. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 20000
#define MAPPED 20480

static uint8_t *map(int fd, size_t len, int prot, int flags)
{
	void *p = mmap(NULL, len, prot, flags, fd, 0);
	if (p == MAP_FAILED)
		FAIL("mmap: %m");
	return p;
}

static void shared_reads_the_file(void)
{
	uint8_t want[SIZE];
	kit_pattern_file("file", SIZE, 1);
	kit_pattern(want, SIZE, 1, 0);
	int fd = OK(open("file", O_RDONLY));
	EQ_MEM(map(fd, SIZE, PROT_READ, MAP_SHARED), want, SIZE);
	EQ_MEM(map(fd, SIZE, PROT_READ, MAP_PRIVATE), want, SIZE);
}

static void shared_write_is_read_back(void)
{
	uint8_t got[5];
	kit_pattern_file("file", SIZE, 1);
	int fd = OK(open("file", O_RDWR)), other = OK(open("file", O_RDONLY));
	uint8_t *p = map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
	memcpy(p + 4094, "hello", 5);
	kit_pread(fd, got, 5, 4094);
	EQ_MEM(got, "hello", 5);
	kit_pread(other, got, 5, 4094);
	EQ_MEM(got, "hello", 5);
	OK(msync(p, SIZE, MS_SYNC));
	OK(munmap(p, SIZE));
	OK(close(fd));
	OK(close(other));
	fd = OK(open("file", O_RDONLY));
	kit_pread(fd, got, 5, 4094);
	EQ_MEM(got, "hello", 5);
	EQ(kit_fstat(fd).st_size, SIZE);
}

static void write_is_seen_in_mapping(void)
{
	kit_pattern_file("file", SIZE, 1);
	int fd = OK(open("file", O_RDWR)), other = OK(open("file", O_WRONLY));
	uint8_t *p = map(fd, SIZE, PROT_READ, MAP_SHARED);
	CHECK(p[0] != 0);
	for (int i = 0; i < 100; i++) {
		uint8_t byte = (uint8_t)(i + 1);
		kit_pwrite(other, &byte, 1, i * 199);
		EQ(p[i * 199], byte);
	}
}

static void appended_data_is_seen_in_mapping(void)
{
	kit_file("log", "");
	int fd = OK(open("log", O_RDWR | O_APPEND));
	uint8_t *p = map(fd, MAPPED, PROT_READ, MAP_SHARED);
	for (uint8_t i = 0; i < 200; i++) {
		uint8_t record[97];
		memset(record, i + 1, sizeof(record));
		kit_write(fd, record, sizeof(record));
		EQ_MEM(p + (size_t)i * sizeof(record), record, sizeof(record));
	}
}

static void private_changes_stay_private(void)
{
	uint8_t want[SIZE], got[SIZE];
	kit_pattern_file("file", SIZE, 1);
	kit_pattern(want, SIZE, 1, 0);
	int fd = OK(open("file", O_RDONLY));
	uint8_t *p = map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	memset(p, 0, SIZE);
	kit_pread(fd, got, SIZE, 0);
	EQ_MEM(got, want, SIZE);
	OK(munmap(p, SIZE));
	kit_pread(fd, got, SIZE, 0);
	EQ_MEM(got, want, SIZE);
}

static void tail_beyond_eof_is_zero(void)
{
	uint8_t zeros[MAPPED - SIZE] = {0};
	kit_pattern_file("file", SIZE, 1);
	int fd = OK(open("file", O_RDWR));
	uint8_t *p = map(fd, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED);
	EQ_MEM(p + SIZE, zeros, sizeof(zeros));
	memset(p + SIZE, 'x', sizeof(zeros)); /* must never reach the file */
	OK(msync(p, MAPPED, MS_SYNC));
	EQ(kit_fstat(fd).st_size, SIZE);
	OK(ftruncate(fd, MAPPED));
	uint8_t got[MAPPED - SIZE];
	kit_pread(fd, got, sizeof(got), SIZE);
	EQ_MEM(got, zeros, sizeof(got));
}

static void truncated_page_is_zeroed(void)
{
	uint8_t zeros[4096] = {0};
	kit_pattern_file("file", SIZE, 1);
	int fd = OK(open("file", O_RDWR));
	uint8_t *p = map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
	p[5000] = 'x';
	OK(ftruncate(fd, 4100));
	OK(ftruncate(fd, SIZE));
	EQ_MEM(p + 4100, zeros, sizeof(zeros));
	EQ_MEM(p + 8192, zeros, sizeof(zeros));
	CHECK(p[4099] != 0);
}

static void touch_beyond_end(void *arg)
{
	volatile uint8_t *p = arg;
	signal(SIGBUS, SIG_DFL);
	if (p[4096] != 0) /* a whole page beyond the end */
		_exit(3);
}

static void beyond_last_page_is_sigbus(void)
{
	kit_file("file", "short");
	int fd = OK(open("file", O_RDONLY));
	pid_t pid = kit_fork(touch_beyond_end, map(fd, 8192, PROT_READ, MAP_SHARED));
	int status = 0;
	OK(waitpid(pid, &status, 0));
	CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
	if (WIFSIGNALED(status))
		EQ(WTERMSIG(status), SIGBUS);
}

static void change_in_child(void *arg)
{
	uint8_t *p = arg;
	memcpy(p + 9000, "child", 5);
}

static void shared_between_processes(void)
{
	uint8_t got[5];
	kit_pattern_file("file", SIZE, 1);
	int fd = OK(open("file", O_RDWR));
	uint8_t *p = map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
	kit_join(kit_fork(change_in_child, p));
	EQ_MEM(p + 9000, "child", 5);
	kit_pread(fd, got, 5, 9000);
	EQ_MEM(got, "child", 5);
}

static void map_in_child(void *arg)
{
	struct kit_shared *shared = arg;
	int fd = OK(open("file", O_RDWR)); /* a descriptor of its own */
	uint8_t *p = map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
	CHECK(p[100] != 0);
	kit_raise(&shared->go);
	kit_wait_for(&shared->stop, 1);
	EQ_MEM(p + 100, "parent", 6);
	memcpy(p + 200, "child", 5);
}

static void shared_between_separate_mappings(void)
{
	struct kit_shared *shared = kit_shared_new();
	kit_pattern_file("file", SIZE, 1);
	pid_t pid = kit_fork(map_in_child, shared);
	int fd = OK(open("file", O_RDWR));
	uint8_t *p = map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
	kit_wait_for(&shared->go, 1);
	memcpy(p + 100, "parent", 6);
	kit_raise(&shared->stop);
	kit_join(pid);
	EQ_MEM(p + 200, "child", 5);
}

static void access_rules(void)
{
	kit_pattern_file("file", SIZE, 1);
	int rd = OK(open("file", O_RDONLY)), wr = OK(open("file", O_WRONLY));
	CHECK(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, rd, 0) == MAP_FAILED);
	EQ(errno, EACCES);
	CHECK(mmap(NULL, SIZE, PROT_READ, MAP_SHARED, wr, 0) == MAP_FAILED);
	EQ(errno, EACCES);
	int dir = OK(open(".", O_RDONLY));
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, dir, 0) == MAP_FAILED);
	EQ(errno, ENODEV);
}

static void offset_and_descriptor_closed(void)
{
	uint8_t want[SIZE];
	kit_pattern_file("file", SIZE, 1);
	kit_pattern(want, SIZE, 1, 0);
	int fd = OK(open("file", O_RDWR));
	uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 8192);
	CHECK(p != MAP_FAILED);
	OK(close(fd));
	EQ_MEM(p, want + 8192, 8192);
	p[0] = 'z'; /* written after close: must still arrive */
	OK(munmap(p, 8192));
	uint8_t got;
	fd = OK(open("file", O_RDONLY));
	kit_pread(fd, &got, 1, 8192);
	EQ(got, 'z');
}

static void mapping_fills_a_hole(void)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0644));
	OK(ftruncate(fd, 1 << 20));
	uint8_t *p = map(fd, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED);
	for (size_t at = 100; at < 1 << 20; at += 50000)
		p[at] = 'h';
	OK(msync(p, 1 << 20, MS_SYNC));
	OK(munmap(p, 1 << 20));
	OK(close(fd));
	fd = OK(open("file", O_RDONLY));
	for (off_t at = 100; at < 1 << 20; at += 50000) {
		uint8_t got[2];
		kit_pread(fd, got, 2, at);
		EQ(got[0], 'h');
		EQ(got[1], 0);
	}
}

static const struct test_case cases[] = {
	CASE(shared_reads_the_file),
	CASE(shared_write_is_read_back),
	CASE(write_is_seen_in_mapping),
	CASE(appended_data_is_seen_in_mapping),
	CASE(private_changes_stay_private),
	CASE(tail_beyond_eof_is_zero),
	CASE(truncated_page_is_zeroed),
	CASE(beyond_last_page_is_sigbus),
	CASE(shared_between_processes),
	CASE(shared_between_separate_mappings),
	CASE(access_rules),
	CASE(offset_and_descriptor_closed),
	CASE(mapping_fills_a_hole),
};
DEFINE_GROUP(mmap);
