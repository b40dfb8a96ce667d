/*
 * transfer_private.h: what transfer.c (the walk) and transfer_content.c (one file) share.
 */
#ifndef MAILFS_TRANSFER_TRANSFER_PRIVATE_H
#define MAILFS_TRANSFER_TRANSFER_PRIVATE_H

#include "transfer/transfer.h"
#include "util/lock.h"
#include "util/map64.h"
#include "util/worker_pool.h"

struct transfer {
	struct transfer_options options;
	struct worker_pool *pool;
	struct lock lock; /* protects what follows */
	struct transfer_figures figures;
	struct map64 failed; /* inodes whose content could not be had */
	struct map64 first;  /* inodes with several names: index in paths, plus 1 */
	char **paths;        /* list of the first path of each */
	size_t n_paths, paths_capacity;
	bool out_of_memory;
};

/* Of the sink, and of the source. */
void transfer_problem(struct transfer *t, const char *path, const char *what, int error);
void transfer_lost(struct transfer *t, const char *path, const char *what, int error);

/* Copies content and attributes of a file, which is queued; takes over the handle. `path` is
 * copied. -ENOMEM. */
int transfer_content(struct transfer *t, const struct fs_attributes *attributes, const char *path,
	int64_t handle);

/* All of them, to the handle. */
int transfer_xattrs(struct transfer *t, uint64_t ino, int64_t handle);

#endif
