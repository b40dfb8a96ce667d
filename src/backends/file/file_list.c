/*
 * file_list.c: keys in byte order, out of directories.
 *
 * A directory `a` holds keys that begin with "a/", which sort behind "a-b"; if it is a record it is
 * the key "a", which sorts before. So each directory stands twice in the sorted names: as "a" and
 * as "a/". A page reads again each directory on the way to where it begins, and no other.
 */
#include <config.h>
#include "backends/file/file_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backends/file/file_record_state.h"
#include "util/cleanup.h"

struct listing {
	const struct file_backend *fb;
	const char *prefix;
	const char *after; /* "": from the beginning */
	size_t max_entries;
	struct backend_result *result;
	char key[BACKEND_KEY_MAX_BYTES + 2]; /* of the directory at hand, with its '/' */
	bool is_full;
};

struct names {
	char **names; /* those of directories once with and once without a '/' at their end */
	size_t n, capacity;
};

static void names_done(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i]);
	free(names->names);
}

static int names_add(struct names *names, const char *name, const char *suffix)
{
	size_t capacity = names->capacity == 0 ? 64 : 2 * names->capacity;

	if (names->n == names->capacity) {
		char **grown = realloc(names->names, capacity * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		names->names = grown;
		names->capacity = capacity;
	}
	if (asprintf(&names->names[names->n], "%s%s", name, suffix) < 0)
		return -ENOMEM;
	names->n++;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whether the keys that begin with key + name (all of them, for a directory) are wanted. */
static bool is_wanted(const struct listing *l, const char *name, bool is_directory)
{
	char key[sizeof(l->key) + FILE_NAME_BYTES];
	size_t size = (size_t)snprintf(key, sizeof(key), "%s%s", l->key, name);
	size_t prefix_size = strlen(l->prefix);

	if (strncmp(key, l->prefix, size < prefix_size && is_directory ? size : prefix_size) != 0)
		return false;
	if (strcmp(key, l->after) > 0)
		return true;
	return is_directory && strncmp(key, l->after, size) == 0;
}

static bool is_key_name(const struct listing *l, const char *name)
{
	size_t size = strlen(name);

	if (l->fb->is_remote && strncmp(name, ".nfs", 4) == 0)
		return false; /* removed, but open somewhere on this machine */
	return strlen(l->key) + size <= BACKEND_KEY_MAX_BYTES && backend_key_is_valid(name);
}

static unsigned char type_of(int fd, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type;
	if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return DT_UNKNOWN;
	return S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_UNKNOWN;
}

static int add_entry(
	const struct listing *l, struct names *names, int fd, const struct dirent *entry)
{
	char as_directory[FILE_NAME_BYTES + 1];
	unsigned char type = DT_UNKNOWN;
	int r = 0;

	if (is_key_name(l, entry->d_name))
		type = type_of(fd, entry);
	if ((type == DT_REG || type == DT_DIR) && is_wanted(l, entry->d_name, false))
		r = names_add(names, entry->d_name, "");
	if (r == 0 && type == DT_DIR) {
		snprintf(as_directory, sizeof(as_directory), "%s/", entry->d_name);
		if (is_wanted(l, as_directory, true))
			r = names_add(names, as_directory, "");
	}
	return r;
}

/* The wanted names of the directory, sorted. A record's or a vanished directory has none. */
static int read_names(const struct listing *l, int fd, struct names *ret)
{
	DIR *stream = fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (stream == NULL) {
		r = -errno;
		close(fd);
		return r;
	}
	while (r == 0) {
		errno = 0;
		entry = readdir(stream);
		if (entry == NULL) {
			r = -errno;
			break;
		}
		r = add_entry(l, ret, fd, entry);
	}
	closedir(stream);
	if (ret->n > 1)
		qsort(ret->names, ret->n, sizeof(*ret->names), compare_names);
	return r;
}

static int add_result(struct listing *l, const char *name, const struct stat *st)
{
	struct backend_result *result = l->result;
	char key[sizeof(l->key) + FILE_NAME_BYTES];

	if (result->n_entries == l->max_entries) {
		l->is_full = true;
		result->continuation = strdup(result->entries[result->n_entries - 1].key);
		return result->continuation == NULL ? -ENOMEM : 0;
	}
	snprintf(key, sizeof(key), "%s%s", l->key, name);
	return backend_result_add_entry(result, key, (uint64_t)st->st_size, file_modified_ms(st));
}

/* An object, a record, a directory that is none, or something that vanished meanwhile. */
static int visit_name(struct listing *l, int fd, const char *name)
{
	struct file_record_state state;
	struct stat st;
	int r;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(st.st_mode))
		return add_result(l, name, &st);
	r = file_record_state_read(l->fb, fd, name, &state);
	if (r < 0)
		return r == -EISDIR || r == -ENOTDIR || r == -ENOENT ? 0 : r;
	if (state.is_present)
		r = add_result(l, name, &state.st);
	file_record_state_done(&state);
	return r;
}

static int visit(struct listing *l, int parent_fd, const char *path);

static int visit_all(struct listing *l, int fd, const struct names *names)
{
	size_t key_size = strlen(l->key);
	int r = 0;

	for (size_t i = 0; i < names->n && r == 0 && !l->is_full; i++) {
		const char *name = names->names[i];
		size_t size = strlen(name);

		if (name[size - 1] != '/') {
			r = visit_name(l, fd, name);
			continue;
		}
		memcpy(l->key + key_size, name, size + 1);
		r = visit(l, fd, name);
		l->key[key_size] = '\0';
	}
	return r;
}

/* l->key is the directory's key with a '/' at the end, or "". At most 256 deep, as keys are. */
static int visit(struct listing *l, int parent_fd, const char *path)
{
	struct names names = {.n = 0};
	CLEANUP_CLOSE int fd = openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int stream_fd, r;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	file_refresh(l->fb, fd, "");
	stream_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = stream_fd < 0 ? -errno : read_names(l, stream_fd, &names);
	if (r == 0)
		r = visit_all(l, fd, &names);
	names_done(&names);
	return r;
}

bool file_list(struct blocking_request *request, struct backend_result *ret)
{
	const struct file_backend *fb = (struct file_backend *)(void *)request->backend;
	const char *slash = strrchr(request->key, '/');
	struct listing l = {
		.fb = fb,
		.prefix = request->key,
		.after = request->continuation == NULL ? "" : request->continuation,
		.max_entries = request->size_bytes,
		.result = ret,
	};
	int r;

	if (slash != NULL) /* begin in the directory that holds them all */
		memcpy(l.key, request->key, (size_t)(slash - request->key) + 1);
	file_refresh_parents(fb, request->key);
	r = visit(&l, fb->root_fd, l.key[0] == '\0' ? "." : l.key);
	if (r < 0) {
		ret->error = file_error(-r);
		backend_result_done(ret);
	}
	return true;
}
