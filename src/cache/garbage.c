#include <config.h>
#include "cache/garbage.h"

#include <errno.h>
#include <string.h>
#include "cache/body_object.h"
#include "cache/damaged_record.h"
#include "cache/node_private.h"
#include "cache/pack.h"
#include "cache/transaction.h"

static int decode_at(const struct store_iterator *it, struct garbage *ret)
{
	size_t key_bytes, value_bytes, tail_bytes = 0;
	const uint8_t *key = store_iterator_key(it, &key_bytes);
	const uint8_t *tail = key_node_tail(key, key_bytes, &tail_bytes);
	const uint8_t *value = store_iterator_value(it, &value_bytes);

	if (tail == NULL || tail_bytes != UUID_BYTES)
		return -EBADMSG;
	memcpy(ret->object.bytes, tail, UUID_BYTES);
	return record_decode_object(value, value_bytes, &ret->record);
}

struct garbage_scan garbage_scan(enum key_type type, const char *damaged)
{
	return (struct garbage_scan){.type = type, .next = key_node(type), .damaged = damaged};
}

int garbage_load(struct node *node, struct garbage_scan *scan, struct garbage ret[GARBAGE_BATCH],
	unsigned int *ret_n)
{
	struct key to = key_node_end(scan->type);
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &scan->next, &to);
	unsigned int n = 0;
	int r = it == NULL ? -ENOMEM : 0;

	for (; r == 0 && n < GARBAGE_BATCH && store_iterator_valid(it); store_iterator_next(it)) {
		if (decode_at(it, &ret[n]) == 0)
			n++;
		else if (scan->damaged != NULL)
			damaged_record_say(it, scan->damaged);
	}
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	if (r == 0 && n > 0) {
		scan->next = key_node_uuid(scan->type, &ret[n - 1].object);
		scan->next = key_behind(&scan->next);
	}
	*ret_n = n;
	return r;
}

void garbage_key(const struct garbage *g, char key[BACKEND_KEY_MAX_BYTES])
{
	if (g->record.kind == OBJECT_PACK)
		pack_key(g->record.account, &g->object, key);
	else
		body_object_key(g->record.account, &g->object, key);
}

/* A pack to which extents lead already stays: its packer had come as far as that. */
static int condemn(struct node *node, const struct garbage *g)
{
	struct key key = key_node_uuid(KEY_NODE_PENDING, &g->object);
	struct pack_change change = {.pack = g->object, .is_complete = true};
	struct transaction t;
	int r = transaction_begin(node, &t);

	if (r < 0)
		return r;
	if (g->record.kind == OBJECT_PACK) {
		transaction_note_pack(&t, g->record.account, &change);
	} else {
		transaction_delete(&t, STORE_META, &key);
		transaction_put_garbage(&t, g->record.account, OBJECT_BODY, &g->object);
	}
	return transaction_commit(&t);
}

/* As garbage they wait for the journal as all do: after a loss of power the store may be behind
 * what the journal says, and that may refer to them. Catching up with the journal takes them off
 * (replay.c). */
int garbage_condemn_pending(struct node *node)
{
	struct garbage_scan scan = garbage_scan(KEY_NODE_PENDING,
		"an object that was being put: if it is on the backend it stays there");
	struct garbage batch[GARBAGE_BATCH];
	unsigned int n = 0;
	int r;

	do {
		r = garbage_load(node, &scan, batch, &n);
		for (unsigned int i = 0; i < n && r == 0; i++)
			r = condemn(node, &batch[i]);
	} while (r == 0 && n == GARBAGE_BATCH);
	return r;
}
