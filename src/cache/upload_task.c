#include <config.h>
#include "cache/upload_task.h"

#include <assert.h>
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

struct choice {
	const struct inode *inode;
	enum upload_size size;
	bool found_any; /* something is dirty, of whatever size */
	struct block_range run;
};

static bool counts(const struct choice *c)
{
	uint64_t bytes = (c->run.end - c->run.first) << c->inode->block_shift;

	return c->size == UPLOAD_ALL ||
	       (c->size == UPLOAD_LARGE) == (bytes >= BODY_MAP_SMALL_BYTES);
}

/* The first run of local blocks in a dirty range that counts, as long as one object may be. */
static int run_in_range(struct node *node, const struct block_range *dirty, struct choice *c)
{
	uint64_t most = BODY_MAP_OBJECT_MAX_BYTES >> c->inode->block_shift;
	struct key from = key_data(c->inode->ino, dirty->first);
	struct key to = key_data(c->inode->ino, dirty->end);
	struct store_iterator *it = store_iterator_new(node->store, STORE_DATA, &from, &to);
	int r;

	if (it == NULL)
		return -ENOMEM;
	c->run = (struct block_range){0};
	for (; store_iterator_valid(it); store_iterator_next(it)) {
		size_t key_bytes;
		const uint8_t *key = store_iterator_key(it, &key_bytes);
		uint64_t block = key_tail_number(key, key_bytes);

		c->found_any = true;
		if (c->run.end != 0 && (block != c->run.end || block - c->run.first == most)) {
			if (counts(c))
				break;
			c->run.end = 0;
		}
		if (c->run.end == 0)
			c->run.first = block;
		c->run.end = block + 1;
	}
	if (c->run.end != 0 && !counts(c))
		c->run.end = 0;
	r = store_iterator_error(it);
	store_iterator_free(it);
	return r;
}

static int choose_run(struct node *node, const struct upload *u, struct choice *c)
{
	uint64_t limit = file_blocks_for(c->inode, c->inode->size_bytes);
	int r = 0;

	/* A run between others may need one more range than there can be. */
	if (c->size == UPLOAD_LARGE && u->n_dirty >= RECORD_UPLOAD_MAX_RANGES - 1)
		c->size = UPLOAD_ALL;
	c->run = (struct block_range){0};
	for (uint32_t i = 0; i < u->n_dirty && r == 0 && c->run.end == 0; i++) {
		struct block_range dirty = u->dirty[i];

		if (dirty.end > limit)
			dirty.end = limit;
		if (dirty.first < dirty.end)
			r = run_in_range(node, &dirty, c);
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
static int merge_backwards(struct node *node, const struct inode *inode,
	enum upload_size size_class, struct block_range *run)
{
	uint64_t most =
		size_class == UPLOAD_SMALL ? BODY_MAP_SMALL_BYTES : BODY_MAP_OBJECT_MAX_BYTES;
	uint64_t start = run->first << inode->block_shift;
	struct extent_list list;
	int r;

	if (start == 0)
		return 0;
	r = body_map_load_extents(node, inode->ino,
		start > BODY_MAP_OBJECT_MAX_BYTES ? start - BODY_MAP_OBJECT_MAX_BYTES : 0, start,
		&list);
	for (size_t i = r < 0 ? 0 : list.n; i-- > 0;) {
		const struct extent *x = &list.extents[i];
		uint64_t size = (run->end - run->first) << inode->block_shift;

		if (x->offset_bytes + x->size_bytes != run->first << inode->block_shift ||
			x->size_bytes > 2 * size || x->size_bytes + size > most ||
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
	task->extent.offset_bytes = start;
	task->extent.size_bytes = task->extent.object_size_bytes = size;
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
	if (u->kind == OBJECT_BODY) { /* a pack is its packer's, and has others in it */
		transaction_delete(&t, STORE_META, &pending);
		transaction_put_unused(&t, key_ino_account(ino), OBJECT_BODY, &u->object);
	}
	return transaction_commit(&t);
}

/* Notes the run as uploading and the object as pending. */
static int note_start(
	struct node *node, struct upload_task *task, enum upload_size size, struct upload *u)
{
	struct transaction t;
	int r = transaction_begin(node, &t);

	if (r < 0)
		return r;
	/* When all runs count, what lies before this one has no local blocks. It must go as well:
	 * else every run left a range before it, and the joining of too many would make this run
	 * dirty for ever. */
	upload_remove_range(u, size == UPLOAD_ALL ? 0 : task->blocks.first, task->blocks.end);
	u->running = true;
	u->kind = task->extent.kind;
	u->uploading = task->blocks;
	u->object = task->extent.object;
	body_map_put_upload(&t, task->ino, u);
	if (task->extent.kind == OBJECT_BODY)
		transaction_put_pending(
			&t, key_ino_account(task->ino), OBJECT_BODY, &task->extent.object);
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

/* The run that is to be put, read; without one *ret_nothing. */
static int take_run(struct node *node, struct upload_task *task, const struct inode *inode,
	struct upload *u, enum upload_size size, bool *ret_nothing)
{
	struct choice choice = {.inode = inode, .size = size};
	int r = choose_run(node, u, &choice);

	if (r < 0)
		return r;
	*ret_nothing = choice.run.end == 0;
	if (*ret_nothing)
		return choice.found_any ? 0 : note_clean(node, task->ino);
	task->blocks = choice.run;
	r = merge_backwards(node, inode, size, &task->blocks);
	if (r == 0)
		r = read_run(node, inode, task);
	return r == 0 ? note_start(node, task, choice.size, u) : r;
}

static int prepare_locked(
	struct node *node, struct upload_task *task, enum upload_size size, bool *ret_nothing)
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
	return r == 0 ? take_run(node, task, &inode, &u, size, ret_nothing) : r;
}

static int encode(struct upload_task *task)
{
	struct iovec part = {task->raw, (size_t)task->extent.size_bytes};

	body_object_key(key_ino_account(task->ino), &task->extent.object, task->key);
	return body_object_encode(&task->extent.object, &part, 1, part.iov_len, &task->object);
}

static int prepare(struct upload_task *task, enum upload_size size, bool *ret_nothing)
{
	struct inode_lock_set locks;
	int r;

	inode_locks_write(task->owner->locks, &task->ino, 1, &locks);
	r = prepare_locked(task->owner, task, size, ret_nothing);
	inode_locks_release(&locks);
	return r;
}

static struct upload_task *task_new(struct node *node, uint64_t ino)
{
	struct upload_task *task = calloc(1, sizeof(*task));

	if (task == NULL)
		return NULL;
	list_init(&task->node);
	task->owner = node;
	task->ino = ino;
	return task;
}

int upload_task_prepare(
	struct node *node, uint64_t ino, enum upload_size size, struct upload_task **ret)
{
	struct upload_task *task = task_new(node, ino);
	bool nothing = false, more;
	int r;

	*ret = NULL;
	if (task == NULL)
		return -ENOMEM;
	r = uuid_generate(&task->extent.object);
	if (r == 0)
		r = prepare(task, size, &nothing);
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

int upload_task_prepare_packed(
	struct node *node, uint64_t ino, const struct uuid *pack, struct upload_task **ret)
{
	struct upload_task *task = task_new(node, ino);
	bool nothing = false;
	int r;

	*ret = NULL;
	if (task == NULL)
		return -ENOMEM;
	task->extent.object = *pack;
	task->extent.kind = OBJECT_PACK;
	r = prepare(task, UPLOAD_SMALL, &nothing);
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

static int put_again(struct transaction *t, uint64_t ino, uint64_t block)
{
	struct key key = key_data(ino, block);
	struct store_value value;
	int r = store_get(t->node->store, STORE_DATA, &key, &value);

	if (r == -ENOENT) {
		transaction_delete(t, STORE_DATA, &key);
		return 0;
	}
	if (r == 0) {
		transaction_put(t, STORE_DATA, &key, value.data, value.size_bytes);
		store_value_done(&value);
	}
	return r;
}

/* Blocks that were written while the object was on its way. Whoever replays the journal takes a
 * block that came before the extent that covers it for older, and perhaps these have come: so they
 * come once more, with the extent (0006-journal.md). */
static int put_changed_again(
	struct transaction *t, const struct upload_task *task, const struct upload *u)
{
	int r = 0;

	for (uint32_t i = 0; i < u->n_dirty && r == 0; i++) {
		uint64_t first = u->dirty[i].first, end = u->dirty[i].end;

		if (first < task->blocks.first)
			first = task->blocks.first;
		if (end > task->blocks.end)
			end = task->blocks.end;
		for (; first < end && r == 0; first++)
			r = put_again(t, task->ino, first);
	}
	return r;
}

/* The object and its blocks still belong together. */
static int record_success(struct transaction *t, struct upload_task *task,
	const struct inode *inode, struct upload *u)
{
	struct pack_change change = {.pack = task->extent.object,
		.total_bytes = task->pack_bytes,
		.live_bytes = task->extent.stored_bytes,
		.live_bodies = 1};
	int r = body_map_put_extent(t, task->ino, &task->extent, task->replaces_end_bytes);

	if (r == 0 && task->extent.kind == OBJECT_PACK)
		transaction_note_pack(t, key_ino_account(task->ino), &change);
	u->running = false;
	body_map_put_upload(t, task->ino, u);
	if (r == 0)
		r = body_evictor_note(t, task->ino, local_bytes(inode));
	return r == 0 && t->node->changes != NULL ? put_changed_again(t, task, u) : r;
}

static bool overlaps(const struct upload *u, const struct block_range *blocks)
{
	for (uint32_t i = 0; i < u->n_dirty; i++) {
		if (u->dirty[i].first < blocks->end && blocks->first < u->dirty[i].end)
			return true;
	}
	return false;
}

/* Into the transaction: how it ended. */
static int record_end(struct transaction *t, struct upload_task *task, int error, bool *ret_more)
{
	struct node *node = task->owner;
	struct key pending = key_node_uuid(KEY_NODE_PENDING, &task->extent.object);
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
	r = 0;
	if (task->extent.kind == OBJECT_BODY)
		transaction_delete(t, STORE_META, &pending);
	if (valid && error == 0)
		r = record_success(t, task, &inode, &u);
	else if (task->extent.kind == OBJECT_BODY)
		transaction_put_unused(
			t, key_ino_account(task->ino), OBJECT_BODY, &task->extent.object);
	if (valid && error < 0) {
		upload_add_range(&u, u.uploading.first, u.uploading.end);
		u.running = false;
		body_map_put_upload(t, task->ino, &u);
	}
	*ret_more = exists && u.n_dirty > 0;
	task->changed_meanwhile = overlaps(&u, &task->blocks);
	return r;
}

/* All of them or none. */
static int finish_locked(
	struct upload_task *const tasks[], unsigned int n, int error, bool *ret_more)
{
	struct transaction t;
	int r = transaction_begin(tasks[0]->owner, &t);

	if (r < 0)
		return r;
	for (unsigned int i = 0; i < n && r == 0; i++)
		r = record_end(&t, tasks[i], error, ret_more);
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
	r = finish_locked(&task, 1, error, ret_more);
	inode_locks_release(&locks);
	return r;
}

int upload_task_finish_packed(struct upload_task *const tasks[], unsigned int n)
{
	uint64_t inos[UPLOAD_TASK_AT_ONCE];
	struct inode_lock_set locks;
	bool more;
	int r;

	assert(n > 0 && n <= UPLOAD_TASK_AT_ONCE);
	for (unsigned int i = 0; i < n; i++)
		inos[i] = tasks[i]->ino;
	inode_locks_write(tasks[0]->owner->locks, inos, n, &locks);
	r = finish_locked(tasks, n, 0, &more);
	inode_locks_release(&locks);
	return r;
}
