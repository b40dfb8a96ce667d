#include <config.h>
#include "cache/account_packs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/node_private.h"
#include "util/checksum.h"

#define FIRST_CAPACITY 16

struct pack_sum {
	struct uuid pack;
	uint64_t live_bytes;
	uint32_t live_bodies;
};

void account_packs_init(struct account_packs *p)
{
	*p = (struct account_packs){.n = 0};
	map64_init(&p->places);
}

void account_packs_done(struct account_packs *p)
{
	map64_done(&p->places);
	free(p->sums);
	free(p->contents);
}

void account_packs_next_inode(struct account_packs *p)
{
	p->n_contents = 0;
}

static uint64_t number_of(const struct uuid *pack)
{
	uint64_t number = checksum_64(pack->bytes, UUID_BYTES);

	return number != 0 ? number : 1;
}

/* NULL without memory, or when two packs have one number: none does but by intent. */
static struct pack_sum *find_or_add(struct account_packs *p, const struct uuid *pack)
{
	uint64_t *place = map64_insert(&p->places, number_of(pack));
	size_t capacity = p->capacity ? p->capacity * 2 : FIRST_CAPACITY;
	struct pack_sum *bigger;

	if (place == NULL)
		return NULL;
	if (*place != 0)
		return memcmp(&p->sums[*place - 1].pack, pack, sizeof(*pack)) == 0
			       ? &p->sums[*place - 1]
			       : NULL;
	if (p->n == p->capacity) {
		bigger = reallocarray(p->sums, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return NULL;
		p->sums = bigger;
		p->capacity = capacity;
	}
	p->sums[p->n++] = (struct pack_sum){.pack = *pack};
	*place = p->n;
	return &p->sums[p->n - 1];
}

/* Pieces of one content lie within an object's length of each other. */
static bool was_seen(const struct account_packs *p, const struct extent *x)
{
	for (size_t i = p->n_contents; i-- > 0;) {
		if (x->offset_bytes - p->contents[i].offset_bytes >= BODY_MAP_OBJECT_MAX_BYTES)
			return false;
		if (record_same_content(&p->contents[i], x))
			return true;
	}
	return false;
}

static int note_seen(struct account_packs *p, const struct extent *x)
{
	size_t capacity = p->contents_capacity ? p->contents_capacity * 2 : FIRST_CAPACITY;
	struct extent *bigger;

	if (p->n_contents == p->contents_capacity) {
		bigger = reallocarray(p->contents, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		p->contents = bigger;
		p->contents_capacity = capacity;
	}
	p->contents[p->n_contents++] = *x;
	return 0;
}

int account_packs_take(struct account_packs *p, const struct extent *x)
{
	struct pack_sum *sum;

	if (x->kind != OBJECT_PACK || was_seen(p, x))
		return 0;
	sum = find_or_add(p, &x->object);
	if (sum == NULL)
		return -ENOMEM;
	sum->live_bytes += x->stored_bytes;
	sum->live_bodies++;
	return note_seen(p, x);
}

/* Takes the sum away that fits the record. */
static bool fits(struct account_packs *p, const struct store_iterator *it, struct uuid *ret_pack)
{
	size_t key_bytes, value_bytes;
	const uint8_t *key = store_iterator_key(it, &key_bytes);
	const uint8_t *value = store_iterator_value(it, &value_bytes);
	const uint64_t *place;
	struct pack_sum none = {.live_bytes = 0}, *sum = &none;
	struct pack_record record;
	bool is_same;

	memset(ret_pack, 0, sizeof(*ret_pack));
	if (!key_pack_uuid(key, key_bytes, ret_pack) ||
		record_decode_pack(value, value_bytes, &record) < 0)
		return false;
	place = map64_find(&p->places, number_of(ret_pack));
	if (place != NULL)
		sum = &p->sums[*place - 1];
	is_same = sum->live_bytes == record.live_bytes && sum->live_bodies == record.live_bodies;
	sum->live_bodies = 0;
	return is_same;
}

int account_packs_check(
	struct account_packs *p, struct node *node, uint32_t account, struct uuid *ret_pack)
{
	struct key from = key_type(account, KEY_PACK), to = key_type(account, KEY_PACK + 1);
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &from, &to);
	int r = it == NULL ? -ENOMEM : 0;

	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it))
		r = fits(p, it, ret_pack) ? 0 : -EBADMSG;
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	for (size_t i = 0; i < p->n && r == 0; i++) {
		*ret_pack = p->sums[i].pack;
		r = p->sums[i].live_bodies == 0 ? 0 : -EBADMSG;
	}
	return r;
}
