/*
 * upload_task.h: one object on its way to the backend: chosen, put, recorded. For body_uploader.c.
 */
#ifndef MAILFS_CACHE_UPLOAD_TASK_H
#define MAILFS_CACHE_UPLOAD_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/body_object.h"
#include "cache/inode_locks.h"
#include "cache/node.h"
#include "cache/record.h"
#include "util/list.h"

struct upload_task {
	struct list_node node;
	struct node *owner;
	uint64_t ino;
	struct block_range blocks;
	struct extent extent; /* what will be recorded */
	uint64_t replaces_end_bytes;
	void *raw;
	struct body_object_buffer object;
	char key[BACKEND_KEY_MAX_BYTES];
	uint64_t pack_bytes;    /* of the contents of the pack that it is in */
	bool changed_meanwhile; /* by upload_task_finish(): the run is dirty again */
};

/* Which runs of dirty blocks count. */
enum upload_size {
	UPLOAD_ALL,
	UPLOAD_LARGE, /* from BODY_MAP_SMALL_BYTES on */
	UPLOAD_SMALL, /* shorter ones */
};

/* Chooses a run of dirty blocks of the body and notes in the store that they are being uploaded, as
 * an object of their own. 0 with *ret NULL: nothing of that size is dirty any more, or the body is
 * gone. Nobody else may be at this body: body_uploader_claim(). */
int upload_task_prepare(
	struct node *node, uint64_t ino, enum upload_size size, struct upload_task **ret);

/* The same of UPLOAD_SMALL for a place in a pack, which is pending already: nothing is encoded. The
 * caller fills what the extent says of the pack, and pack_bytes, before it is finished. */
int upload_task_prepare_packed(
	struct node *node, uint64_t ino, const struct uuid *pack, struct upload_task **ret);

/* The put ended with `error`: records the object, or makes its blocks dirty again and the object
 * garbage (a pack is its packer's). *ret_more: something of the body is still dirty. */
int upload_task_finish(struct upload_task *task, int error, bool *ret_more);

/* Records that all these, of different bodies and one pack, are in it: in one transaction, all of
 * them or, with an error, none. */
#define UPLOAD_TASK_AT_ONCE INODE_LOCKS_MAX
int upload_task_finish_packed(struct upload_task *const tasks[], unsigned int n);

void upload_task_free(struct upload_task *task);

#endif
