#include <config.h>
#include "backends/file/file_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "backends/file/file_record_create.h"
#include "backends/file/file_record_state.h"
#include "backends/file/file_temporary.h"
#include "util/cleanup.h"

#define MAX_ATTEMPTS 1000

/* Forgets old generations, the lowest first: the proof in file_record.h rests on that order. */
static void forget_old(const struct file_record_state *state, uint64_t highest)
{
	char name[TREE_GENERATION_BYTES];

	for (uint64_t g = state->lowest;
		g + TREE_KEEP_GENERATIONS < highest && g - state->lowest < TREE_MAX_FORGOTTEN;
		g++) {
		tree_generation_name(g, name);
		if (unlinkat(state->chain_fd, name, 0) < 0 && errno != ENOENT)
			return;
	}
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* After the link of generation highest + 1: was that generation's place never taken before? */
static int confirm(const struct file_backend *fb, const struct file_record_state *state)
{
	char name[TREE_GENERATION_BYTES];
	uint64_t lowest = 0, highest = 0;
	struct stat st;

	tree_generation_name(state->highest, name);
	file_refresh(fb, state->chain_fd, name);
	if (fstatat(state->chain_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		is_same(&st, &state->st))
		return 0;
	file_refresh(fb, state->chain_fd, "");
	if (file_record_range(state->chain_fd, &lowest, &highest) == 0 &&
		highest == state->highest + 1)
		return 0;
	return -EIO;
}

static int write_generation(struct file_backend *fb, const struct file_record_state *state,
	const struct blocking_request *request)
{
	char name[TREE_GENERATION_BYTES];
	struct file_temporary t;
	int r = file_temporary_make(fb, -1, request->parts, request->n_parts, -1, &t);

	if (r < 0)
		return r;
	tree_generation_name(state->highest + 1, name);
	r = file_check(request);
	if (r == 0)
		r = file_temporary_link(fb, &t, state->chain_fd, name);
	file_temporary_done(fb, &t);
	return r;
}

/* Opens the generation that is to be replaced: an fd, -EEXIST when it is no more the highest. While
 * it is open its inode number is not used again, so that confirm() can tell it from any other. */
static int open_base(struct file_record_state *state)
{
	char name[TREE_GENERATION_BYTES];
	uint64_t lowest = 0, highest = 0;
	CLEANUP_CLOSE int fd = -1;
	int r;

	tree_generation_name(state->highest, name);
	fd = openat(state->chain_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? -EEXIST : file_error(errno);
	r = file_record_range(state->chain_fd, &lowest, &highest);
	if (r < 0 || fstat(fd, &state->st) < 0)
		return r < 0 ? file_error(-r) : file_error(errno);
	return highest == state->highest ? take_fd(&fd) : -EEXIST;
}

/* Adds the next generation behind state->highest: -EEXIST when somebody else did. */
static int append(struct file_backend *fb, struct file_record_state *state,
	const struct blocking_request *request, struct backend_version *ret_version)
{
	CLEANUP_CLOSE int base_fd = open_base(state);
	int r;

	if (base_fd < 0)
		return base_fd;
	r = write_generation(fb, state, request);
	if (r == -ENOENT) /* the incarnation was cleared and discarded */
		return -EEXIST;
	if (r == 0 && request->condition.type == BACKEND_IF_VERSION)
		r = confirm(fb, state);
	if (r == 0 && fsync(state->chain_fd) < 0)
		r = file_error(errno);
	if (r < 0)
		return r;
	forget_old(state, state->highest + 1);
	file_record_version(state, state->highest + 1, ret_version);
	return 0;
}

/* One attempt; -EAGAIN when the state changed. */
static int put_once(struct file_backend *fb, int parent_fd, const char *name,
	const struct blocking_request *request, struct backend_version *ret_version)
{
	struct file_record_state state;
	struct backend_version current = {.text = ""};
	bool compare = request->condition.type == BACKEND_IF_VERSION;
	int r = file_record_state_read(fb, parent_fd, name, &state);

	if (r == -ENOTDIR)
		return request->condition.type == BACKEND_IF_ABSENT ? -EEXIST : -EOPNOTSUPP;
	if (r < 0)
		return r == -EISDIR ? r : file_error(-r);
	if (state.is_present)
		file_record_version(&state, state.highest, &current);
	if (compare && strcmp(current.text, request->condition.version.text) != 0) {
		r = -ESTALE;
	} else if (state.is_present && request->condition.type == BACKEND_IF_ABSENT) {
		r = -EEXIST;
	} else if (state.is_present) {
		r = append(fb, &state, request, ret_version);
		if (r == -EEXIST)
			r = compare ? -ESTALE : -EAGAIN;
	} else {
		r = file_record_clear(fb, parent_fd, name);
		if (r == 0)
			r = file_record_create(fb, parent_fd, name, request, ret_version);
		if (r == -EEXIST)
			r = -EAGAIN;
	}
	file_record_state_done(&state);
	return r;
}

int file_record_put(struct file_backend *fb, int parent_fd, const char *name,
	const struct blocking_request *request, struct backend_version *ret_version)
{
	int r = -EAGAIN;

	if (request->condition.type == BACKEND_IF_VERSION &&
		request->condition.version.text[0] == '\0')
		return -ESTALE;
	for (int attempt = 0; attempt < MAX_ATTEMPTS && r == -EAGAIN; attempt++) {
		r = file_check(request);
		if (r == 0)
			r = put_once(fb, parent_fd, name, request, ret_version);
	}
	return r == -EAGAIN ? -EBUSY : r;
}

int file_record_open(const struct file_backend *fb, int parent_fd, const char *name,
	struct backend_version *ret_version)
{
	char generation[TREE_GENERATION_BYTES];
	int fd = -EAGAIN;

	for (int attempt = 0; attempt < MAX_ATTEMPTS && fd == -EAGAIN; attempt++) {
		struct file_record_state state;
		int r = file_record_state_read(fb, parent_fd, name, &state);

		if (r < 0)
			return r == -EISDIR ? -ENOENT : r;
		if (!state.is_present) {
			file_record_state_done(&state);
			return -ENOENT;
		}
		tree_generation_name(state.highest, generation);
		fd = openat(state.chain_fd, generation, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			fd = errno == ENOENT ? -EAGAIN : file_error(errno);
		file_record_version(&state, state.highest, ret_version);
		file_record_state_done(&state);
	}
	return fd == -EAGAIN ? -EBUSY : fd;
}

/* Adds a tombstone. -EAGAIN when somebody else added something. */
static int bury(const struct file_record_state *state)
{
	char name[TREE_GENERATION_BYTES];

	tree_generation_name(state->highest + 1, name);
	if (symlinkat(TREE_TOMBSTONE, state->chain_fd, name) == 0)
		return 0;
	return errno == EEXIST || errno == ENOENT ? -EAGAIN : file_error(errno);
}

int file_record_remove(struct file_backend *fb, int parent_fd, const char *name)
{
	int r = -EAGAIN;

	for (int attempt = 0; attempt < MAX_ATTEMPTS && r == -EAGAIN; attempt++) {
		struct file_record_state state;

		r = file_record_state_read(fb, parent_fd, name, &state);
		if (r < 0)
			return r == -EISDIR ? r : file_error(-r);
		if (state.is_present)
			r = bury(&state);
		file_record_state_done(&state);
	}
	if (r < 0)
		return r == -EAGAIN ? -EBUSY : r;
	/* -EEXIST: it was made anew at once, which is somebody else's. */
	r = file_record_clear(fb, parent_fd, name);
	return r == -EEXIST ? 0 : r;
}
