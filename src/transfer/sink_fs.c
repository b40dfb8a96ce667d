/*
 * sink_fs.c: a tree in a filesystem of ours. Handles are inode numbers, with one reference each but
 * for the top.
 */
#include <config.h>
#include "transfer/sink.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "transfer/fs_calls.h"

struct fs_sink {
	struct sink sink; /* first */
	struct fs *fs;
	bool as_root;
};

static const struct fs_caller superuser = {0};

static struct fs_sink *of(struct sink *sink)
{
	return (struct fs_sink *)(void *)sink;
}

static int open_directory(struct sink *sink, int64_t parent, const char *name, int64_t *ret)
{
	struct fs_attributes a;
	int r = fs_lookup(of(sink)->fs, (uint64_t)parent, name, &a);

	if (r == 0)
		*ret = (int64_t)a.ino;
	return r;
}

static int make_directory(struct sink *sink, int64_t parent, const char *name, int64_t *ret)
{
	struct fs_attributes a;
	int r = fs_mkdir(of(sink)->fs, &superuser, (uint64_t)parent, name, 0700, &a);

	if (r == 0)
		*ret = (int64_t)a.ino;
	return r;
}

static int make_file(struct sink *sink, int64_t parent, const char *name, int64_t *ret)
{
	struct fs_attributes a;
	int r = fs_mknod(of(sink)->fs, &superuser, (uint64_t)parent, name, S_IFREG | 0600, 0, &a);

	if (r == 0)
		*ret = (int64_t)a.ino;
	return r;
}

static int write_file(
	struct sink *sink, int64_t file, uint64_t offset, const void *data, size_t size_bytes)
{
	return fs_calls_write(of(sink)->fs, (uint64_t)file, offset, data, size_bytes);
}

static int set_xattr(
	struct sink *sink, int64_t handle, const char *name, const void *value, size_t size_bytes)
{
	return fs_setxattr(of(sink)->fs, (uint64_t)handle, name, value, size_bytes, 0);
}

/* Changing size or owner takes privileges from the mode, so that comes after them. */
static int set_attributes(struct sink *sink, int64_t handle, const struct fs_attributes *attributes)
{
	struct fs_attributes values = *attributes;
	uint64_t ino = (uint64_t)handle;
	int r = 0;

	if (of(sink)->as_root)
		values.uid = values.gid = 0;
	if (of(sink)->as_root && handle == sink->top)
		values.mode = S_IFDIR | 0700;
	if (S_ISREG(attributes->mode))
		r = fs_calls_setattr(of(sink)->fs, ino, FS_SET_SIZE, &values);
	if (r == 0)
		r = fs_calls_setattr(of(sink)->fs, ino, FS_SET_UID | FS_SET_GID, &values);
	values.mode &= 07777;
	if (r == 0 && !S_ISLNK(attributes->mode))
		r = fs_calls_setattr(of(sink)->fs, ino, FS_SET_MODE, &values);
	if (r == 0)
		r = fs_calls_setattr(of(sink)->fs, ino, FS_SET_ATIME | FS_SET_MTIME, &values);
	return r;
}

static void close_handle(struct sink *sink, int64_t handle)
{
	if (handle != sink->top)
		fs_forget(of(sink)->fs, (uint64_t)handle, 1);
}

static int make_other(struct sink *sink, int64_t parent, const char *name,
	const struct fs_attributes *attributes, const char *target)
{
	struct fs *fs = of(sink)->fs;
	struct fs_attributes a;
	int r;

	if (target != NULL)
		r = fs_symlink(fs, &superuser, target, (uint64_t)parent, name, &a);
	else
		r = fs_mknod(fs, &superuser, (uint64_t)parent, name, attributes->mode & ~077U,
			attributes->rdev, &a);
	if (r < 0)
		return r;
	r = set_attributes(sink, (int64_t)a.ino, attributes);
	close_handle(sink, (int64_t)a.ino);
	return r;
}

static int link_file(struct sink *sink, const char *first, int64_t parent, const char *name)
{
	struct fs_attributes a;
	int r = fs_calls_find(of(sink)->fs, (uint64_t)sink->top, first, &a);

	if (r < 0)
		return r;
	r = fs_calls_link(of(sink)->fs, a.ino, (uint64_t)parent, name);
	fs_forget(of(sink)->fs, a.ino, 1);
	return r;
}

static int remove_file(struct sink *sink, int64_t parent, const char *name)
{
	return fs_unlink(of(sink)->fs, (uint64_t)parent, name);
}

/* There is one log. */
static int sync_all(struct sink *sink)
{
	return fs_calls_sync(of(sink)->fs, (uint64_t)sink->top);
}

static void sink_free(struct sink *sink)
{
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

int sink_fs_open(struct fs *fs, uint64_t directory, bool as_root, struct sink **ret)
{
	struct fs_sink *sink = calloc(1, sizeof(*sink));

	if (sink == NULL)
		return -ENOMEM;
	*sink = (struct fs_sink){
		.sink = {.ops = &ops, .top = (int64_t)directory}, .fs = fs, .as_root = as_root};
	*ret = &sink->sink;
	return 0;
}
