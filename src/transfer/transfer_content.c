#include <config.h>
#include "transfer/transfer_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "transfer/fs_calls.h"
#include "util/cleanup.h"

struct file {
	struct transfer *transfer;
	struct fs_attributes attributes;
	int64_t handle;
	uint64_t copied_bytes;
	bool sink_failed;
	char path[];
};

static bool is_stopping(const struct transfer *t)
{
	return t->options.stopping != NULL && atomic_load(t->options.stopping);
}

/* From `offset` up to but without `end`. */
static int copy_range(struct file *f, uint64_t offset, uint64_t end, void *buffer)
{
	const struct transfer_options *o = &f->transfer->options;

	while (offset < end) {
		uint64_t left = end - offset;
		ssize_t n;
		int r;

		if (is_stopping(f->transfer))
			return -ECANCELED;
		n = fs_calls_read(o->source, f->attributes.ino, offset, buffer,
			left < TRANSFER_BUFFER_BYTES ? (size_t)left : TRANSFER_BUFFER_BYTES);
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		r = o->sink->ops->write(o->sink, f->handle, offset, buffer, (size_t)n);
		if (r < 0) {
			f->sink_failed = true;
			return r;
		}
		offset += (uint64_t)n;
		f->copied_bytes += (uint64_t)n;
	}
	return 0;
}

/* What is no hole. */
static int copy_data(struct file *f, void *buffer)
{
	struct fs *source = f->transfer->options.source;
	uint64_t at = 0, end, size_bytes = f->attributes.size_bytes;
	int r = 0;

	while (r == 0 && at < size_bytes) {
		r = fs_lseek(source, f->attributes.ino, at, SEEK_DATA, &at);
		if (r == -ENXIO)
			return 0;
		if (r == 0)
			r = fs_lseek(source, f->attributes.ino, at, SEEK_HOLE, &end);
		if (r == 0)
			r = copy_range(f, at, end < size_bytes ? end : size_bytes, buffer);
		if (r == 0)
			at = end;
	}
	return r;
}

static int copy_xattr(
	struct transfer *t, uint64_t ino, int64_t handle, const char *name, void *value)
{
	ssize_t n = fs_getxattr(t->options.source, ino, name, value, FS_XATTR_VALUE_MAX_BYTES);

	if (n < 0)
		return (int)n;
	return t->options.sink->ops->set_xattr(t->options.sink, handle, name, value, (size_t)n);
}

int transfer_xattrs(struct transfer *t, uint64_t ino, int64_t handle)
{
	CLEANUP_FREE char *names = NULL, *value = NULL;
	ssize_t n = fs_listxattr(t->options.source, ino, NULL, 0);
	int r = 0;

	if (n <= 0)
		return (int)n;
	names = malloc((size_t)n);
	value = malloc(FS_XATTR_VALUE_MAX_BYTES);
	if (names == NULL || value == NULL)
		return -ENOMEM;
	n = fs_listxattr(t->options.source, ino, names, (size_t)n);
	if (n < 0)
		return (int)n;
	for (const char *name = names; name < names + n && r == 0; name += strlen(name) + 1)
		r = copy_xattr(t, ino, handle, name, value);
	return r;
}

/* What is half is taken away by the second walk. */
static void note_failure(struct file *f, int error)
{
	struct transfer *t = f->transfer;

	if (f->sink_failed)
		transfer_problem(t, f->path, "its content cannot be written", error);
	else if (error != -ECANCELED)
		transfer_lost(t, f->path, "its content cannot be read", error);
	lock_acquire(&t->lock);
	if (map64_insert(&t->failed, f->attributes.ino) == NULL)
		t->out_of_memory = true;
	lock_release(&t->lock);
}

static void copy_file(void *arg)
{
	struct file *f = arg;
	struct transfer *t = f->transfer;
	struct sink *sink = t->options.sink;
	CLEANUP_FREE void *buffer = malloc(TRANSFER_BUFFER_BYTES);
	int r = buffer == NULL ? -ENOMEM : copy_data(f, buffer);
	int attributes_error;

	if (r < 0) {
		note_failure(f, r);
	} else {
		attributes_error = transfer_xattrs(t, f->attributes.ino, f->handle);
		if (attributes_error < 0)
			transfer_problem(t, f->path, "its extended attributes cannot be copied",
				attributes_error);
		attributes_error = sink->ops->set_attributes(sink, f->handle, &f->attributes);
		if (attributes_error < 0)
			transfer_problem(
				t, f->path, "its attributes cannot be set", attributes_error);
		lock_acquire(&t->lock);
		t->figures.files++;
		t->figures.bytes += f->copied_bytes;
		lock_release(&t->lock);
	}
	sink->ops->close(sink, f->handle);
	free(f);
}

int transfer_content(struct transfer *t, const struct fs_attributes *attributes, const char *path,
	int64_t handle)
{
	size_t n = strlen(path) + 1;
	struct file *f = malloc(sizeof(*f) + n);

	if (f == NULL) {
		t->options.sink->ops->close(t->options.sink, handle);
		return -ENOMEM;
	}
	*f = (struct file){.transfer = t, .attributes = *attributes, .handle = handle};
	memcpy(f->path, path, n);
	worker_pool_submit(t->pool, copy_file, f);
	return 0;
}
