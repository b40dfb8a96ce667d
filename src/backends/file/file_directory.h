/*
 * file_directory.h: open directories, kept for the next call, and their durability.
 *
 * At most FILE_DIRECTORY_MAX_OPEN unused ones stay open. A directory made here, or met for the
 * first time, is made durable with all those above it before it is handed out for writing. One
 * fsync() of a directory serves all who asked for it before it began.
 */
#ifndef MAILFS_BACKENDS_FILE_FILE_DIRECTORY_H
#define MAILFS_BACKENDS_FILE_FILE_DIRECTORY_H

#include <stddef.h>
#include "util/list.h"

#define FILE_DIRECTORY_MAX_OPEN 256

struct file_directories;
struct file_group_sync;
struct file_directory;

/* Somebody who waits for an fsync of a directory. */
struct file_sync {
	/* 0 or negative errno; called without locks, in the thread that made the fsync. */
	void (*synced)(struct file_sync *sync, int error);
	struct list_node node; /* file_directory.c's */
};

/* root_fd and syncs stay the caller's. */
int file_directories_new(int root_fd, struct file_group_sync *syncs, struct file_directories **ret);

/* All directories must be closed. NULL is allowed. */
void file_directories_free(struct file_directories *ds);

/* The directory that holds `key`, made if missing. -ENOTDIR, -ENOSPC, … */
int file_directory_open_parent(
	struct file_directories *ds, const char *key, struct file_directory **ret);

int file_directory_fd(const struct file_directory *d);

/* Has `sync` called once what happened in the directory until now is durable. Either returns at
 * once, or makes the fsync itself, for others who come meanwhile as well. */
void file_directory_sync(struct file_directory *d, struct file_sync *sync);

/* The directory turned out to be gone: the next one who wants it looks anew. */
void file_directory_forget(struct file_directory *d);

void file_directory_close(struct file_directory *d);

#endif
