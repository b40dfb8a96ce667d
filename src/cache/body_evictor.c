#include <config.h>
#include "cache/body_evictor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_map.h"
#include "cache/body_use.h"
#include "cache/file_blocks.h"
#include "cache/node_private.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/lock.h"
#include "util/log.h"

#define DEFAULT_LIMIT_BYTES (UINT64_C(10) << 30)

/* Reads are collected for so long, and written down in pieces of so many. */
#define USE_PAUSE_MS 1000
#define USE_BATCH 256

/* Evicts somewhat more than it must, so that it does not run for every body that comes. */
#define KEEP_PERCENT 95

struct body_evictor {
	struct node *node;
	uint64_t limit_bytes;
	_Atomic uint64_t local_bytes;
	_Atomic uint64_t evicted;
	struct body_use *use;
	pthread_t thread;
	bool started;
	struct lock lock;
	struct lock_condition wake;
	bool has_use;  /* somebody was read; protected by lock */
	bool stopping; /* protected by lock */
};

struct body_evictor *body_evictor_new(struct node *node, uint64_t limit_bytes)
{
	struct body_evictor *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->node = node;
	e->limit_bytes = limit_bytes ? limit_bytes : DEFAULT_LIMIT_BYTES;
	e->use = body_use_new();
	if (e->use == NULL) {
		free(e);
		return NULL;
	}
	lock_init(&e->lock);
	lock_condition_init(&e->wake);
	return e;
}

/* ---- the records */

/* One without bytes when there is none. */
static int load_local(struct node *node, uint64_t ino, struct local_body *ret)
{
	struct key key = key_node_ino(KEY_NODE_LOCAL, ino);
	struct store_value value;
	int r = store_get(node->store, STORE_META, &key, &value);

	*ret = (struct local_body){0};
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = record_decode_local(value.data, value.size_bytes, ret);
	store_value_done(&value);
	return r;
}

static void wake_if_too_much(struct body_evictor *e)
{
	if (atomic_load(&e->local_bytes) <= e->limit_bytes)
		return;
	lock_acquire(&e->lock);
	lock_condition_signal(&e->wake);
	lock_release(&e->lock);
}

/* Replaces `old` by `new` in the store and in the sum. A `new` without bytes is none. */
static void put_local(struct transaction *t, uint64_t ino, const struct local_body *old,
	const struct local_body *new)
{
	struct body_evictor *e = t->node->evictor;
	uint8_t data[RECORD_SMALL_BYTES];
	struct key place = key_node_ino(KEY_NODE_LOCAL, ino);
	struct key before = key_node_lru(old->used_ms, ino);
	struct key after = key_node_lru(new->used_ms, ino);

	if (old->size_bytes > 0)
		transaction_delete(t, STORE_META, &before);
	if (new->size_bytes > 0) {
		transaction_put(t, STORE_META, &after, "", 0);
		transaction_put(t, STORE_META, &place, data, record_encode_local(new, data));
	} else if (old->size_bytes > 0) {
		transaction_delete(t, STORE_META, &place);
	}
	atomic_fetch_add(&e->local_bytes, new->size_bytes - old->size_bytes);
	wake_if_too_much(e);
}

static int replace_local(struct transaction *t, uint64_t ino, uint64_t bytes, bool add)
{
	struct local_body old, new = {.used_ms = (uint64_t)clock_realtime_ms()};
	int r = load_local(t->node, ino, &old);

	if (r < 0)
		return r;
	new.size_bytes = add ? old.size_bytes + bytes : bytes;
	put_local(t, ino, &old, &new);
	return 0;
}

int body_evictor_note(struct transaction *t, uint64_t ino, uint64_t local_bytes)
{
	return replace_local(t, ino, local_bytes, false);
}

int body_evictor_note_fetched(struct transaction *t, uint64_t ino, uint64_t added_bytes)
{
	return replace_local(t, ino, added_bytes, true);
}

int body_evictor_forget(struct transaction *t, uint64_t ino)
{
	return replace_local(t, ino, 0, false);
}

static int touch_locked(struct body_evictor *e, uint64_t ino)
{
	struct local_body old, new;
	struct transaction t;
	int r = load_local(e->node, ino, &old);

	if (r < 0 || old.size_bytes == 0)
		return r;
	r = transaction_begin(e->node, &t);
	if (r < 0)
		return r;
	new = old;
	new.used_ms = (uint64_t)clock_realtime_ms();
	put_local(&t, ino, &old, &new);
	return transaction_commit(&t);
}

void body_evictor_touch(struct body_evictor *e, uint64_t ino)
{
	if (!body_use_note(e->use, ino))
		return;
	lock_acquire(&e->lock);
	e->has_use = true;
	lock_condition_signal(&e->wake);
	lock_release(&e->lock);
}

/* Writes down who was read lately. */
static void note_use(struct body_evictor *e)
{
	uint64_t inos[USE_BATCH];
	size_t n;

	while ((n = body_use_take(e->use, inos, USE_BATCH)) > 0) {
		for (size_t i = 0; i < n; i++) {
			struct inode_lock_set locks;

			inode_locks_write(e->node->locks, &inos[i], 1, &locks);
			(void)touch_locked(e, inos[i]); /* fails: the order is less exact */
			inode_locks_release(&locks);
		}
	}
}

/* ---- dropping */

/* Deletes the local blocks of the extent that are not dirty. */
static void drop_extent(struct transaction *t, const struct inode *inode, const struct upload *u,
	const struct extent *x)
{
	uint64_t first = x->offset_bytes >> inode->block_shift;
	uint64_t end = file_blocks_for(inode, x->offset_bytes + x->size_bytes);

	if (u->n_dirty == 0 && !u->running) {
		file_blocks_drop(t, inode, first, end);
		return;
	}
	for (uint64_t block = first; block < end; block++) {
		if (!upload_touches(u, block))
			file_blocks_drop(t, inode, block, block + 1);
	}
}

static int drop_locked(struct node *node, uint64_t ino)
{
	struct extent_list list = {0};
	struct transaction t;
	struct inode inode;
	struct upload u = {0};
	bool exists;
	int r = node_load_inode(node, ino, &inode);

	if (r == 0)
		r = body_map_load_upload(node, ino, &u, &exists);
	if (r == 0)
		r = body_map_load_extents(node, ino, 0, BODY_MAP_TO_THE_END, &list);
	if (r < 0 && r != -ENOENT)
		return r;
	r = transaction_begin(node, &t);
	if (r < 0) {
		extent_list_done(&list);
		return r;
	}
	for (size_t i = 0; i < list.n; i++)
		drop_extent(&t, &inode, &u, &list.extents[i]);
	extent_list_done(&list);
	r = body_evictor_forget(&t, ino);
	if (r == 0)
		return transaction_commit(&t);
	transaction_abort(&t);
	return r;
}

/* The least recently used body, and when that was; -ENOENT when nothing is local. */
static int find_oldest(struct node *node, uint64_t *ret_used_ms, uint64_t *ret_ino)
{
	struct key from = key_node(KEY_NODE_LRU), to = key_node_end(KEY_NODE_LRU);
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &from, &to);
	int r = -ENOENT;

	if (it == NULL)
		return -ENOMEM;
	if (store_iterator_valid(it)) {
		size_t key_bytes, tail_bytes = 0;
		const uint8_t *key = store_iterator_key(it, &key_bytes);
		const uint8_t *tail = key_node_tail(key, key_bytes, &tail_bytes);
		struct decoder d = decoder_over(tail, tail_bytes);

		*ret_used_ms = decode_u64(&d);
		*ret_ino = decode_u64(&d);
		r = decoder_ok(&d) ? 0 : -EBADMSG;
	}
	store_iterator_free(it);
	return r;
}

int body_evictor_shrink(struct body_evictor *e, uint64_t keep_bytes, uint64_t *ret_evicted_bytes)
{
	uint64_t before = atomic_load(&e->local_bytes), now;
	uint64_t ino = 0, last = 0, used_ms = 0, last_used_ms = 0;
	struct inode_lock_set locks;
	int r = 0;

	note_use(e);
	while (r == 0 && (now = atomic_load(&e->local_bytes)) > keep_bytes) {
		r = find_oldest(e->node, &used_ms, &ino);
		if (r == 0 && ino == last && used_ms == last_used_ms)
			r = -EIO; /* it cannot be dropped: no use in trying for ever */
		if (r < 0)
			break;
		last = ino;
		last_used_ms = used_ms;
		inode_locks_write(e->node->locks, &ino, 1, &locks);
		r = drop_locked(e->node, ino);
		inode_locks_release(&locks);
		atomic_fetch_add(&e->evicted, 1);
	}
	now = atomic_load(&e->local_bytes);
	*ret_evicted_bytes = before > now ? before - now : 0;
	return r == -ENOENT ? 0 : r;
}

/* ---- the thread */
static int add_up(struct body_evictor *e)
{
	struct key from = key_node(KEY_NODE_LOCAL), to = key_node_end(KEY_NODE_LOCAL);
	struct store_iterator *it = store_iterator_new(e->node->store, STORE_META, &from, &to);
	struct local_body local;
	int r = 0;

	if (it == NULL)
		return -ENOMEM;
	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it)) {
		size_t value_bytes;
		const uint8_t *value = store_iterator_value(it, &value_bytes);

		r = record_decode_local(value, value_bytes, &local);
		if (r == 0)
			atomic_fetch_add(&e->local_bytes, local.size_bytes);
	}
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	return r;
}

/* Until there is something to do: too much is local, or reads have been collected. */
static void wait_for_work_locked(struct body_evictor *e) REQUIRES(e->lock)
{
	uint64_t until_ms;

	while (!e->stopping && !e->has_use && atomic_load(&e->local_bytes) <= e->limit_bytes)
		lock_condition_wait(&e->wake, &e->lock);
	until_ms = clock_monotonic_ms() + USE_PAUSE_MS;
	while (!e->stopping && atomic_load(&e->local_bytes) <= e->limit_bytes &&
		lock_condition_wait_until(&e->wake, &e->lock, until_ms) == 0)
		;
	e->has_use = false;
}

static void *run(void *arg)
{
	struct body_evictor *e = arg;
	uint64_t evicted_bytes;
	int r = 0;

	lock_acquire(&e->lock);
	while (!e->stopping) {
		wait_for_work_locked(e);
		lock_release(&e->lock);
		note_use(e);
		if (atomic_load(&e->local_bytes) > e->limit_bytes)
			r = body_evictor_shrink(
				e, e->limit_bytes / 100 * KEEP_PERCENT, &evicted_bytes);
		else
			r = 0;
		if (r < 0)
			log_error("evicting local bodies failed: %s", strerror(-r));
		lock_acquire(&e->lock);
		if (r < 0 && !e->stopping)
			(void)lock_condition_wait_until(
				&e->wake, &e->lock, clock_monotonic_ms() + 10000);
	}
	lock_release(&e->lock);
	return NULL;
}

int body_evictor_start(struct body_evictor *e)
{
	int r = add_up(e);

	if (r == 0)
		r = -pthread_create(&e->thread, NULL, run, e);
	e->started = r == 0;
	if (e->started)
		pthread_setname_np(e->thread, "mfs-evict");
	return r;
}

uint64_t body_evictor_local_bytes(struct body_evictor *e)
{
	return atomic_load(&e->local_bytes);
}

uint64_t body_evictor_limit_bytes(struct body_evictor *e)
{
	return e->limit_bytes;
}

uint64_t body_evictor_evicted(struct body_evictor *e)
{
	return atomic_load(&e->evicted);
}

void body_evictor_stop(struct body_evictor *e)
{
	if (e == NULL || !e->started)
		return;
	lock_acquire(&e->lock);
	e->stopping = true;
	lock_condition_signal(&e->wake);
	lock_release(&e->lock);
	pthread_join(e->thread, NULL);
	e->started = false;
}

void body_evictor_free(struct body_evictor *e)
{
	if (e == NULL)
		return;
	lock_condition_done(&e->wake);
	lock_done(&e->lock);
	body_use_free(e->use);
	free(e);
}
