#include <config.h>
#include "cache/shipped.h"

#include <errno.h>
#include "cache/node_private.h"
#include "util/codec.h"

#define NOTE_VERSION 1
#define LATEST_VERSION 2
#define NOTE_BYTES (1 + 1 + 8 + 8)
#define LATEST_BYTES (1 + UUID_BYTES + 8 + 8)

static void add_note(struct store_batch *batch, const struct shipped *s)
{
	struct key key = key_node_journal(s->incarnation, s->sequence);
	uint8_t data[NOTE_BYTES];
	struct encoder e = encoder_over(data, sizeof(data));

	encode_u8(&e, NOTE_VERSION);
	encode_u8(&e, s->is_complete);
	encode_u64(&e, s->store_sequence);
	encode_u64(&e, s->checksum);
	store_batch_put(batch, STORE_META, &key, data, e.size_bytes);
}

static int decode_note(const uint8_t *key, size_t key_bytes, const uint8_t *value,
	size_t value_bytes, struct shipped *ret)
{
	size_t tail_bytes = 0;
	const uint8_t *tail = key_node_tail(key, key_bytes, &tail_bytes);
	struct decoder k = decoder_over(tail, tail == NULL ? 0 : tail_bytes);
	struct decoder d = decoder_over(value, value_bytes);
	uint8_t version = decode_u8(&d), is_complete = decode_u8(&d);

	ret->incarnation = decode_u64(&k);
	ret->sequence = decode_u64(&k);
	ret->store_sequence = decode_u64(&d);
	ret->checksum = decode_u64(&d);
	ret->is_complete = is_complete != 0;
	if (!decoder_ok(&k) || !decoder_ok(&d) || decoder_left_bytes(&k) > 0 ||
		decoder_left_bytes(&d) > 0 || version != NOTE_VERSION || is_complete > 1)
		return -EBADMSG;
	return 0;
}

static int write_and_free(struct node *node, struct store_batch *batch)
{
	int r = store_write(node->store, batch);

	store_batch_free(batch);
	return r;
}

int shipped_note(struct node *node, const struct shipped *segment, bool is_synced)
{
	struct store_batch *batch = store_batch_new(node->store);
	int r;

	if (batch == NULL)
		return -ENOMEM;
	add_note(batch, segment);
	r = write_and_free(node, batch);
	return r == 0 && is_synced ? store_sync(node->store) : r;
}

uint64_t shipped_store_sequence(struct node *node)
{
	return store_last_sequence(node->store);
}

static void add_latest(
	struct store_batch *batch, uint32_t account, const struct shipped_position *position)
{
	struct key key = key_node_ino(KEY_NODE_LATEST, account);
	uint8_t data[LATEST_BYTES];
	struct encoder e = encoder_over(data, sizeof(data));

	encode_u8(&e, LATEST_VERSION);
	encode_bytes(&e, position->node.bytes, UUID_BYTES);
	encode_u64(&e, position->incarnation);
	encode_u64(&e, position->sequence);
	store_batch_put(batch, STORE_META, &key, data, e.size_bytes);
}

int shipped_complete(struct node *node, const struct shipped *segment, const struct uuid *self,
	const uint32_t *accounts, size_t n_accounts)
{
	struct shipped_position position = {*self, segment->incarnation, segment->sequence};
	struct store_batch *batch = store_batch_new(node->store);
	struct shipped note = *segment;
	struct key before = key_node_journal(segment->incarnation, segment->sequence - 1);

	if (batch == NULL)
		return -ENOMEM;
	note.is_complete = true;
	add_note(batch, &note);
	if (segment->sequence > 0)
		store_batch_delete(batch, STORE_META, &before);
	for (size_t i = 0; i < n_accounts; i++)
		add_latest(batch, accounts[i], &position);
	return write_and_free(node, batch);
}

int shipped_forget(struct node *node, const struct shipped *segment)
{
	struct store_batch *batch = store_batch_new(node->store);
	struct key key = key_node_journal(segment->incarnation, segment->sequence);

	if (batch == NULL)
		return -ENOMEM;
	store_batch_delete(batch, STORE_META, &key);
	return write_and_free(node, batch);
}

int shipped_sync(struct node *node)
{
	return store_sync(node->store);
}

int shipped_load(struct node *node, struct shipped ret[SHIPPED_MAX_NOTES], size_t *ret_n)
{
	struct key from = key_node(KEY_NODE_JOURNAL), to = key_node_end(KEY_NODE_JOURNAL);
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &from, &to);
	int r = it == NULL ? -ENOMEM : 0;
	size_t n = 0;

	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it), n++) {
		size_t key_bytes, value_bytes;
		const uint8_t *key = store_iterator_key(it, &key_bytes);
		const uint8_t *value = store_iterator_value(it, &value_bytes);

		r = n == SHIPPED_MAX_NOTES
			    ? -EBADMSG
			    : decode_note(key, key_bytes, value, value_bytes, &ret[n]);
	}
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	*ret_n = n;
	return r;
}

int shipped_set_latest(struct node *node, uint32_t account, const struct shipped_position *position)
{
	struct store_batch *batch = store_batch_new(node->store);

	if (batch == NULL)
		return -ENOMEM;
	add_latest(batch, account, position);
	return write_and_free(node, batch);
}

int shipped_latest(struct node *node, uint32_t account, struct shipped_position *ret)
{
	struct key key = key_node_ino(KEY_NODE_LATEST, account);
	struct store_value value;
	struct decoder d;
	struct shipped_position position;
	uint8_t version;
	int r = store_get(node->store, STORE_META, &key, &value);

	if (r < 0)
		return r;
	d = decoder_over(value.data, value.size_bytes);
	version = decode_u8(&d);
	decode_bytes(&d, position.node.bytes, UUID_BYTES);
	position.incarnation = decode_u64(&d);
	position.sequence = decode_u64(&d);
	r = decoder_ok(&d) && version == LATEST_VERSION && decoder_left_bytes(&d) == 0 ? 0
										       : -EBADMSG;
	store_value_done(&value);
	if (r == 0)
		*ret = position;
	return r;
}
