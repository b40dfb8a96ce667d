#include <config.h>
#include "backends/file/file_temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include "util/file_io.h"

#define COPY_STEP_BYTES ((size_t)64 << 20)

/* O_TMPFILE spares the two changes of .tmp+ that a name there costs. */
static int open_unnamed(struct file_backend *fb, int directory_fd)
{
	struct stat st;
	int fd, error;

	if (directory_fd < 0 || !atomic_load_explicit(&fb->has_unnamed, memory_order_relaxed))
		return -EOPNOTSUPP;
	fd = openat(directory_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, TREE_FILE_MODE);
	if (fd >= 0)
		return fd;
	error = errno;
	if (error == EOPNOTSUPP || error == EISDIR || error == EINVAL) {
		atomic_store(&fb->has_unnamed, false);
		return -EOPNOTSUPP;
	}
	if (fstat(directory_fd, &st) == 0 && st.st_nlink == 0)
		return -ENOENT; /* the directory was removed; ext4 says EPERM */
	return error == ENOENT ? -EIO : file_error(error);
}

static int open_named(struct file_backend *fb, struct file_temporary *t)
{
	int fd;

	file_unique_name(fb, t->name);
	fd = openat(
		fb->temporary_fd, t->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, TREE_FILE_MODE);
	if (fd < 0)
		return file_error(errno);
	t->is_named = true;
	return fd;
}

/* By the kernel, which shares the blocks where the file system can. */
static int copy_all(int source_fd, int fd)
{
	loff_t offset = 0;
	ssize_t n;

	do {
		n = copy_file_range(source_fd, &offset, fd, NULL, COPY_STEP_BYTES, 0);
		if (n < 0 && (errno == EXDEV || errno == ENOSYS || errno == EOPNOTSUPP))
			n = sendfile(fd, source_fd, &offset, COPY_STEP_BYTES);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

int file_temporary_make(struct file_backend *fb, int directory_fd, const struct iovec *parts,
	int n_parts, int source_fd, struct file_temporary *ret)
{
	struct file_temporary t = {.fd = open_unnamed(fb, directory_fd)};
	int r;

	if (t.fd == -EOPNOTSUPP)
		t.fd = open_named(fb, &t);
	if (t.fd < 0)
		return t.fd;
	r = source_fd >= 0 ? copy_all(source_fd, t.fd) : file_io_write_all(t.fd, parts, n_parts);
	if (r < 0)
		r = file_error(-r);
	else if ((r = file_group_sync(&fb->syncs, t.fd)) < 0)
		r = file_error(-r);
	else if (fstat(t.fd, &t.st) < 0)
		r = file_error(errno);
	if (r < 0)
		file_temporary_done(fb, &t);
	else
		*ret = t;
	return r;
}

static bool is_ours(const struct file_temporary *t, int directory_fd, const char *name)
{
	struct stat st;

	return fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == t->st.st_ino && st.st_dev == t->st.st_dev;
}

static int link_it(
	struct file_backend *fb, const struct file_temporary *t, int directory_fd, const char *name)
{
	char path[32];

	if (t->is_named)
		return linkat(fb->temporary_fd, t->name, directory_fd, name, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", t->fd);
	return linkat(AT_FDCWD, path, directory_fd, name, AT_SYMLINK_FOLLOW);
}

int file_temporary_link(
	struct file_backend *fb, struct file_temporary *t, int directory_fd, const char *name)
{
	int error;

	if (link_it(fb, t, directory_fd, name) == 0)
		return 0;
	error = errno;
	if (error == EEXIST && fb->is_remote && is_ours(t, directory_fd, name))
		return 0;
	return file_error(error);
}

/* Gives a file without a name one in .tmp+. */
static int name_it(struct file_backend *fb, struct file_temporary *t)
{
	file_unique_name(fb, t->name);
	if (link_it(fb, t, fb->temporary_fd, t->name) < 0)
		return file_error(errno);
	t->is_named = true;
	return 0;
}

int file_temporary_rename(
	struct file_backend *fb, struct file_temporary *t, int directory_fd, const char *name)
{
	int error = 0, r = t->is_named ? 0 : name_it(fb, t);

	if (r < 0)
		return r;
	if (renameat(fb->temporary_fd, t->name, directory_fd, name) < 0)
		error = errno;
	if (error == ENOENT && fb->is_remote && is_ours(t, directory_fd, name))
		error = 0;
	if (error == 0)
		t->is_named = false;
	return error == 0 ? 0 : file_error(error);
}

void file_temporary_done(struct file_backend *fb, struct file_temporary *t)
{
	close(t->fd);
	if (t->is_named)
		(void)unlinkat(fb->temporary_fd, t->name, 0);
}
