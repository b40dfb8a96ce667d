/*
 * file_temporary.h: a complete, synced file that has no name in the volume yet.
 */
#ifndef MAILFS_BACKENDS_FILE_FILE_TEMPORARY_H
#define MAILFS_BACKENDS_FILE_FILE_TEMPORARY_H

#include "backends/file/file_internal.h"

struct file_temporary {
	int fd;
	bool is_named; /* in .tmp+ */
	char name[TREE_NAME_BYTES];
	struct stat st;
};

/* Writes and syncs it: the parts, or what the file source_fd has (-1: none). Without a name
 * (O_TMPFILE beside directory_fd) where that works and directory_fd is not -1. */
int file_temporary_make(struct file_backend *fb, int directory_fd, const struct iovec *parts,
	int n_parts, int source_fd, struct file_temporary *ret);

/* Gives it this name unless that is taken: -EEXIST. An NFS server that did it and whose answer was
 * lost is understood. -ENOENT: the directory is gone. */
int file_temporary_link(
	struct file_backend *fb, struct file_temporary *t, int directory_fd, const char *name);

/* Gives it this name, in place of the file that has it. -EISDIR, -ENOENT. */
int file_temporary_rename(
	struct file_backend *fb, struct file_temporary *t, int directory_fd, const char *name);

/* Closes it and removes its temporary name. */
void file_temporary_done(struct file_backend *fb, struct file_temporary *t);

#endif
