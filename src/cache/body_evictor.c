#include <config.h>
#include "cache/body_evictor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_map.h"
#include "cache/body_use.h"
#include "cache/damaged_record.h"
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
	bool has_use;             /* somebody was read; protected by lock */
	bool stopping;            /* protected by lock */
	atomic_bool said_damaged; /* of a body that cannot be evicted */
	atomic_bool said_damaged_place;
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

void body_evictor_add(struct body_evictor *e, int64_t bytes)
{
	atomic_fetch_add(&e->local_bytes, (uint64_t)bytes);
	if (atomic_load(&e->local_bytes) <= e->limit_bytes)
		return;
	lock_acquire(&e->lock);
	lock_condition_signal(&e->wake);
	lock_release(&e->lock);
}

/* Replaces `old` by `new` in the store, and on commit in the sum. A `new` without bytes is none. */
static void put_local(struct transaction *t, uint64_t ino, const struct local_body *old,
	const struct local_body *new)
{
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
	t->local_bytes += (int64_t)(new->size_bytes - old->size_bytes);
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

static int drop_body(struct transaction *t, uint64_t ino)
{
	struct extent_list list = {0};
	struct inode inode;
	struct upload u = {0};
	bool exists;
	int r = node_load_inode(t->node, ino, &inode);

	if (r == 0)
		r = body_map_load_upload(t->node, ino, &u, &exists);
	if (r == 0)
		r = body_map_load_extents(t->node, ino, 0, BODY_MAP_TO_THE_END, &list);
	if (r < 0 && r != -ENOENT)
		return r;
	for (size_t i = 0; i < list.n; i++)
		drop_extent(t, &inode, &u, &list.extents[i]);
	extent_list_done(&list);
	return body_evictor_forget(t, ino);
}

/* What has this place among the least recently used; a place that is not the body's own goes alone.
 */
static int drop_locked(struct node *node, uint64_t used_ms, uint64_t ino)
{
	struct key place = key_node_lru(used_ms, ino);
	struct local_body local;
	struct transaction t;
	int r = load_local(node, ino, &local);

	if (r == 0)
		r = transaction_begin(node, &t);
	if (r < 0)
		return r;
	transaction_delete(&t, STORE_META, &place);
	if (local.size_bytes > 0 && local.used_ms == used_ms)
		r = drop_body(&t, ino);
	if (r == 0)
		return transaction_commit(&t);
	transaction_abort(&t);
	return r;
}

static bool decode_place(const struct store_iterator *it, uint64_t *ret_used_ms, uint64_t *ret_ino)
{
	size_t key_bytes, tail_bytes = 0;
	const uint8_t *key = store_iterator_key(it, &key_bytes);
	const uint8_t *tail = key_node_tail(key, key_bytes, &tail_bytes);
	struct decoder d = decoder_over(tail, tail_bytes);

	*ret_used_ms = decode_u64(&d);
	*ret_ino = decode_u64(&d);
	return decoder_ok(&d) && decoder_left_bytes(&d) == 0;
}

/* The least recently used body from there on, and when that was; -ENOENT when there is none. */
static int find_oldest(
	struct body_evictor *e, const struct key *from, uint64_t *ret_used_ms, uint64_t *ret_ino)
{
	struct key to = key_node_end(KEY_NODE_LRU);
	struct store_iterator *it = store_iterator_new(e->node->store, STORE_META, from, &to);
	int r = -ENOENT;

	if (it == NULL)
		return -ENOMEM;
	for (; r == -ENOENT && store_iterator_valid(it); store_iterator_next(it)) {
		if (decode_place(it, ret_used_ms, ret_ino))
			r = 0;
		else if (!atomic_exchange(&e->said_damaged_place, true))
			damaged_record_say(
				it, "the last use of a body: ignored, as others like it");
	}
	if (r == -ENOENT && store_iterator_error(it) < 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	return r;
}

/* Evicts the oldest from there on. One that is damaged stays, and *from moves behind it. */
static int drop_oldest(struct body_evictor *e, struct key *from)
{
	uint64_t ino = 0, used_ms = 0;
	struct inode_lock_set locks;
	struct key place;
	int r = find_oldest(e, from, &used_ms, &ino);

	if (r < 0)
		return r;
	inode_locks_write(e->node->locks, &ino, 1, &locks);
	r = drop_locked(e->node, used_ms, ino);
	inode_locks_release(&locks);
	if (r == 0)
		atomic_fetch_add(&e->evicted, 1);
	if (r != -EBADMSG)
		return r;
	if (!atomic_exchange(&e->said_damaged, true))
		log_error("inode %" PRIu64 " has a damaged record and cannot be evicted: it and "
			  "others like it are passed over",
			ino);
	place = key_node_lru(used_ms, ino);
	*from = key_behind(&place);
	return 0;
}

int body_evictor_shrink(struct body_evictor *e, uint64_t keep_bytes, uint64_t *ret_evicted_bytes)
{
	uint64_t before = atomic_load(&e->local_bytes), now;
	struct key from = key_node(KEY_NODE_LRU);
	int r = 0;

	note_use(e);
	while (r == 0 && atomic_load(&e->local_bytes) > keep_bytes)
		r = drop_oldest(e, &from);
	now = atomic_load(&e->local_bytes);
	*ret_evicted_bytes = before > now ? before - now : 0;
	return r == -ENOENT ? 0 : r;
}

/* ---- the start */

/* The record is made anew: all of the body may be local. */
static int repair_local(struct body_evictor *e, uint64_t ino)
{
	struct local_body none = {0}, local = {.used_ms = (uint64_t)clock_realtime_ms()};
	struct transaction t;
	struct inode inode;
	int r = node_load_inode(e->node, ino, &inode);

	if (r == 0)
		r = transaction_begin(e->node, &t);
	if (r < 0)
		return r;
	local.size_bytes = inode.size_bytes > 0 ? inode.size_bytes : 1;
	put_local(&t, ino, &none, &local);
	return transaction_commit(&t);
}

static int add_at(struct body_evictor *e, const struct store_iterator *it)
{
	size_t key_bytes, value_bytes;
	const uint8_t *key = store_iterator_key(it, &key_bytes);
	const uint8_t *value = store_iterator_value(it, &value_bytes);
	struct local_body local;
	uint64_t ino;
	int r;

	if (!key_node_tail_ino(key, key_bytes, &ino)) {
		damaged_record_say(it, "what is local of some inode: ignored");
		return 0;
	}
	if (record_decode_local(value, value_bytes, &local) == 0) {
		atomic_fetch_add(&e->local_bytes, local.size_bytes);
		return 0;
	}
	damaged_record_say(it, "what is local of an inode: it counts as all of it");
	r = repair_local(e, ino);
	return r == -ENOENT || r == -EBADMSG ? 0 : r;
}

int body_evictor_recover(struct body_evictor *e)
{
	struct key from = key_node(KEY_NODE_LOCAL), to = key_node_end(KEY_NODE_LOCAL);
	struct store_iterator *it = store_iterator_new(e->node->store, STORE_META, &from, &to);
	int r = it == NULL ? -ENOMEM : 0;

	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it))
		r = add_at(e, it);
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	return r;
}

/* ---- the thread */

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
	int r = -pthread_create(&e->thread, NULL, run, e);

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
