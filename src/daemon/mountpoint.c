#include <config.h>
#include "daemon/mountpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include "util/cleanup.h"
#include "util/message.h"
#include "util/mount_table.h"

#define OPEN_MOUNTPOINT_PREFIX "/dev/fd/"
#define FUSE_TYPE_PREFIX "fuse."

static int explain(const char *given, int error, char **ret_message)
{
	switch (error) {
	case -ENOENT:
		return message_set(ret_message, error,
			"mountpoint '%s' does not exist; create the directory first", given);
	case -ENOTDIR:
		return message_set(ret_message, error, "mountpoint '%s' is not a directory", given);
	case -ENOTCONN:
		return message_set(ret_message, error,
			"a filesystem whose daemon has died is still mounted at '%s'; "
			"run 'umount %s' first",
			given, given);
	default:
		return message_set(ret_message, error, "cannot use mountpoint '%s': %s", given,
			strerror(-error));
	}
}

/* The kernel answers stat() of a dead mount from its cache, but not statfs(). */
static int refuse_second_mount(const char *path, const char *url, char **ret_message)
{
	struct mount_entry entry = {0};
	struct statfs statistics;
	int r = mount_table_find(path, &entry);

	if (r < 0 || strncmp(entry.fstype, FUSE_TYPE_PREFIX, strlen(FUSE_TYPE_PREFIX)) != 0)
		r = 0;
	else if (statfs(path, &statistics) < 0 && errno == ENOTCONN)
		r = explain(path, -ENOTCONN, ret_message);
	else if (strcmp(entry.fstype, MOUNT_TABLE_FSTYPE) == 0 && strcmp(entry.source, url) == 0)
		r = message_set(ret_message, -EBUSY, "'%s' is already mounted at '%s'", url, path);
	mount_entry_done(&entry);
	return r;
}

int mountpoint_resolve(const char *given, const char *url, char **ret, char **ret_message)
{
	CLEANUP_FREE char *path = NULL;
	struct stat st;
	int r;

	if (stat(given, &st) < 0)
		return explain(given, -errno, ret_message);
	if (!S_ISDIR(st.st_mode))
		return explain(given, -ENOTDIR, ret_message);
	if (strncmp(given, OPEN_MOUNTPOINT_PREFIX, strlen(OPEN_MOUNTPOINT_PREFIX)) == 0)
		path = strdup(given);
	else
		path = realpath(given, NULL);
	if (path == NULL)
		return explain(given, -errno, ret_message);
	r = refuse_second_mount(path, url, ret_message);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(path);
	return 0;
}

/* The real path of the deepest part of `path` that exists. */
static char *real_ancestor(const char *path)
{
	CLEANUP_FREE char *part = strdup(path);

	while (part != NULL) {
		char *real = realpath(part, NULL);
		char *slash = strrchr(part, '/');

		if (real != NULL || slash == NULL || slash == part)
			return real;
		*slash = '\0';
	}
	return NULL;
}

int mountpoint_keep_clear(
	const char *mountpoint, const char *path, const char *what, char **ret_message)
{
	CLEANUP_FREE char *real = real_ancestor(path);
	size_t length = strlen(mountpoint);

	if (real == NULL || strncmp(real, mountpoint, length) != 0)
		return 0;
	if (real[length] != '\0' && real[length] != '/')
		return 0;
	return message_set(ret_message, -ELOOP,
		"%s '%s' is below the mountpoint '%s' and would disappear under it", what, path,
		mountpoint);
}
