/*
 * rescue.h: what a superseded node had and never shipped becomes files of the filesystem that runs.
 *
 * Its store is opened as a node that never changes the backend. Which accounts have changes that no
 * segment has is found out as at a restart (cache/log_scan.h); where that cannot be, all count.
 * Their trees are copied, whole, below /.superseded/<name>/<account's name>, all owned by root, the
 * top with mode 0700: so programs that know mail can merge them. What cannot be had any more (a
 * body that was evicted and that nobody has kept) is listed in the file LOST beside them.
 *
 * A file COMPLETE is made last. Then all is brought into the journal, and only then the superseded
 * store is removed. After a crash the copy begins anew, unless COMPLETE is there.
 *
 * /.superseded is reserved for this; its trees may be removed by root at any time.
 */
#ifndef MAILFS_TRANSFER_RESCUE_H
#define MAILFS_TRANSFER_RESCUE_H

#include <stdatomic.h>
#include <stdint.h>
#include "backends/backend.h"
#include "cache/node.h"
#include "fs/fs.h"
#include "util/uuid.h"

#define RESCUE_DIRECTORY ".superseded"

/* Beside `path`: what is being removed, or a crash has left of that. */
#define RESCUE_REMOVING_NAME ".removing"

struct rescue_options {
	struct node *node; /* that runs, and its filesystem */
	struct fs *fs;
	struct backend *backend;
	uint32_t account_depth;
	const char *path;     /* absolute: the directory with the superseded db/; goes at the end */
	const char *name;     /* of the directory to make below /.superseded */
	struct uuid old_node; /* who wrote the superseded store's journal */
	const atomic_bool *stopping;

	/* Brings all changes to the backend, in the journal: blocks. */
	int (*flush)(void *arg);
	void *arg;
};

struct rescue_figures {
	uint64_t accounts; /* with changes that were never shipped; 0: nothing was to be done */
	uint64_t files, bytes;
	uint64_t lost; /* files, and what else could not be had */
};

/* Blocks for long. 0: it is done, and the superseded store is gone. Else it stays as it was, for
 * the next try: -ECANCELED; errors of the store, the backend and the filesystem, with *ret_message
 * (malloc()ed). */
int rescue_run(
	const struct rescue_options *options, struct rescue_figures *ret, char **ret_message);

#endif
