#include <config.h>
#include "backends/file/file_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "backends/file/file_record_state.h"
#include "backends/tree_listing.h"
#include "util/cleanup.h"

struct listing {
	struct tree_listing tree;
	const struct file_backend *fb;
};

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
	const struct listing *l, struct tree_names *names, int fd, struct dirent *entry)
{
	struct tree_name name = {.name = entry->d_name};
	unsigned char type;

	if (l->fb->is_remote && strncmp(entry->d_name, ".nfs", 4) == 0)
		return 0; /* removed, but open somewhere on this machine */
	if (!tree_listing_is_key_name(&l->tree, entry->d_name))
		return 0;
	type = type_of(fd, entry);
	name.is_directory = type == DT_DIR;
	return type == DT_REG || type == DT_DIR ? tree_names_add(names, &l->tree, &name) : 0;
}

/* The wanted names of the directory, sorted. A record's or a vanished directory has none. */
static int read_names(const struct listing *l, int fd, struct tree_names *ret)
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
	tree_names_sort(ret);
	return r;
}

static int add_result(struct listing *l, const char *name, const struct stat *st)
{
	return tree_listing_add(&l->tree, name, (uint64_t)st->st_size, file_modified_ms(st));
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

static int visit_all(struct listing *l, int fd, const struct tree_names *names)
{
	int r = 0;

	for (size_t i = 0; i < names->n && r == 0 && !l->tree.is_full; i++) {
		const char *name = names->names[i].name;
		size_t key_size;

		if (name[strlen(name) - 1] != '/') {
			r = visit_name(l, fd, name);
			continue;
		}
		key_size = tree_listing_enter(&l->tree, name);
		r = visit(l, fd, name);
		tree_listing_leave(&l->tree, key_size);
	}
	return r;
}

/* At most 256 deep, as keys are. */
static int visit(struct listing *l, int parent_fd, const char *path)
{
	struct tree_names names = {.n = 0};
	CLEANUP_CLOSE int fd = openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int stream_fd, r;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	file_refresh(l->fb, fd, "");
	stream_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = stream_fd < 0 ? -errno : read_names(l, stream_fd, &names);
	if (r == 0)
		r = visit_all(l, fd, &names);
	tree_names_done(&names);
	return r;
}

bool file_list(struct blocking_request *request, struct backend_result *ret)
{
	const struct file_backend *fb = (struct file_backend *)(void *)request->backend;
	struct listing l = {.fb = fb};
	int r;

	tree_listing_init(&l.tree, request->key, request->continuation, request->size_bytes, ret);
	file_refresh_parents(fb, request->key);
	r = visit(&l, fb->root_fd, l.tree.key[0] == '\0' ? "." : l.tree.key);
	if (r < 0) {
		ret->error = file_error(-r);
		backend_result_done(ret);
	}
	return true;
}
