#include <config.h>
#include "backends/file/file_directory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/backend.h"
#include "backends/file/file_internal.h"
#include "util/checksum.h"
#include "util/cleanup.h"
#include "util/lock.h"

#define N_BUCKETS 512
#define N_DURABLE (1U << 16) /* a power of two */

struct file_directory {
	struct file_directories *all;
	int fd;
	uint64_t hash;
	unsigned int references;    /* lock; 0: in `unused` */
	bool is_known;              /* lock: in a bucket */
	bool is_syncing;            /* lock: somebody makes an fsync */
	struct list_node waiting;   /* lock: for the next fsync */
	struct list_node in_bucket; /* lock */
	struct list_node in_unused; /* lock */
	char path[];                /* "" is the root */
};

struct file_directories {
	struct file_group_sync *syncs;
	int root_fd;
	struct lock lock; /* of all below; no other lock and no system call inside */
	struct list_node buckets[N_BUCKETS];
	struct list_node unused; /* the longest unused one first */
	size_t n_unused;
	uint64_t *durable; /* hash table of hashes of paths; 0 is free */
	size_t n_durable;
};

int file_directories_new(int root_fd, struct file_group_sync *syncs, struct file_directories **ret)
{
	struct file_directories *ds = calloc(1, sizeof(*ds));

	if (ds == NULL)
		return -ENOMEM;
	ds->durable = calloc(N_DURABLE, sizeof(*ds->durable));
	if (ds->durable == NULL) {
		free(ds);
		return -ENOMEM;
	}
	ds->root_fd = root_fd;
	ds->syncs = syncs;
	lock_init(&ds->lock);
	list_init(&ds->unused);
	for (size_t i = 0; i < N_BUCKETS; i++)
		list_init(&ds->buckets[i]);
	*ret = ds;
	return 0;
}

static void directory_free(struct file_directory *d)
{
	close(d->fd);
	free(d);
}

void file_directories_free(struct file_directories *ds)
{
	struct list_node *node;

	if (ds == NULL)
		return;
	while ((node = list_take_first(&ds->unused)) != NULL)
		directory_free(LIST_ENTRY(node, struct file_directory, in_unused));
	lock_done(&ds->lock);
	free(ds->durable);
	free(ds);
}

static uint64_t path_hash(const char *path)
{
	uint64_t hash = checksum_64(path, strlen(path));

	return hash == 0 ? 1 : hash;
}

/* Where the hash is or would be. */
static uint64_t *durable_slot_locked(struct file_directories *ds, uint64_t hash) REQUIRES(&ds->lock)
{
	size_t i = hash & (N_DURABLE - 1);

	while (ds->durable[i] != 0 && ds->durable[i] != hash)
		i = (i + 1) & (N_DURABLE - 1);
	return &ds->durable[i];
}

static bool is_durable(struct file_directories *ds, uint64_t hash)
{
	bool found;

	lock_acquire(&ds->lock);
	found = *durable_slot_locked(ds, hash) == hash;
	lock_release(&ds->lock);
	return found;
}

static void clear_durable_locked(struct file_directories *ds) REQUIRES(&ds->lock)
{
	memset(ds->durable, 0, N_DURABLE * sizeof(*ds->durable));
	ds->n_durable = 0;
}

static void set_durable(struct file_directories *ds, uint64_t hash)
{
	uint64_t *slot;

	lock_acquire(&ds->lock);
	if (ds->n_durable >= N_DURABLE / 2)
		clear_durable_locked(ds);
	slot = durable_slot_locked(ds, hash);
	if (*slot == 0)
		ds->n_durable++;
	*slot = hash;
	lock_release(&ds->lock);
}

/* Makes what is in the directory durable. The path is below the root; "" is the root itself. */
static int sync_path(struct file_directories *ds, const char *path)
{
	CLEANUP_CLOSE int fd =
		openat(ds->root_fd, *path == '\0' ? "." : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

/* Makes one directory, whose parents are durable, durable too. `parent` is its parent's path. */
static int make_one(struct file_directories *ds, const char *path, const char *parent)
{
	int r;

	if (is_durable(ds, path_hash(path)))
		return 0;
	if (mkdirat(ds->root_fd, path, TREE_DIRECTORY_MODE) < 0 && errno != EEXIST)
		return -errno;
	r = sync_path(ds, parent);
	if (r == 0)
		set_durable(ds, path_hash(path));
	return r;
}

static int make_path(struct file_directories *ds, const char *path)
{
	char prefix[BACKEND_KEY_MAX_BYTES + 1], parent[BACKEND_KEY_MAX_BYTES + 1] = "";
	const char *end = path;
	int r = 0;

	while (r == 0 && *end != '\0') {
		end = strchrnul(*end == '/' ? end + 1 : end, '/');
		memcpy(prefix, path, (size_t)(end - path));
		prefix[end - path] = '\0';
		r = make_one(ds, prefix, parent);
		memcpy(parent, prefix, sizeof(parent));
	}
	return r;
}

static int open_path(struct file_directories *ds, const char *path)
{
	int fd =
		openat(ds->root_fd, *path == '\0' ? "." : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* An fd, or negative errno. */
static int make_and_open(struct file_directories *ds, const char *path, uint64_t hash)
{
	int fd = -ENOENT;

	if (*path == '\0' || is_durable(ds, hash))
		fd = open_path(ds, path);
	for (int attempt = 0; attempt < 2 && fd == -ENOENT; attempt++) {
		int r = make_path(ds, path);

		fd = r < 0 ? r : open_path(ds, path);
		if (fd == -ENOENT) { /* somebody removes directories by hand */
			lock_acquire(&ds->lock);
			clear_durable_locked(ds);
			lock_release(&ds->lock);
		}
	}
	return fd;
}

static struct file_directory *find_locked(
	struct file_directories *ds, const char *path, uint64_t hash) REQUIRES(&ds->lock)
{
	struct list_node *head = &ds->buckets[hash % N_BUCKETS];

	for (struct list_node *node = head->next; node != head; node = node->next) {
		struct file_directory *d = LIST_ENTRY(node, struct file_directory, in_bucket);

		if (d->hash == hash && strcmp(d->path, path) == 0)
			return d;
	}
	return NULL;
}

static struct file_directory *find_and_use_locked(
	struct file_directories *ds, const char *path, uint64_t hash) REQUIRES(&ds->lock)
{
	struct file_directory *d = find_locked(ds, path, hash);

	if (d != NULL && d->references++ == 0) {
		list_remove(&d->in_unused);
		ds->n_unused--;
	}
	return d;
}

static struct file_directory *directory_new(
	struct file_directories *ds, const char *path, uint64_t hash, int fd)
{
	size_t size = strlen(path) + 1;
	struct file_directory *d = calloc(1, sizeof(*d) + size);

	if (d == NULL)
		return NULL;
	d->all = ds;
	d->fd = fd;
	d->hash = hash;
	d->references = 1;
	list_init(&d->waiting);
	list_init(&d->in_bucket);
	list_init(&d->in_unused);
	memcpy(d->path, path, size);
	return d;
}

static int open_new(
	struct file_directories *ds, const char *path, uint64_t hash, struct file_directory **ret)
{
	int fd = make_and_open(ds, path, hash);
	struct file_directory *mine, *theirs;

	if (fd < 0)
		return fd;
	mine = directory_new(ds, path, hash, fd);
	if (mine == NULL) {
		close(fd);
		return -ENOMEM;
	}
	lock_acquire(&ds->lock);
	theirs = find_and_use_locked(ds, path, hash);
	if (theirs == NULL) {
		mine->is_known = true;
		list_append(&ds->buckets[hash % N_BUCKETS], &mine->in_bucket);
	}
	lock_release(&ds->lock);
	if (theirs != NULL)
		directory_free(mine);
	*ret = theirs != NULL ? theirs : mine;
	return 0;
}

int file_directory_open_parent(
	struct file_directories *ds, const char *key, struct file_directory **ret)
{
	char path[BACKEND_KEY_MAX_BYTES + 1];
	const char *slash = strrchr(key, '/');
	size_t size = slash == NULL ? 0 : (size_t)(slash - key);
	struct file_directory *d;
	uint64_t hash;

	memcpy(path, key, size);
	path[size] = '\0';
	hash = path_hash(path);
	lock_acquire(&ds->lock);
	d = find_and_use_locked(ds, path, hash);
	lock_release(&ds->lock);
	if (d == NULL)
		return open_new(ds, path, hash, ret);
	*ret = d;
	return 0;
}

int file_directory_fd(const struct file_directory *d)
{
	return d->fd;
}

/* After an error the kernel may report success the next time: the descriptor is used no more. */
static void sync_batch(struct file_directory *d, struct list_node *batch)
{
	int error = file_group_sync(d->all->syncs, d->fd);
	struct list_node *node;

	if (error < 0)
		file_directory_forget(d);
	while ((node = list_take_first(batch)) != NULL) {
		struct file_sync *sync = LIST_ENTRY(node, struct file_sync, node);

		sync->synced(sync, error);
	}
}

void file_directory_sync(struct file_directory *d, struct file_sync *sync)
{
	struct file_directories *ds = d->all;
	struct list_node batch;
	bool leads;

	list_init(&batch);
	lock_acquire(&ds->lock);
	list_append(&d->waiting, &sync->node);
	leads = !d->is_syncing;
	if (leads) {
		d->is_syncing = true;
		d->references++; /* those who wait may close it */
	}
	while (leads && !list_is_empty(&d->waiting)) {
		list_splice(&batch, &d->waiting);
		lock_release(&ds->lock);
		sync_batch(d, &batch);
		lock_acquire(&ds->lock);
	}
	if (leads)
		d->is_syncing = false;
	lock_release(&ds->lock);
	if (leads)
		file_directory_close(d);
}

static void hide_locked(struct file_directory *d)
{
	if (d->is_known)
		list_remove(&d->in_bucket);
	d->is_known = false;
}

void file_directory_forget(struct file_directory *d)
{
	lock_acquire(&d->all->lock);
	hide_locked(d);
	clear_durable_locked(d->all);
	lock_release(&d->all->lock);
}

/* The last user left: keeps it, or gives back which one to free. */
static struct file_directory *retire_locked(struct file_directories *ds, struct file_directory *d)
	REQUIRES(&ds->lock)
{
	struct list_node *oldest;

	if (!d->is_known)
		return d;
	list_append(&ds->unused, &d->in_unused);
	if (++ds->n_unused <= FILE_DIRECTORY_MAX_OPEN)
		return NULL;
	oldest = ds->unused.next;
	list_remove(oldest);
	ds->n_unused--;
	d = LIST_ENTRY(oldest, struct file_directory, in_unused);
	hide_locked(d);
	return d;
}

void file_directory_close(struct file_directory *d)
{
	struct file_directories *ds = d->all;
	struct file_directory *victim = NULL;

	lock_acquire(&ds->lock);
	assert(d->references > 0);
	if (--d->references == 0)
		victim = retire_locked(ds, d);
	lock_release(&ds->lock);
	if (victim != NULL)
		directory_free(victim);
}
