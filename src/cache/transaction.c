#include <config.h>
#include "cache/transaction.h"

#include <assert.h>
#include <errno.h>
#include "cache/backlog.h"
#include "cache/body_evictor.h"
#include "cache/body_uploader.h"
#include "cache/node_private.h"
#include "cache/object_reaper.h"
#include "cache/packer.h"
#include "cache/torn_write.h"

int transaction_begin(struct node *node, struct transaction *ret)
{
	*ret = (struct transaction){.node = node, .batch = store_batch_new(node->store)};
	return ret->batch == NULL ? -ENOMEM : 0;
}

void transaction_put_inode(struct transaction *t, struct inode *inode)
{
	uint8_t data[RECORD_INODE_BYTES];
	struct key key = key_inode(inode->ino);

	for (unsigned int i = 0; i < t->n_inodes; i++)
		assert(t->inodes[i]->ino != inode->ino || t->inodes[i] == inode);
	assert(t->n_inodes < TRANSACTION_MAX_INODES);
	transaction_put(t, STORE_META, &key, data, record_encode_inode(inode, data));
	if (inode->torn)
		torn_write_forget(t, inode->ino);
	inode->torn = false;
	t->inodes[t->n_inodes++] = inode;
}

void transaction_put(struct transaction *t, enum store_table table, const struct key *key,
	const void *data, size_t size_bytes)
{
	store_batch_put(t->batch, table, key, data, size_bytes);
	t->changed_bytes += key->size_bytes + size_bytes;
	if (t->node->changes != NULL)
		change_list_add(&t->changes, table, key);
}

void transaction_delete(struct transaction *t, enum store_table table, const struct key *key)
{
	store_batch_delete(t->batch, table, key);
	if (t->node->changes != NULL)
		change_list_add(&t->changes, table, key);
}

void transaction_delete_range(
	struct transaction *t, enum store_table table, const struct key *from, const struct key *to)
{
	store_batch_delete_range(t->batch, table, from, to);
	if (t->node->changes != NULL)
		change_list_add_range(&t->changes, table, from, to);
}

void transaction_put_copy(
	struct transaction *t, const struct key *key, const void *data, size_t size_bytes)
{
	store_batch_mark_copy(t->batch);
	store_batch_put(t->batch, STORE_DATA, key, data, size_bytes);
}

void transaction_delete_copy(struct transaction *t, const struct key *key)
{
	store_batch_mark_copy(t->batch);
	store_batch_delete(t->batch, STORE_DATA, key);
}

void transaction_delete_copies(struct transaction *t, const struct key *from, const struct key *to)
{
	store_batch_mark_copy(t->batch);
	store_batch_delete_range(t->batch, STORE_DATA, from, to);
}

static void put_object(struct transaction *t, enum key_type type, const struct object_record *o,
	const struct uuid *object)
{
	uint8_t data[RECORD_SMALL_BYTES];
	struct key key = key_node_uuid(type, object);

	store_batch_put(t->batch, STORE_META, &key, data, record_encode_object(o, data));
	t->has_garbage = t->has_garbage || type == KEY_NODE_GARBAGE;
}

void transaction_put_garbage(
	struct transaction *t, uint32_t account, enum object_kind kind, const struct uuid *object)
{
	struct object_record o = {.account = account, .kind = (uint8_t)kind};

	put_object(t, KEY_NODE_GARBAGE, &o, object);
}

void transaction_put_unused(
	struct transaction *t, uint32_t account, enum object_kind kind, const struct uuid *object)
{
	struct object_record o = {
		.account = account, .kind = (uint8_t)kind, .state = OBJECT_UNUSED};

	put_object(t, KEY_NODE_GARBAGE, &o, object);
}

void transaction_put_pending(
	struct transaction *t, uint32_t account, enum object_kind kind, const struct uuid *object)
{
	struct object_record o = {.account = account, .kind = (uint8_t)kind};

	put_object(t, KEY_NODE_PENDING, &o, object);
}

void transaction_note_pack(
	struct transaction *t, uint32_t account, const struct pack_change *change)
{
	pack_live_add(&t->packs, account, change);
}

static void publish(struct transaction *t)
{
	uint64_t lsn = commit_note_change(t->node->commit);

	for (unsigned int i = 0; i < t->n_inodes; i++) {
		t->inodes[i]->changed_lsn = lsn;
		inode_cache_put(t->node->inodes, t->inodes[i]);
	}
	backlog_note(t->node->backlog, t->changed_bytes);
	if (t->upload_ino != 0)
		body_uploader_enqueue(t->node->uploader, t->upload_ino, t->upload_now);
	if (t->dirtied_bytes != 0 && t->node->packer != NULL)
		packer_note_dirty(t->node->packer, t->dirtied_bytes);
	if (t->local_bytes != 0)
		body_evictor_add(t->node->evictor, t->local_bytes);
	if (t->has_garbage)
		object_reaper_wake(t->node->reaper);
}

/* The number of the change is given out before the gate opens: a cut has all changes up to its own
 * number, and no other. */
static int write_and_publish(struct transaction *t)
{
	struct change_set *changes = t->node->changes;
	int r;

	if (changes != NULL)
		change_set_enter(changes);
	r = store_batch_is_empty(t->batch) ? 0 : store_write(t->node->store, t->batch);
	if (r == 0 && changes != NULL)
		change_set_note(changes, &t->changes);
	if (r == 0)
		publish(t);
	if (changes != NULL)
		change_set_leave(changes);
	return r;
}

static int write_if_complete(struct transaction *t)
{
	return t->changes.is_incomplete ? -ENOMEM : write_and_publish(t);
}

/* What is live of a pack is read and written without anybody else between. */
static int write_with_packs(struct transaction *t)
{
	int r;

	lock_acquire(&t->node->pack_lock);
	r = pack_live_apply(t, &t->packs);
	if (r == 0)
		r = write_if_complete(t);
	lock_release(&t->node->pack_lock);
	return r;
}

int transaction_commit(struct transaction *t)
{
	int r = t->packs.n > 0 || t->packs.is_incomplete ? write_with_packs(t)
							 : write_if_complete(t);

	transaction_abort(t);
	return r;
}

void transaction_abort(struct transaction *t)
{
	store_batch_free(t->batch);
	t->batch = NULL;
	change_list_done(&t->changes);
	pack_live_done(&t->packs);
}
