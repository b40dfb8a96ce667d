/*
 * file_io.h: whole reads and writes of small local files, and directories.
 *
 * Blocking. Negative errno.
 */
#ifndef MAILFS_UTIL_FILE_IO_H
#define MAILFS_UTIL_FILE_IO_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Writes everything, going on after short writes and EINTR. */
int file_io_write_all(int fd, const struct iovec *parts, int n_parts);

/* Reads up to size_bytes from offset, going on after short reads; the count that was there. */
ssize_t file_io_read_at(int fd, void *data, size_t size_bytes, off_t offset);

/* The content of the file, NUL-terminated behind its end, malloc()ed; -EFBIG above max_bytes. */
int file_io_read_file(const char *path, size_t max_bytes, char **ret, size_t *ret_size_bytes);

/* Replaces the file: on return the new content is durable, or the old one is untouched. */
int file_io_replace_file(const char *path, const void *data, size_t size_bytes, mode_t mode);

/* Makes the directory and the missing ones above it. Success when it is there. */
int file_io_make_directories(const char *path, mode_t mode);

/* Makes what was created, renamed or removed in the directory durable. */
int file_io_sync_directory(const char *path);

/* Removes the directory and all below it, on its filesystem; symlinks are not followed. Success
 * when it is not there. */
int file_io_remove_tree(const char *path);

#endif
