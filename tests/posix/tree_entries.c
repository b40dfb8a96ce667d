/* Makes and checks one entry of the tree. */
#include <config.h>

#include "tree_entries.h"
#include "harness.h"
#include "kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SEGMENT 10000    /* bytes of data at each multiple of gap */
#define HOLE_PROBE 20000 /* how much of a hole is read at its begin and end */
#define CHUNK ((size_t)64 << 10)

static const mode_t kind_modes[] = {[TREE_DIR] = S_IFDIR,
	[TREE_FILE] = S_IFREG,
	[TREE_HARD_LINK] = 0,
	[TREE_SYMLINK] = S_IFLNK,
	[TREE_FIFO] = S_IFIFO,
	[TREE_SOCKET] = S_IFSOCK,
	[TREE_DEVICE] = S_IFCHR};

static int path_result(int result, const struct tree_entry *e, const char *what)
{
	if (result < 0)
		FAIL("%s of %.100s: %m", what, e->path);
	return result;
}

static void write_data(int fd, const struct tree_entry *e, uint64_t from, uint64_t len)
{
	uint8_t *data = kit_alloc(CHUNK);
	for (uint64_t at = from; at < from + len; at += CHUNK) {
		size_t n = from + len - at < CHUNK ? (size_t)(from + len - at) : CHUNK;
		kit_pattern(data, n, e->seed, at);
		kit_pwrite(fd, data, n, (off_t)at);
	}
	free(data);
}

static uint64_t segment_length(const struct tree_entry *e, uint64_t at)
{
	return e->size - at < SEGMENT ? e->size - at : SEGMENT;
}

static void make_file(const struct tree_entry *e)
{
	int fd = path_result(open(e->path, O_RDWR | O_CREAT | O_EXCL, 0600), e, "open");
	if (e->gap == 0)
		write_data(fd, e, 0, e->size);
	for (uint64_t at = 0; e->gap != 0 && at < e->size; at += e->gap)
		write_data(fd, e, at, segment_length(e, at));
	OK(ftruncate(fd, (off_t)e->size));
	OK(close(fd));
}

static size_t xattr_value(const struct tree_entry *e, unsigned int i, uint8_t *value)
{
	size_t len = (size_t)i * i * 30;
	kit_pattern(value, len, e->seed + i, 0);
	return len;
}

static void make_xattrs(const struct tree_entry *e)
{
	uint8_t value[4096];
	char name[32];
	for (unsigned int i = 0; i < e->xattrs; i++) {
		size_t len = xattr_value(e, i, value);
		snprintf(name, sizeof(name), "user.attribute%u", i);
		if (setxattr(e->path, name, value, len, XATTR_CREATE) < 0 && errno != ENOTSUP)
			FAIL("setxattr of %.100s: %m", e->path);
	}
}

void tree_entry_make(const struct tree_entry *e)
{
	switch (e->kind) {
	case TREE_DIR:
		if (mkdir(e->path, 0700) < 0 && errno != EEXIST)
			FAIL("mkdir of %.100s: %m", e->path);
		break;
	case TREE_FILE:
		make_file(e);
		break;
	case TREE_HARD_LINK:
		path_result(link(e->text, e->path), e, "link");
		break;
	case TREE_SYMLINK:
		path_result(symlink(e->text, e->path), e, "symlink");
		break;
	case TREE_FIFO:
	case TREE_SOCKET:
		path_result(mknod(e->path, kind_modes[e->kind] | 0600, 0), e, "mknod");
		break;
	case TREE_DEVICE:
		path_result(mknod(e->path, S_IFCHR | 0600, makedev(1, 3)), e, "mknod");
		break;
	}
	make_xattrs(e);
}

void tree_entry_set_attributes(const struct tree_entry *e)
{
	struct timespec times[2] = {{e->atime, e->atime_ns}, {e->mtime, e->mtime_ns}};
	if (e->kind == TREE_HARD_LINK)
		return;
	if (geteuid() == 0)
		path_result(lchown(e->path, e->uid, e->gid), e, "lchown");
	if (e->kind != TREE_SYMLINK)
		path_result(chmod(e->path, e->mode), e, "chmod");
	path_result(utimensat(AT_FDCWD, e->path, times, AT_SYMLINK_NOFOLLOW), e, "utimensat");
}

static void check_field(const struct tree_entry *e, const char *field, int64_t got, int64_t want)
{
	if (got != want)
		FAIL("%.100s: %s is %lld, wanted %lld", e->path, field, (long long)got,
			(long long)want);
}

void tree_entry_check_attributes(const struct tree_entry *e)
{
	if (e->kind == TREE_HARD_LINK)
		return;
	struct stat st = kit_lstat(e->path);
	check_field(e, "type", st.st_mode & S_IFMT, kind_modes[e->kind]);
	if (e->kind != TREE_SYMLINK)
		check_field(e, "mode", st.st_mode & 07777, e->mode);
	check_field(e, "uid", st.st_uid, e->uid);
	check_field(e, "gid", st.st_gid, e->gid);
	check_field(e, "mtime", st.st_mtim.tv_sec, e->mtime);
	check_field(e, "mtime ns", st.st_mtim.tv_nsec, e->mtime_ns);
	check_field(e, "atime", st.st_atim.tv_sec, e->atime);
	check_field(e, "atime ns", st.st_atim.tv_nsec, e->atime_ns);
	if (e->kind == TREE_FILE)
		check_field(e, "size", st.st_size, (int64_t)e->size);
	if (e->kind == TREE_SYMLINK)
		check_field(e, "size", st.st_size, (int64_t)strlen(e->text));
	if (e->kind == TREE_DEVICE)
		check_field(e, "device", (int64_t)st.st_rdev, (int64_t)makedev(1, 3));
}

static void check_range(int fd, const struct tree_entry *e, uint64_t from, uint64_t len, bool data)
{
	uint8_t *got = kit_alloc(CHUNK), *want = kit_alloc(CHUNK);
	for (uint64_t at = from; at < from + len; at += CHUNK) {
		size_t n = from + len - at < CHUNK ? (size_t)(from + len - at) : CHUNK;
		if (data)
			kit_pattern(want, n, e->seed, at);
		kit_pread(fd, got, n, (off_t)at);
		for (size_t i = 0; i < n; i++) {
			if (got[i] != want[i])
				FAIL("%.100s: byte %llu is 0x%02x, wanted 0x%02x", e->path,
					(unsigned long long)(at + i), got[i], want[i]);
		}
	}
	free(got);
	free(want);
}

static void check_file(const struct tree_entry *e)
{
	int fd = path_result(open(e->path, O_RDONLY | O_NOATIME), e, "open");
	if (e->gap == 0)
		check_range(fd, e, 0, e->size, true);
	for (uint64_t at = 0; e->gap != 0 && at < e->size; at += e->gap) {
		uint64_t len = segment_length(e, at);
		check_range(fd, e, at, len, true);
		uint64_t end = at + e->gap < e->size ? at + e->gap : e->size;
		uint64_t hole = end - (at + len);
		uint64_t probe = hole < HOLE_PROBE ? hole : HOLE_PROBE;
		check_range(fd, e, at + len, probe, false);
		check_range(fd, e, end - probe, probe, false);
	}
	OK(close(fd));
}

static void check_symlink(const struct tree_entry *e)
{
	char got[4096];
	ssize_t len = readlink(e->path, got, sizeof(got));
	if (len < 0)
		FAIL("readlink of %.100s: %m", e->path);
	check_field(e, "length", len, (int64_t)strlen(e->text));
	if (memcmp(got, e->text, (size_t)len) != 0)
		FAIL("%.100s: the symlink says something else", e->path);
}

void tree_entry_check_content(const struct tree_entry *e)
{
	if (e->kind == TREE_FILE && (geteuid() == 0 || (e->mode & S_IRUSR) != 0))
		check_file(e);
	else if (e->kind == TREE_SYMLINK)
		check_symlink(e);
}

void tree_entry_check_xattrs(const struct tree_entry *e)
{
	uint8_t want[4096], got[4096];
	char name[32], list[8192];
	unsigned int listed = 0;
	if (e->kind != TREE_DIR && e->kind != TREE_FILE)
		return;
	if (geteuid() != 0 && (e->mode & S_IRUSR) == 0)
		return;
	ssize_t len = listxattr(e->path, list, sizeof(list));
	if (len < 0 && errno == ENOTSUP)
		SKIP("no user xattrs");
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(list + at) + 1)
		listed += strncmp(list + at, "user.", 5) == 0 ? 1 : 0;
	check_field(e, "number of xattrs", listed, e->xattrs);
	for (unsigned int i = 0; i < e->xattrs; i++) {
		size_t size = xattr_value(e, i, want);
		snprintf(name, sizeof(name), "user.attribute%u", i);
		check_field(e, name, getxattr(e->path, name, got, sizeof(got)), (int64_t)size);
		if (memcmp(got, want, size) != 0)
			FAIL("%.100s: %s has another value", e->path, name);
	}
}

static bool is_child(const char *path, const char *dir, size_t dir_len)
{
	return strncmp(path, dir, dir_len) == 0 && path[dir_len] == '/' &&
	       strchr(path + dir_len + 1, '/') == NULL;
}

static void check_numbers(const struct tree_entry *e)
{
	char path[4096];
	DIR *dir = opendir(e->path);
	if (dir == NULL)
		FAIL("opendir of %.100s: %m", e->path);
	for (struct dirent *d = readdir(dir); d != NULL; d = readdir(dir)) {
		snprintf(path, sizeof(path), "%s/%s", e->path, d->d_name);
		check_field(e, "d_ino of an entry", (int64_t)d->d_ino, (int64_t)kit_ino(path));
	}
	closedir(dir);
}

void tree_check_names(const struct tree_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct tree_entry *e = &list->entries[i];
		unsigned int want = 0;
		if (e->kind != TREE_DIR)
			continue;
		size_t len = strlen(e->path);
		for (size_t k = 0; k < list->count; k++)
			want += is_child(list->entries[k].path, e->path, len) ? 1 : 0;
		check_field(e, "number of names", kit_count_names(e->path), want);
		check_numbers(e);
	}
}
