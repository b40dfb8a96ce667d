/*
 * file_put.c: how an ordinary object appears.
 *
 * A complete file is made and synced, then linked (a new name) or renamed (in place of another) to
 * its name, then the directory is synced, with all other puts that wait for the same directory in
 * one fsync. Where the file system can, the file has no name before that (O_TMPFILE): measured on
 * ext4 that is half the CPU of a name in .tmp+, whose directory all writers would change.
 */
#include <config.h>
#include "backends/file/file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include "backends/file/file_directory.h"
#include "backends/file/file_record.h"
#include "backends/file/file_temporary.h"
#include "util/cleanup.h"

#define MAX_ATTEMPTS 16

/* A put that waits for the fsync of its directory. */
struct put_end {
	struct file_sync sync; /* first */
	struct blocking_request *request;
	struct file_directory *directory;
	struct backend_result result;
};

static void put_is_durable(struct file_sync *sync, int error)
{
	struct put_end *end = (struct put_end *)(void *)sync;

	if (error < 0)
		end->result = (struct backend_result){.error = file_error(-error)};
	file_directory_close(end->directory);
	blocking_request_complete(end->request, &end->result);
	free(end);
}

/* Gives the file its name. -EAGAIN: what stood in the way is gone. */
static int publish(struct file_backend *fb, struct blocking_request *request,
	struct file_temporary *t, int directory_fd)
{
	const char *name = tree_name_of(request->key);
	bool if_absent = request->condition.type == BACKEND_IF_ABSENT;
	struct stat st;
	int r = -EEXIST;

	if (if_absent || !t->is_named) /* most objects are new */
		r = file_temporary_link(fb, t, directory_fd, name);
	if (!if_absent && r == -EEXIST)
		r = file_temporary_rename(fb, t, directory_fd, name);
	if (r != -EEXIST && r != -EISDIR && r != -ENOTEMPTY)
		return r;
	if (fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -EAGAIN : file_error(errno);
	if (!S_ISDIR(st.st_mode))
		return if_absent ? -EEXIST : -EAGAIN;
	r = file_record_clear(fb, directory_fd, name);
	return r == 0 ? -EAGAIN : r;
}

static int put_file(struct file_backend *fb, struct blocking_request *request, int directory_fd,
	int source_fd, struct backend_result *ret)
{
	struct file_temporary t;
	int r = file_temporary_make(
		fb, directory_fd, request->parts, request->n_parts, source_fd, &t);

	if (r < 0)
		return r;
	r = file_check(request);
	for (int i = 0; i < MAX_ATTEMPTS && r == (i == 0 ? 0 : -EAGAIN); i++)
		r = publish(fb, request, &t, directory_fd);
	if (r == -EAGAIN)
		r = -EBUSY;
	if (r == 0)
		file_describe(&t.st, ret);
	file_temporary_done(fb, &t);
	return r;
}

static int put_in(struct file_backend *fb, struct blocking_request *request, int directory_fd,
	int source_fd, struct backend_result *ret)
{
	const char *name = tree_name_of(request->key);
	int r = -EEXIST;

	if (!request->condition.record && request->condition.type != BACKEND_IF_VERSION) {
		r = put_file(fb, request, directory_fd, source_fd, ret);
		if (r != -EEXIST || request->condition.type != BACKEND_ALWAYS)
			return r;
	}
	if (source_fd >= 0)
		return -EOPNOTSUPP; /* onto a record */
	return file_record_put(fb, directory_fd, name, request, &ret->version);
}

/* The put up to the point where only the directory's fsync is missing. */
static int put_unsynced(struct file_backend *fb, struct blocking_request *request, int source_fd,
	struct backend_result *ret, struct file_directory **ret_directory)
{
	struct file_directory *directory;
	int r = -ENOENT;

	for (int attempt = 0; attempt < 2 && r == -ENOENT; attempt++) {
		r = file_directory_open_parent(fb->directories, request->key, &directory);
		if (r < 0)
			return file_error(-r);
		r = put_in(fb, request, file_directory_fd(directory), source_fd, ret);
		if (r == -ENOENT) /* the directory was removed by hand */
			file_directory_forget(directory);
		if (r < 0)
			file_directory_close(directory);
	}
	if (r < 0)
		return r == -ENOENT ? -EIO : r;
	*ret_directory = directory;
	return 0;
}

static bool put_from(struct blocking_request *request, int source_fd, struct backend_result *ret)
{
	struct file_backend *fb = (struct file_backend *)(void *)request->backend;
	struct put_end *end = malloc(sizeof(*end));
	struct file_directory *directory = NULL;

	ret->error = end == NULL ? -ENOMEM : put_unsynced(fb, request, source_fd, ret, &directory);
	if (ret->error < 0) {
		free(end);
		return true;
	}
	ret->object_size_bytes = 0;
	*end = (struct put_end){.sync.synced = put_is_durable,
		.request = request,
		.directory = directory,
		.result = *ret};
	file_directory_sync(directory, &end->sync);
	return false;
}

bool file_put(struct blocking_request *request, struct backend_result *ret)
{
	return put_from(request, -1, ret);
}

bool file_copy(struct blocking_request *request, struct backend_result *ret)
{
	struct backend_result source = {.error = 0};
	struct stat st;
	CLEANUP_CLOSE int fd = file_open_object(
		(struct file_backend *)(void *)request->backend, request->key, &st, &source);

	if (fd < 0) {
		ret->error = fd;
		return true;
	}
	request->key = request->continuation;
	return put_from(request, fd, ret);
}
