#include <config.h>
#include "cache/body_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
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
		if (!is_inside(x, from_bytes, end_bytes) &&
			memcmp(&x->object, &cut->object, sizeof(x->object)) == 0)
			return true;
	}
	return false;
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
			!is_used(&list, i, from_bytes, end_bytes))
			transaction_put_garbage(t, key_ino_account(ino), &x->object);
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

int body_map_mark_dirty(struct transaction *t, uint64_t ino, uint64_t first, uint64_t end, bool cut)
{
	struct upload u;
	bool exists, cancelled;
	int r = body_map_load_upload(t->node, ino, &u, &exists);

	if (r < 0)
		return r;
	cancelled = cut && cancel_if_running(&u, first, end);
	if (!cancelled && upload_covers(&u, first, end))
		return 0;
	if (!exists) {
		u.since_ms = clock_realtime_ms();
		t->upload_ino = ino;
	}
	upload_add_range(&u, first, end);
	body_map_put_upload(t, ino, &u);
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
