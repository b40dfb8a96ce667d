#include <config.h>
#include "backends/file/file_open.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "backends/file/file_backend.h"
#include "backends/file/file_record.h"
#include "backends/file/file_temporary.h"
#include "util/cleanup.h"
#include "util/message.h"

static int say(char **ret_message, const char *path, int r)
{
	switch (-r) {
	case ENOENT:
		return message_set(ret_message, r,
			"%s does not exist: create the directory, or mount what it is on", path);
	case ENOTDIR:
		return message_set(ret_message, r, "%s is not a directory", path);
	case EACCES:
		return message_set(ret_message, r,
			"%s cannot be written to by user %u: give it the directory (chown), mode "
			"0700",
			path, (unsigned int)geteuid());
	case EROFS:
		return message_set(ret_message, r,
			"%s is on a read-only file system: mount it read-write", path);
	case ENOSPC:
		return message_set(ret_message, r,
			"no space is left (or the quota is used up) on the file system of %s",
			path);
	default:
		return message_set(ret_message, r, "cannot use %s: %s", path, strerror(-r));
	}
}

/* Makes a file, which proves that we may, and tells what time the file system has. */
static int try_named(struct file_backend *fb, int64_t *ret_now_ms)
{
	struct iovec part = {(char[]){"mailfs"}, 6};
	struct file_temporary t;
	int r = file_temporary_make(fb, -1, &part, 1, -1, &t);

	if (r < 0)
		return r;
	*ret_now_ms = file_modified_ms(&t.st);
	file_temporary_done(fb, &t);
	return 0;
}

/* Whether a file without a name can be made and be given one. */
static bool try_unnamed(struct file_backend *fb)
{
	char name[TREE_NAME_BYTES];
	struct file_temporary t;
	bool works;

	atomic_store(&fb->has_unnamed, true);
	if (file_temporary_make(fb, fb->temporary_fd, NULL, 0, -1, &t) < 0)
		return false;
	file_unique_name(fb, name);
	works = !t.is_named && file_temporary_link(fb, &t, fb->temporary_fd, name) == 0;
	if (works)
		(void)unlinkat(fb->temporary_fd, name, 0);
	file_temporary_done(fb, &t);
	return works;
}

static void remove_leftover(const struct file_backend *fb, const char *name, int64_t now_ms)
{
	struct stat st;

	if (fstatat(fb->temporary_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		file_modified_ms(&st) > now_ms - TREE_LEFTOVER_AGE_MS)
		return;
	if (S_ISDIR(st.st_mode))
		file_record_discard(fb->temporary_fd, name);
	else
		(void)unlinkat(fb->temporary_fd, name, 0);
}

static void remove_leftovers(const struct file_backend *fb, int64_t now_ms)
{
	int fd = openat(fb->temporary_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (stream == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(stream)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove_leftover(fb, entry->d_name, now_ms);
	}
	closedir(stream);
}

static int open_both(struct file_backend *fb, const char *path)
{
	fb->root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fb->root_fd < 0)
		return file_error(errno);
	if (mkdirat(fb->root_fd, TREE_TEMPORARY, TREE_DIRECTORY_MODE) < 0 && errno != EEXIST)
		return file_error(errno);
	fb->temporary_fd = openat(
		fb->root_fd, TREE_TEMPORARY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fb->temporary_fd < 0 ? file_error(errno) : 0;
}

int file_open_root(struct file_backend *fb, const char *path, char **ret_message)
{
	int64_t now_ms = 0;
	int r = open_both(fb, path);

	if (r == 0)
		r = try_named(fb, &now_ms);
	if (r < 0)
		return say(ret_message, path, r);
	atomic_store(&fb->has_unnamed, try_unnamed(fb));
	remove_leftovers(fb, now_ms);
	return 0;
}
