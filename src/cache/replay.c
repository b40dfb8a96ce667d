#include <config.h>
#include "cache/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/account_check.h"
#include "cache/body_map.h"
#include "cache/body_uploader.h"
#include "cache/inode_remove.h"
#include "cache/node_private.h"
#include "cache/object_reaper.h"
#include "cache/record.h"
#include "cache/replay_private.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/failpoint.h"

/* What a record takes in a batch besides its bytes, about. */
#define RECORD_OVERHEAD_BYTES 16

struct replay {
	struct node *node;
	uint32_t account;
	struct store_batch *batch;
	uint64_t batch_bytes;
	unsigned int n_steps;

	/* Of the step: how far its order has come. */
	bool has_single, has_block;
	struct key last_meta;

	/* The inode whose extents come now, and those that it had before the step. */
	uint64_t extents_ino; /* 0: none */
	uint8_t block_shift;
	struct extent_list extents;

	uint64_t highest_local;   /* in any key */
	uint32_t highest_account; /* of the root account: that any name leads to */
	struct account_record numbers;
};

/* ---- batches */

static int flush(struct replay *r)
{
	int result = 0;

	if (r->batch != NULL && r->batch_bytes > 0) {
		result = store_check_space(r->node->store);
		if (result == 0)
			result = store_write(r->node->store, r->batch);
	}
	r->batch_bytes = 0;
	if (r->batch != NULL)
		store_batch_clear(r->batch);
	else
		r->batch = store_batch_new(r->node->store);
	return result == 0 && r->batch == NULL ? -ENOMEM : result;
}

/* Makes room for a record of that size, and counts it. */
static int make_room(struct replay *r, size_t size_bytes)
{
	uint64_t needed = (uint64_t)size_bytes + RECORD_OVERHEAD_BYTES;
	int result = 0;

	if (r->batch_bytes > 0 && r->batch_bytes + needed > REPLAY_BATCH_BYTES)
		result = flush(r);
	r->batch_bytes += needed;
	return result;
}

static int put_raw(struct replay *r, enum store_table table, const struct key *key,
	const void *value, size_t value_bytes)
{
	int result = make_room(r, key->size_bytes + value_bytes);

	if (result < 0)
		return result;
	store_batch_mark_copy(r->batch); /* no change: log_scan.h */
	store_batch_put(r->batch, table, key, value, value_bytes);
	return result;
}

static int delete_raw(struct replay *r, enum store_table table, const struct key *key)
{
	int result = make_room(r, key->size_bytes);

	if (result < 0)
		return result;
	store_batch_mark_copy(r->batch);
	store_batch_delete(r->batch, table, key);
	return result;
}

/* ---- begin and end */

static void release(struct replay *r)
{
	extent_list_done(&r->extents);
	store_batch_free(r->batch);
	free(r);
}

/* The marker and the removal of all records are one batch. */
static int put_marker(struct replay *r)
{
	struct key marker = key_node_account(KEY_NODE_REPLAY, r->account);
	int result = put_raw(r, STORE_META, &marker, "", 0);

	if (result == 0)
		result = replay_clean_records(r->node, r->batch, r->account);
	return result == 0 ? flush(r) : result;
}

int replay_begin(struct node *node, uint32_t account, struct replay **ret)
{
	struct replay *r = calloc(1, sizeof(*r));
	int result;

	if (r == NULL)
		return -ENOMEM;
	r->node = node;
	r->account = account;
	result = account > KEY_ACCOUNT_MAX ? -EINVAL : replay_clean_local(node, account);
	if (result == 0)
		result = flush(r);
	if (result == 0)
		result = put_marker(r);
	if (result == 0)
		result = replay_clean_objects(node, account);
	if (result < 0) {
		release(r);
		return result;
	}
	*ret = r;
	return 0;
}

void replay_abort(struct replay *r)
{
	if (r == NULL)
		return;
	/* If that fails, the marker stays. */
	(void)replay_clean_all(r->node, r->account);
	release(r);
}

int replay_is_running(struct node *node, uint32_t account)
{
	struct key marker = key_node_account(KEY_NODE_REPLAY, account);
	struct store_value value;
	int result = store_get(node->store, STORE_META, &marker, &value);

	if (result == 0)
		store_value_done(&value);
	return result == 0 ? 1 : result == -ENOENT ? 0 : result;
}

/* ---- keys */

/* The inode's number within the account; 0: it is no key of an inode's record. */
static uint64_t local_of(enum store_table table, const struct key *key)
{
	struct decoder d = decoder_over(key->bytes, key->size_bytes);
	uint64_t local;
	uint8_t type;

	(void)decode_u32(&d);
	type = decode_u8(&d);
	local = decode_u64(&d);
	if (!decoder_ok(&d) || local > KEY_INO_LOCAL_MAX)
		return 0;
	if (table == STORE_DATA)
		return type == KEY_DATA && decoder_left_bytes(&d) == 8 ? local : 0;
	return memchr("CEINSX", type, 6) != NULL ? local : 0;
}

static uint8_t type_of(const struct key *key)
{
	return key->bytes[4];
}

static int make_key(struct replay *r, const void *bytes, size_t size_bytes, struct key *ret)
{
	struct encoder e = encoder_over(ret->bytes, sizeof(ret->bytes));

	encode_u32(&e, r->account);
	encode_bytes(&e, bytes, size_bytes);
	if (!encoder_ok(&e) || size_bytes == 0)
		return -EBADMSG;
	ret->size_bytes = e.size_bytes;
	return 0;
}

static int compare(const struct key *a, const struct key *b)
{
	size_t common = a->size_bytes < b->size_bytes ? a->size_bytes : b->size_bytes;
	int order = memcmp(a->bytes, b->bytes, common);

	if (order != 0)
		return order;
	return a->size_bytes < b->size_bytes ? -1 : a->size_bytes > b->size_bytes;
}

/* The rules of what is newer need the order (replay.h). */
static int check_order(struct replay *r, enum store_table table, const struct key *key)
{
	if (r->n_steps == 0 || (table == STORE_META && r->has_block))
		return -EBADMSG;
	if (table == STORE_META && r->last_meta.size_bytes > 0 && compare(&r->last_meta, key) >= 0)
		return -EBADMSG;
	r->has_single = true;
	r->has_block = table == STORE_DATA;
	if (table == STORE_META)
		r->last_meta = *key;
	return 0;
}

/* ---- extents and the blocks before them */

static int load_shift(struct replay *r, uint64_t ino, uint8_t *ret)
{
	struct key key = key_inode(ino);
	struct store_value value;
	struct inode inode;
	int result = store_get(r->node->store, STORE_META, &key, &value);

	if (result < 0)
		return result;
	result = record_decode_inode(ino, value.data, value.size_bytes, &inode);
	store_value_done(&value);
	if (result == 0)
		*ret = inode.block_shift;
	return result;
}

/* What the inode had before the step. Its extents follow each other, and the batches of earlier
 * steps are written: so the store still has that when the first one comes. */
static int enter_extents(struct replay *r, uint64_t ino)
{
	int result;

	if (r->extents_ino == ino)
		return 0;
	extent_list_done(&r->extents);
	r->extents_ino = ino;
	r->block_shift = 0;
	result = load_shift(r, ino, &r->block_shift);
	if (result < 0)
		return result == -ENOENT ? 0 : result; /* new: there are no blocks */
	return body_map_load_extents(r->node, ino, 0, BODY_MAP_TO_THE_END, &r->extents);
}

/* Blocks that begin in [from, end) may be older than what an object has now. */
static int drop_blocks(struct replay *r, uint64_t from_bytes, uint64_t end_bytes)
{
	uint64_t before = (UINT64_C(1) << r->block_shift) - 1;
	struct key from = key_data(r->extents_ino, (from_bytes + before) >> r->block_shift);
	struct key to = key_data(r->extents_ino, (end_bytes + before) >> r->block_shift);
	struct store_iterator *it = store_iterator_new(r->node->store, STORE_DATA, &from, &to);
	int result = it == NULL ? -ENOMEM : 0;

	for (; result == 0 && store_iterator_valid(it); store_iterator_next(it)) {
		struct key key;
		const uint8_t *bytes = store_iterator_key(it, &key.size_bytes);

		memcpy(key.bytes, bytes, key.size_bytes);
		result = delete_raw(r, STORE_DATA, &key);
	}
	if (result == 0)
		result = store_iterator_error(it);
	store_iterator_free(it);
	return result;
}

/* Whether both say the same of the bytes that both have. */
static bool is_same_object(const struct extent *a, const struct extent *b)
{
	return record_same_content(a, b) &&
	       a->offset_bytes - a->object_offset_bytes == b->offset_bytes - b->object_offset_bytes;
}

/* Where the extent leads elsewhere than the ones before. */
static int supersede(struct replay *r, const struct extent *x)
{
	uint64_t at = x->offset_bytes, end = x->offset_bytes + x->size_bytes;
	int result = 0;

	if (r->block_shift == 0)
		return 0;
	for (size_t i = 0; i < r->extents.n && result == 0; i++) {
		const struct extent *old = &r->extents.extents[i];
		uint64_t old_end = old->offset_bytes + old->size_bytes;

		if (old_end <= at || old->offset_bytes >= end || !is_same_object(old, x))
			continue;
		if (old->offset_bytes > at)
			result = drop_blocks(r, at, old->offset_bytes);
		at = old_end < end ? old_end : end;
	}
	return result == 0 && at < end ? drop_blocks(r, at, end) : result;
}

/* ---- records */

int replay_step(struct replay *r)
{
	r->n_steps++;
	r->has_single = r->has_block = false;
	r->last_meta.size_bytes = 0;
	r->extents_ino = 0;
	return flush(r);
}

static int take_numbers(struct replay *r, const void *value, size_t value_bytes)
{
	struct account_record a;

	if (record_decode_account(value, value_bytes, &a) < 0)
		return -EBADMSG;
	if (a.next_local > r->numbers.next_local)
		r->numbers.next_local = a.next_local;
	if (a.next_account > r->numbers.next_account)
		r->numbers.next_account = a.next_account;
	return 0;
}

static int take_extent(
	struct replay *r, const struct key *key, uint64_t local, const void *value, size_t bytes)
{
	uint64_t offset = key_tail_number(key->bytes, key->size_bytes);
	struct extent x;
	int result = record_decode_extent(offset, value, bytes, &x);

	if (result < 0)
		return result;
	if (r->n_steps > 1)
		result = enter_extents(r, key_ino_compose(r->account, local));
	return result == 0 && r->n_steps > 1 ? supersede(r, &x) : result;
}

static int take_name(struct replay *r, const void *value, size_t value_bytes)
{
	struct entry entry;
	int result = record_decode_entry(value, value_bytes, &entry);

	if (result == 0 && key_ino_account(entry.ino) > r->highest_account)
		r->highest_account = key_ino_account(entry.ino);
	return result;
}

/* The key of a pack's record, which belongs to no inode. */
static bool is_pack(enum store_table table, const struct key *key)
{
	struct uuid pack;

	return table == STORE_META && key_pack_uuid(key->bytes, key->size_bytes, &pack);
}

static int take_pack(struct replay *r, const struct key *key, const void *value, size_t value_bytes)
{
	struct pack_record record;
	int result = record_decode_pack(value, value_bytes, &record);

	return result == 0 ? put_raw(r, STORE_META, key, value, value_bytes) : result;
}

int replay_put(struct replay *r, enum store_table table, const void *key_bytes, size_t key_size,
	const void *value, size_t value_bytes)
{
	struct key key;
	int result = make_key(r, key_bytes, key_size, &key);
	uint64_t local;

	if (result == 0)
		result = check_order(r, table, &key);
	if (result < 0)
		return result;
	if (table == STORE_META && type_of(&key) == KEY_ACCOUNT)
		return take_numbers(r, value, value_bytes);
	if (is_pack(table, &key))
		return take_pack(r, &key, value, value_bytes);
	local = local_of(table, &key);
	if (local == 0)
		return -EBADMSG;
	if (local > r->highest_local)
		r->highest_local = local;
	if (table == STORE_META && type_of(&key) == KEY_EXTENT)
		result = take_extent(r, &key, local, value, value_bytes);
	if (table == STORE_META && type_of(&key) == KEY_NAME)
		result = take_name(r, value, value_bytes);
	return result == 0 ? put_raw(r, table, &key, value, value_bytes) : result;
}

int replay_remove(struct replay *r, enum store_table table, const void *key_bytes, size_t key_size)
{
	struct key key;
	int result = make_key(r, key_bytes, key_size, &key);
	uint64_t local;

	if (result == 0)
		result = check_order(r, table, &key);
	if (result < 0)
		return result;
	if (table == STORE_META && type_of(&key) == KEY_ACCOUNT)
		return 0; /* numbers are never forgotten */
	if (is_pack(table, &key))
		return delete_raw(r, table, &key);
	local = local_of(table, &key);
	if (local == 0)
		return -EBADMSG;
	if (local > r->highest_local)
		r->highest_local = local;
	if (table == STORE_META && type_of(&key) == KEY_EXTENT && r->n_steps > 1)
		result = enter_extents(r, key_ino_compose(r->account, local));
	return result == 0 ? delete_raw(r, table, &key) : result;
}

int replay_remove_range(struct replay *r, enum store_table table, const void *key, size_t key_bytes,
	const void *to_bytes, size_t to_size)
{
	struct key from, to;
	int result = make_key(r, key, key_bytes, &from);

	if (result == 0)
		result = make_key(r, to_bytes, to_size, &to);
	if (result == 0 && (r->n_steps == 0 || r->has_single || compare(&from, &to) >= 0))
		result = -EBADMSG;
	if (result == 0)
		result = make_room(r, from.size_bytes + to.size_bytes);
	if (result < 0)
		return result;
	store_batch_mark_copy(r->batch);
	store_batch_delete_range(r->batch, table, &from, &to);
	return result;
}

/* ---- what is node-local */

static int visit(void *arg, const struct inode *inode, const struct upload *local)
{
	struct replay *r = arg;
	uint8_t data[RECORD_UPLOAD_BYTES];
	struct upload upload = *local;
	struct key key;
	int result = 0;

	if (inode->nlink == 0) {
		key = key_node_ino(KEY_NODE_ORPHAN, inode->ino);
		result = put_raw(r, STORE_META, &key, "", 0);
	}
	if (result == 0 && upload.n_dirty > 0) {
		upload.since_ms = clock_realtime_ms();
		key = key_node_ino(KEY_NODE_UPLOAD, inode->ino);
		result = put_raw(r, STORE_META, &key, data, record_encode_upload(&upload, data));
	}
	return result;
}

static int put_numbers(struct replay *r, uint32_t next_account)
{
	struct account_record *a = &r->numbers;
	struct key key = key_account(r->account);
	uint8_t data[RECORD_ACCOUNT_BYTES];

	if (r->highest_local == 0)
		return 0; /* there is nothing */
	if (a->next_local <= r->highest_local)
		a->next_local = r->highest_local + 1;
	a->next_local += REPLAY_SPARE_LOCALS;
	if (a->next_account < next_account)
		a->next_account = next_account;
	if (a->next_account <= r->highest_account)
		a->next_account = r->highest_account + 1;
	return put_raw(r, STORE_META, &key, data, record_encode_account(a, data));
}

/* The last batch takes the marker away, and the note that the account is not here: from then on it
 * is. */
static int open_account(struct replay *r, uint32_t next_account)
{
	struct key marker = key_node_account(KEY_NODE_REPLAY, r->account);
	struct key absent = key_node_account(KEY_NODE_ABSENT, r->account);
	int result = put_numbers(r, next_account);

	/* Together with the marker: room for both, or the first would be written alone. */
	if (result == 0)
		result = make_room(r, marker.size_bytes + absent.size_bytes);
	if (result < 0)
		return result;
	store_batch_delete(r->batch, STORE_META, &absent);
	store_batch_delete(r->batch, STORE_META, &marker);
	failpoint("replay.finish");
	result = flush(r);
	failpoint("replay.finished");
	return result;
}

int replay_finish(struct replay *r, uint32_t next_account, char **ret_message)
{
	struct node *node = r->node;
	uint32_t account = r->account;
	int result = flush(r);

	*ret_message = NULL;
	if (result == 0)
		result = account_check(node, account, visit, r, ret_message);
	if (result == 0)
		result = open_account(r, next_account);
	if (result < 0) {
		replay_abort(r);
		return result;
	}
	release(r);
	account_table_forget(node->accounts, account);
	/* The account is here, whatever becomes of this; the next start finds what is queued. */
	(void)replay_clean_resume(node, account);
	return 0;
}
