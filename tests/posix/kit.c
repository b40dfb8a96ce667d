/* Files and content. */
#include <config.h>

#include "kit.h"
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void kit_file(const char *path, const char *text)
{
	int fd = OK(open(path, O_WRONLY | O_CREAT | O_EXCL, 0644));
	kit_write(fd, text, strlen(text));
	OK(close(fd));
}

void kit_pattern_file(const char *path, size_t size, uint64_t seed)
{
	uint8_t chunk[8192];
	int fd = OK(open(path, O_WRONLY | O_CREAT | O_EXCL, 0644));
	for (size_t at = 0; at < size; at += sizeof(chunk)) {
		size_t len = size - at < sizeof(chunk) ? size - at : sizeof(chunk);
		kit_pattern(chunk, len, seed, at);
		kit_write(fd, chunk, len);
	}
	OK(close(fd));
}

void kit_mkdir(const char *path, mode_t mode)
{
	OK(mkdir(path, mode));
}

struct stat kit_stat(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		FAIL("stat %.200s: %m", path);
	return st;
}

struct stat kit_lstat(const char *path)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		FAIL("lstat %.200s: %m", path);
	return st;
}

struct stat kit_fstat(int fd)
{
	struct stat st;
	OK(fstat(fd, &st));
	return st;
}

uint64_t kit_ino(const char *path)
{
	return kit_lstat(path).st_ino;
}

unsigned long kit_nlink(const char *path)
{
	return kit_lstat(path).st_nlink;
}

mode_t kit_mode(const char *path)
{
	return kit_lstat(path).st_mode & 07777;
}

void kit_expect_text(const char *path, const char *text)
{
	size_t len = strlen(text);
	char *data = kit_alloc(len + 1);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		FAIL("open %.200s: %m", path);
	kit_pread(fd, data, len, 0);
	EQ_MEM(data, text, len);
	EQ(kit_fstat(fd).st_size, len);
	EQ(OKL(pread(fd, data, 1, (off_t)len)), 0);
	OK(close(fd));
	free(data);
}

void kit_expect_absent(const char *path)
{
	struct stat st;
	if (lstat(path, &st) == 0)
		FAIL("%.200s exists", path);
	if (errno != ENOENT)
		FAIL("lstat %.200s: %m", path);
}

void kit_write(int fd, const void *data, size_t len)
{
	ssize_t n = write(fd, data, len);
	if (n < 0)
		FAIL("write of %zu bytes: %m", len);
	EQ(n, len);
}

void kit_pwrite(int fd, const void *data, size_t len, off_t at)
{
	ssize_t n = pwrite(fd, data, len, at);
	if (n < 0)
		FAIL("pwrite of %zu bytes at %lld: %m", len, (long long)at);
	EQ(n, len);
}

void kit_pread(int fd, void *data, size_t len, off_t at)
{
	uint8_t *p = data;
	size_t done = 0;
	while (done < len) {
		ssize_t n = pread(fd, p + done, len - done, at + (off_t)done);
		if (n < 0)
			FAIL("pread of %zu bytes at %lld: %m", len - done, (long long)at);
		if (n == 0)
			FAIL("end of file at %lld, wanted %zu bytes more",
				(long long)at + (long long)done, len - done);
		done += (size_t)n;
	}
}

void kit_pattern(uint8_t *data, size_t len, uint64_t seed, uint64_t at)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t x = (at + i) * 0x9e3779b97f4a7c15u + seed * 0xbf58476d1ce4e5b9u;
		x ^= x >> 29;
		data[i] = (uint8_t)(x % 255 + 1);
	}
}

static void expect_bytes(int fd, off_t at, const uint8_t *want, size_t len)
{
	uint8_t *got = kit_alloc(len);
	kit_pread(fd, got, len, at);
	for (size_t i = 0; i < len; i++) {
		if (got[i] != want[i])
			FAIL("byte %lld of the file is 0x%02x, wanted 0x%02x",
				(long long)at + (long long)i, got[i], want[i]);
	}
	free(got);
}

void kit_expect_zeros(int fd, off_t at, size_t len)
{
	uint8_t *want = kit_alloc(len);
	expect_bytes(fd, at, want, len);
	free(want);
}

void kit_expect_pattern(int fd, off_t at, size_t len, uint64_t seed, off_t pattern_at)
{
	uint8_t *want = kit_alloc(len);
	kit_pattern(want, len, seed, (uint64_t)pattern_at);
	expect_bytes(fd, at, want, len);
	free(want);
}

void kit_expect_pattern_file(const char *path, size_t size, uint64_t seed)
{
	int fd = OK(open(path, O_RDONLY));
	EQ(kit_fstat(fd).st_size, size);
	kit_expect_pattern(fd, 0, size, seed, 0);
	OK(close(fd));
}

void *kit_alloc(size_t size)
{
	void *p = calloc(1, size != 0 ? size : 1);
	if (p == NULL)
		FAIL("no memory for %zu bytes", size);
	return p;
}

static void remove_children(int fd)
{
	DIR *dir = fdopendir(fd);
	if (dir == NULL)
		FAIL("fdopendir: %m");
	struct dirent *entry;
	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			kit_remove_tree(fd, entry->d_name);
	}
	closedir(dir);
}

void kit_remove_tree(int dirfd, const char *name)
{
	if (unlinkat(dirfd, name, 0) == 0)
		return;
	if (errno != EISDIR && errno != EPERM)
		FAIL("cannot remove %.100s: %m", name);
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		FAIL("cannot open %.100s: %m", name);
	remove_children(fd);
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0)
		FAIL("cannot rmdir %.100s: %m", name);
}

unsigned int kit_count_names(const char *path)
{
	unsigned int n = 0;
	DIR *dir = opendir(path);
	if (dir == NULL)
		FAIL("opendir %.200s: %m", path);
	errno = 0;
	while (readdir(dir) != NULL)
		n++;
	EQ(errno, 0);
	closedir(dir);
	CHECK(n >= 2);
	return n - 2;
}
