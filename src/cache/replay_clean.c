/*
 * replay_clean.c: an account leaves this node, before it is loaded or when that did not end.
 */
#include <config.h>
#include "cache/replay_private.h"

#include <errno.h>
#include <string.h>
#include "cache/body_evictor.h"
#include "cache/body_uploader.h"
#include "cache/inode_remove.h"
#include "cache/node_private.h"
#include "cache/record.h"
#include "cache/replay.h"
#include "cache/transaction.h"
#include "util/codec.h"
#include "util/failpoint.h"

/* Records of objects that are taken away at a time. */
#define OBJECTS_IN_A_BATCH 1024

/* Puts under way have time limits of their own. */
#define FOR_EVER_MS (UINT64_MAX / 2)

typedef int visit_fn(struct node *node, uint32_t account, const struct store_iterator *it);

/* All records of the range, as they were when it began. */
static int for_each(struct node *node, uint32_t account, const struct key *from,
	const struct key *to, visit_fn *visit)
{
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, from, to);
	int r = it == NULL ? -ENOMEM : 0;

	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it))
		r = visit(node, account, it);
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	return r;
}

static struct key key_of(const struct store_iterator *it)
{
	struct key key;
	const uint8_t *bytes = store_iterator_key(it, &key.size_bytes);

	memcpy(key.bytes, bytes, key.size_bytes);
	return key;
}

static uint64_t number_behind_type(const struct store_iterator *it)
{
	size_t key_bytes, tail_bytes = 0;
	const uint8_t *key = store_iterator_key(it, &key_bytes);
	const uint8_t *tail = key_node_tail(key, key_bytes, &tail_bytes);
	struct decoder d = decoder_over(tail, tail == NULL ? 0 : tail_bytes);

	return decode_u64(&d);
}

/* ---- on a node that runs */

static int forget_place(struct node *node, uint32_t account, const struct store_iterator *it)
{
	uint64_t ino = number_behind_type(it);
	struct inode_lock_set locks;
	struct transaction t;
	int r;

	(void)account;
	inode_locks_write(node->locks, &ino, 1, &locks);
	r = transaction_begin(node, &t);
	if (r == 0) {
		r = body_evictor_forget(&t, ino);
		if (r == 0)
			r = transaction_commit(&t);
		else
			transaction_abort(&t);
	}
	inode_locks_release(&locks);
	return r;
}

static int forget_inode(struct node *node, uint32_t account, const struct store_iterator *it)
{
	uint64_t ino = key_ino_compose(account, number_behind_type(it));
	struct inode_lock_set locks;

	inode_locks_write(node->locks, &ino, 1, &locks);
	inode_cache_remove(node->inodes, ino);
	inode_locks_release(&locks);
	return 0;
}

int replay_clean_local(struct node *node, uint32_t account)
{
	struct key from = key_node_ino(KEY_NODE_LOCAL, key_ino_compose(account, 0));
	struct key to = key_node_end_of_account(KEY_NODE_LOCAL, account);
	int r = body_uploader_drop(node->uploader, account, FOR_EVER_MS);

	if (r == 0)
		r = for_each(node, account, &from, &to, forget_place);

	from = key_type(account, KEY_INODE);
	to = key_type(account, KEY_INODE + 1);
	if (r == 0)
		r = for_each(node, account, &from, &to, forget_inode);
	account_table_forget(node->accounts, account);
	return r;
}

/* ---- records */

/* 1: there is a record in the range; 0. */
static int has_any(
	struct node *node, enum store_table table, const struct key *from, const struct key *to)
{
	struct store_iterator *it = store_iterator_new(node->store, table, from, to);
	int r = it == NULL ? -ENOMEM : store_iterator_valid(it) ? 1 : store_iterator_error(it);

	store_iterator_free(it);
	return r;
}

/* A range without records gets no removal: that would slow down every read of it for long. */
static int clean_range(struct node *node, struct store_batch *batch, enum store_table table,
	const struct key *from, const struct key *to)
{
	int r = has_any(node, table, from, to);

	if (r <= 0)
		return r;
	store_batch_mark_copy(batch); /* the backend has it all: log_scan.h */
	store_batch_delete_range(batch, table, from, to);
	return 0;
}

static int clean_queue(
	struct node *node, struct store_batch *batch, enum key_type type, uint32_t account)
{
	struct key from = key_node_ino(type, key_ino_compose(account, 0));
	struct key to = key_node_end_of_account(type, account);

	return clean_range(node, batch, STORE_META, &from, &to);
}

int replay_clean_records(struct node *node, struct store_batch *batch, uint32_t account)
{
	static const enum key_type queues[] = {KEY_NODE_ORPHAN, KEY_NODE_TORN, KEY_NODE_UPLOAD};
	struct key from = key_account_begin(account), to = key_account_end(account);
	int r = clean_range(node, batch, STORE_META, &from, &to);

	if (r == 0)
		r = clean_range(node, batch, STORE_DATA, &from, &to);
	for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]) && r == 0; i++)
		r = clean_queue(node, batch, queues[i], account);
	return r;
}

int replay_clean_all(struct node *node, uint32_t account)
{
	struct key marker = key_node_account(KEY_NODE_REPLAY, account);
	struct store_batch *batch = store_batch_new(node->store);
	int r;

	if (batch == NULL)
		return -ENOMEM;
	r = replay_clean_records(node, batch, account);
	store_batch_delete(batch, STORE_META, &marker);
	if (r == 0)
		r = store_write(node->store, batch);
	store_batch_free(batch);
	return r;
}

/* ---- objects */

static bool is_of_account(const struct store_iterator *it, uint32_t account)
{
	size_t value_bytes;
	const uint8_t *value = store_iterator_value(it, &value_bytes);
	struct object_record object;

	/* A damaged one stays, and its object with it; and one of which the journal has it that
	 * nothing refers to it. */
	return record_decode_object(value, value_bytes, &object) == 0 &&
	       object.account == account && object.state == OBJECT_WAITS;
}

/* Writes what was gathered; *batch is a new one. */
static int write_batch(struct node *node, struct store_batch **batch)
{
	int r = store_write(node->store, *batch);

	store_batch_free(*batch);
	*batch = store_batch_new(node->store);
	return r == 0 && *batch == NULL ? -ENOMEM : r;
}

static int forget_objects(struct node *node, uint32_t account, enum key_type type)
{
	struct key from = key_node(type), to = key_node_end(type), key;
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &from, &to);
	struct store_batch *batch = store_batch_new(node->store);
	int r = it == NULL || batch == NULL ? -ENOMEM : 0;
	unsigned int n = 0;

	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it)) {
		if (!is_of_account(it, account))
			continue;
		key = key_of(it);
		store_batch_delete(batch, STORE_META, &key);
		if (++n % OBJECTS_IN_A_BATCH == 0)
			r = write_batch(node, &batch);
	}
	if (r == 0)
		r = store_iterator_error(it);
	if (r == 0 && n > 0)
		r = store_write(node->store, batch);
	store_batch_free(batch);
	store_iterator_free(it);
	return r;
}

int replay_clean_objects(struct node *node, uint32_t account)
{
	int r = forget_objects(node, account, KEY_NODE_GARBAGE);

	return r == 0 ? forget_objects(node, account, KEY_NODE_PENDING) : r;
}

/* ---- an account becomes absent, or stays */

int replay_clean_has_records(struct node *node, uint32_t account)
{
	struct key from = key_account_begin(account), to = key_account_end(account);

	return has_any(node, STORE_META, &from, &to);
}

/* From this batch on it is absent, and what is left of it is cleaned by whoever finds the marker.
 */
static int note_absent(struct node *node, uint32_t account)
{
	struct key absent = key_node_account(KEY_NODE_ABSENT, account);
	struct key marker = key_node_account(KEY_NODE_REPLAY, account);
	struct store_batch *batch = store_batch_new(node->store);
	int r = batch == NULL ? -ENOMEM : 0;

	if (r == 0) {
		store_batch_put(batch, STORE_META, &absent, "", 0);
		store_batch_put(batch, STORE_META, &marker, "", 0);
		r = store_write(node->store, batch);
	}
	store_batch_free(batch);
	return r;
}

int replay_clean_expect(struct node *node, uint32_t account, bool *ret_is_absent)
{
	int r = body_uploader_drop(node->uploader, account, FOR_EVER_MS);

	failpoint("adoption.expect");
	if (r == 0)
		r = note_absent(node, account);
	*ret_is_absent = r == 0;
	failpoint("adoption.noted");
	if (r == 0)
		r = replay_clean_local(node, account);
	if (r == 0)
		r = replay_clean_objects(node, account);
	failpoint("adoption.cleaned");
	if (r == 0)
		r = replay_clean_all(node, account);
	failpoint("adoption.dropped");
	return r;
}

static int enqueue_upload(struct node *node, uint32_t account, const struct store_iterator *it)
{
	(void)account;
	body_uploader_enqueue(node->uploader, number_behind_type(it), false);
	return 0;
}

int replay_clean_resume(struct node *node, uint32_t account)
{
	struct key from = key_node_ino(KEY_NODE_UPLOAD, key_ino_compose(account, 0));
	struct key to = key_node_end_of_account(KEY_NODE_UPLOAD, account);

	return for_each(node, account, &from, &to, enqueue_upload);
}

static int end_orphan(struct node *node, uint32_t account, const struct store_iterator *it)
{
	(void)account;
	return inode_remove(node, number_behind_type(it));
}

int replay_end_orphans(struct node *node, uint32_t account)
{
	struct key from = key_node_ino(KEY_NODE_ORPHAN, key_ino_compose(account, 0));
	struct key to = key_node_end_of_account(KEY_NODE_ORPHAN, account);

	return for_each(node, account, &from, &to, end_orphan);
}

/* ---- after a crash; the threads do not run yet, nothing is in memory */

static int remove_place(struct node *node, uint32_t account, const struct store_iterator *it)
{
	struct store_batch *batch = store_batch_new(node->store);
	size_t value_bytes;
	const uint8_t *value = store_iterator_value(it, &value_bytes);
	struct key place = key_of(it), used;
	struct local_body local;
	int r = batch == NULL ? -ENOMEM : record_decode_local(value, value_bytes, &local);

	(void)account;
	if (r == 0) {
		used = key_node_lru(local.used_ms, number_behind_type(it));
		store_batch_delete(batch, STORE_META, &place);
		store_batch_delete(batch, STORE_META, &used);
		r = store_write(node->store, batch);
	}
	store_batch_free(batch);
	return r;
}

static int recover_account(struct node *node, uint32_t unused, const struct store_iterator *it)
{
	size_t key_bytes, tail_bytes = 0;
	const uint8_t *bytes = store_iterator_key(it, &key_bytes);
	const uint8_t *tail = key_node_tail(bytes, key_bytes, &tail_bytes);
	struct decoder d = decoder_over(tail, tail == NULL ? 0 : tail_bytes);
	uint32_t account = decode_u32(&d);
	struct key from = key_node_ino(KEY_NODE_LOCAL, key_ino_compose(account, 0));
	struct key to = key_node_end_of_account(KEY_NODE_LOCAL, account);
	int r = decoder_ok(&d) && account <= KEY_ACCOUNT_MAX ? 0 : -EBADMSG;

	(void)unused;
	if (r == 0)
		r = for_each(node, account, &from, &to, remove_place);
	/* Not only when it is loaded: until then, what waits for the journal may get its time. */
	if (r == 0)
		r = replay_clean_objects(node, account);
	return r == 0 ? replay_clean_all(node, account) : r;
}

int replay_recover(struct node *node)
{
	struct key from = key_node(KEY_NODE_REPLAY), to = key_node_end(KEY_NODE_REPLAY);

	return for_each(node, 0, &from, &to, recover_account);
}
