#include <config.h>
#include "cache/file_data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_map.h"
#include "cache/file_blocks.h"
#include "cache/node_private.h"

/* ---- reading */
struct byte_range {
	uint64_t from, end; /* in the file */
};

static struct byte_range overlap(struct byte_range r, uint64_t from, uint64_t end)
{
	return (struct byte_range){r.from > from ? r.from : from, r.end < end ? r.end : end};
}

static uint64_t span_end(const struct file_data_span *span)
{
	return span->offset_bytes + span->size_bytes;
}

/* Of a hole among local blocks, the parts that extents cover are missing, unless the span brings
 * them along. */
static int fill_hole(struct node *node, const struct inode *inode, struct byte_range hole,
	const struct file_data_span *span, struct extent *ret_missing)
{
	struct byte_range wanted = overlap(hole, span->offset_bytes, span_end(span));
	struct extent_list list;
	int r;

	if (!(inode->flags & INODE_BODY) || wanted.from >= wanted.end)
		return 0;
	r = body_map_load_extents(node, inode->ino, wanted.from, wanted.end, &list);
	if (r < 0)
		return r;
	for (size_t i = 0; i < list.n && r == 0; i++) {
		const struct extent *x = &list.extents[i];
		struct byte_range part =
			overlap(wanted, x->offset_bytes, x->offset_bytes + x->size_bytes);

		if (fetched_parts_copy(span->fetched, x, part.from, part.end,
			    span->data + (part.from - span->offset_bytes)))
			continue;
		*ret_missing = *x;
		r = -EINPROGRESS;
	}
	extent_list_done(&list);
	return r;
}

/* Copies what of the block (its value may be short) lies within the span. */
static void copy_block(const struct file_data_span *span, uint64_t block_start,
	const uint8_t *value, size_t value_bytes)
{
	struct byte_range block = {block_start, block_start + value_bytes};
	struct byte_range part = overlap(block, span->offset_bytes, span_end(span));

	if (part.from < part.end)
		memcpy(span->data + (part.from - span->offset_bytes),
			value + (part.from - block_start), (size_t)(part.end - part.from));
}

static int read_one_block(struct node *node, const struct inode *inode, uint64_t block,
	const struct file_data_span *span, struct extent *ret_missing)
{
	uint64_t bytes = inode_block_bytes(inode);
	struct byte_range hole = {block * bytes, (block + 1) * bytes};
	struct key key = key_data(inode->ino, block);
	struct store_value value;
	int r = store_get(node->store, STORE_DATA, &key, &value);

	if (r == -ENOENT)
		return fill_hole(node, inode, hole, span, ret_missing);
	if (r < 0)
		return r;
	copy_block(span, block * bytes, value.data, value.size_bytes);
	store_value_done(&value);
	return 0;
}

static int read_by_scan(struct node *node, const struct inode *inode, struct block_range blocks,
	const struct file_data_span *span, struct extent *ret_missing)
{
	uint64_t bytes = inode_block_bytes(inode), next = blocks.first;
	struct key from = key_data(inode->ino, blocks.first), to = key_data(inode->ino, blocks.end);
	struct store_iterator *it = store_iterator_new(node->store, STORE_DATA, &from, &to);
	struct byte_range hole;
	int r = it == NULL ? -ENOMEM : 0;

	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it)) {
		size_t key_bytes, value_bytes;
		const uint8_t *key = store_iterator_key(it, &key_bytes);
		uint64_t block = key_tail_number(key, key_bytes);
		const uint8_t *value = store_iterator_value(it, &value_bytes);

		hole = (struct byte_range){next * bytes, block * bytes};
		r = fill_hole(node, inode, hole, span, ret_missing);
		copy_block(span, block * bytes, value, value_bytes);
		next = block + 1;
	}
	if (r == 0)
		r = store_iterator_error(it);
	hole = (struct byte_range){next * bytes, blocks.end * bytes};
	if (r == 0)
		r = fill_hole(node, inode, hole, span, ret_missing);
	store_iterator_free(it);
	return r;
}

/* Up to here single look-ups are cheaper than making an iterator. */
#define SCAN_FROM_BLOCKS 4

int file_data_read(struct node *node, const struct inode *inode, const struct file_data_span *span,
	struct extent *ret_missing)
{
	struct block_range blocks = {.first = span->offset_bytes >> inode->block_shift,
		.end = file_blocks_for(inode, span_end(span))};
	int r = 0;

	memset(span->data, 0, span->size_bytes);
	if (span->size_bytes == 0)
		return 0;
	if (blocks.end - blocks.first > SCAN_FROM_BLOCKS)
		return read_by_scan(node, inode, blocks, span, ret_missing);
	for (uint64_t block = blocks.first; block < blocks.end && r == 0; block++)
		r = read_one_block(node, inode, block, span, ret_missing);
	return r;
}

/* ---- writing */

struct block_write {
	struct transaction *t;
	struct inode *inode;
	uint8_t *scratch; /* one block */
	struct extent *missing;
};

/* Old content and `data` at [from, from + size) of the block. Sets *ret_existed. */
static int merge_block(struct block_write *w, uint64_t block, size_t from, const void *data,
	size_t size_bytes, bool *ret_existed)
{
	struct store_value old = {0};
	struct key key = key_data(w->inode->ino, block);
	size_t old_bytes = 0, new_bytes;
	int r = file_blocks_load(w->t->node, w->inode, block, &old, w->missing);

	if (r < 0 && r != -ENOENT)
		return r;
	*ret_existed = r == 0;
	if (r == 0) {
		old_bytes = old.size_bytes;
		memcpy(w->scratch, old.data, old_bytes);
		store_value_done(&old);
	}
	new_bytes = from + size_bytes > old_bytes ? from + size_bytes : old_bytes;
	if (from > old_bytes)
		memset(w->scratch + old_bytes, 0, from - old_bytes);
	memcpy(w->scratch + from, data, size_bytes);
	transaction_put(w->t, STORE_DATA, &key, w->scratch, new_bytes);
	return 0;
}

static int write_block(
	struct block_write *w, uint64_t block, size_t from, const void *data, size_t size_bytes)
{
	struct inode *inode = w->inode;
	uint64_t block_start = block << inode->block_shift;
	struct key key = key_data(inode->ino, block);
	bool existed = false;
	int r = 0;

	if (block_start >= inode->size_bytes && from == 0) {
		transaction_put(w->t, STORE_DATA, &key, data, size_bytes);
	} else if (from == 0 && (size_bytes == inode_block_bytes(inode) ||
					block_start + size_bytes >= inode->size_bytes)) {
		r = file_blocks_exists(w->t->node, inode, block);
		existed = r > 0;
		transaction_put(w->t, STORE_DATA, &key, data, size_bytes);
	} else {
		r = merge_block(w, block, from, data, size_bytes, &existed);
	}
	if (r >= 0 && !existed)
		inode->blocks++;
	return r < 0 ? r : 0;
}

static int write_blocks(
	struct block_write *w, uint64_t offset, const uint8_t *data, size_t size_bytes)
{
	uint64_t bytes = inode_block_bytes(w->inode);
	int r = 0;

	while (size_bytes > 0 && r == 0) {
		size_t from = (size_t)(offset & (bytes - 1));
		size_t n = size_bytes < bytes - from ? size_bytes : (size_t)(bytes - from);

		r = write_block(w, offset >> w->inode->block_shift, from, data, n);
		offset += n;
		data += n;
		size_bytes -= n;
	}
	return r;
}

int file_data_write(struct transaction *t, struct inode *inode, uint64_t offset, const void *data,
	size_t size_bytes, struct extent *ret_missing)
{
	struct block_write w = {.t = t, .inode = inode, .missing = ret_missing};
	uint64_t end = offset + size_bytes;
	int r;

	w.scratch = malloc((size_t)inode_block_bytes(inode));
	if (w.scratch == NULL)
		return -ENOMEM;
	r = write_blocks(&w, offset, data, size_bytes);
	free(w.scratch);
	if (r == 0 && (inode->flags & INODE_BODY))
		r = body_map_mark_dirty(
			t, inode, offset >> inode->block_shift, file_blocks_for(inode, end), false);
	if (r == 0 && end > inode->size_bytes)
		inode->size_bytes = end;
	return r;
}

/* ---- cutting */

/* The local value of the block is shortened to `keep` bytes, if it is longer. */
static int shorten_block(
	struct transaction *t, const struct inode *inode, uint64_t block, size_t keep_bytes)
{
	struct key key = key_data(inode->ino, block);
	struct store_value value;
	int r = store_get(t->node->store, STORE_DATA, &key, &value);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (value.size_bytes > keep_bytes)
		transaction_put(t, STORE_DATA, &key, value.data, keep_bytes);
	store_value_done(&value);
	return 0;
}

static int shrink(struct transaction *t, struct inode *inode, uint64_t size_bytes)
{
	uint64_t first = file_blocks_for(inode, size_bytes);
	uint64_t end = file_blocks_for(inode, inode->size_bytes);
	size_t keep = (size_t)(size_bytes & (inode_block_bytes(inode) - 1));
	uint64_t removed = 0;
	int r = file_blocks_count(t->node, inode, first, end, &removed);

	if (r == 0 && keep != 0)
		r = shorten_block(t, inode, first - 1, keep);
	if (r == 0)
		file_blocks_delete(t, inode, first, end);
	if (r == 0 && (inode->flags & INODE_BODY)) {
		r = body_map_cut_extents(t, inode->ino, size_bytes, BODY_MAP_TO_THE_END);
		if (r == 0)
			r = body_map_cancel_upload(t, inode->ino, size_bytes >> inode->block_shift,
				BODY_MAP_TO_THE_END);
	}
	inode->blocks -= removed < inode->blocks ? removed : inode->blocks;
	return r;
}

int file_data_resize(struct transaction *t, struct inode *inode, uint64_t size_bytes)
{
	int r = 0;

	if (size_bytes < inode->size_bytes)
		r = shrink(t, inode, size_bytes);
	if (r == 0)
		inode->size_bytes = size_bytes;
	return r;
}

/* Zeros in a part of one block that exists. */
static int zero_part(struct block_write *w, uint64_t block, size_t from, size_t size_bytes)
{
	uint8_t *zeros;
	bool existed;
	int r = file_blocks_exists(w->t->node, w->inode, block);

	if (r <= 0)
		return r;
	zeros = calloc(1, size_bytes);
	if (zeros == NULL)
		return -ENOMEM;
	r = merge_block(w, block, from, zeros, size_bytes, &existed);
	free(zeros);
	return r;
}

/* The parts of the first and of the last block that are punched. */
static int zero_edges(struct block_write *w, uint64_t offset, uint64_t end, uint64_t first_whole,
	uint64_t end_whole)
{
	uint64_t bytes = inode_block_bytes(w->inode);
	int r = 0;

	if (first_whole > end_whole) /* within one block */
		return zero_part(
			w, end_whole, (size_t)(offset - end_whole * bytes), (size_t)(end - offset));
	if (offset < first_whole * bytes)
		r = zero_part(w, first_whole - 1, (size_t)(offset - (first_whole - 1) * bytes),
			(size_t)(first_whole * bytes - offset));
	if (r == 0 && end > end_whole * bytes)
		r = zero_part(w, end_whole, 0, (size_t)(end - end_whole * bytes));
	return r;
}

static int punch_whole_blocks(
	struct transaction *t, struct inode *inode, uint64_t first, uint64_t end)
{
	uint64_t removed = 0;
	int r = file_blocks_count(t->node, inode, first, end, &removed);

	if (r < 0)
		return r;
	file_blocks_delete(t, inode, first, end);
	if (inode->flags & INODE_BODY)
		r = body_map_cut_extents(
			t, inode->ino, first << inode->block_shift, end << inode->block_shift);
	inode->blocks -= removed < inode->blocks ? removed : inode->blocks;
	return r;
}

int file_data_punch(struct transaction *t, struct inode *inode, uint64_t offset,
	uint64_t size_bytes, struct extent *ret_missing)
{
	struct block_write w = {.t = t, .inode = inode, .missing = ret_missing};
	uint64_t end =
		size_bytes < inode->size_bytes - offset ? offset + size_bytes : inode->size_bytes;
	uint64_t first_whole = file_blocks_for(inode, offset);
	uint64_t end_whole =
		end == inode->size_bytes ? file_blocks_for(inode, end) : end >> inode->block_shift;
	int r;

	w.scratch = malloc((size_t)inode_block_bytes(inode));
	if (w.scratch == NULL)
		return -ENOMEM;
	r = zero_edges(&w, offset, end, first_whole, end_whole);
	free(w.scratch);
	if (r == 0 && first_whole < end_whole)
		r = punch_whole_blocks(t, inode, first_whole, end_whole);
	if (r == 0 && (inode->flags & INODE_BODY))
		r = body_map_mark_dirty(
			t, inode, offset >> inode->block_shift, file_blocks_for(inode, end), true);
	return r;
}

int file_data_remove(struct transaction *t, const struct inode *inode)
{
	struct key upload = key_node_ino(KEY_NODE_UPLOAD, inode->ino);

	if (inode->size_bytes > 0)
		file_blocks_delete(t, inode, 0, file_blocks_for(inode, inode->size_bytes));
	if (!(inode->flags & INODE_BODY))
		return 0;
	transaction_delete(t, STORE_META, &upload);
	return body_map_cut_extents(t, inode->ino, 0, BODY_MAP_TO_THE_END);
}

int file_data_become_body(struct transaction *t, struct inode *inode)
{
	if (inode->flags & INODE_BODY)
		return 0;
	inode->flags |= INODE_BODY;
	return body_map_mark_dirty(t, inode, 0, BODY_MAP_TO_THE_END, false);
}
