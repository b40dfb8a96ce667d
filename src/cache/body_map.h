/*
 * body_map.h: where the content of a body is: which parts are objects on the backend, and which
 * local blocks the backend does not have yet.
 *
 * A local block (KEY_DATA) always holds the newest content. Where there is none, an extent says
 * which object does; where there is none either, the file reads as zeros. Extents do not overlap,
 * begin at a block's start, and end at a block's end or where the file ended. A block is dirty when
 * it lies in a dirty range of the upload record and exists locally.
 *
 * Everything is called with the file's lock held; changes go into the caller's transaction.
 */
#ifndef MAILFS_CACHE_BODY_MAP_H
#define MAILFS_CACHE_BODY_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include "cache/node.h"
#include "cache/record.h"
#include "cache/transaction.h"

/* Raw content of one object: bodies above it are several objects. */
#define BODY_MAP_OBJECT_MAX_BYTES (UINT64_C(4) << 20)
#define BODY_MAP_TO_THE_END UINT64_MAX

/* On a node with a journal, runs of dirty blocks shorter than this do not become objects of their
 * own but wait for the packer; the journal has them meanwhile. A put costs as much as some 200 KiB
 * for a month on S3, and takes about as long as the transfer of some hundred KiB: so a body of this
 * order pays for its own, and larger ones should not travel twice. */
#define BODY_MAP_SMALL_BYTES (UINT64_C(128) << 10)

struct extent_list {
	struct extent *extents; /* sorted by offset */
	size_t n, capacity;
};

void extent_list_done(struct extent_list *list);

/* The extents that overlap [from, end), appended to an empty list. */
int body_map_load_extents(struct node *node, uint64_t ino, uint64_t from_bytes, uint64_t end_bytes,
	struct extent_list *ret);

/* All of them, as they were. */
int body_map_load_extents_at(
	const struct store_snapshot *snapshot, uint64_t ino, struct extent_list *ret);

/* The extent that holds any part of [from, end), the first one; -ENOENT when there is none. */
int body_map_find_extent(struct node *node, uint64_t ino, uint64_t from_bytes, uint64_t end_bytes,
	struct extent *ret);

/* Forgets the extents in [from, end), shortening or splitting those that lie across its ends.
 * Objects that are not referenced any more become garbage. */
int body_map_cut_extents(
	struct transaction *t, uint64_t ino, uint64_t from_bytes, uint64_t end_bytes);

/* [x->offset, +size) is in x's object from now on, instead of whatever was there. The cut reaches
 * to replaces_end_bytes, the end of the last block. Of a pack, that the content is live is the
 * caller's to note. */
int body_map_put_extent(
	struct transaction *t, uint64_t ino, const struct extent *x, uint64_t replaces_end_bytes);

/* The upload record; one without ranges when there is none (-ENOENT is not an error). */
int body_map_load_upload(struct node *node, uint64_t ino, struct upload *ret, bool *ret_exists);

/* Stores it, or deletes it when nothing is dirty or running. */
void body_map_put_upload(struct transaction *t, uint64_t ino, const struct upload *u);

/* The content of `old` in a pack is `new` in another from now on, for all extents that lead to it.
 * Notes in both packs what is live. -ENOENT: no extent leads to it any more; -EBUSY: what is dirty
 * or being put lies over it, so that a replay could not tell what is newer (replay.h). */
int body_map_move_content(struct transaction *t, uint64_t ino, const struct extent *old,
	const struct extent *new, uint64_t new_total_bytes);

/* 1: it would; 0: no extent leads to it, or something dirty is in the way. With the inode's lock
 * held for reading. */
int body_map_can_move(struct node *node, uint64_t ino, const struct extent *content);

/* Blocks [first, end) have been written or punched out. Queues the body for upload if it was not,
 * and if there is a journal once there is something large. With `cut`, a running upload of any of
 * them does not count: its blocks become dirty again. Once for each transaction. */
int body_map_mark_dirty(
	struct transaction *t, const struct inode *inode, uint64_t first, uint64_t end, bool cut);

/* Blocks [first, end) have been cut off: a running upload of any of them does not count. */
int body_map_cancel_upload(struct transaction *t, uint64_t ino, uint64_t first, uint64_t end);

/* Pure arithmetic on dirty ranges, for the above and for the uploader. When there are more than
 * RECORD_UPLOAD_MAX_RANGES the nearest two are joined: a dirty range may cover clean blocks. */
void upload_add_range(struct upload *u, uint64_t first, uint64_t end);
void upload_remove_range(struct upload *u, uint64_t first, uint64_t end);
bool upload_covers(const struct upload *u, uint64_t first, uint64_t end);
bool upload_touches(const struct upload *u, uint64_t block);

#endif
