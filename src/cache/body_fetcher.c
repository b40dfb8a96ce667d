#include <config.h>
#include "cache/body_fetcher.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_evictor.h"
#include "cache/body_map.h"
#include "cache/body_object.h"
#include "cache/file_blocks.h"
#include "cache/node_private.h"
#include "cache/pack.h"
#include "cache/transaction.h"
#include "util/list.h"
#include "util/lock.h"
#include "util/log.h"

struct waiter {
	struct list_node node;
	body_fetched_fn *done;
	void *arg;
};

struct fetch {
	struct list_node node;
	struct body_fetcher *fetcher;
	uint64_t ino;
	struct extent wanted;     /* whose content comes */
	struct list_node waiters; /* protected by the fetcher's lock until it ends */
};

struct body_fetcher {
	struct node *node;
	struct lock lock;
	struct lock_condition ended;
	struct list_node running;        /* of struct fetch; protected by lock */
	unsigned int n_unfinished;       /* these, and those that answer; protected by lock */
	uint64_t objects, objects_bytes; /* protected by lock */
	atomic_bool cannot_store;        /* and the log says so */
};

struct body_fetcher *body_fetcher_new(struct node *node)
{
	struct body_fetcher *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->node = node;
	lock_init(&f->lock);
	lock_condition_init(&f->ended);
	list_init(&f->running);
	return f;
}

/* Stores the blocks of one extent that are not here. */
static int fill_extent(struct transaction *t, const struct inode *inode, const struct extent *x,
	const uint8_t *content)
{
	uint64_t bytes = inode_block_bytes(inode), done = 0;

	while (done < x->size_bytes) {
		uint64_t block = (x->offset_bytes + done) >> inode->block_shift;
		size_t n = (size_t)(x->size_bytes - done < bytes ? x->size_bytes - done : bytes);
		struct key key = key_data(inode->ino, block);
		struct store_value there;
		int r = store_get(t->node->store, STORE_DATA, &key, &there);

		if (r == 0)
			store_value_done(&there);
		else if (r == -ENOENT)
			transaction_put_copy(t, &key, content + x->object_offset_bytes + done, n);
		else
			return r;
		done += n;
	}
	return 0;
}

/* An extent that claims more of the object than there is must not be believed. */
static bool lies_within(const struct extent *x, size_t object_bytes)
{
	return x->object_offset_bytes <= object_bytes &&
	       x->size_bytes <= object_bytes - x->object_offset_bytes;
}

static int fill_locked(
	struct node *node, const struct fetch *fetch, const void *content, size_t size_bytes)
{
	struct extent_list list;
	struct transaction t;
	struct inode inode;
	int r = node_load_inode(node, fetch->ino, &inode);

	if (r == 0)
		r = body_map_load_extents(node, fetch->ino, 0, BODY_MAP_TO_THE_END, &list);
	if (r < 0)
		return r;
	r = transaction_begin(node, &t);
	for (size_t i = 0; i < list.n && r == 0; i++) {
		const struct extent *x = &list.extents[i];

		if (!record_same_content(x, &fetch->wanted))
			continue;
		r = lies_within(x, size_bytes) ? fill_extent(&t, &inode, x, content) : -EBADMSG;
	}
	extent_list_done(&list);
	if (r == 0)
		r = body_evictor_note_fetched(&t, fetch->ino, size_bytes);
	if (r == 0)
		return transaction_commit(&t);
	transaction_abort(&t);
	return r;
}

static int fill(
	struct node *node, const struct fetch *fetch, const void *content, size_t size_bytes)
{
	struct inode_lock_set locks;
	int r = store_check_space(node->store);

	if (r < 0)
		return r;
	inode_locks_write(node->locks, &fetch->ino, 1, &locks);
	r = fill_locked(node, fetch, content, size_bytes);
	inode_locks_release(&locks);
	return r == -ENOENT ? 0 : r; /* deleted meanwhile: whoever asks again will see */
}

/* An object that came. */
struct content {
	void *data;
	size_t size_bytes;
};

static void log_failure(const struct fetch *fetch, int error)
{
	char id[UUID_TEXT_BYTES];

	uuid_format(&fetch->wanted.object, id);
	log_error("%s %s with the body of inode %" PRIu64 " cannot be read: %s",
		fetch->wanted.kind == OBJECT_PACK ? "pack" : "object", id, fetch->ino,
		error == -ENOENT                        ? "it is missing on the backend"
		: error == -EBADMSG || error == -ERANGE ? "it is damaged"
							: strerror(-error));
}

/* Stores it. What cannot be stored though nothing is wrong with it stays in *content. */
static int take_in(
	struct fetch *fetch, const struct backend_result *result, struct content *content)
{
	struct body_fetcher *f = fetch->fetcher;
	int r = fill(f->node, fetch, content->data, content->size_bytes);

	if (r == -EBADMSG)
		return r;
	if (r < 0 && !atomic_exchange(&f->cannot_store, true))
		log_warning("a body from the backend cannot be kept locally (%s): it is given to "
			    "its readers only",
			strerror(-r));
	if (r == 0) {
		atomic_store(&f->cannot_store, false);
		free(content->data);
		content->data = NULL;
	}
	lock_acquire(&f->lock);
	f->objects++;
	f->objects_bytes += result->data_size_bytes;
	lock_release(&f->lock);
	return r;
}

/* What a pack has of us, or a whole object. */
static int decode(const struct extent *x, const struct backend_result *result, struct content *ret)
{
	if (x->kind == OBJECT_BODY)
		return body_object_decode(result->data, result->data_size_bytes, &x->object,
			&ret->data, &ret->size_bytes);
	if (result->data_size_bytes != x->stored_bytes)
		return -EBADMSG;
	ret->size_bytes = (size_t)x->object_size_bytes;
	return pack_decode_content(result->data, result->data_size_bytes, x->encoding,
		x->object_size_bytes, x->checksum, &ret->data);
}

static int receive(
	struct fetch *fetch, const struct backend_result *result, struct content *ret_content)
{
	struct content content = {0};
	int r = result->error;

	if (r == 0)
		r = decode(&fetch->wanted, result, &content);
	if (r == 0) {
		r = take_in(fetch, result, &content);
		if (r != -EBADMSG) {
			*ret_content = content;
			return r;
		}
	}
	free(content.data);
	log_failure(fetch, r);
	return r == -ENOENT || r == -EBADMSG || r == -ERANGE ? -EIO : r;
}

static void answer(struct list_node *waiters, int error, const struct content *content)
{
	struct list_node *node;

	while ((node = list_take_first(waiters)) != NULL) {
		struct waiter *w = LIST_ENTRY(node, struct waiter, node);

		w->done(w->arg, error, content->data, content->size_bytes);
		free(w);
	}
}

static void fetch_done(struct backend_result *result, void *arg)
{
	struct fetch *fetch = arg;
	struct body_fetcher *f = fetch->fetcher;
	struct content content = {0};
	int r = receive(fetch, result, &content);
	struct list_node waiters;

	atomic_store(&f->node->backend_errors[NODE_BACKEND_GET], result->error);
	list_init(&waiters);
	lock_acquire(&f->lock);
	list_remove(&fetch->node);
	list_splice(&waiters, &fetch->waiters);
	lock_release(&f->lock);
	answer(&waiters, r, &content);
	free(content.data);
	free(fetch);
	lock_acquire(&f->lock);
	f->n_unfinished--;
	lock_condition_broadcast(&f->ended);
	lock_release(&f->lock);
}

static struct fetch *find_locked(struct body_fetcher *f, const struct extent *wanted)
	REQUIRES(f->lock)
{
	for (struct list_node *n = f->running.next; n != &f->running; n = n->next) {
		struct fetch *fetch = LIST_ENTRY(n, struct fetch, node);

		if (record_same_content(&fetch->wanted, wanted))
			return fetch;
	}
	return NULL;
}

/* A whole object is asked for without a range: some stores answer that faster. */
static void start(struct fetch *fetch)
{
	const struct extent *x = &fetch->wanted;
	char key[BACKEND_KEY_MAX_BYTES];
	struct backend_call call = {.priority = BACKEND_READER, .done = fetch_done, .arg = fetch};

	if (x->kind == OBJECT_PACK) {
		pack_key(key_ino_account(fetch->ino), &x->object, key);
		backend_get(fetch->fetcher->node->backend, key, x->stored_offset_bytes,
			x->stored_bytes, &call);
		return;
	}
	body_object_key(key_ino_account(fetch->ino), &x->object, key);
	backend_get(fetch->fetcher->node->backend, key, 0, SIZE_MAX, &call);
}

void body_fetcher_fetch(struct body_fetcher *f, uint64_t ino, const struct extent *extent,
	body_fetched_fn *done, void *arg)
{
	struct waiter *w = calloc(1, sizeof(*w));
	struct fetch *fresh = calloc(1, sizeof(*fresh)), *fetch;

	if (w == NULL || fresh == NULL) {
		free(w);
		free(fresh);
		done(arg, -ENOMEM, NULL, 0);
		return;
	}
	*w = (struct waiter){.done = done, .arg = arg};
	lock_acquire(&f->lock);
	fetch = find_locked(f, extent);
	if (fetch == NULL) {
		*fresh = (struct fetch){.fetcher = f, .ino = ino, .wanted = *extent};
		list_init(&fresh->waiters);
		list_append(&f->running, &fresh->node);
		f->n_unfinished++;
		fetch = fresh;
	}
	list_append(&fetch->waiters, &w->node);
	lock_release(&f->lock);
	if (fetch == fresh)
		start(fetch);
	else
		free(fresh);
}

void body_fetcher_get_figures(struct body_fetcher *f, struct body_fetcher_figures *ret)
{
	lock_acquire(&f->lock);
	ret->objects = f->objects;
	ret->objects_bytes = f->objects_bytes;
	lock_release(&f->lock);
}

void body_fetcher_drain(struct body_fetcher *f)
{
	if (f == NULL)
		return;
	lock_acquire(&f->lock);
	while (f->n_unfinished > 0)
		lock_condition_wait(&f->ended, &f->lock);
	lock_release(&f->lock);
}

void body_fetcher_free(struct body_fetcher *f)
{
	if (f == NULL)
		return;
	lock_condition_done(&f->ended);
	lock_done(&f->lock);
	free(f);
}
