#include <config.h>
#include "cache/cut.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_map.h"
#include "cache/node_private.h"
#include "cache/record.h"
#include "util/clock.h"
#include "util/codec.h"

/* How long a cut waits for second halves of appends; they settle in TORN_WRITE_SETTLE_MS. */
#define HALVES_TRIES 100
#define HALVES_PAUSE_MS 1

/* A snapshot with several cuts. */
struct held {
	struct store_snapshot *snapshot;
	_Atomic unsigned int n_holders;
};

struct cut {
	struct node *node;
	struct change_cut *changes; /* NULL: of another cut */
	struct held *held;
	const struct store_snapshot *snapshot; /* the one that is held */
	uint64_t lsn, store_sequence;
};

/* ---- taking it */

/* While nobody is between a change and its number. */
static void freeze(void *arg)
{
	struct cut *cut = arg;

	cut->held->snapshot = store_snapshot_new(cut->node->store);
	cut->snapshot = cut->held->snapshot;
	cut->store_sequence = store_last_sequence(cut->node->store);
	cut->lsn = commit_last_lsn(cut->node->commit);
}

static void release(struct cut *cut)
{
	if (atomic_fetch_sub(&cut->held->n_holders, 1) == 1) {
		store_snapshot_free(cut->held->snapshot);
		free(cut->held);
	}
	free(cut);
}

static int try_cut(struct node *node, struct cut **ret)
{
	struct cut *cut = calloc(1, sizeof(*cut));
	int r;

	if (cut == NULL)
		return -ENOMEM;
	cut->node = node;
	cut->held = calloc(1, sizeof(*cut->held));
	if (cut->held == NULL) {
		free(cut);
		return -ENOMEM;
	}
	cut->held->n_holders = 1;
	r = change_set_cut(node->changes, freeze, cut, &cut->changes);
	if (r == 0 && cut->snapshot == NULL) {
		change_set_give_back(node->changes, cut->changes);
		r = -ENOMEM;
	}
	if (r < 0) {
		release(cut);
		return r;
	}
	*ret = cut;
	return 0;
}

/* Appends of which perhaps only the first half has come (torn_write.h): nobody else undoes them. */
static bool has_halves(const struct cut *cut)
{
	struct key from = key_node(KEY_NODE_TORN), to = key_node_end(KEY_NODE_TORN);
	struct store_iterator *it = store_iterator_new_at(cut->snapshot, STORE_META, &from, &to);
	bool result = it != NULL && store_iterator_valid(it);

	store_iterator_free(it);
	return result;
}

int cut_take(struct node *node, struct cut **ret)
{
	struct cut *cut;
	int r = try_cut(node, &cut);

	for (int i = 0; r == 0 && i < HALVES_TRIES && has_halves(cut); i++) {
		change_set_give_back(node->changes, cut->changes);
		release(cut);
		clock_sleep_ms(HALVES_PAUSE_MS);
		r = try_cut(node, &cut);
	}
	if (r == 0)
		*ret = cut;
	return r;
}

struct cut *cut_share(const struct cut *cut)
{
	struct cut *shared = calloc(1, sizeof(*shared));

	if (shared == NULL)
		return NULL;
	*shared = *cut;
	shared->changes = NULL;
	atomic_fetch_add(&shared->held->n_holders, 1);
	return shared;
}

void cut_done(struct cut *cut)
{
	if (cut == NULL)
		return;
	if (cut->changes != NULL)
		change_cut_free(cut->changes);
	release(cut);
}

void cut_give_back(struct cut *cut)
{
	if (cut == NULL)
		return;
	change_set_give_back(cut->node->changes, cut->changes);
	release(cut);
}

uint64_t cut_lsn(const struct cut *cut)
{
	return cut->lsn;
}

uint64_t cut_store_sequence(const struct cut *cut)
{
	return cut->store_sequence;
}

uint64_t cut_last_lsn(struct node *node)
{
	return commit_last_lsn(node->commit);
}

bool cut_is_needed(struct node *node)
{
	return !change_set_is_empty(node->changes);
}

uint64_t cut_pending_bytes(struct node *node)
{
	return change_set_bytes(node->changes);
}

uint64_t cut_account_pending_bytes(struct node *node, uint32_t account)
{
	return change_set_account_bytes(node->changes, account);
}

void cut_watch(struct node *node, void (*noted)(void *arg), void *arg)
{
	change_set_watch(node->changes, noted, arg);
}

size_t cut_n_accounts(const struct cut *cut)
{
	return cut->changes != NULL ? cut->changes->n_accounts : 0;
}

uint32_t cut_account(const struct cut *cut, size_t i)
{
	return cut->changes->accounts[i].account;
}

bool cut_is_whole(const struct cut *cut, size_t i)
{
	return cut->changes->accounts[i].is_whole;
}

/* 1: the node section has this note of the account. */
static int is_marked(const struct cut *cut, enum key_type type, uint32_t account)
{
	struct key key = key_node_account(type, account);
	struct store_value value;
	int r = store_get_at(cut->snapshot, STORE_META, &key, &value);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	store_value_done(&value);
	return 1;
}

int cut_has_account(const struct cut *cut, uint32_t account)
{
	int r = is_marked(cut, KEY_NODE_REPLAY, account);

	if (r == 0)
		r = is_marked(cut, KEY_NODE_ABSENT, account);
	return r < 0 ? r : !r;
}

/* ---- blocks of bodies */

/* What is known of the body whose blocks come now; they come one behind the other. */
struct body {
	uint64_t ino; /* 0: none yet */
	bool is_body;
	bool has_extents; /* they have been read, which what is dirty does not need */
	struct inode inode;
	struct upload upload;
	struct extent_list extents;
};

struct walk {
	const struct cut *cut;
	struct body body;
	cut_take_fn *take;
	void *arg;
};

static int load_inode_at(const struct cut *cut, uint64_t ino, struct inode *ret)
{
	struct key key = key_inode(ino);
	struct store_value value;
	int r = store_get_at(cut->snapshot, STORE_META, &key, &value);

	if (r < 0)
		return r;
	r = record_decode_inode(ino, value.data, value.size_bytes, ret);
	store_value_done(&value);
	return r;
}

static int load_upload_at(const struct cut *cut, uint64_t ino, struct upload *ret)
{
	struct key key = key_node_ino(KEY_NODE_UPLOAD, ino);
	struct store_value value;
	int r = store_get_at(cut->snapshot, STORE_META, &key, &value);

	*ret = (struct upload){0};
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = record_decode_upload(value.data, value.size_bytes, ret);
	store_value_done(&value);
	return r;
}

static int load_body(struct walk *w, uint64_t ino)
{
	struct body *body = &w->body;
	int r;

	if (body->ino == ino)
		return 0;
	extent_list_done(&body->extents);
	*body = (struct body){.ino = ino};
	r = load_inode_at(w->cut, ino, &body->inode);
	if (r == -ENOENT) /* removed; so are its blocks */
		return 0;
	body->is_body = r == 0 && (body->inode.flags & INODE_BODY);
	if (r == 0 && body->is_body)
		r = load_upload_at(w->cut, ino, &body->upload);
	if (r < 0)
		body->ino = 0;
	return r;
}

static int load_extents(struct walk *w)
{
	struct body *body = &w->body;
	int r = 0;

	if (!body->has_extents)
		r = body_map_load_extents_at(w->cut->snapshot, body->ino, &body->extents);
	body->has_extents = r == 0;
	return r;
}

/* 1: the backend has the block's content in an object. */
static int is_on_backend(struct walk *w, uint64_t block)
{
	struct body *body = &w->body;
	uint64_t offset_bytes = block << body->inode.block_shift;
	int r;

	if (!body->is_body || upload_touches(&body->upload, block))
		return 0;
	r = load_extents(w);
	if (r < 0)
		return r;
	for (size_t i = 0; i < body->extents.n; i++) {
		const struct extent *x = &body->extents.extents[i];

		if (x->offset_bytes <= offset_bytes &&
			offset_bytes < x->offset_bytes + x->size_bytes)
			return 1;
	}
	return 0;
}

/* 1: this block is no change for anybody else. */
static int is_skipped(struct walk *w, uint32_t account, const uint8_t *key, size_t key_bytes)
{
	struct decoder d = decoder_over(key, key_bytes);
	uint64_t local, block;
	int r;

	(void)decode_u32(&d);
	(void)decode_u8(&d);
	local = decode_u64(&d);
	block = decode_u64(&d);
	if (!decoder_ok(&d))
		return -EBADMSG;
	r = load_body(w, key_ino_compose(account, local));
	return r < 0 ? r : is_on_backend(w, block);
}

/* ---- walking */

static int give_one(struct walk *w, uint32_t account, const struct change *change)
{
	struct cut_record record = {
		.table = (enum store_table)change->table,
		.key = change->key,
		.key_bytes = change->key_bytes,
	};
	struct key key = {.size_bytes = change->key_bytes};
	struct store_value value;
	int r;

	if (change->to_bytes > 0) {
		record.to = change->to;
		record.to_bytes = change->to_bytes;
		return w->take(w->arg, &record);
	}
	if (record.table == STORE_DATA) {
		r = is_skipped(w, account, change->key, change->key_bytes);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	memcpy(key.bytes, change->key, change->key_bytes);
	r = store_get_at(w->cut->snapshot, record.table, &key, &value);
	if (r == -ENOENT)
		return w->take(w->arg, &record);
	if (r < 0)
		return r;
	/* A removal is told from an empty value by the pointer. */
	record.value = value.size_bytes > 0 ? value.data : "";
	record.value_bytes = value.size_bytes;
	r = w->take(w->arg, &record);
	store_value_done(&value);
	return r;
}

static int give_table(struct walk *w, uint32_t account, enum store_table table)
{
	struct key from = key_account_begin(account), to = key_account_end(account);
	struct store_iterator *it = store_iterator_new_at(w->cut->snapshot, table, &from, &to);
	int r = it == NULL ? -ENOMEM : 0;

	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it)) {
		struct cut_record record = {.table = table};

		record.key = store_iterator_key(it, &record.key_bytes);
		if (table == STORE_DATA)
			r = is_skipped(w, account, record.key, record.key_bytes);
		if (r != 0) {
			r = r < 0 ? r : 0;
			continue;
		}
		record.value = store_iterator_value(it, &record.value_bytes);
		if (record.value_bytes == 0)
			record.value = "";
		r = w->take(w->arg, &record);
	}
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	return r;
}

static int give_whole(struct walk *w, uint32_t account)
{
	int r = give_table(w, account, STORE_META);

	return r == 0 ? give_table(w, account, STORE_DATA) : r;
}

int cut_each(const struct cut *cut, size_t i, cut_take_fn *take, void *arg)
{
	const struct account_changes *a = &cut->changes->accounts[i];
	struct walk w = {.cut = cut, .take = take, .arg = arg};
	int r = 0;

	if (a->is_whole)
		r = give_whole(&w, a->account);
	for (size_t k = 0; r == 0 && k < a->n_changes; k++)
		r = give_one(&w, a->account, &a->changes[k]);
	extent_list_done(&w.body.extents);
	return r;
}

int cut_each_of_account(const struct cut *cut, uint32_t account, cut_take_fn *take, void *arg)
{
	struct walk w = {.cut = cut, .take = take, .arg = arg};
	int r = give_whole(&w, account);

	extent_list_done(&w.body.extents);
	return r;
}
