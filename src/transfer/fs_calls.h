/*
 * fs_calls.h: blocking forms of the operations of fs.h that wait. 0 or negative errno.
 */
#ifndef MAILFS_TRANSFER_FS_CALLS_H
#define MAILFS_TRANSFER_FS_CALLS_H

#include "fs/fs.h"

/* How many bytes were read; fewer than asked for at the end only. */
ssize_t fs_calls_read(struct fs *fs, uint64_t ino, uint64_t offset, void *data, size_t size_bytes);
int fs_calls_write(
	struct fs *fs, uint64_t ino, uint64_t offset, const void *data, size_t size_bytes);
int fs_calls_setattr(
	struct fs *fs, uint64_t ino, unsigned int set, const struct fs_attributes *values);
int fs_calls_link(struct fs *fs, uint64_t ino, uint64_t parent, const char *name);
int fs_calls_sync(struct fs *fs, uint64_t ino);

/* By names from a directory on, separated by slashes; the inode has one more reference then, unless
 * the path is empty: that is the directory. */
int fs_calls_find(struct fs *fs, uint64_t directory, const char *path, struct fs_attributes *ret);

#endif
