#include <config.h>
#include "transfer/transfer.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/key.h"
#include "transfer/transfer_private.h"
#include "util/cleanup.h"

#define BATCH_ENTRIES 128
#define PATH_BYTES ((TRANSFER_MAX_DEPTH + 1) * (FS_NAME_MAX_BYTES + 1))

struct batch {
	size_t n;
	struct {
		uint64_t ino, next;
		char name[FS_NAME_MAX_BYTES + 1];
	} entries[BATCH_ENTRIES];
};

struct walk {
	struct transfer *t;
	bool is_second;
	unsigned int depth;
	size_t path_bytes;
	char path[PATH_BYTES + 1]; /* of what is looked at, from the top */
};

static void tell(struct transfer *t, const struct transfer_problem *problem)
{
	lock_acquire(&t->lock);
	t->figures.problems++;
	t->options.problem(t->options.arg, problem);
	lock_release(&t->lock);
}

void transfer_problem(struct transfer *t, const char *path, const char *what, int error)
{
	struct transfer_problem problem = {
		.path = *path == '\0' ? "." : path, .what = what, .error = error};

	tell(t, &problem);
}

void transfer_lost(struct transfer *t, const char *path, const char *what, int error)
{
	struct transfer_problem problem = {.path = *path == '\0' ? "." : path,
		.what = what,
		.error = error,
		.is_at_source = true};

	tell(t, &problem);
}

static void count(struct transfer *t, uint64_t *figure)
{
	lock_acquire(&t->lock);
	++*figure;
	lock_release(&t->lock);
}

/* ---- files with several names, and those that failed */

static bool has_failed(struct transfer *t, uint64_t ino)
{
	bool failed;

	lock_acquire(&t->lock);
	failed = map64_find(&t->failed, ino) != NULL;
	lock_release(&t->lock);
	return failed;
}

static int note_failed(struct transfer *t, uint64_t ino)
{
	int r = 0;

	lock_acquire(&t->lock);
	if (map64_insert(&t->failed, ino) == NULL)
		r = -ENOMEM;
	lock_release(&t->lock);
	return r;
}

/* The path that the file has got already; NULL: none. */
static const char *first_path(struct transfer *t, uint64_t ino)
{
	const uint64_t *index = map64_find(&t->first, ino);

	return index != NULL && *index > 0 ? t->paths[*index - 1] : NULL;
}

static int note_first_path(struct transfer *t, uint64_t ino, const char *path)
{
	uint64_t *index = map64_insert(&t->first, ino);
	size_t capacity = t->paths_capacity ? t->paths_capacity * 2 : 64;
	char **bigger;

	if (index == NULL)
		return -ENOMEM;
	if (t->n_paths == t->paths_capacity) {
		bigger = reallocarray(t->paths, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		t->paths = bigger;
		t->paths_capacity = capacity;
	}
	t->paths[t->n_paths] = strdup(path);
	if (t->paths[t->n_paths] == NULL)
		return -ENOMEM;
	*index = ++t->n_paths;
	return 0;
}

/* ---- the first walk: everything is made */

static int make_file(
	struct walk *w, const struct fs_attributes *a, int64_t parent, const char *name)
{
	struct transfer *t = w->t;
	int64_t handle;
	int r = t->options.sink->ops->make_file(t->options.sink, parent, name, &handle);

	if (r < 0) {
		transfer_problem(t, w->path, "it cannot be made", r);
		return note_failed(t, a->ino);
	}
	return transfer_content(t, a, w->path, handle);
}

static int make_other(
	struct walk *w, const struct fs_attributes *a, int64_t parent, const char *name)
{
	struct transfer *t = w->t;
	char target[PATH_MAX];
	int r = 0;

	if (S_ISLNK(a->mode))
		r = fs_readlink(t->options.source, a->ino, target, sizeof(target));
	if (r == 0)
		r = t->options.sink->ops->make_other(
			t->options.sink, parent, name, a, S_ISLNK(a->mode) ? target : NULL);
	if (r < 0) {
		transfer_problem(t, w->path, "it cannot be made", r);
		return note_failed(t, a->ino);
	}
	count(t, &t->figures.others);
	return 0;
}

static int make_any(struct walk *w, const struct fs_attributes *a, int64_t parent, const char *name)
{
	int r = 0;

	if (a->nlink > 1) {
		if (first_path(w->t, a->ino) != NULL)
			return 0;
		r = note_first_path(w->t, a->ino, w->path);
	}
	if (r < 0)
		return r;
	return S_ISREG(a->mode) ? make_file(w, a, parent, name) : make_other(w, a, parent, name);
}

/* ---- the second walk */

static int end_any(struct walk *w, const struct fs_attributes *a, int64_t parent, const char *name)
{
	const char *first = a->nlink > 1 ? first_path(w->t, a->ino) : NULL;
	struct sink *sink = w->t->options.sink;
	bool failed = has_failed(w->t, a->ino), is_first = first == NULL || !strcmp(first, w->path);
	int r = 0;

	if (is_first) {
		if (failed)
			(void)sink->ops->remove_file(sink, parent, name);
		return 0;
	}
	if (failed) {
		transfer_lost(w->t, w->path, "a name of a file that could not be copied", -EIO);
		return 0;
	}
	r = sink->ops->link(sink, first, parent, name);
	if (r < 0)
		transfer_problem(w->t, w->path, "it cannot be linked", r);
	else
		count(w->t, &w->t->figures.links);
	return 0;
}

static void end_directory(struct walk *w, const struct fs_attributes *a, int64_t handle)
{
	struct sink *sink = w->t->options.sink;
	int r = transfer_xattrs(w->t, a->ino, handle);

	if (r < 0)
		transfer_problem(w->t, w->path, "its extended attributes cannot be copied", r);
	r = sink->ops->set_attributes(sink, handle, a);
	if (r < 0)
		transfer_problem(w->t, w->path, "its attributes cannot be set", r);
}

/* ---- both */

static int walk_directory(struct walk *w, const struct fs_attributes *a, int64_t handle);

static int visit_directory(
	struct walk *w, const struct fs_attributes *a, int64_t parent, const char *name)
{
	struct transfer *t = w->t;
	struct sink *sink = t->options.sink;
	int64_t handle;
	int r;

	if (w->depth == TRANSFER_MAX_DEPTH) {
		if (!w->is_second)
			transfer_lost(t, w->path, "it is too deep", -ELOOP);
		return 0;
	}
	if (w->is_second)
		r = sink->ops->open_directory(sink, parent, name, &handle);
	else
		r = sink->ops->make_directory(sink, parent, name, &handle);
	if (r < 0) {
		if (!w->is_second)
			transfer_problem(t, w->path, "it cannot be made", r);
		return 0;
	}
	if (!w->is_second)
		count(t, &t->figures.directories);
	r = walk_directory(w, a, handle);
	sink->ops->close(sink, handle);
	return r;
}

static bool take_entry(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	struct batch *batch = arg;

	(void)mode;
	(void)attributes;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return true;
	if (batch->n == BATCH_ENTRIES)
		return false;
	batch->entries[batch->n].ino = ino;
	batch->entries[batch->n].next = next;
	(void)snprintf(batch->entries[batch->n].name, sizeof(batch->entries[0].name), "%s", name);
	batch->n++;
	return true;
}

static int visit(struct walk *w, uint64_t directory, int64_t parent, uint64_t ino, const char *name)
{
	size_t path_bytes = w->path_bytes;
	struct fs_attributes a;
	int r;

	if (w->t->options.within_account && key_ino_account(ino) != key_ino_account(directory))
		return 0;
	w->path_bytes += (size_t)snprintf(w->path + path_bytes, sizeof(w->path) - path_bytes,
		"%s%s", path_bytes > 0 ? "/" : "", name);
	r = fs_getattr(w->t->options.source, ino, &a);
	if (r < 0) {
		if (!w->is_second)
			transfer_lost(w->t, w->path, "it cannot be looked at", r);
		r = 0;
	} else if (S_ISDIR(a.mode)) {
		r = visit_directory(w, &a, parent, name);
	} else {
		r = w->is_second ? end_any(w, &a, parent, name) : make_any(w, &a, parent, name);
	}
	w->path_bytes = path_bytes;
	w->path[path_bytes] = '\0';
	return r;
}

static int walk_entries(struct walk *w, uint64_t ino, int64_t handle, struct batch *batch)
{
	const struct transfer_options *o = &w->t->options;
	uint64_t offset = 0;
	int r = 0;

	do {
		batch->n = 0;
		r = fs_readdir(o->source, ino, offset, false, take_entry, batch);
		if (r < 0) {
			if (!w->is_second)
				transfer_lost(w->t, w->path, "it cannot be listed", r);
			return 0;
		}
		for (size_t i = 0; i < batch->n && r == 0; i++) {
			offset = batch->entries[i].next;
			r = o->stopping != NULL && atomic_load(o->stopping) ? -ECANCELED : 0;
			if (r == 0)
				r = visit(w, ino, handle, batch->entries[i].ino,
					batch->entries[i].name);
		}
	} while (r == 0 && batch->n > 0);
	return r;
}

static int walk_directory(struct walk *w, const struct fs_attributes *a, int64_t handle)
{
	CLEANUP_FREE struct batch *batch = malloc(sizeof(*batch));
	int r;

	if (batch == NULL)
		return -ENOMEM;
	w->depth++;
	r = walk_entries(w, a->ino, handle, batch);
	w->depth--;
	if (r == 0 && w->is_second)
		end_directory(w, a, handle);
	return r;
}

static int walk(struct transfer *t, bool is_second)
{
	CLEANUP_FREE struct walk *w = calloc(1, sizeof(*w));
	struct fs_attributes a;
	int r;

	if (w == NULL)
		return -ENOMEM;
	w->t = t;
	w->is_second = is_second;
	r = fs_getattr(t->options.source, t->options.directory, &a);
	if (r == 0 && !S_ISDIR(a.mode))
		r = -ENOTDIR;
	if (r == 0)
		r = walk_directory(w, &a, t->options.sink->top);
	worker_pool_wait(t->pool);
	if (r == 0 && t->out_of_memory)
		r = -ENOMEM;
	if (r == 0 && t->options.stopping != NULL && atomic_load(t->options.stopping))
		r = -ECANCELED;
	return r;
}

static void clean_up(struct transfer *t)
{
	worker_pool_free(t->pool);
	for (size_t i = 0; i < t->n_paths; i++)
		free(t->paths[i]);
	free(t->paths);
	map64_done(&t->first);
	map64_done(&t->failed);
	lock_done(&t->lock);
}

int transfer_run(const struct transfer_options *options, struct transfer_figures *ret)
{
	struct transfer t = {.options = *options};
	int r;

	lock_init(&t.lock);
	map64_init(&t.failed);
	map64_init(&t.first);
	r = worker_pool_new(TRANSFER_THREADS, TRANSFER_QUEUE, "mfs-transfer", &t.pool);
	if (r == 0)
		r = walk(&t, false);
	if (r == 0)
		r = walk(&t, true);
	if (r == 0)
		r = options->sink->ops->sync(options->sink);
	clean_up(&t);
	*ret = t.figures;
	return r;
}
