/*
 * sink_disk.c: a tree on disk. Handles are file descriptors; no path is followed that others could
 * have changed.
 */
#include <config.h>
#include "transfer/sink.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "util/cleanup.h"

#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int result_of(int r)
{
	return r < 0 ? -errno : 0;
}

static int open_directory(struct sink *sink, int64_t parent, const char *name, int64_t *ret)
{
	int fd = openat((int)parent, name, DIRECTORY_FLAGS);

	(void)sink;
	*ret = fd;
	return result_of(fd);
}

static int make_directory(struct sink *sink, int64_t parent, const char *name, int64_t *ret)
{
	if (mkdirat((int)parent, name, 0700) < 0)
		return -errno;
	return open_directory(sink, parent, name, ret);
}

static int make_file(struct sink *sink, int64_t parent, const char *name, int64_t *ret)
{
	int fd = openat(
		(int)parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	(void)sink;
	*ret = fd;
	return result_of(fd);
}

static void times_of(const struct fs_attributes *attributes, struct timespec times[2])
{
	times[0] = attributes->atime;
	times[1] = attributes->mtime;
}

static int make_other(struct sink *sink, int64_t parent, const char *name,
	const struct fs_attributes *attributes, const char *target)
{
	struct timespec times[2];
	int fd = (int)parent, r;

	(void)sink;
	if (target != NULL)
		r = symlinkat(target, fd, name);
	else
		r = mknodat(fd, name, attributes->mode & (S_IFMT | 0700), attributes->rdev);
	if (r == 0 && geteuid() == 0)
		r = fchownat(fd, name, attributes->uid, attributes->gid, AT_SYMLINK_NOFOLLOW);
	if (r == 0 && target == NULL)
		r = fchmodat(fd, name, attributes->mode & 07777, 0);
	times_of(attributes, times);
	if (r == 0)
		r = utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW);
	return result_of(r);
}

static int write_file(
	struct sink *sink, int64_t file, uint64_t offset, const void *data, size_t size_bytes)
{
	const char *from = data;

	(void)sink;
	while (size_bytes > 0) {
		ssize_t n = pwrite((int)file, from, size_bytes, (off_t)offset);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			from += n;
			offset += (uint64_t)n;
			size_bytes -= (size_t)n;
		}
	}
	return 0;
}

static int set_xattr(
	struct sink *sink, int64_t handle, const char *name, const void *value, size_t size_bytes)
{
	(void)sink;
	return result_of(fsetxattr((int)handle, name, value, size_bytes, 0));
}

/* Changing the owner takes privileges from the mode, so that comes after it. */
static int set_attributes(struct sink *sink, int64_t handle, const struct fs_attributes *attributes)
{
	struct timespec times[2];
	int fd = (int)handle, r = 0;

	(void)sink;
	if (S_ISREG(attributes->mode))
		r = ftruncate(fd, (off_t)attributes->size_bytes);
	if (r == 0 && geteuid() == 0)
		r = fchown(fd, attributes->uid, attributes->gid);
	if (r == 0)
		r = fchmod(fd, attributes->mode & 07777);
	times_of(attributes, times);
	if (r == 0)
		r = futimens(fd, times);
	return result_of(r);
}

static void close_handle(struct sink *sink, int64_t handle)
{
	(void)sink;
	(void)close((int)handle);
}

static int link_file(struct sink *sink, const char *first, int64_t parent, const char *name)
{
	return result_of(linkat((int)sink->top, first, (int)parent, name, 0));
}

static int remove_file(struct sink *sink, int64_t parent, const char *name)
{
	(void)sink;
	return result_of(unlinkat((int)parent, name, 0));
}

static int sync_all(struct sink *sink)
{
	return result_of(syncfs((int)sink->top));
}

static void sink_free(struct sink *sink)
{
	(void)close((int)sink->top);
	free(sink);
}

static const struct sink_ops ops = {
	.make_directory = make_directory,
	.make_file = make_file,
	.make_other = make_other,
	.open_directory = open_directory,
	.write = write_file,
	.set_xattr = set_xattr,
	.set_attributes = set_attributes,
	.close = close_handle,
	.link = link_file,
	.remove_file = remove_file,
	.sync = sync_all,
	.free = sink_free,
};

static int check_empty(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), r = 0;
	DIR *directory = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	if (directory == NULL) {
		r = -errno;
		if (copy >= 0)
			(void)close(copy);
		return r;
	}
	while (r == 0 && (entry = readdir(directory)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = -ENOTEMPTY;
	}
	(void)closedir(directory);
	return r;
}

int sink_disk_open(const char *path, struct sink **ret)
{
	CLEANUP_CLOSE int fd = -1;
	struct sink *sink;
	int r;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = check_empty(fd);
	if (r < 0)
		return r;
	sink = calloc(1, sizeof(*sink));
	if (sink == NULL)
		return -ENOMEM;
	*sink = (struct sink){.ops = &ops, .top = take_fd(&fd)};
	*ret = sink;
	return 0;
}
