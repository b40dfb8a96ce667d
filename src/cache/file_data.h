/*
 * file_data.h: the content of a file, in blocks, with what is not here on the backend.
 *
 * Works on an inode that the caller has loaded and whose lock it holds (exclusively for changes).
 * Changes go into the caller's transaction; the inode's size, blocks and flags are updated, not its
 * times, and the caller puts the inode. At most one changing call for each transaction.
 *
 * -EINPROGRESS: a part is needed that only the backend has; *ret_missing names it. The caller
 * aborts, releases the lock, fetches that (body_fetcher.h) and does the whole operation again.
 */
#ifndef MAILFS_CACHE_FILE_DATA_H
#define MAILFS_CACHE_FILE_DATA_H

#include <stddef.h>
#include <stdint.h>
#include "cache/fetched_parts.h"
#include "cache/node.h"
#include "cache/record.h"
#include "cache/transaction.h"

/* A part of a file, and where its bytes go. */
struct file_data_span {
	uint64_t offset_bytes;
	uint8_t *data;
	size_t size_bytes;
	const struct fetched_part *fetched; /* what need not be local; NULL: nothing */
};

/* Fills all of the span's data (zeros in holes); the span lies within the file. */
int file_data_read(struct node *node, const struct inode *inode, const struct file_data_span *span,
	struct extent *ret_missing);

int file_data_write(struct transaction *t, struct inode *inode, uint64_t offset, const void *data,
	size_t size_bytes, struct extent *ret_missing);

/* Shortens, or lengthens by a hole. */
int file_data_resize(struct transaction *t, struct inode *inode, uint64_t size_bytes);

/* Makes [offset, offset + size) read as zeros, without changing the file's size. */
int file_data_punch(struct transaction *t, struct inode *inode, uint64_t offset,
	uint64_t size_bytes, struct extent *ret_missing);

/* SEEK_DATA or SEEK_HOLE; -ENXIO as lseek(2) says. */
int file_data_seek(
	struct node *node, const struct inode *inode, uint64_t offset, int whence, uint64_t *ret);

/* The whole content goes, with its objects: for an inode that is deleted. */
int file_data_remove(struct transaction *t, const struct inode *inode);

/* From now on the content belongs on the backend: all of it is dirty. Sets INODE_BODY. */
int file_data_become_body(struct transaction *t, struct inode *inode);

#endif
