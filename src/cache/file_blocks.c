#include <config.h>
#include "cache/file_blocks.h"

#include <errno.h>
#include <unistd.h>
#include "cache/body_map.h"
#include "cache/file_data.h"
#include "cache/node_private.h"

/* Above it one range deletion is cheaper than as many single ones. */
#define DELETE_SINGLY_BLOCKS 32

int file_blocks_load(struct node *node, const struct inode *inode, uint64_t block,
	struct store_value *ret, struct extent *ret_missing)
{
	struct key key = key_data(inode->ino, block);
	uint64_t start = block << inode->block_shift;
	int r = store_get(node->store, STORE_DATA, &key, ret);

	if (r != -ENOENT || !(inode->flags & INODE_BODY))
		return r;
	r = body_map_find_extent(
		node, inode->ino, start, start + inode_block_bytes(inode), ret_missing);
	return r == 0 ? -EINPROGRESS : r;
}

/* No holes: every block up to the end exists. */
static bool is_dense(const struct inode *inode)
{
	return inode->blocks == file_blocks_for(inode, inode->size_bytes);
}

int file_blocks_exists(struct node *node, const struct inode *inode, uint64_t block)
{
	struct store_value value;
	struct extent missing;
	int r;

	if (block >= file_blocks_for(inode, inode->size_bytes))
		return 0;
	if (is_dense(inode))
		return 1;
	r = file_blocks_load(node, inode, block, &value, &missing);
	if (r == 0)
		store_value_done(&value);
	return r == 0 || r == -EINPROGRESS ? 1 : r == -ENOENT ? 0 : r;
}

/* Walks over local blocks and extents together, both sorted. */
struct walk {
	const struct inode *inode;
	struct extent_list extents;
	struct store_iterator *local;
	size_t next_extent;
};

static int walk_begin(struct node *node, const struct inode *inode, uint64_t first, uint64_t end,
	struct walk *ret)
{
	struct key from = key_data(inode->ino, first), to = key_data(inode->ino, end);
	int r = 0;

	*ret = (struct walk){.inode = inode};
	if (inode->flags & INODE_BODY)
		r = body_map_load_extents(node, inode->ino, first << inode->block_shift,
			end << inode->block_shift, &ret->extents);
	if (r < 0)
		return r;
	ret->local = store_iterator_new(node->store, STORE_DATA, &from, &to);
	if (ret->local == NULL) {
		extent_list_done(&ret->extents);
		return -ENOMEM;
	}
	return 0;
}

static void walk_end(struct walk *w)
{
	extent_list_done(&w->extents);
	store_iterator_free(w->local);
}

/* The next local block at or behind `block`, or UINT64_MAX. */
static uint64_t next_local(struct walk *w, uint64_t block)
{
	size_t key_bytes;
	uint64_t found;

	while (store_iterator_valid(w->local)) {
		const uint8_t *key = store_iterator_key(w->local, &key_bytes);

		found = key_tail_number(key, key_bytes);
		if (found >= block)
			return found;
		store_iterator_next(w->local);
	}
	return UINT64_MAX;
}

/* The next block at or behind `block` that an extent covers, or UINT64_MAX. */
static uint64_t next_remote(struct walk *w, uint64_t block)
{
	for (; w->next_extent < w->extents.n; w->next_extent++) {
		const struct extent *x = &w->extents.extents[w->next_extent];
		uint64_t first = x->offset_bytes >> w->inode->block_shift;
		uint64_t end = file_blocks_for(w->inode, x->offset_bytes + x->size_bytes);

		if (end > block)
			return first > block ? first : block;
	}
	return UINT64_MAX;
}

static uint64_t walk_next(struct walk *w, uint64_t block)
{
	uint64_t local = next_local(w, block), remote = next_remote(w, block);

	return local < remote ? local : remote;
}

int file_blocks_count(
	struct node *node, const struct inode *inode, uint64_t first, uint64_t end, uint64_t *ret)
{
	uint64_t count = 0;
	struct walk w;
	int r;

	if (first >= end || inode->blocks == 0) {
		*ret = 0;
		return 0;
	}
	if (is_dense(inode)) {
		*ret = end - first;
		return 0;
	}
	r = walk_begin(node, inode, first, end, &w);
	if (r < 0)
		return r;
	for (uint64_t b = walk_next(&w, first); b < end; b = walk_next(&w, b + 1))
		count++;
	r = store_iterator_error(w.local);
	walk_end(&w);
	if (r == 0)
		*ret = count;
	return r;
}

/* A range tombstone costs every later read near it something: few blocks are deleted one by one. */
void file_blocks_delete(
	struct transaction *t, const struct inode *inode, uint64_t first, uint64_t end)
{
	struct key from = key_data(inode->ino, first), to = key_data(inode->ino, end);

	if (first >= end || inode->blocks == 0)
		return;
	if (end - first > DELETE_SINGLY_BLOCKS) {
		transaction_delete_range(t, STORE_DATA, &from, &to);
		return;
	}
	for (uint64_t block = first; block < end; block++) {
		from = key_data(inode->ino, block);
		transaction_delete(t, STORE_DATA, &from);
	}
}

void file_blocks_drop(
	struct transaction *t, const struct inode *inode, uint64_t first, uint64_t end)
{
	struct key from = key_data(inode->ino, first), to = key_data(inode->ino, end);

	if (first >= end || inode->blocks == 0)
		return;
	if (end - first > DELETE_SINGLY_BLOCKS) {
		transaction_delete_copies(t, &from, &to);
		return;
	}
	for (uint64_t block = first; block < end; block++) {
		from = key_data(inode->ino, block);
		transaction_delete_copy(t, &from);
	}
}

/* ---- lseek */
static uint64_t find_hole(struct walk *w, uint64_t block, uint64_t end)
{
	while (block < end && walk_next(w, block) == block)
		block++;
	return block;
}

int file_data_seek(
	struct node *node, const struct inode *inode, uint64_t offset, int whence, uint64_t *ret)
{
	uint64_t first = offset >> inode->block_shift, found;
	uint64_t end = file_blocks_for(inode, inode->size_bytes);
	struct walk w;
	int r;

	if (offset >= inode->size_bytes)
		return -ENXIO;
	if (is_dense(inode)) {
		*ret = whence == SEEK_DATA ? offset : inode->size_bytes;
		return 0;
	}
	r = walk_begin(node, inode, first, end, &w);
	if (r < 0)
		return r;
	found = whence == SEEK_DATA ? walk_next(&w, first) : find_hole(&w, first, end);
	r = store_iterator_error(w.local);
	walk_end(&w);
	if (r < 0)
		return r;
	if (found >= end && whence == SEEK_DATA)
		return -ENXIO;
	found = found >= end ? inode->size_bytes : found << inode->block_shift;
	*ret = found > offset ? found : offset;
	return 0;
}
