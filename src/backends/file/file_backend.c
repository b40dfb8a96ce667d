#include <config.h>
#include "backends/file/file_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "backends/file/file_directory.h"
#include "backends/file/file_internal.h"
#include "backends/file/file_open.h"
#include "backends/file/file_record.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file_io.h"
#include "util/message.h"

void file_unique_name(struct file_backend *fb, char name[TREE_NAME_BYTES])
{
	tree_temporary_name(fb->token,
		atomic_fetch_add_explicit(&fb->last_number, 1, memory_order_relaxed), name);
}

int file_error(int error)
{
	switch (error) {
	case EPERM:
		return -EACCES;
	case EDQUOT:
		return -ENOSPC;
	case ESTALE: /* an NFS handle, not a version */
	case ENXIO:
		return -EIO;
	default:
		return -error;
	}
}

void file_refresh(const struct file_backend *fb, int fd, const char *path)
{
	struct statx unused;

	if (fb->is_remote)
		(void)statx(fd, path, AT_STATX_FORCE_SYNC | AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
			STATX_BASIC_STATS, &unused);
}

void file_refresh_parents(const struct file_backend *fb, const char *key)
{
	char path[BACKEND_KEY_MAX_BYTES + 1];

	file_refresh(fb, fb->root_fd, "");
	for (const char *slash = strchr(key, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		memcpy(path, key, (size_t)(slash - key));
		path[slash - key] = '\0';
		file_refresh(fb, fb->root_fd, path);
	}
}

int64_t file_modified_ms(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

void file_describe(const struct stat *st, struct backend_result *ret)
{
	ret->object_size_bytes = (uint64_t)st->st_size;
	tree_object_version(st->st_ino, (uint64_t)st->st_mtim.tv_sec,
		(unsigned long)st->st_mtim.tv_nsec, (uint64_t)st->st_size, &ret->version);
}

int file_check(const struct blocking_request *request)
{
	if (backend_is_cancelled(request->call.cancellation))
		return -ECANCELED;
	return clock_monotonic_ms() >= request->job.deadline_ms ? -ETIMEDOUT : 0;
}

static int open_once(const struct file_backend *fb, const char *key, struct stat *ret_st,
	struct backend_result *ret)
{
	CLEANUP_CLOSE int fd = openat(fb->root_fd, key, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int record_fd;

	if (fd < 0)
		return errno == ENOTDIR ? -ENOENT : file_error(errno);
	if (fstat(fd, ret_st) < 0)
		return file_error(errno);
	if (!S_ISDIR(ret_st->st_mode)) {
		file_describe(ret_st, ret);
		return take_fd(&fd);
	}
	record_fd = file_record_open(fb, fb->root_fd, key, &ret->version);
	if (record_fd >= 0 && fstat(record_fd, ret_st) < 0) {
		close(record_fd);
		return -EIO;
	}
	if (record_fd >= 0)
		ret->object_size_bytes = (uint64_t)ret_st->st_size;
	return record_fd == -ENOTDIR ? -EBUSY : record_fd;
}

int file_open_object(const struct file_backend *fb, const char *key, struct stat *ret_st,
	struct backend_result *ret)
{
	int fd = open_once(fb, key, ret_st, ret);

	if (fd == -ENOENT && fb->is_remote) {
		file_refresh_parents(fb, key);
		fd = open_once(fb, key, ret_st, ret);
	}
	return fd;
}

static int read_range(int fd, const struct blocking_request *request, struct backend_result *ret)
{
	size_t size = request->size_bytes;
	ssize_t n;

	if (request->offset > ret->object_size_bytes)
		return -ERANGE;
	if (size > ret->object_size_bytes - request->offset)
		size = (size_t)(ret->object_size_bytes - request->offset);
	if (size == 0)
		return 0;
	ret->data = malloc(size);
	if (ret->data == NULL)
		return -ENOMEM;
	n = file_io_read_at(fd, ret->data, size, (off_t)request->offset);
	if (n < 0)
		return file_error((int)-n);
	ret->data_size_bytes = (size_t)n;
	return (size_t)n == size ? 0 : -EIO; /* somebody cut it */
}

static bool file_get(struct blocking_request *request, struct backend_result *ret)
{
	struct stat st;
	CLEANUP_CLOSE int fd = file_open_object(
		(struct file_backend *)(void *)request->backend, request->key, &st, ret);

	ret->error = fd < 0 ? fd : read_range(fd, request, ret);
	if (ret->error < 0)
		backend_result_done(ret);
	return true;
}

static bool file_head(struct blocking_request *request, struct backend_result *ret)
{
	struct stat st;
	CLEANUP_CLOSE int fd = file_open_object(
		(struct file_backend *)(void *)request->backend, request->key, &st, ret);

	ret->error = fd < 0 ? fd : 0;
	if (fd >= 0)
		ret->modified_ms = file_modified_ms(&st);
	return true;
}

static bool file_remove(struct blocking_request *request, struct backend_result *ret)
{
	struct file_backend *fb = (struct file_backend *)(void *)request->backend;
	int r = unlinkat(fb->root_fd, request->key, 0) < 0 ? -errno : 0;

	if (r == -EISDIR || r == -EPERM)
		r = file_record_remove(fb, fb->root_fd, request->key);
	if (r == -EISDIR || r == -ENOENT || r == -ENOTDIR)
		r = 0; /* no such object */
	ret->error = r < 0 ? file_error(-r) : 0;
	return true;
}

static int file_space(struct backend *b, struct backend_space *ret)
{
	struct file_backend *fb = (struct file_backend *)(void *)b;
	struct statvfs st;

	if (fstatvfs(fb->root_fd, &st) < 0)
		return file_error(errno);
	ret->total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
	ret->free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}

static void file_get_capabilities(struct backend *b, struct backend_capabilities *ret)
{
	*ret = (struct backend_capabilities){
		.put_if_absent = true,
		.compare_and_swap = true,
		.copy = true,
		.local = !((struct file_backend *)(void *)b)->is_remote,
		.max_object_bytes = FILE_BACKEND_MAX_OBJECT_BYTES,
		.max_delete_many = FILE_BACKEND_MAX_DELETE_MANY,
	};
}

static void file_free(struct backend *b)
{
	struct file_backend *fb = (struct file_backend *)(void *)b;

	executor_free(fb->blocking.executor);
	file_directories_free(fb->directories);
	file_group_sync_done(&fb->syncs);
	if (fb->temporary_fd >= 0)
		close(fb->temporary_fd);
	if (fb->root_fd >= 0)
		close(fb->root_fd);
	free(fb);
}

static const struct blocking_work file_work = {
	.put = file_put,
	.get = file_get,
	.head = file_head,
	.copy = file_copy,
	.remove = file_remove,
	.list = file_list,
};

static const struct backend_ops file_ops = {
	.name = "file",
	.answer = blocking_answer,
	.put = blocking_put,
	.get = blocking_get,
	.head = blocking_head,
	.copy = blocking_copy,
	.remove = blocking_remove,
	.list = blocking_list,
	.space = file_space,
	.get_capabilities = file_get_capabilities,
	.cancel = blocking_cancel,
	.shutdown = blocking_shutdown,
	.free = file_free,
};

static bool is_network(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 &&
	       (st.f_type == NFS_SUPER_MAGIC || st.f_type == SMB2_SUPER_MAGIC ||
		       st.f_type == CIFS_SUPER_MAGIC || st.f_type == CEPH_SUPER_MAGIC ||
		       st.f_type == V9FS_MAGIC || st.f_type == FUSE_SUPER_MAGIC);
}

static int start(struct file_backend *fb, const char *path, char **ret_message)
{
	int r = file_open_root(fb, path, ret_message);

	if (r < 0)
		return r;
	fb->is_remote = is_network(fb->root_fd);
	fb->syncs.root_fd = fb->root_fd;
	fb->syncs.each_by_itself = fb->is_remote;
	r = file_directories_new(fb->root_fd, &fb->syncs, &fb->directories);
	if (r == 0)
		r = executor_new("file", FILE_BACKEND_THREADS, &fb->blocking.executor);
	if (r < 0)
		return message_set(
			ret_message, r, "cannot start the file backend: %s", strerror(-r));
	return 0;
}

int file_backend_open(const char *path, struct backend **ret, char **ret_message)
{
	struct file_backend *fb = calloc(1, sizeof(*fb));
	int r;

	if (fb == NULL || tree_token_make(fb->token) < 0) {
		free(fb);
		return message_set(ret_message, -ENOMEM, "out of memory or random numbers");
	}
	fb->blocking.base.ops = &file_ops;
	fb->blocking.work = &file_work;
	fb->root_fd = fb->temporary_fd = -1;
	file_group_sync_init(&fb->syncs, -1, true);
	r = start(fb, path, ret_message);
	if (r < 0) {
		file_free(&fb->blocking.base);
		return r;
	}
	*ret = &fb->blocking.base;
	return 0;
}
