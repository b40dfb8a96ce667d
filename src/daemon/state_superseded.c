#include <config.h>
#include "daemon/state_superseded.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/cleanup.h"
#include "util/failpoint.h"
#include "util/file_io.h"
#include "util/log.h"
#include "util/message.h"

#define IDENTITY_NAME "state.json"
#define STORE_NAME "db"

static bool exists(const char *directory, const char *name)
{
	CLEANUP_FREE char *path = NULL;
	struct stat st;

	return asprintf(&path, "%s/%s", directory, name) >= 0 && lstat(path, &st) == 0;
}

/* One without a store: not there yet, or from an attempt that ended too early. */
static int choose_place(const struct state_directory *state, char **ret)
{
	const struct state_identity *identity = &state->identity;

	for (int i = 1; i <= STATE_SUPERSEDED_MAX; i++) {
		char number[16] = "";
		char *path;

		if (i > 1)
			(void)snprintf(number, sizeof(number), ".%d", i);
		if (asprintf(&path, "%s/" STATE_SUPERSEDED_NAME "/%s-%" PRIu64 "%s", state->path,
			    identity->node_uuid, identity->incarnation, number) < 0)
			return -ENOMEM;
		if (!exists(path, STORE_NAME)) {
			*ret = path;
			return 0;
		}
		free(path);
	}
	return -EEXIST;
}

static int write_identity(const char *directory, const struct state_identity *identity)
{
	CLEANUP_FREE char *path = NULL, *text = NULL;
	int r = state_identity_format(identity, &text);

	if (r == 0 && asprintf(&path, "%s/" IDENTITY_NAME, directory) < 0)
		r = -ENOMEM;
	return r == 0 ? file_io_replace_file(path, text, strlen(text), 0600) : r;
}

/* The identity first: a store without one would be nobody's. */
static int move_store(struct state_directory *state, char **ret_place)
{
	CLEANUP_FREE char *place = NULL, *target = NULL, *parent = NULL;
	int r = choose_place(state, &place);

	if (r == 0 && (asprintf(&target, "%s/" STORE_NAME, place) < 0 ||
			      asprintf(&parent, "%s/" STATE_SUPERSEDED_NAME, state->path) < 0))
		r = -ENOMEM;
	if (r == 0)
		r = file_io_make_directories(place, 0700);
	if (r == 0)
		r = write_identity(place, &state->identity);
	if (r == 0)
		r = file_io_sync_directory(parent);
	if (r == 0 && rename(state->node_path, target) < 0)
		r = -errno;
	if (r == 0)
		r = file_io_sync_directory(place);
	if (r == 0)
		r = file_io_sync_directory(state->path);
	if (r == 0)
		*ret_place = TAKE_PTR(place);
	return r;
}

static int renew_identity(struct state_directory *state)
{
	struct state_identity fresh;
	int r = state_identity_new(state->identity.volume_uuid, state->identity.url, &fresh);

	if (r < 0)
		return r;
	state_identity_done(&state->identity);
	state->identity = fresh;
	return state_directory_write_identity(state);
}

int state_superseded_set_aside(struct state_directory *state, char **ret_message)
{
	CLEANUP_FREE char *place = NULL;
	int r = exists(state->path, STORE_NAME) ? move_store(state, &place) : 0;

	failpoint("state.aside");
	if (r == 0)
		r = renew_identity(state);
	if (r < 0)
		return message_set(ret_message, r,
			"state directory '%s' is superseded, since another node has taken over "
			"the volume, and what it holds cannot be set aside: %s",
			state->path, strerror(-r));
	if (place != NULL)
		log_warning("state directory '%s' is superseded: another node has taken over the "
			    "volume. What it held is kept in '%s', in case there is something that "
			    "never reached it; the accounts are loaded from the backend",
			state->path, place);
	return 0;
}

/* ---- what there is */

static int take_one(const char *path, const char *name, state_superseded_fn *take, void *arg)
{
	struct state_superseded superseded = {.name = name, .path = path};
	CLEANUP_FREE char *file = NULL, *text = NULL;
	size_t size_bytes;
	int r;

	if (asprintf(&file, "%s/" IDENTITY_NAME, path) < 0)
		return -ENOMEM;
	r = file_io_read_file(file, STATE_IDENTITY_MAX_BYTES, &text, &size_bytes);
	if (r == 0)
		r = state_identity_parse(text, size_bytes, &superseded.identity);
	if (r < 0) {
		log_warning("whose state '%s' is cannot be told: %s", path, strerror(-r));
		return 0;
	}
	r = take(arg, &superseded);
	state_identity_done(&superseded.identity);
	return r;
}

static int take_all(DIR *directory, const char *parent, state_superseded_fn *take, void *arg)
{
	const struct dirent *entry;
	int r = 0;

	while (r == 0 && (entry = readdir(directory)) != NULL) {
		CLEANUP_FREE char *path = NULL;

		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&path, "%s/%s", parent, entry->d_name) < 0)
			return -ENOMEM;
		if (exists(path, STORE_NAME))
			r = take_one(path, entry->d_name, take, arg);
	}
	return r;
}

int state_superseded_each(const char *state_path, state_superseded_fn *take, void *arg)
{
	CLEANUP_FREE char *parent = NULL;
	DIR *directory;
	int r;

	if (asprintf(&parent, "%s/" STATE_SUPERSEDED_NAME, state_path) < 0)
		return -ENOMEM;
	directory = opendir(parent);
	if (directory == NULL)
		return errno == ENOENT ? 0 : -errno;
	r = take_all(directory, parent, take, arg);
	(void)closedir(directory);
	return r;
}
