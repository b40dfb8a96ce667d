#include <config.h>
#include "admin/find_daemon.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/cleanup.h"
#include "util/message.h"
#include "util/mount_question.h"
#include "util/mount_table.h"

#define SOCKET_NAME "control.sock"

static bool is_mount(const char *target)
{
	CLEANUP_FREE char *path = realpath(target, NULL);
	struct mount_entry entry;
	bool ours;

	/* A dead mount has no real path, but stands in the table as it was mounted. */
	if (mount_table_find(path != NULL ? path : target, &entry) < 0)
		return false;
	ours = strcmp(entry.fstype, MOUNT_TABLE_FSTYPE) == 0;
	mount_entry_done(&entry);
	return ours;
}

static int ask_mount(const char *target, char **ret, char **ret_message)
{
	struct mount_answer answer;
	int r = mount_question_ask(target, &answer);

	if (r == -ENOTCONN)
		return message_set(ret_message, r,
			"the mailfs that served '%s' has died; run 'umount %s' and mount it again",
			target, target);
	if (r == -EACCES)
		return message_set(ret_message, r,
			"'%s' does not answer this user; be the user who mounted it (or root, if "
			"it "
			"is mounted with allow_other), or name its state directory instead",
			target);
	if (r < 0)
		return message_set(ret_message, r,
			"'%s' does not tell its control socket: %s; name its state directory "
			"instead",
			target, strerror(-r));
	*ret = strdup(answer.control_socket);
	return *ret != NULL ? 0 : -ENOMEM;
}

static int find_by_url(const char *url, char **ret, char **ret_message)
{
	struct mount_entry entry;
	int r = mount_table_find_source(MOUNT_TABLE_FSTYPE, url, &entry);

	if (r == -EEXIST)
		return message_set(ret_message, r,
			"'%s' is mounted more than once here; name one of its mountpoints", url);
	if (r < 0)
		return message_set(ret_message, r,
			"'%s' is not mounted here under exactly this name; name its mountpoint or "
			"its state directory",
			url);
	r = ask_mount(entry.mountpoint, ret, ret_message);
	mount_entry_done(&entry);
	return r;
}

int find_daemon(const char *target, char **ret, char **ret_message)
{
	CLEANUP_FREE char *path = NULL;
	struct stat st;

	if (strstr(target, "://") != NULL)
		return find_by_url(target, ret, ret_message);
	if (is_mount(target))
		return ask_mount(target, ret, ret_message);
	if (stat(target, &st) < 0)
		return message_set(
			ret_message, -errno, "cannot find '%s': %s", target, strerror(errno));
	if (S_ISDIR(st.st_mode)) {
		if (asprintf(&path, "%s/" SOCKET_NAME, target) < 0)
			return -ENOMEM;
		if (stat(path, &st) < 0)
			return message_set(ret_message, -ENOENT,
				"'%s' is neither a mounted mailfs nor the state directory of a "
				"running one",
				target);
	} else {
		path = strdup(target);
	}
	if (path != NULL && !S_ISSOCK(st.st_mode))
		return message_set(ret_message, -ENOTSOCK,
			"'%s' is no mountpoint, state directory or control socket", target);
	*ret = TAKE_PTR(path);
	return *ret != NULL ? 0 : -ENOMEM;
}
