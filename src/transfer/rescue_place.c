/*
 * rescue_place.c: the directory below /.superseded that a rescue fills (rescue.h).
 */
#include <config.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/adoption.h"
#include "cache/key.h"
#include "transfer/fs_calls.h"
#include "transfer/rescue_private.h"
#include "util/cleanup.h"
#include "util/lock.h"

#define COMPLETE_NAME "COMPLETE"
#define MAX_DEPTH 256

static const struct fs_caller superuser = {0};

/* ---- accounts that are not here */

struct wait {
	struct lock lock;
	struct lock_condition answered;
	bool is_done;
	int error;
};

static void note_arrival(void *arg, int error)
{
	struct wait *w = arg;

	lock_acquire(&w->lock);
	w->error = error;
	w->is_done = true;
	lock_condition_signal(&w->answered);
	lock_release(&w->lock);
}

static int wait_for_account(struct node *node, uint32_t account)
{
	struct wait w = {.is_done = false};

	lock_init(&w.lock);
	lock_condition_init(&w.answered);
	adoption_wait(node, account, note_arrival, &w);
	lock_acquire(&w.lock);
	while (!w.is_done)
		lock_condition_wait(&w.answered, &w.lock);
	lock_release(&w.lock);
	lock_condition_done(&w.answered);
	lock_done(&w.lock);
	return w.error;
}

/* From now on it stays here. */
static int enter(struct rescue_place *place, uint64_t ino)
{
	uint32_t account = key_ino_account(ino);
	int r;

	for (unsigned int i = 0; i < place->n_entered; i++) {
		if (place->entered[i] == account)
			return 0;
	}
	while ((r = adoption_enter(place->node, account)) == -EINPROGRESS) {
		r = wait_for_account(place->node, account);
		if (r < 0)
			return r;
	}
	if (r == 0)
		place->entered[place->n_entered++] = account;
	return r;
}

/* ---- names; where an account begins it has to be here before it can be looked at */

struct search {
	const char *name;
	uint64_t ino;
};

static bool match(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	struct search *search = arg;

	(void)mode;
	(void)next;
	(void)attributes;
	if (strcmp(name, search->name) != 0)
		return true;
	search->ino = ino;
	return false;
}

static int reach(struct rescue_place *place, uint64_t parent, const char *name, uint64_t *ret)
{
	struct search search = {.name = name};
	struct fs_attributes a;
	int r = fs_readdir(place->fs, parent, 0, false, match, &search);

	if (r == 0 && search.ino != 0)
		r = enter(place, search.ino);
	if (r == 0 && search.ino == 0)
		r = fs_mkdir(place->fs, &superuser, parent, name, 0700, &a);
	else if (r == 0)
		r = fs_lookup(place->fs, parent, name, &a);
	if (r == 0 && !S_ISDIR(a.mode)) {
		fs_forget(place->fs, a.ino, 1);
		r = -ENOTDIR;
	}
	if (r < 0)
		return r;
	*ret = a.ino;
	r = enter(place, a.ino);
	if (r < 0)
		fs_forget(place->fs, a.ino, 1);
	return r;
}

/* ---- emptying what a crash has left half */

#define BATCH_NAMES 64

struct batch {
	size_t n;
	struct {
		char name[FS_NAME_MAX_BYTES + 1];
		uint64_t ino;
		uint32_t mode;
	} entries[BATCH_NAMES];
};

static bool take_name(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	struct batch *batch = arg;

	(void)next;
	(void)attributes;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return true;
	if (batch->n == BATCH_NAMES)
		return false;
	memcpy(batch->entries[batch->n].name, name, strlen(name) + 1);
	batch->entries[batch->n].ino = ino;
	batch->entries[batch->n++].mode = mode;
	return true;
}

static int empty_directory(struct fs *fs, uint64_t directory, int depth)
{
	CLEANUP_FREE struct batch *batch = malloc(sizeof(*batch));
	int r = batch == NULL ? -ENOMEM : depth > MAX_DEPTH ? -ELOOP : 0;

	while (r == 0) {
		batch->n = 0;
		r = fs_readdir(fs, directory, 0, false, take_name, batch);
		if (r < 0 || batch->n == 0)
			break;
		for (size_t i = 0; i < batch->n && r == 0; i++) {
			bool is_directory = S_ISDIR(batch->entries[i].mode);

			if (is_directory)
				r = empty_directory(fs, batch->entries[i].ino, depth + 1);
			if (r == 0)
				r = is_directory ? fs_rmdir(fs, directory, batch->entries[i].name)
						 : fs_unlink(fs, directory, batch->entries[i].name);
		}
	}
	return r;
}

/* ---- the place */

int rescue_place_open(const struct rescue_options *options, struct rescue_place *ret)
{
	struct rescue_place place = {.fs = options->fs, .node = options->node};
	struct fs_attributes a;
	uint64_t above;
	int r = reach(&place, FS_ROOT_INO, RESCUE_DIRECTORY, &above);

	if (r == 0) {
		r = reach(&place, above, options->name, &place.top);
		fs_forget(options->fs, above, 1);
	}
	if (r == 0) {
		r = fs_lookup(options->fs, place.top, COMPLETE_NAME, &a);
		place.is_complete = r == 0;
		if (r == 0)
			fs_forget(options->fs, a.ino, 1);
		else if (r == -ENOENT)
			r = empty_directory(options->fs, place.top, 0);
	}
	if (r < 0) {
		rescue_place_close(&place);
		return r;
	}
	*ret = place;
	return 0;
}

void rescue_place_close(struct rescue_place *place)
{
	if (place->top != 0)
		fs_forget(place->fs, place->top, 1);
	while (place->n_entered > 0)
		adoption_leave(place->node, place->entered[--place->n_entered]);
}

int rescue_place_directory(struct rescue_place *place, const char *path, uint64_t *ret)
{
	char name[FS_NAME_MAX_BYTES + 1];
	uint64_t at = place->top, next;
	int r = 0;

	while (r == 0 && *path != '\0') {
		size_t n = strcspn(path, "/");

		if (n > FS_NAME_MAX_BYTES)
			r = -ENAMETOOLONG;
		if (r < 0)
			break;
		memcpy(name, path, n);
		name[n] = '\0';
		path += n + strspn(path + n, "/");
		r = reach(place, at, name, &next);
		if (at != place->top)
			fs_forget(place->fs, at, 1);
		at = r == 0 ? next : place->top;
	}
	*ret = at;
	return r;
}

int rescue_place_write_file(
	struct rescue_place *place, const char *name, const char *text, size_t size_bytes)
{
	struct fs_attributes a;
	int r = fs_mknod(place->fs, &superuser, place->top, name, S_IFREG | 0600, 0, &a);

	if (r < 0)
		return r;
	if (size_bytes > 0)
		r = fs_calls_write(place->fs, a.ino, 0, text, size_bytes);
	fs_forget(place->fs, a.ino, 1);
	return r;
}
