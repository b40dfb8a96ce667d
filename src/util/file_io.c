#include <config.h>
#include "util/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/cleanup.h"

static int write_one(int fd, const char *data, size_t size_bytes)
{
	while (size_bytes > 0) {
		ssize_t n = write(fd, data, size_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size_bytes -= (size_t)n;
	}
	return 0;
}

int file_io_write_all(int fd, const struct iovec *parts, int n_parts)
{
	int r = 0;

	for (int i = 0; i < n_parts && r == 0; i++)
		r = write_one(fd, parts[i].iov_base, parts[i].iov_len);
	return r;
}

ssize_t file_io_read_at(int fd, void *data, size_t size_bytes, off_t offset)
{
	size_t done = 0;

	while (done < size_bytes) {
		ssize_t n = pread(fd, (char *)data + done, size_bytes - done, offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int file_io_read_file(const char *path, size_t max_bytes, char **ret, size_t *ret_size_bytes)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP_FREE char *data = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size > max_bytes)
		return -EFBIG;
	data = malloc((size_t)st.st_size + 1);
	if (data == NULL)
		return -ENOMEM;
	n = file_io_read_at(fd, data, (size_t)st.st_size, 0);
	if (n < 0)
		return (int)n;
	data[n] = '\0';
	*ret_size_bytes = (size_t)n;
	*ret = TAKE_PTR(data);
	return 0;
}

/* The directory that holds path, in `to`. */
static int parent_of(const char *path, char to[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	int n;

	if (slash == NULL)
		n = snprintf(to, PATH_MAX, ".");
	else if (slash == path)
		n = snprintf(to, PATH_MAX, "/");
	else
		n = snprintf(to, PATH_MAX, "%.*s", (int)(slash - path), path);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int file_io_sync_directory(const char *path)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

static int write_synced(const char *path, const void *data, size_t size_bytes, mode_t mode)
{
	CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	int r;

	if (fd < 0)
		return -errno;
	r = write_one(fd, data, size_bytes);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

int file_io_replace_file(const char *path, const void *data, size_t size_bytes, mode_t mode)
{
	char temporary[PATH_MAX], parent[PATH_MAX];
	int r;

	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	r = parent_of(path, parent);
	if (r == 0)
		r = write_synced(temporary, data, size_bytes, mode);
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(temporary);
		return r;
	}
	return file_io_sync_directory(parent);
}

int file_io_make_directories(const char *path, mode_t mode)
{
	char parent[PATH_MAX];
	struct stat st;
	int r;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno == EEXIST)
		return stat(path, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	if (errno != ENOENT)
		return -errno;
	r = parent_of(path, parent);
	if (r == 0)
		r = file_io_make_directories(parent, mode);
	if (r == 0 && mkdir(path, mode) < 0 && errno != EEXIST)
		r = -errno;
	return r;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

int file_io_remove_tree(const char *path)
{
	enum { OPEN_DIRECTORIES = 16 };

	if (nftw(path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0)
		return errno == ENOENT ? 0 : -errno;
	return 0;
}
