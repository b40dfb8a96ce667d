#include <config.h>
#include "cache/adoption.h"
#include "cache/packer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_evictor.h"
#include "cache/body_map.h"
#include "cache/body_uploader.h"
#include "cache/file_blocks.h"
#include "cache/node_private.h"
#include "cache/packer_private.h"
#include "cache/upload_task.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/log.h"
#include "util/map64.h"

/* How often one call looks for what is dirty: bodies that change all the time are left then. */
#define MAX_PASSES 16
#define INOS_AT_ONCE 1024

/* A full cache is looked at so often at most, and after an error. */
#define PRESSURE_PAUSE_MS 1000
#define ERROR_PAUSE_MS 10000

struct packer {
	struct node *node;
	pthread_t thread;
	bool started;
	atomic_bool is_stopping;
	_Atomic uint64_t dirty_bytes; /* at most so much waits for packs */
	struct lock lock;
	struct lock_condition changed;
	bool is_packing;               /* somebody does; protected by lock */
	struct packer_figures figures; /* protected by lock */
};

/* ---- what is dirty */

static uint64_t dirty_bytes_of(const struct inode *inode, const struct upload *u)
{
	uint64_t limit = file_blocks_for(inode, inode->size_bytes), blocks = 0;

	for (uint32_t i = 0; i < u->n_dirty; i++) {
		uint64_t end = u->dirty[i].end < limit ? u->dirty[i].end : limit;

		if (u->dirty[i].first < end)
			blocks += end - u->dirty[i].first;
	}
	return blocks << inode->block_shift;
}

/* About: nothing is locked. 0 also when there is no such body any more. */
static uint64_t dirty_bytes_at(struct node *node, uint64_t ino)
{
	struct inode_lock_set locks;
	struct inode inode;
	struct upload u;
	bool exists;
	int r;

	inode_locks_read(node->locks, ino, &locks);
	r = node_load_inode(node, ino, &inode);
	if (r == 0)
		r = body_map_load_upload(node, ino, &u, &exists);
	inode_locks_release(&locks);
	return r == 0 ? dirty_bytes_of(&inode, &u) : 0;
}

/* The next dirty bodies from *from, which moves behind them. */
static int next_dirty(struct node *node, struct key *from, const struct key *to,
	uint64_t ret[INOS_AT_ONCE], unsigned int *ret_n)
{
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, from, to);
	int r = it == NULL ? -ENOMEM : 0;

	*ret_n = 0;
	for (; r == 0 && *ret_n < INOS_AT_ONCE && store_iterator_valid(it);
		store_iterator_next(it)) {
		size_t key_bytes;
		const uint8_t *key = store_iterator_key(it, &key_bytes);

		if (key_node_tail_ino(key, key_bytes, &ret[*ret_n]))
			(*ret_n)++;
	}
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	if (*ret_n > 0) {
		*from = key_node_ino(KEY_NODE_UPLOAD, ret[*ret_n - 1]);
		*from = key_behind(from);
	}
	return r;
}

typedef int dirty_fn(void *arg, uint64_t ino);

static int each_dirty(struct node *node, struct key from, struct key to, dirty_fn *take, void *arg)
{
	uint64_t *inos = calloc(INOS_AT_ONCE, sizeof(*inos));
	unsigned int n = INOS_AT_ONCE;
	int r = inos == NULL ? -ENOMEM : 0;

	while (r == 0 && n == INOS_AT_ONCE) {
		r = next_dirty(node, &from, &to, inos, &n);
		for (unsigned int i = 0; i < n && r == 0; i++)
			r = take(arg, inos[i]);
	}
	free(inos);
	return r;
}

/* ---- one pack of dirty bodies */

struct batch {
	struct packing *packing;
	struct pack_put put; /* without a builder: none has begun */
	struct upload_task *tasks[PACKER_MAX_BODIES];
	unsigned int n;
	unsigned int found; /* in this pass */
	uint64_t dirty_bytes;
};

static bool is_full(const struct batch *b)
{
	return b->n == PACKER_MAX_BODIES ||
	       pack_builder_size_bytes(b->put.builder) >= PACKER_TARGET_BYTES;
}

/* What the pack has of the body. */
static void fill_extent(struct batch *b, unsigned int i)
{
	struct upload_task *task = b->tasks[i];
	const struct pack_entry *entry = pack_builder_entry(b->put.builder, i);

	task->extent.encoding = entry->encoding;
	task->extent.stored_bytes = entry->stored_bytes;
	task->extent.stored_offset_bytes = entry->stored_offset_bytes;
	task->extent.checksum = entry->raw_checksum;
	task->pack_bytes = b->put.total_bytes;
}

/* Each by itself: recorded, or dirty again. */
static int finish_singly(struct batch *b, unsigned int first, unsigned int end, int error)
{
	int r = 0, one;
	bool more;

	for (unsigned int i = first; i < end; i++) {
		one = upload_task_finish(b->tasks[i], error, &more);
		r = r == 0 ? one : r;
	}
	return r;
}

/* Records some bodies at once; if that fails, which one damaged record is enough for, singly. */
static int finish_some(struct batch *b, unsigned int first, unsigned int end, int error)
{
	struct body_uploader *uploader = b->packing->node->uploader;
	int r = error;

	for (unsigned int i = first; i < end; i++)
		fill_extent(b, i);
	if (error == 0) {
		r = upload_task_finish_packed(&b->tasks[first], end - first);
		failpoint("pack.recorded");
	}
	if (r < 0)
		r = finish_singly(b, first, end, error);
	for (unsigned int i = first; i < end; i++) {
		body_uploader_release(uploader, b->tasks[i]->ino);
		upload_task_free(b->tasks[i]);
	}
	return r;
}

/* Puts what has come together. */
static int send(struct batch *b)
{
	int r = 0, error, stored;

	if (b->put.builder == NULL)
		return 0;
	error = b->n == 0 ? -ECANCELED : pack_put_send(b->packing, &b->put);
	for (unsigned int i = 0; i < b->n; i += UPLOAD_TASK_AT_ONCE) {
		unsigned int end = i + UPLOAD_TASK_AT_ONCE;

		stored = finish_some(b, i, end < b->n ? end : b->n, error);
		r = r == 0 ? stored : r;
	}
	if (error == 0)
		b->packing->figures->bodies += b->n;
	stored = pack_put_end(b->packing, &b->put, error);
	if (b->n == 0)
		error = 0;
	b->n = 0;
	return error < 0 ? error : r < 0 ? r : stored;
}

/* One run of the body, if it has a small one, goes into the pack. */
static int add_locally(struct batch *b, uint64_t ino)
{
	struct node *node = b->packing->node;
	struct upload_task *task = NULL;
	bool more;
	int r = upload_task_prepare_packed(node, ino, &b->put.id, &task);

	if (r == 0 && task != NULL) {
		r = pack_builder_add(b->put.builder, key_ino_local(ino), task->extent.offset_bytes,
			task->raw, (size_t)task->extent.size_bytes);
		free(task->raw);
		task->raw = NULL;
		if (r == 0) {
			b->tasks[b->n++] = task;
			b->found++;
			return 0;
		}
		(void)upload_task_finish(task, r, &more);
		upload_task_free(task);
	}
	body_uploader_release(node->uploader, ino);
	return r;
}

static int take_dirty(void *arg, uint64_t ino)
{
	struct batch *b = arg;
	int r = packing_check(b->packing);

	if (r == 0 && b->put.builder == NULL)
		r = pack_put_begin(b->packing, &b->put);
	if (r < 0 || !body_uploader_claim(b->packing->node->uploader, ino))
		return r;
	r = add_locally(b, ino);
	if (r == -EBADMSG) {
		log_error("the body of inode %llu has a damaged record and is not packed",
			(unsigned long long)ino);
		r = 0;
	}
	return r == 0 && is_full(b) ? send(b) : r;
}

static int count_dirty(void *arg, uint64_t ino)
{
	struct batch *b = arg;

	b->dirty_bytes += dirty_bytes_at(b->packing->node, ino);
	return 0;
}

static int pack_dirty(struct packing *p)
{
	struct key from = key_node_ino(KEY_NODE_UPLOAD, key_ino_compose(p->account, 0));
	struct key to = key_node_end_of_account(KEY_NODE_UPLOAD, p->account);
	struct batch *b = calloc(1, sizeof(*b));
	int r, sent;

	if (b == NULL)
		return -ENOMEM;
	b->packing = p;
	r = each_dirty(p->node, from, to, count_dirty, b);
	if (r == 0 && b->dirty_bytes >= p->options->min_bytes_live) {
		b->found = 1;
		for (int pass = 0; pass < MAX_PASSES && r == 0 && b->found > 0; pass++) {
			b->found = 0;
			r = each_dirty(p->node, from, to, take_dirty, b);
			sent = send(b);
			r = r == 0 ? sent : r;
		}
	}
	free(b);
	return r;
}

/* ---- one account */

static void add_figures(struct packer_figures *to, const struct packer_figures *from)
{
	to->packs += from->packs;
	to->packs_bytes += from->packs_bytes;
	to->bodies += from->bodies;
	to->rewritten += from->rewritten;
	to->copied_bytes += from->copied_bytes;
}

/* One at a time. */
static int enter(struct packer *packer, struct packing *p)
{
	int r = 0;

	lock_acquire(&packer->lock);
	while (r == 0 && packer->is_packing) {
		(void)lock_condition_wait_until(
			&packer->changed, &packer->lock, clock_monotonic_ms() + 100);
		r = packing_check(p);
	}
	if (atomic_load(&packer->is_stopping))
		r = -ECANCELED;
	packer->is_packing = packer->is_packing || r == 0;
	lock_release(&packer->lock);
	return r;
}

static void leave(struct packer *packer, const struct packer_figures *figures)
{
	lock_acquire(&packer->lock);
	packer->is_packing = false;
	add_figures(&packer->figures, figures);
	lock_condition_broadcast(&packer->changed);
	lock_release(&packer->lock);
}

int packer_pack_account(struct node *node, uint32_t account, const struct packer_options *options,
	struct packer_figures *figures)
{
	struct packer_figures now = {0};
	struct packing p = {.node = node, .account = account, .options = options, .figures = &now};
	int r;

	if (node->packer == NULL)
		return -EINVAL;
	p.node_is_stopping = &node->packer->is_stopping;
	r = enter(node->packer, &p);
	if (r < 0)
		return r;
	r = pack_dirty(&p);
	if (r == 0 && !options->only_dirty)
		r = packer_rewrite(&p);
	leave(node->packer, &now);
	add_figures(figures, &now);
	return r;
}

/* ---- all accounts */

struct tally {
	struct node *node;
	struct map64 bytes; /* account + 1 -> dirty bytes, at least 1 */
	uint64_t total_bytes;
};

static int tally_one(void *arg, uint64_t ino)
{
	struct tally *t = arg;
	uint64_t bytes = dirty_bytes_at(t->node, ino);
	uint64_t *sum = map64_insert(&t->bytes, (uint64_t)key_ino_account(ino) + 1);

	if (sum == NULL)
		return -ENOMEM;
	*sum += bytes > 0 ? bytes : 1;
	t->total_bytes += bytes;
	return 0;
}

/* map64_done() is the caller's, always. */
static int tally(struct node *node, struct tally *ret)
{
	*ret = (struct tally){.node = node};
	map64_init(&ret->bytes);
	return each_dirty(
		node, key_node(KEY_NODE_UPLOAD), key_node_end(KEY_NODE_UPLOAD), tally_one, ret);
}

/* The account with most; false: there is none. Takes it out of the tally. */
static bool take_largest(struct tally *t, uint32_t *ret_account, uint64_t *ret_bytes)
{
	struct map64_slot largest = {0};

	for (size_t i = 0; i < t->bytes.capacity; i++) {
		if (t->bytes.slots[i].key != 0 && t->bytes.slots[i].value > largest.value)
			largest = t->bytes.slots[i];
	}
	if (largest.key == 0)
		return false;
	map64_remove(&t->bytes, largest.key);
	*ret_account = (uint32_t)(largest.key - 1);
	*ret_bytes = largest.value;
	return true;
}

/* 1: packed. 0: one that has gone meanwhile, or is about to, is passed over. It stays while it is
 * packed: the state in which it leaves is in its checkpoint, and nothing may be recorded behind
 * that. */
static int pack_if_here(struct node *node, uint32_t account, const struct packer_options *options,
	struct packer_figures *figures)
{
	int r;

	if (adoption_enter(node, account) < 0)
		return 0;
	r = packer_pack_account(node, account, options, figures);
	adoption_leave(node, account);
	return r < 0 ? r : 1;
}

int packer_pack_all(
	struct node *node, const struct packer_options *options, struct packer_figures *figures)
{
	struct tally t;
	uint32_t account;
	uint64_t bytes;
	int r = tally(node, &t), one;

	while (r != -ECANCELED && r != -ETIMEDOUT && take_largest(&t, &account, &bytes)) {
		one = pack_if_here(node, account, options, figures);
		r = r == 0 && one < 0 ? one : r;
	}
	map64_done(&t.bytes);
	return r;
}

/* ---- when the cache is full */

static bool is_pressed(struct packer *p)
{
	struct body_evictor *evictor = p->node->evictor;

	return body_evictor_local_bytes(evictor) + atomic_load(&p->dirty_bytes) >
	       body_evictor_limit_bytes(evictor);
}

void packer_note_dirty(struct packer *p, uint64_t bytes)
{
	atomic_fetch_add(&p->dirty_bytes, bytes);
	if (!is_pressed(p))
		return;
	lock_acquire(&p->lock);
	lock_condition_broadcast(&p->changed);
	lock_release(&p->lock);
}

static void forget_dirty(struct packer *p, uint64_t bytes)
{
	uint64_t was = atomic_load(&p->dirty_bytes);

	while (!atomic_compare_exchange_weak(&p->dirty_bytes, &was, was > bytes ? was - bytes : 0))
		;
}

/* What is packed is clean: the evictor does the rest. A quarter of the cache may stay dirty. What
 * was passed over goes on counting, so that it is tried again. */
static int relieve(struct packer *p)
{
	struct packer_options options = {.stopping = &p->is_stopping, .only_dirty = true};
	uint64_t limit = body_evictor_limit_bytes(p->node->evictor), bytes;
	uint64_t counted = atomic_load(&p->dirty_bytes);
	struct packer_figures figures = {0};
	struct tally t;
	uint32_t account;
	int r = tally(p->node, &t), one;

	if (r == 0) /* what comes meanwhile stays counted */
		atomic_fetch_add(&p->dirty_bytes, t.total_bytes - counted);
	while (r != -ECANCELED && is_pressed(p) && t.total_bytes > limit / 4 &&
		take_largest(&t, &account, &bytes)) {
		one = pack_if_here(p->node, account, &options, &figures);
		t.total_bytes -= bytes < t.total_bytes ? bytes : t.total_bytes;
		if (one > 0)
			forget_dirty(p, bytes);
		r = r == 0 && one < 0 ? one : r;
	}
	map64_done(&t.bytes);
	return r;
}

static void *run(void *arg)
{
	struct packer *p = arg;
	uint64_t not_before_ms = 0;
	int r;

	lock_acquire(&p->lock);
	while (!atomic_load(&p->is_stopping)) {
		if (!is_pressed(p)) {
			lock_condition_wait(&p->changed, &p->lock);
			continue;
		}
		if (clock_monotonic_ms() < not_before_ms) {
			(void)lock_condition_wait_until(&p->changed, &p->lock, not_before_ms);
			continue;
		}
		lock_release(&p->lock);
		r = relieve(p);
		if (r < 0 && r != -ECANCELED)
			log_warning("the cache is full of bodies that cannot be put on the backend "
				    "(%s): it will be tried again",
				strerror(-r));
		not_before_ms = clock_monotonic_ms() + (r < 0 ? ERROR_PAUSE_MS : PRESSURE_PAUSE_MS);
		lock_acquire(&p->lock);
	}
	lock_release(&p->lock);
	return NULL;
}

struct packer *packer_new(struct node *node)
{
	struct packer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->node = node;
	lock_init(&p->lock);
	lock_condition_init(&p->changed);
	return p;
}

int packer_start(struct packer *p)
{
	struct tally t;
	int r;

	if (p == NULL)
		return 0;
	r = tally(p->node, &t);
	atomic_store(&p->dirty_bytes, t.total_bytes);
	map64_done(&t.bytes);
	if (r == 0)
		r = -pthread_create(&p->thread, NULL, run, p);
	p->started = r == 0;
	if (p->started)
		pthread_setname_np(p->thread, "mfs-pack");
	return r;
}

void packer_get_figures(struct packer *p, struct packer_figures *ret)
{
	*ret = (struct packer_figures){0};
	if (p == NULL)
		return;
	lock_acquire(&p->lock);
	*ret = p->figures;
	lock_release(&p->lock);
}

void packer_stop(struct packer *p)
{
	if (p == NULL || !p->started)
		return;
	atomic_store(&p->is_stopping, true);
	lock_acquire(&p->lock);
	lock_condition_broadcast(&p->changed);
	while (p->is_packing)
		lock_condition_wait(&p->changed, &p->lock);
	lock_release(&p->lock);
	pthread_join(p->thread, NULL);
	p->started = false;
}

void packer_free(struct packer *p)
{
	if (p == NULL)
		return;
	lock_condition_done(&p->changed);
	lock_done(&p->lock);
	free(p);
}
