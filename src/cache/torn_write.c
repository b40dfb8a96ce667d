#include <config.h>
#include "cache/torn_write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cache/file_data.h"
#include "cache/node_private.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/list.h"
#include "util/lock.h"
#include "util/log.h"

#define PAGE_BYTES 4096

struct expected {
	struct list_node node;
	uint64_t ino;
	pid_t thread;
	uint64_t due_ms;
};

/* Which notes are to go. */
struct which {
	enum { WHICH_DUE, WHICH_ACCOUNT, WHICH_THREAD } by;
	uint32_t account;
	pid_t thread;
	uint64_t but_ino; /* with WHICH_THREAD */
};

struct torn_writes {
	struct node *node;
	uint64_t settle_ms;
	pthread_t thread;
	bool started;
	struct lock settling; /* held while notes are deleted; before `lock` and inode locks */
	struct lock lock;
	struct lock_condition wake;
	struct list_node expected;    /* by due time; protected by lock */
	bool stopping;                /* protected by lock */
	_Atomic unsigned int count;   /* of notes whose deletion is not accepted yet */
	_Atomic uint64_t settled_lsn; /* covers all deletions so far */
};

struct torn_writes *torn_writes_new(struct node *node, uint64_t settle_ms)
{
	struct torn_writes *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->node = node;
	w->settle_ms = settle_ms > 0 ? settle_ms : TORN_WRITE_SETTLE_MS;
	lock_init(&w->settling);
	lock_init(&w->lock);
	lock_condition_init(&w->wake);
	list_init(&w->expected);
	return w;
}

bool torn_write_is_likely(uint64_t old_size_bytes, uint64_t new_size_bytes)
{
	return old_size_bytes % PAGE_BYTES != 0 && new_size_bytes % PAGE_BYTES == 0;
}

void torn_write_note(struct transaction *t, uint64_t ino, uint64_t old_size_bytes)
{
	uint8_t data[RECORD_SMALL_BYTES];
	struct key key = key_node_ino(KEY_NODE_TORN, ino);

	transaction_put(t, STORE_META, &key, data, record_encode_torn_size(old_size_bytes, data));
}

void torn_write_forget(struct transaction *t, uint64_t ino)
{
	struct key key = key_node_ino(KEY_NODE_TORN, ino);

	transaction_delete(t, STORE_META, &key);
}

/* The inode is put again: a sync of it must cover the end of its note, too. */
static int settle_locked(struct node *node, uint64_t ino)
{
	struct transaction t;
	struct inode inode;
	int r = node_load_inode(node, ino, &inode);

	if (r < 0 && r != -ENOENT)
		return r;
	if (transaction_begin(node, &t) < 0)
		return -ENOMEM;
	torn_write_forget(&t, ino);
	if (r == 0)
		transaction_put_inode(&t, &inode);
	return transaction_commit(&t);
}

static int settle_one(struct node *node, uint64_t ino)
{
	struct inode_lock_set locks;
	int r;

	inode_locks_write(node->locks, &ino, 1, &locks);
	r = settle_locked(node, ino);
	inode_locks_release(&locks);
	return r;
}

void torn_writes_expect(struct torn_writes *w, uint64_t ino, pid_t thread)
{
	struct expected *e = calloc(1, sizeof(*e));

	if (e == NULL) {
		(void)settle_one(w->node, ino); /* at once, since there is no memory to wait */
		return;
	}
	*e = (struct expected){
		.ino = ino,
		.thread = thread,
		.due_ms = clock_monotonic_ms() + w->settle_ms,
	};
	lock_acquire(&w->lock);
	list_append(&w->expected, &e->node);
	atomic_fetch_add(&w->count, 1);
	lock_condition_signal(&w->wake);
	lock_release(&w->lock);
}

static bool matches_locked(const struct torn_writes *w, const struct expected *e,
	const struct which *which) REQUIRES(w->lock)
{
	switch (which->by) {
	case WHICH_ACCOUNT:
		return key_ino_account(e->ino) == which->account;
	case WHICH_THREAD:
		return e->thread == which->thread && e->ino != which->but_ino;
	case WHICH_DUE:
		break;
	}
	return w->stopping || e->due_ms <= clock_monotonic_ms();
}

/* Moves those that match to `to`. */
static void take_locked(struct torn_writes *w, const struct which *which, struct list_node *to)
	REQUIRES(w->lock)
{
	struct list_node *node = w->expected.next, *next;

	for (; node != &w->expected; node = next) {
		struct expected *e = LIST_ENTRY(node, struct expected, node);

		next = node->next;
		if (!matches_locked(w, e, which))
			continue;
		list_remove(node);
		list_append(to, node);
	}
}

static void settle_taken(struct torn_writes *w, struct list_node *taken) REQUIRES(w->settling)
{
	struct list_node *node;

	while ((node = list_take_first(taken)) != NULL) {
		struct expected *e = LIST_ENTRY(node, struct expected, node);

		if (settle_one(w->node, e->ino) < 0)
			log_error("a note of an append could not be removed");
		/* In this order: who sees the count without it sees the LSN with it. */
		atomic_store(&w->settled_lsn, commit_last_lsn(w->node->commit));
		atomic_fetch_sub(&w->count, 1);
		free(e);
	}
}

static void settle(struct torn_writes *w, const struct which *which)
{
	struct list_node taken;

	list_init(&taken);
	lock_acquire(&w->settling);
	lock_acquire(&w->lock);
	take_locked(w, which, &taken);
	lock_release(&w->lock);
	settle_taken(w, &taken);
	lock_release(&w->settling);
}

uint64_t torn_writes_settle(struct torn_writes *w, uint32_t account)
{
	struct which which = {.by = WHICH_ACCOUNT, .account = account};

	if (atomic_load(&w->count) > 0)
		settle(w, &which);
	return atomic_load(&w->settled_lsn);
}

void torn_writes_returned(struct torn_writes *w, pid_t thread, uint64_t written_ino)
{
	struct which which = {.by = WHICH_THREAD, .thread = thread, .but_ino = written_ino};

	if (thread != 0 && atomic_load(&w->count) > 0)
		settle(w, &which);
}

/* Waits until a note is due. False: time to end, and none is left. */
static bool wait_for_due(struct torn_writes *w)
{
	uint64_t due_ms;
	bool any;

	lock_acquire(&w->lock);
	while (!w->stopping && list_is_empty(&w->expected))
		lock_condition_wait(&w->wake, &w->lock);
	any = !list_is_empty(&w->expected);
	if (any && !w->stopping) {
		due_ms = LIST_ENTRY(w->expected.next, struct expected, node)->due_ms;
		while (!w->stopping && clock_monotonic_ms() < due_ms)
			(void)lock_condition_wait_until(&w->wake, &w->lock, due_ms);
	}
	lock_release(&w->lock);
	return any;
}

static void *run(void *arg)
{
	struct torn_writes *w = arg;
	struct which due = {.by = WHICH_DUE};

	while (wait_for_due(w))
		settle(w, &due);
	return NULL;
}

int torn_writes_start(struct torn_writes *w)
{
	int r = -pthread_create(&w->thread, NULL, run, w);

	w->started = r == 0;
	if (w->started)
		pthread_setname_np(w->thread, "mfs-torn");
	return r;
}

static int cut_off(struct node *node, uint64_t ino, uint64_t size_bytes)
{
	struct transaction t;
	struct inode inode;
	int r = node_load_inode(node, ino, &inode);

	if (r < 0 && r != -ENOENT)
		return r;
	if (transaction_begin(node, &t) < 0)
		return -ENOMEM;
	torn_write_forget(&t, ino);
	if (r == 0 && inode.size_bytes > size_bytes) {
		log_debug("the last append to inode %" PRIu64 " is not whole: %" PRIu64
			  " bytes become %" PRIu64,
			ino, inode.size_bytes, size_bytes);
		r = file_data_resize(&t, &inode, size_bytes);
		transaction_put_inode(&t, &inode);
	}
	if (r == 0 || r == -ENOENT)
		return transaction_commit(&t);
	transaction_abort(&t);
	return r;
}

static int recover_at(struct node *node, const struct store_iterator *it)
{
	size_t key_bytes, value_bytes, tail_bytes = 0;
	const uint8_t *key = store_iterator_key(it, &key_bytes);
	const uint8_t *tail = key_node_tail(key, key_bytes, &tail_bytes);
	const uint8_t *value = store_iterator_value(it, &value_bytes);
	struct decoder d = decoder_over(tail, tail_bytes);
	uint64_t ino = decode_u64(&d), size_bytes = 0;
	struct inode_lock_set locks;
	int r = record_decode_torn_size(value, value_bytes, &size_bytes);

	if (r < 0 || !decoder_ok(&d))
		return -EBADMSG;
	inode_locks_write(node->locks, &ino, 1, &locks);
	r = cut_off(node, ino, size_bytes);
	inode_locks_release(&locks);
	return r;
}

int torn_writes_recover(struct node *node)
{
	struct key from = key_node(KEY_NODE_TORN), to = key_node_end(KEY_NODE_TORN);
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &from, &to);
	int r = it == NULL ? -ENOMEM : 0;

	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it))
		r = recover_at(node, it);
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	return r;
}

void torn_writes_stop(struct torn_writes *w)
{
	if (w == NULL || !w->started)
		return;
	lock_acquire(&w->lock);
	w->stopping = true;
	lock_condition_signal(&w->wake);
	lock_release(&w->lock);
	pthread_join(w->thread, NULL);
	w->started = false;
}

void torn_writes_free(struct torn_writes *w)
{
	struct list_node *node;

	if (w == NULL)
		return;
	while ((node = list_take_first(&w->expected)) != NULL)
		free(LIST_ENTRY(node, struct expected, node));
	lock_condition_done(&w->wake);
	lock_done(&w->lock);
	lock_done(&w->settling);
	free(w);
}
