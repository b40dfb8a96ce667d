#include <config.h>
#include "backends/file/file_record_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "util/cleanup.h"

#define MAX_ATTEMPTS 100

void file_record_version(
	const struct file_record_state *state, uint64_t generation, struct backend_version *ret)
{
	tree_record_version(state->incarnation, generation, ret);
}

/* A stream of its own over the directory; the caller's descriptor stays as it is. */
static DIR *open_stream(int fd)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = own < 0 ? NULL : fdopendir(own);

	if (stream == NULL && own >= 0)
		close(own);
	return stream;
}

/* The next name but "." and ".."; NULL at the end (errno 0) or on an error. */
static const char *next_name(DIR *stream)
{
	for (;;) {
		struct dirent *entry;

		errno = 0;
		entry = readdir(stream);
		if (entry == NULL)
			return NULL;
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return entry->d_name;
	}
}

int file_record_range(int chain_fd, uint64_t *ret_lowest, uint64_t *ret_highest)
{
	uint64_t lowest = 0, highest = 0, generation;
	DIR *stream = open_stream(chain_fd);
	const char *name;
	int r;

	if (stream == NULL)
		return -errno;
	while ((name = next_name(stream)) != NULL) {
		if (!tree_generation_parse(name, &generation))
			continue;
		if (lowest == 0 || generation < lowest)
			lowest = generation;
		if (generation > highest)
			highest = generation;
	}
	r = -errno;
	closedir(stream);
	if (r == 0) {
		*ret_lowest = lowest;
		*ret_highest = highest;
	}
	return r;
}

int file_record_incarnation(int record_fd, char ret[TREE_INCARNATION_BYTES])
{
	DIR *stream = open_stream(record_fd);
	const char *name;
	int r;

	if (stream == NULL)
		return -errno;
	name = next_name(stream);
	r = -errno;
	if (name == NULL)
		ret[0] = '\0';
	else if (tree_is_incarnation(name))
		memcpy(ret, name, strlen(name) + 1);
	else
		r = -EISDIR;
	closedir(stream);
	return r;
}

/* -EAGAIN: it changed meanwhile. */
static int read_chain(const struct file_backend *fb, int record_fd, struct file_record_state *state)
{
	char name[TREE_GENERATION_BYTES];
	int r;

	state->chain_fd = openat(
		record_fd, state->incarnation, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (state->chain_fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	file_refresh(fb, state->chain_fd, "");
	r = file_record_range(state->chain_fd, &state->lowest, &state->highest);
	if (r < 0)
		return r;
	if (state->highest == 0)
		return -EAGAIN;
	tree_generation_name(state->highest, name);
	if (fstatat(state->chain_fd, name, &state->st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	state->is_present = !S_ISLNK(state->st.st_mode);
	return 0;
}

static int read_once(const struct file_backend *fb, int parent_fd, const char *name,
	struct file_record_state *state)
{
	CLEANUP_CLOSE int fd =
		openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	file_refresh(fb, fd, "");
	r = file_record_incarnation(fd, state->incarnation);
	if (r < 0 || state->incarnation[0] == '\0')
		return r;
	return read_chain(fb, fd, state);
}

int file_record_state_read(const struct file_backend *fb, int parent_fd, const char *name,
	struct file_record_state *ret)
{
	int r = -EAGAIN;

	for (int attempt = 0; attempt < MAX_ATTEMPTS && r == -EAGAIN; attempt++) {
		struct file_record_state state = {.chain_fd = -1};

		r = read_once(fb, parent_fd, name, &state);
		if (r == 0)
			*ret = state;
		else
			file_record_state_done(&state);
	}
	return r == -EAGAIN ? -EBUSY : r;
}

void file_record_state_done(struct file_record_state *state)
{
	if (state->chain_fd >= 0)
		close(state->chain_fd);
	state->chain_fd = -1;
}
