/*
 * file_blocks.h: single blocks and ranges of blocks, for file_data.c.
 *
 * The rules of file_data.h apply.
 */
#ifndef MAILFS_CACHE_FILE_BLOCKS_H
#define MAILFS_CACHE_FILE_BLOCKS_H

#include "cache/node.h"
#include "cache/record.h"
#include "cache/store.h"
#include "cache/transaction.h"

/* Blocks that a file of this size has room for. */
static inline uint64_t file_blocks_for(const struct inode *inode, uint64_t size_bytes)
{
	return (size_bytes >> inode->block_shift) +
	       ((size_bytes & (inode_block_bytes(inode) - 1)) != 0);
}

/* The local block; -ENOENT for a hole; -EINPROGRESS when only the backend has it. */
int file_blocks_load(struct node *node, const struct inode *inode, uint64_t block,
	struct store_value *ret, struct extent *ret_missing);

/* 1 when the block exists, here or on the backend; 0 for a hole; or an error. */
int file_blocks_exists(struct node *node, const struct inode *inode, uint64_t block);

/* How many of the blocks [first, end) exist. */
int file_blocks_count(
	struct node *node, const struct inode *inode, uint64_t first, uint64_t end, uint64_t *ret);

/* Deletes the local blocks [first, end): their content is gone. */
void file_blocks_delete(
	struct transaction *t, const struct inode *inode, uint64_t first, uint64_t end);

/* Drops the local blocks [first, end), which the backend has. */
void file_blocks_drop(
	struct transaction *t, const struct inode *inode, uint64_t first, uint64_t end);

#endif
