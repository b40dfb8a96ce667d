/*
 * file_record.h: objects for compare-and-swap, as directories of generations: tree_layout.h says
 * how and why that is safe. Here the winner of a link() knows its own generation by inode number
 * and time, while it holds that open, so that the number is not used again.
 */
#ifndef MAILFS_BACKENDS_FILE_FILE_RECORD_H
#define MAILFS_BACKENDS_FILE_FILE_RECORD_H

#include "backends/file/file_internal.h"

/* In all of these `parent_fd` is the directory that holds the record, `name` its name there. */

/* Puts a record. -EEXIST, -ESTALE, -EOPNOTSUPP (there is an ordinary object), -EISDIR (there is an
 * ordinary directory). Durable once parent_fd is synced. */
int file_record_put(struct file_backend *fb, int parent_fd, const char *name,
	const struct blocking_request *request, struct backend_version *ret_version);

/* Opens the current generation for reading: an fd, -ENOENT, -ENOTDIR (an ordinary object). */
int file_record_open(const struct file_backend *fb, int parent_fd, const char *name,
	struct backend_version *ret_version);

/* Removes it and its directory. Success also when there is none; -EISDIR. */
int file_record_remove(struct file_backend *fb, int parent_fd, const char *name);

/* Removes what is left of a removed record: 0 if `name` is free now, -EEXIST if there is a living
 * record, -EISDIR if there is an ordinary directory. */
int file_record_clear(struct file_backend *fb, int parent_fd, const char *name);

/* Removes a cleared incarnation or an unfinished record from .tmp+. */
void file_record_discard(int temporary_fd, const char *name);

#endif
