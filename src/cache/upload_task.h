/*
 * upload_task.h: one object on its way to the backend: chosen, put, recorded. For body_uploader.c.
 */
#ifndef MAILFS_CACHE_UPLOAD_TASK_H
#define MAILFS_CACHE_UPLOAD_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/body_object.h"
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
	void *arg; /* the uploader's */
};

/* Chooses a run of dirty blocks of the body and notes in the store that they are being uploaded.
 * 0 with *ret NULL: nothing is dirty any more, or the body is gone. */
int upload_task_prepare(struct node *node, uint64_t ino, struct upload_task **ret);

/* The put ended with `error`: records the object, or makes its blocks dirty again and the object
 * garbage. *ret_more: something of the body is still dirty. */
int upload_task_finish(struct upload_task *task, int error, bool *ret_more);
void upload_task_free(struct upload_task *task);

#endif
