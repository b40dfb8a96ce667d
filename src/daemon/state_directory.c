#include <config.h>
#include "daemon/state_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/cleanup.h"
#include "util/file_io.h"
#include "util/log.h"
#include "util/message.h"

#define LOCK_NAME "lock"
#define IDENTITY_NAME "state.json"
#define LOCK_MAX_BYTES 8192

/* What may stand in a directory that is not yet a state directory: the rest of a crash while it
 * was made, and what mkfs leaves when it is a filesystem of its own. */
static const char *const harmless_names[] = {
	".", "..", LOCK_NAME, IDENTITY_NAME ".new", "lost+found"};

static int explain(const char *path, int error, char **ret_message)
{
	const char *hint = "";

	if (error == -EACCES || error == -EPERM)
		hint = "; run as a user who may write there, or give another one with -o state=DIR";
	else if (error == -EROFS)
		hint = "; give a directory on a writable local disk with -o state=DIR";
	else if (error == -ENOSPC || error == -EDQUOT)
		hint = "; free some space there or give another one with -o state=DIR";
	return message_set(ret_message, error, "cannot use state directory '%s': %s%s", path,
		strerror(-error), hint);
}

static char *join(const char *directory, const char *name)
{
	char *path = NULL;

	return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

/* ---- making it */

static int make_directory(const char *path, char **ret_message)
{
	CLEANUP_FREE char *parent = strdup(path);
	char *slash = parent != NULL ? strrchr(parent, '/') : NULL;
	struct stat st;
	int r = 0;

	if (slash == NULL)
		return message_set(ret_message, parent == NULL ? -ENOMEM : -EINVAL,
			"state directory '%s' is not an absolute path", path);
	*slash = '\0';
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : explain(path, -ENOTDIR, ret_message);
	if (errno != ENOENT)
		return explain(path, -errno, ret_message);
	if (*parent != '\0')
		r = file_io_make_directories(parent, 0755);
	if (r == 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0)
		r = file_io_sync_directory(*parent != '\0' ? parent : "/");
	return r < 0 ? explain(path, r, ret_message) : 0;
}

static bool is_harmless(const char *name)
{
	for (size_t i = 0; i < sizeof(harmless_names) / sizeof(harmless_names[0]); i++) {
		if (strcmp(name, harmless_names[i]) == 0)
			return true;
	}
	return false;
}

/* 0 when nothing foreign is in it; -ENOTEMPTY. */
static int check_unused(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	int r = 0;

	if (directory == NULL)
		return -errno;
	while (r == 0 && (entry = readdir(directory)) != NULL) {
		if (!is_harmless(entry->d_name))
			r = -ENOTEMPTY;
	}
	(void)closedir(directory);
	return r;
}

/* Before anything is created in it: is it one of ours, or could it become one? */
static int check_directory(const char *path, const char *identity_path, char **ret_message)
{
	int r;

	if (access(identity_path, F_OK) == 0)
		return 0;
	r = check_unused(path);
	if (r == -ENOTEMPTY)
		return message_set(ret_message, r,
			"'%s' is not a state directory and not empty; give a new or empty one with "
			"-o state=DIR",
			path);
	return r < 0 ? explain(path, r, ret_message) : 0;
}

/* ---- the lock */

/* Says who holds it: the lock file has a line with the pid and one with the mountpoint. */
static int explain_holder(int fd, const char *path, char **ret_message)
{
	char text[LOCK_MAX_BYTES + 1];
	ssize_t n = file_io_read_at(fd, text, LOCK_MAX_BYTES, 0);
	char *rest = text, *pid, *mountpoint;

	text[n > 0 ? n : 0] = '\0';
	pid = strsep(&rest, "\n");
	mountpoint = strsep(&rest, "\n");
	if (mountpoint == NULL)
		return message_set(ret_message, -EBUSY,
			"state directory '%s' is in use by another mailfs", path);
	return message_set(ret_message, -EBUSY,
		"state directory '%s' is in use by pid %s (mounted at '%s')", path, pid,
		mountpoint);
}

static int write_holder(int fd, const char *mountpoint)
{
	char text[LOCK_MAX_BYTES];
	int n = snprintf(text, sizeof(text), "%ld\n%s\n", (long)getpid(), mountpoint);

	if (n < 0 || n >= (int)sizeof(text))
		return -ENAMETOOLONG;
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) < 0)
		return -errno;
	return 0;
}

static int take_lock(
	struct state_directory *state, const struct state_request *request, char **ret_message)
{
	CLEANUP_FREE char *path = join(state->path, LOCK_NAME);
	CLEANUP_CLOSE int fd = -1;
	int r;

	if (path == NULL)
		return -ENOMEM;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return explain(state->path, -errno, ret_message);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? explain_holder(fd, state->path, ret_message)
					    : explain(state->path, -errno, ret_message);
	r = write_holder(fd, request->mountpoint);
	if (r < 0)
		return explain(state->path, r, ret_message);
	state->lock_fd = take_fd(&fd);
	return 0;
}

/* ---- the identity */

static int write_identity(const char *path, const struct state_identity *identity)
{
	CLEANUP_FREE char *text = NULL;
	int r = state_identity_format(identity, &text);

	return r < 0 ? r : file_io_replace_file(path, text, strlen(text), 0600);
}

static int create_identity(struct state_directory *state, const char *path,
	const struct state_request *request, char **ret_message)
{
	int r = state_identity_new(request->volume_uuid, request->url, &state->identity);

	if (r == 0 && chmod(state->path, 0700) < 0)
		r = -errno;
	if (r == 0)
		r = write_identity(path, &state->identity);
	return r < 0 ? explain(state->path, r, ret_message) : 0;
}

static int check_identity(struct state_directory *state, const char *path,
	const struct state_request *request, char **ret_message)
{
	struct state_identity *identity = &state->identity;
	int r;

	if (strcmp(identity->volume_uuid, request->volume_uuid) != 0)
		return message_set(ret_message, -EEXIST,
			"state directory '%s' belongs to volume %s (%s), but '%s' is volume %s; "
			"give another one with -o state=DIR",
			state->path, identity->volume_uuid, identity->url, request->url,
			request->volume_uuid);
	if (strcmp(identity->url, request->url) == 0)
		return 0;
	log_info("volume %s was at '%s' and is now at '%s'", identity->volume_uuid, identity->url,
		request->url);
	free(identity->url);
	identity->url = strdup(request->url);
	r = identity->url != NULL ? write_identity(path, identity) : -ENOMEM;
	return r < 0 ? explain(state->path, r, ret_message) : 0;
}

static int load_identity(struct state_directory *state, const char *path,
	const struct state_request *request, char **ret_message)
{
	CLEANUP_FREE char *text = NULL;
	size_t size_bytes;
	int r = file_io_read_file(path, STATE_IDENTITY_MAX_BYTES, &text, &size_bytes);

	if (r == -ENOENT)
		return create_identity(state, path, request, ret_message);
	if (r == 0)
		r = state_identity_parse(text, size_bytes, &state->identity);
	if (r == -EPROTONOSUPPORT)
		return message_set(ret_message, r,
			"state directory '%s' has format %u, this mailfs knows up to %u; "
			"use a newer mailfs",
			state->path, state->identity.format_version, STATE_FORMAT_VERSION);
	if (r == -EBADMSG || r == -EFBIG)
		return message_set(ret_message, -EBADMSG,
			"'%s' is damaged, so whose state this is cannot be told; restore it, or "
			"give another directory with -o state=DIR",
			path);
	if (r < 0)
		return explain(state->path, r, ret_message);
	return check_identity(state, path, request, ret_message);
}

/* ---- the whole */

static int new_state(const struct state_request *request, struct state_directory **ret)
{
	struct state_directory *state = calloc(1, sizeof(*state));

	if (state == NULL)
		return -ENOMEM;
	state->lock_fd = -1;
	state->path = request->path != NULL ? strdup(request->path)
					    : join(STATE_DIRECTORY_ROOT, request->volume_uuid);
	if (state->path != NULL) {
		state->node_path = join(state->path, "db");
		state->control_socket_path = join(state->path, "control.sock");
	}
	if (state->node_path == NULL || state->control_socket_path == NULL) {
		state_directory_close(state);
		return -ENOMEM;
	}
	*ret = state;
	return 0;
}

int state_directory_open(
	const struct state_request *request, struct state_directory **ret, char **ret_message)
{
	CLEANUP_FREE char *identity_path = NULL;
	struct state_directory *state = NULL;
	int r;

	*ret_message = NULL;
	r = new_state(request, &state);
	if (r < 0)
		return r;
	identity_path = join(state->path, IDENTITY_NAME);
	r = identity_path != NULL ? make_directory(state->path, ret_message) : -ENOMEM;
	if (r == 0)
		r = check_directory(state->path, identity_path, ret_message);
	if (r == 0)
		r = take_lock(state, request, ret_message);
	if (r == 0)
		r = load_identity(state, identity_path, request, ret_message);
	if (r < 0) {
		state_directory_close(state);
		return r;
	}
	*ret = state;
	return 0;
}

int state_directory_write_identity(const struct state_directory *state)
{
	CLEANUP_FREE char *path = join(state->path, IDENTITY_NAME);

	return path != NULL ? write_identity(path, &state->identity) : -ENOMEM;
}

void state_directory_close(struct state_directory *state)
{
	if (state == NULL)
		return;
	if (state->lock_fd >= 0) {
		(void)!ftruncate(state->lock_fd, 0);
		close(state->lock_fd);
	}
	state_identity_done(&state->identity);
	free(state->control_socket_path);
	free(state->node_path);
	free(state->path);
	free(state);
}
