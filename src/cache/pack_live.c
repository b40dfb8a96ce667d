#include <config.h>
#include "cache/pack_live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/node_private.h"
#include "cache/transaction.h"
#include "util/log.h"

#define FIRST_CHANGES 4U

static bool same(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static struct pack_change *find_or_add(struct pack_changes *list, const struct uuid *pack)
{
	unsigned int capacity = list->capacity ? list->capacity * 2 : FIRST_CHANGES;
	struct pack_change *bigger;

	for (unsigned int i = 0; i < list->n; i++) {
		if (same(&list->changes[i].pack, pack))
			return &list->changes[i];
	}
	if (list->n == list->capacity) {
		bigger = reallocarray(list->changes, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return NULL;
		list->changes = bigger;
		list->capacity = capacity;
	}
	list->changes[list->n] = (struct pack_change){.pack = *pack};
	return &list->changes[list->n++];
}

void pack_live_add(struct pack_changes *list, uint32_t account, const struct pack_change *change)
{
	struct pack_change *sum = find_or_add(list, &change->pack);

	list->account = account;
	if (sum == NULL) {
		list->is_incomplete = true;
		return;
	}
	if (change->total_bytes > 0)
		sum->total_bytes = change->total_bytes;
	sum->live_bytes += change->live_bytes;
	sum->live_bodies += change->live_bodies;
	sum->is_complete = sum->is_complete || change->is_complete;
}

void pack_live_done(struct pack_changes *list)
{
	free(list->changes);
	*list = (struct pack_changes){0};
}

int pack_live_load(
	struct node *node, uint32_t account, const struct uuid *pack, struct pack_record *ret)
{
	struct key key = key_pack(account, pack);
	struct store_value value;
	int r = store_get(node->store, STORE_META, &key, &value);

	if (r < 0)
		return r;
	r = record_decode_pack(value.data, value.size_bytes, ret);
	store_value_done(&value);
	return r;
}

static int is_pending(struct node *node, const struct uuid *pack)
{
	struct key key = key_node_uuid(KEY_NODE_PENDING, pack);
	struct store_value value;
	int r = store_get(node->store, STORE_META, &key, &value);

	if (r == 0)
		store_value_done(&value);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

/* The sum must fit the record, or the record is wrong: then it stays as it is, and its pack. */
static bool add(struct pack_record *record, const struct pack_change *change)
{
	int64_t bytes = (int64_t)record->live_bytes + change->live_bytes;
	int64_t bodies = (int64_t)record->live_bodies + change->live_bodies;

	if (change->total_bytes > 0)
		record->total_bytes = change->total_bytes;
	if (bytes < 0 || bodies < 0 || (uint64_t)bytes > record->total_bytes ||
		(bytes == 0) != (bodies == 0))
		return false;
	record->live_bytes = (uint64_t)bytes;
	record->live_bodies = (uint32_t)bodies;
	return true;
}

static void say_wrong(uint32_t account, const struct uuid *pack)
{
	char id[UUID_TEXT_BYTES];

	uuid_format(pack, id);
	log_error("account %u: what is live of pack %s is not known: the pack stays", account, id);
}

static int apply_one(struct transaction *t, uint32_t account, const struct pack_change *change)
{
	struct key key = key_pack(account, &change->pack);
	struct key pending = key_node_uuid(KEY_NODE_PENDING, &change->pack);
	uint8_t data[RECORD_PACK_BYTES];
	struct pack_record record = {0};
	int r = pack_live_load(t->node, account, &change->pack, &record), held = 0;
	bool exists = r == 0;

	if (r < 0 && r != -ENOENT && r != -EBADMSG)
		return r;
	if (!change->is_complete)
		held = is_pending(t->node, &change->pack);
	else
		transaction_delete(t, STORE_META, &pending);
	if (held < 0)
		return held;
	if (r == -EBADMSG || (!exists && change->total_bytes == 0 && !change->is_complete) ||
		!add(&record, change)) {
		say_wrong(account, &change->pack);
		return 0;
	}
	if (record.live_bodies > 0 || held > 0) {
		transaction_put(t, STORE_META, &key, data, record_encode_pack(&record, data));
		return 0;
	}
	if (exists)
		transaction_delete(t, STORE_META, &key);
	transaction_put_garbage(t, account, OBJECT_PACK, &change->pack);
	return 0;
}

int pack_live_apply(struct transaction *t, const struct pack_changes *list)
{
	int r = list->is_incomplete ? -ENOMEM : 0;

	for (unsigned int i = 0; i < list->n && r == 0; i++)
		r = apply_one(t, list->account, &list->changes[i]);
	return r;
}

int pack_live_sum(struct node *node, uint32_t account, struct pack_live_figures *ret)
{
	struct key from = key_type(account, KEY_PACK), to = key_type(account, KEY_PACK + 1);
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &from, &to);
	int r = it == NULL ? -ENOMEM : 0;

	*ret = (struct pack_live_figures){0};
	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it)) {
		size_t value_bytes;
		const uint8_t *value = store_iterator_value(it, &value_bytes);
		struct pack_record record;

		if (record_decode_pack(value, value_bytes, &record) < 0)
			continue;
		ret->packs++;
		ret->total_bytes += record.total_bytes;
		ret->live_bytes += record.live_bytes;
		ret->live_bodies += record.live_bodies;
	}
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	return r;
}
