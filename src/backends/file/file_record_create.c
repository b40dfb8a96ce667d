#include <config.h>
#include "backends/file/file_record_create.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "backends/file/file_record.h"
#include "backends/file/file_record_state.h"
#include "util/cleanup.h"
#include "util/file_io.h"

/* Makes and opens a directory: an fd. */
static int make_directory(int parent_fd, const char *name)
{
	int fd;

	if (mkdirat(parent_fd, name, TREE_DIRECTORY_MODE) < 0)
		return file_error(errno);
	fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? file_error(errno) : fd;
}

static int write_first(int chain_fd, const struct blocking_request *request)
{
	char name[TREE_GENERATION_BYTES];
	CLEANUP_CLOSE int fd = -1;
	int r;

	tree_generation_name(1, name);
	fd = openat(chain_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, TREE_FILE_MODE);
	if (fd < 0)
		return file_error(errno);
	r = file_io_write_all(fd, request->parts, request->n_parts);
	if (r < 0)
		return file_error(-r);
	return fsync(fd) < 0 || fsync(chain_fd) < 0 ? file_error(errno) : 0;
}

/* Builds the record in .tmp+/<temporary>. */
static int build(struct file_backend *fb, const char *temporary, const char *incarnation,
	const struct blocking_request *request)
{
	CLEANUP_CLOSE int record_fd = make_directory(fb->temporary_fd, temporary);
	CLEANUP_CLOSE int chain_fd = -1;
	int r;

	if (record_fd < 0)
		return record_fd;
	chain_fd = make_directory(record_fd, incarnation);
	if (chain_fd < 0)
		return chain_fd;
	r = write_first(chain_fd, request);
	if (r == 0 && fsync(record_fd) < 0)
		r = file_error(errno);
	return r;
}

/* rename(), and -EEXIST when the place is taken. A lost answer of an NFS server is understood. */
static int move_in(struct file_backend *fb, const char *temporary, int parent_fd, const char *name,
	const char *incarnation)
{
	CLEANUP_CLOSE int record_fd = -1;
	int error;

	if (renameat(fb->temporary_fd, temporary, parent_fd, name) == 0)
		return 0;
	error = errno;
	if (error == EEXIST || error == ENOTEMPTY || error == ENOTDIR)
		return -EEXIST;
	if (error == ENOENT && fb->is_remote) {
		record_fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (record_fd >= 0 && faccessat(record_fd, incarnation, F_OK, 0) == 0)
			return 0;
	}
	return file_error(error);
}

int file_record_create(struct file_backend *fb, int parent_fd, const char *name,
	const struct blocking_request *request, struct backend_version *ret_version)
{
	struct file_record_state state = {.chain_fd = -1};
	char temporary[TREE_NAME_BYTES];
	int r = tree_incarnation_make(state.incarnation);

	if (r < 0)
		return r;
	file_unique_name(fb, temporary);
	r = build(fb, temporary, state.incarnation, request);
	if (r == 0)
		r = file_check(request);
	if (r == 0)
		r = move_in(fb, temporary, parent_fd, name, state.incarnation);
	if (r < 0)
		file_record_discard(fb->temporary_fd, temporary);
	else
		file_record_version(&state, 1, ret_version);
	return r;
}

/* Moves the incarnation out of the way; it has a tombstone, so nobody adds to it any more. */
static int move_out(struct file_backend *fb, int parent_fd, const char *name,
	const struct file_record_state *state)
{
	CLEANUP_CLOSE int record_fd =
		openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char temporary[TREE_NAME_BYTES];

	if (record_fd < 0)
		return errno == ENOENT ? 0 : file_error(errno);
	file_unique_name(fb, temporary);
	if (renameat(record_fd, state->incarnation, fb->temporary_fd, temporary) == 0)
		file_record_discard(fb->temporary_fd, temporary);
	else if (errno != ENOENT)
		return file_error(errno);
	return 0;
}

int file_record_clear(struct file_backend *fb, int parent_fd, const char *name)
{
	struct file_record_state state;
	int r = file_record_state_read(fb, parent_fd, name, &state);

	if (r < 0)
		return r == -EISDIR ? r : file_error(-r);
	if (state.is_present)
		r = -EEXIST;
	else if (state.incarnation[0] != '\0')
		r = move_out(fb, parent_fd, name, &state);
	file_record_state_done(&state);
	if (r == 0 && unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = errno == ENOTEMPTY || errno == EEXIST ? -EEXIST : file_error(errno);
	return r;
}

/* The generations lowest first, then whatever else is there. */
static void discard_chain(int parent_fd, const char *name)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char generation[TREE_GENERATION_BYTES];
	uint64_t lowest = 0, highest = 0;

	if (fd >= 0 && file_record_range(fd, &lowest, &highest) == 0) {
		for (uint64_t g = lowest; g != 0 && g <= highest && g - lowest < TREE_MAX_FORGOTTEN;
			g++) {
			tree_generation_name(g, generation);
			(void)unlinkat(fd, generation, 0);
		}
	}
	if (fd >= 0)
		close(fd);
	(void)unlinkat(parent_fd, name, AT_REMOVEDIR);
}

void file_record_discard(int temporary_fd, const char *name)
{
	CLEANUP_CLOSE int fd =
		openat(temporary_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char incarnation[TREE_INCARNATION_BYTES];

	if (fd < 0)
		return;
	if (file_record_incarnation(fd, incarnation) == 0 && incarnation[0] != '\0')
		discard_chain(fd, incarnation);
	discard_chain(temporary_fd, name);
}
