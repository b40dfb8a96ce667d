#include <config.h>
#include "cache/body_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/file_blocks.h"
#include "cache/node_private.h"
#include "util/clock.h"

#define FIRST_EXTENTS 8

void extent_list_done(struct extent_list *list)
{
	free(list->extents);
	*list = (struct extent_list){0};
}

static int append(struct extent_list *list, const struct extent *x)
{
	struct extent *bigger;
	size_t capacity;

	if (list->n == list->capacity) {
		capacity = list->capacity ? list->capacity * 2 : FIRST_EXTENTS;
		bigger = reallocarray(list->extents, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		list->extents = bigger;
		list->capacity = capacity;
	}
	list->extents[list->n++] = *x;
	return 0;
}

static uint64_t extent_end(const struct extent *x)
{
	return x->offset_bytes + x->size_bytes;
}

static int decode_at(const struct store_iterator *it, struct extent *ret)
{
	size_t key_bytes, value_bytes;
	const uint8_t *key = store_iterator_key(it, &key_bytes);
	const uint8_t *value = store_iterator_value(it, &value_bytes);

	return record_decode_extent(key_tail_number(key, key_bytes), value, value_bytes, ret);
}

static int collect(
	struct store_iterator *it, uint64_t from_bytes, uint64_t end_bytes, struct extent_list *ret)
{
	struct extent x;
	int r = 0;

	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it)) {
		r = decode_at(it, &x);
		if (r == 0 && x.offset_bytes >= end_bytes)
			break;
		if (r == 0 && extent_end(&x) > from_bytes)
			r = append(ret, &x);
	}
	return r == 0 ? store_iterator_error(it) : r;
}

int body_map_load_extents(struct node *node, uint64_t ino, uint64_t from_bytes, uint64_t end_bytes,
	struct extent_list *ret)
{
	/* No extent is longer than an object, so none that begins before this can reach `from`. */
	uint64_t start =
		from_bytes > BODY_MAP_OBJECT_MAX_BYTES ? from_bytes - BODY_MAP_OBJECT_MAX_BYTES : 0;
	struct key first = key_extent(ino, start), end = key_end_of(KEY_EXTENT, ino);
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &first, &end);
	int r;

	*ret = (struct extent_list){0};
	if (it == NULL)
		return -ENOMEM;
	r = collect(it, from_bytes, end_bytes, ret);
	store_iterator_free(it);
	if (r < 0)
		extent_list_done(ret);
	return r;
}

int body_map_load_extents_at(
	const struct store_snapshot *snapshot, uint64_t ino, struct extent_list *ret)
{
	struct key first = key_extent(ino, 0), end = key_end_of(KEY_EXTENT, ino);
	struct store_iterator *it = store_iterator_new_at(snapshot, STORE_META, &first, &end);
	int r;

	*ret = (struct extent_list){0};
	if (it == NULL)
		return -ENOMEM;
	r = collect(it, 0, BODY_MAP_TO_THE_END, ret);
	store_iterator_free(it);
	if (r < 0)
		extent_list_done(ret);
	return r;
}

int body_map_find_extent(struct node *node, uint64_t ino, uint64_t from_bytes, uint64_t end_bytes,
	struct extent *ret)
{
	struct extent_list list;
	int r = body_map_load_extents(node, ino, from_bytes, end_bytes, &list);

	if (r < 0)
		return r;
	if (list.n == 0)
		r = -ENOENT;
	else
		*ret = list.extents[0];
	extent_list_done(&list);
	return r;
}

static void put_extent(struct transaction *t, uint64_t ino, const struct extent *x)
{
	uint8_t data[RECORD_EXTENT_BYTES];
	struct key key = key_extent(ino, x->offset_bytes);

	transaction_put(t, STORE_META, &key, data, record_encode_extent(x, data));
}

/* Cuts one extent; says whether anything of it is left. */
static bool cut_one(struct transaction *t, uint64_t ino, const struct extent *x,
	uint64_t from_bytes, uint64_t end_bytes)
{
	struct key key = key_extent(ino, x->offset_bytes);
	struct extent left = *x, right = *x;
	bool keeps_left = x->offset_bytes<from_bytes, keeps_right = extent_end(x)> end_bytes;

	if (keeps_left) {
		left.size_bytes = from_bytes - x->offset_bytes;
		put_extent(t, ino, &left);
	} else {
		transaction_delete(t, STORE_META, &key);
	}
	if (keeps_right) {
		right.offset_bytes = end_bytes;
		right.object_offset_bytes += end_bytes - x->offset_bytes;
		right.size_bytes = extent_end(x) - end_bytes;
		put_extent(t, ino, &right);
	}
	return keeps_left || keeps_right;
}

static bool is_inside(const struct extent *x, uint64_t from_bytes, uint64_t end_bytes)
{
	return x->offset_bytes >= from_bytes && extent_end(x) <= end_bytes;
}

/* Whether any extent but those inside [from, end) uses the object of the i-th. Looks only as far
 * as an object reaches, so that cutting a long body is not quadratic. */
static bool is_used(
	const struct extent_list *list, size_t i, uint64_t from_bytes, uint64_t end_bytes)
{
	const struct extent *cut = &list->extents[i], *x;
	size_t first = i;

	while (first > 0 && cut->offset_bytes - list->extents[first - 1].offset_bytes <
				    BODY_MAP_OBJECT_MAX_BYTES)
		first--;
	for (x = &list->extents[first]; x < &list->extents[list->n]; x++) {
		if (x > cut && x->offset_bytes - cut->offset_bytes >= BODY_MAP_OBJECT_MAX_BYTES)
			break;
		if (!is_inside(x, from_bytes, end_bytes) && record_same_content(x, cut))
			return true;
	}
	return false;
}

/* Whether a piece of the same content was cut before the i-th: it counts once. */
static bool was_cut(
	const struct extent_list *list, size_t i, uint64_t from_bytes, uint64_t end_bytes)
{
	const struct extent *cut = &list->extents[i];

	for (size_t k = i; k-- > 0 && cut->offset_bytes - list->extents[k].offset_bytes <
					      BODY_MAP_OBJECT_MAX_BYTES;) {
		const struct extent *x = &list->extents[k];

		if (is_inside(x, from_bytes, end_bytes) && record_same_content(x, cut))
			return true;
	}
	return false;
}

/* No extent leads to the content any more. */
static void put_dead(struct transaction *t, uint64_t ino, const struct extent *x)
{
	struct pack_change change = {
		.pack = x->object, .live_bytes = -(int64_t)x->stored_bytes, .live_bodies = -1};

	if (x->kind == OBJECT_PACK)
		transaction_note_pack(t, key_ino_account(ino), &change);
	else
		transaction_put_garbage(t, key_ino_account(ino), OBJECT_BODY, &x->object);
}

static uint64_t add_capped(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

int body_map_cut_extents(
	struct transaction *t, uint64_t ino, uint64_t from_bytes, uint64_t end_bytes)
{
	/* All pieces of one object lie within its length of each other. */
	uint64_t around = BODY_MAP_OBJECT_MAX_BYTES;
	uint64_t window = from_bytes > around ? from_bytes - around : 0;
	struct extent_list list;
	int r = body_map_load_extents(t->node, ino, window, add_capped(end_bytes, around), &list);

	if (r < 0)
		return r;
	for (size_t i = 0; i < list.n; i++) {
		const struct extent *x = &list.extents[i];

		if (extent_end(x) <= from_bytes || x->offset_bytes >= end_bytes)
			continue;
		if (!cut_one(t, ino, x, from_bytes, end_bytes) &&
			!is_used(&list, i, from_bytes, end_bytes) &&
			!was_cut(&list, i, from_bytes, end_bytes))
			put_dead(t, ino, x);
	}
	extent_list_done(&list);
	return 0;
}

int body_map_put_extent(
	struct transaction *t, uint64_t ino, const struct extent *x, uint64_t replaces_end_bytes)
{
	int r = body_map_cut_extents(t, ino, x->offset_bytes, replaces_end_bytes);

	if (r == 0)
		put_extent(t, ino, x);
	return r;
}

static bool touches_extent(
	const struct upload *u, const struct inode *inode, const struct extent *x)
{
	uint64_t end = file_blocks_for(inode, extent_end(x));

	for (uint64_t block = x->offset_bytes >> inode->block_shift; block < end; block++) {
		if (upload_touches(u, block))
			return true;
	}
	return false;
}

static void lead_elsewhere(struct extent *x, const struct extent *new)
{
	x->object = new->object;
	x->kind = new->kind;
	x->encoding = new->encoding;
	x->stored_bytes = new->stored_bytes;
	x->stored_offset_bytes = new->stored_offset_bytes;
	x->checksum = new->checksum;
}

/* How many pieces of `old` have been moved. */
static int move_pieces(
	struct transaction *t, uint64_t ino, const struct extent *old, const struct extent *new)
{
	struct extent_list list = {0};
	struct inode inode;
	struct upload u;
	bool exists;
	int r = node_load_inode(t->node, ino, &inode), n = 0;

	if (r == 0)
		r = body_map_load_upload(t->node, ino, &u, &exists);
	if (r == 0)
		r = body_map_load_extents(t->node, ino, old->offset_bytes, extent_end(old), &list);
	for (size_t i = 0; i < list.n && r == 0; i++) {
		struct extent *x = &list.extents[i];

		if (!record_same_content(x, old))
			continue;
		if (touches_extent(&u, &inode, x))
			r = -EBUSY;
		lead_elsewhere(x, new);
		put_extent(t, ino, x);
		n++;
	}
	extent_list_done(&list);
	return r < 0 ? r : n;
}

int body_map_move_content(struct transaction *t, uint64_t ino, const struct extent *old,
	const struct extent *new, uint64_t new_total_bytes)
{
	struct pack_change gone = {
		.pack = old->object, .live_bytes = -(int64_t)old->stored_bytes, .live_bodies = -1};
	struct pack_change come = {.pack = new->object,
		.total_bytes = new_total_bytes,
		.live_bytes = new->stored_bytes,
		.live_bodies = 1};
	int r = move_pieces(t, ino, old, new);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	transaction_note_pack(t, key_ino_account(ino), &gone);
	transaction_note_pack(t, key_ino_account(ino), &come);
	return 0;
}

int body_map_can_move(struct node *node, uint64_t ino, const struct extent *content)
{
	struct extent_list list = {0};
	struct inode inode;
	struct upload u;
	bool exists, found = false, touched = false;
	int r = node_load_inode(node, ino, &inode);

	if (r == 0)
		r = body_map_load_upload(node, ino, &u, &exists);
	if (r == 0)
		r = body_map_load_extents(
			node, ino, content->offset_bytes, extent_end(content), &list);
	for (size_t i = 0; i < list.n && r == 0 && !touched; i++) {
		if (!record_same_content(&list.extents[i], content))
			continue;
		found = true;
		touched = touches_extent(&u, &inode, &list.extents[i]);
	}
	extent_list_done(&list);
	return r == -ENOENT ? 0 : r < 0 ? r : found && !touched;
}

int body_map_load_upload(struct node *node, uint64_t ino, struct upload *ret, bool *ret_exists)
{
	struct key key = key_node_ino(KEY_NODE_UPLOAD, ino);
	struct store_value value;
	int r = store_get(node->store, STORE_META, &key, &value);

	*ret_exists = r == 0;
	*ret = (struct upload){0};
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = record_decode_upload(value.data, value.size_bytes, ret);
	store_value_done(&value);
	return r;
}

void body_map_put_upload(struct transaction *t, uint64_t ino, const struct upload *u)
{
	uint8_t data[RECORD_UPLOAD_BYTES];
	struct key key = key_node_ino(KEY_NODE_UPLOAD, ino);

	if (u->n_dirty == 0 && !u->running)
		transaction_delete(t, STORE_META, &key);
	else
		transaction_put(t, STORE_META, &key, data, record_encode_upload(u, data));
}

/* What of the running upload overlaps becomes dirty again: its object does not match any more. */
static bool cancel_if_running(struct upload *u, uint64_t first, uint64_t end)
{
	if (!u->running || u->uploading.first >= end || first >= u->uploading.end)
		return false;
	upload_add_range(u, u->uploading.first, u->uploading.end);
	u->running = false;
	return true;
}

/* The longest of the ranges that overlap or touch [first, end), as far as it goes. */
static uint64_t longest_at(const struct upload *u, uint64_t first, uint64_t end)
{
	uint64_t longest = 0;

	for (uint32_t i = 0; i < u->n_dirty; i++) {
		uint64_t blocks = u->dirty[i].end - u->dirty[i].first;

		if (u->dirty[i].first <= end && first <= u->dirty[i].end && blocks > longest)
			longest = blocks;
	}
	return longest;
}

/* With a journal: whether the uploader has something to do that it had not before. */
static void call_uploader(struct transaction *t, const struct inode *inode, const struct upload *u,
	uint64_t old_blocks, uint64_t first, uint64_t end)
{
	uint64_t small = BODY_MAP_SMALL_BYTES >> inode->block_shift;
	uint64_t whole = BODY_MAP_OBJECT_MAX_BYTES >> inode->block_shift;
	uint64_t blocks = longest_at(u, first, end);
	uint64_t there = file_blocks_for(inode, inode->size_bytes);

	/* All of a file that becomes a body is dirty, but that makes no small one large: a mail
	 * that gets its name is left to the packer without waking the uploader. */
	if (end == BODY_MAP_TO_THE_END && there < small) {
		t->dirtied_bytes += there << inode->block_shift;
		return;
	}
	t->upload_now = blocks / whole > old_blocks / whole;
	if (t->upload_now || (old_blocks < small && blocks >= small))
		t->upload_ino = inode->ino;
	if (end - first < whole)
		t->dirtied_bytes += (end - first) << inode->block_shift;
}

int body_map_mark_dirty(
	struct transaction *t, const struct inode *inode, uint64_t first, uint64_t end, bool cut)
{
	struct upload u;
	bool exists, cancelled;
	int r = body_map_load_upload(t->node, inode->ino, &u, &exists);
	uint64_t old_blocks;

	if (r < 0)
		return r;
	cancelled = cut && cancel_if_running(&u, first, end);
	if (!cancelled && upload_covers(&u, first, end))
		return 0;
	old_blocks = longest_at(&u, first, end);
	if (!exists)
		u.since_ms = clock_realtime_ms();
	upload_add_range(&u, first, end);
	if (t->node->changes != NULL)
		call_uploader(t, inode, &u, old_blocks, first, end);
	else if (!exists)
		t->upload_ino = inode->ino;
	body_map_put_upload(t, inode->ino, &u);
	return 0;
}

int body_map_cancel_upload(struct transaction *t, uint64_t ino, uint64_t first, uint64_t end)
{
	struct upload u;
	bool exists;
	int r = body_map_load_upload(t->node, ino, &u, &exists);

	if (r == 0 && cancel_if_running(&u, first, end))
		body_map_put_upload(t, ino, &u);
	return r;
}
