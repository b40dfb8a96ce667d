#include <config.h>
#include "cache/upload_task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_evictor.h"
#include "cache/body_map.h"
#include "cache/file_blocks.h"
#include "cache/file_data.h"
#include "cache/node_private.h"

void upload_task_free(struct upload_task *task)
{
	if (task == NULL)
		return;
	body_object_buffer_done(&task->object);
	free(task->raw);
	free(task);
}

/* The first run of local blocks in a dirty range, as long as one object may be. */
static int run_in_range(struct node *node, const struct inode *inode,
	const struct block_range *dirty, struct block_range *ret)
{
	uint64_t most = BODY_MAP_OBJECT_MAX_BYTES >> inode->block_shift;
	struct key from = key_data(inode->ino, dirty->first);
	struct key to = key_data(inode->ino, dirty->end);
	struct store_iterator *it = store_iterator_new(node->store, STORE_DATA, &from, &to);
	int r;

	if (it == NULL)
		return -ENOMEM;
	*ret = (struct block_range){0};
	for (; store_iterator_valid(it); store_iterator_next(it)) {
		size_t key_bytes;
		const uint8_t *key = store_iterator_key(it, &key_bytes);
		uint64_t block = key_tail_number(key, key_bytes);

		if (ret->end == 0)
			ret->first = ret->end = block;
		if (block != ret->end || block - ret->first == most)
			break;
		ret->end = block + 1;
	}
	r = store_iterator_error(it);
	store_iterator_free(it);
	return r;
}

static int choose_run(struct node *node, const struct inode *inode, const struct upload *u,
	struct block_range *ret)
{
	uint64_t limit = file_blocks_for(inode, inode->size_bytes);
	int r = 0;

	*ret = (struct block_range){0};
	for (uint32_t i = 0; i < u->n_dirty && r == 0 && ret->end == 0; i++) {
		struct block_range dirty = u->dirty[i];

		if (dirty.end > limit)
			dirty.end = limit;
		if (dirty.first < dirty.end)
			r = run_in_range(node, inode, &dirty, ret);
	}
	return r;
}

/* Whether every block of the extent is local, so that it can be put again without a fetch. */
static bool is_local(struct node *node, const struct inode *inode, const struct extent *x)
{
	uint64_t end = file_blocks_for(inode, x->offset_bytes + x->size_bytes);

	for (uint64_t b = x->offset_bytes >> inode->block_shift; b < end; b++) {
		struct key key = key_data(inode->ino, b);
		struct store_value value;

		if (store_get(node->store, STORE_DATA, &key, &value) < 0)
			return false;
		store_value_done(&value);
	}
	return true;
}

/* Takes in extents before the run that are not much longer than it: see body_uploader.h. */
static int merge_backwards(struct node *node, const struct inode *inode, struct block_range *run)
{
	uint64_t start = run->first << inode->block_shift;
	struct extent_list list;
	int r = body_map_load_extents(node, inode->ino,
		start > BODY_MAP_OBJECT_MAX_BYTES ? start - BODY_MAP_OBJECT_MAX_BYTES : 0, start,
		&list);

	for (size_t i = r < 0 ? 0 : list.n; i-- > 0;) {
		const struct extent *x = &list.extents[i];
		uint64_t size = (run->end - run->first) << inode->block_shift;

		if (x->offset_bytes + x->size_bytes != run->first << inode->block_shift ||
			x->size_bytes > 2 * size ||
			x->size_bytes + size > BODY_MAP_OBJECT_MAX_BYTES ||
			!is_local(node, inode, x))
			break;
		run->first = x->offset_bytes >> inode->block_shift;
	}
	extent_list_done(&list);
	return r;
}

static int read_run(struct node *node, const struct inode *inode, struct upload_task *task)
{
	uint64_t start = task->blocks.first << inode->block_shift;
	uint64_t end = task->blocks.end << inode->block_shift;
	struct file_data_span span = {.offset_bytes = start};
	struct extent missing;
	size_t size;
	int r;

	if (end > inode->size_bytes)
		end = inode->size_bytes;
	size = (size_t)(end - start);
	task->raw = malloc(size);
	if (task->raw == NULL)
		return -ENOMEM;
	task->replaces_end_bytes = task->blocks.end << inode->block_shift;
	task->extent = (struct extent){
		.offset_bytes = start, .size_bytes = size, .object_size_bytes = size};
	span.data = task->raw;
	span.size_bytes = size;
	r = file_data_read(node, inode, &span, &missing);
	return r == -EINPROGRESS ? -EIO : r; /* every block of a run is local */
}

/* An upload whose end could not be recorded (the store failed) begins anew. A body is in the queue
 * once, so nobody else is at it. */
static int restart(struct node *node, uint64_t ino, struct upload *u)
{
	struct key pending = key_node_uuid(KEY_NODE_PENDING, &u->object);
	struct transaction t;
	int r = transaction_begin(node, &t);

	if (r < 0)
		return r;
	upload_add_range(u, u->uploading.first, u->uploading.end);
	u->running = false;
	body_map_put_upload(&t, ino, u);
	transaction_delete(&t, STORE_META, &pending);
	transaction_put_garbage(&t, key_ino_account(ino), &u->object);
	return transaction_commit(&t);
}

/* Notes the run as uploading and the object as pending. */
static int note_start(struct node *node, struct upload_task *task, struct upload *u)
{
	struct key pending = key_node_uuid(KEY_NODE_PENDING, &task->extent.object);
	uint8_t data[RECORD_SMALL_BYTES];
	struct transaction t;
	int r = transaction_begin(node, &t);

	if (r < 0)
		return r;
	/* What lies before the run has no local blocks. It must go as well: else every run left a
	 * range before it, and the joining of too many would make this run dirty for ever. */
	upload_remove_range(u, 0, task->blocks.end);
	u->running = true;
	u->uploading = task->blocks;
	u->object = task->extent.object;
	body_map_put_upload(&t, task->ino, u);
	transaction_put(&t, STORE_META, &pending, data,
		record_encode_object_account(key_ino_account(task->ino), data));
	return transaction_commit(&t);
}

static int note_clean(struct node *node, uint64_t ino)
{
	struct upload none = {0};
	struct transaction t;
	int r = transaction_begin(node, &t);

	if (r < 0)
		return r;
	body_map_put_upload(&t, ino, &none);
	return transaction_commit(&t);
}

static int prepare_locked(struct node *node, struct upload_task *task, bool *ret_nothing)
{
	struct inode inode;
	struct upload u;
	bool exists;
	int r = node_load_inode(node, task->ino, &inode);

	if (r == 0)
		r = body_map_load_upload(node, task->ino, &u, &exists);
	*ret_nothing = r == -ENOENT || (r == 0 && !exists);
	if (r < 0 || *ret_nothing)
		return r == -ENOENT ? 0 : r;
	if (u.running)
		r = restart(node, task->ino, &u);
	if (r == 0)
		r = choose_run(node, &inode, &u, &task->blocks);
	if (r == 0 && task->blocks.end == 0) {
		*ret_nothing = true;
		return note_clean(node, task->ino);
	}
	if (r == 0)
		r = merge_backwards(node, &inode, &task->blocks);
	if (r == 0)
		r = read_run(node, &inode, task);
	if (r == 0)
		r = uuid_generate(&task->extent.object);
	return r == 0 ? note_start(node, task, &u) : r;
}

static int encode(struct upload_task *task)
{
	struct iovec part = {task->raw, (size_t)task->extent.size_bytes};

	body_object_key(key_ino_account(task->ino), &task->extent.object, task->key);
	return body_object_encode(&task->extent.object, &part, 1, part.iov_len, &task->object);
}

int upload_task_prepare(struct node *node, uint64_t ino, struct upload_task **ret)
{
	struct upload_task *task = calloc(1, sizeof(*task));
	struct inode_lock_set locks;
	bool nothing = false, more;
	int r;

	*ret = NULL;
	if (task == NULL)
		return -ENOMEM;
	list_init(&task->node);
	task->owner = node;
	task->ino = ino;
	inode_locks_write(node->locks, &ino, 1, &locks);
	r = prepare_locked(node, task, &nothing);
	inode_locks_release(&locks);
	if (r == 0 && !nothing) {
		r = encode(task);
		if (r < 0)
			(void)upload_task_finish(task, r, &more);
	}
	if (r < 0 || nothing)
		upload_task_free(task);
	else
		*ret = task;
	return r;
}

/* What a body that is not evicted takes, holes left out. */
static uint64_t local_bytes(const struct inode *inode)
{
	uint64_t bytes = inode->blocks << inode->block_shift;

	return bytes < inode->size_bytes ? bytes : inode->size_bytes;
}

/* The object and its blocks still belong together. */
static int record_success(struct transaction *t, struct upload_task *task,
	const struct inode *inode, struct upload *u)
{
	int r = body_map_put_extent(t, task->ino, &task->extent, task->replaces_end_bytes);

	u->running = false;
	body_map_put_upload(t, task->ino, u);
	if (r == 0)
		r = body_evictor_note(t, task->ino, local_bytes(inode));
	return r;
}

static bool overlaps(const struct upload *u, const struct block_range *blocks)
{
	for (uint32_t i = 0; i < u->n_dirty; i++) {
		if (u->dirty[i].first < blocks->end && blocks->first < u->dirty[i].end)
			return true;
	}
	return false;
}

static int finish_locked(struct upload_task *task, int error, bool *ret_more)
{
	struct node *node = task->owner;
	struct key pending = key_node_uuid(KEY_NODE_PENDING, &task->extent.object);
	struct transaction t;
	struct inode inode;
	struct upload u = {0};
	bool exists = false, valid;
	int r = node_load_inode(node, task->ino, &inode);

	if (r == 0)
		r = body_map_load_upload(node, task->ino, &u, &exists);
	if (r < 0 && r != -ENOENT)
		return r;
	valid = r == 0 && exists && u.running &&
		memcmp(&u.object, &task->extent.object, sizeof(u.object)) == 0;
	r = transaction_begin(node, &t);
	if (r < 0)
		return r;
	transaction_delete(&t, STORE_META, &pending);
	if (valid && error == 0)
		r = record_success(&t, task, &inode, &u);
	else
		transaction_put_garbage(&t, key_ino_account(task->ino), &task->extent.object);
	if (valid && error < 0) {
		upload_add_range(&u, u.uploading.first, u.uploading.end);
		u.running = false;
		body_map_put_upload(&t, task->ino, &u);
	}
	*ret_more = exists && u.n_dirty > 0;
	task->changed_meanwhile = overlaps(&u, &task->blocks);
	if (r == 0)
		return transaction_commit(&t);
	transaction_abort(&t);
	return r;
}

int upload_task_finish(struct upload_task *task, int error, bool *ret_more)
{
	struct inode_lock_set locks;
	int r;

	*ret_more = false;
	inode_locks_write(task->owner->locks, &task->ino, 1, &locks);
	r = finish_locked(task, error, ret_more);
	inode_locks_release(&locks);
	return r;
}
