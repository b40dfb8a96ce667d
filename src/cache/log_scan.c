#include <config.h>
#include "cache/log_scan.h"

#include <errno.h>
#include <string.h>
#include "cache/adoption.h"
#include "cache/change_set.h"
#include "cache/node_private.h"
#include "util/codec.h"
#include "util/log.h"
#include "util/map64.h"

#define LIST_MAX_BYTES 65536

struct scan {
	struct node *node;
	struct change_list changes;

	/* Accounts that were on the backend only, or on their way from there, at this place of the
	 * log: a bit for each of the notes that say so. What goes or comes then is no change. */
	struct map64 elsewhere;
};

enum { IS_ABSENT = 1, IS_LOADING = 2 };

static int hand_over(struct scan *scan)
{
	int r = scan->changes.is_incomplete ? -ENOMEM : 0;

	change_set_enter(scan->node->changes);
	change_set_note(scan->node->changes, &scan->changes);
	change_set_leave(scan->node->changes);
	change_list_done(&scan->changes);
	return r;
}

static int to_key(const uint8_t *bytes, size_t size_bytes, struct key *ret)
{
	if (size_bytes < sizeof(uint32_t) || size_bytes > KEY_MAX_BYTES)
		return -EBADMSG;
	ret->size_bytes = size_bytes;
	memcpy(ret->bytes, bytes, size_bytes);
	return 0;
}

/* That its records went is no change: it is on the backend as it was. */
static bool is_absent(struct node *node, const struct key *key)
{
	struct decoder d = decoder_over(key->bytes, key->size_bytes);
	uint32_t account = decode_u32(&d);
	int error;

	return account <= KEY_ACCOUNT_MAX && adoption_place(node, account, &error) != ADOPTION_HERE;
}

/* KEY_NODE_ABSENT and KEY_NODE_REPLAY. */
static int take_note(struct scan *scan, const struct store_log_record *record)
{
	size_t tail_bytes = 0;
	const uint8_t *tail = key_node_tail(record->key, record->key_bytes, &tail_bytes);
	uint8_t type = tail != NULL ? tail[-1] : 0;
	uint64_t bit = type == KEY_NODE_ABSENT   ? IS_ABSENT
		       : type == KEY_NODE_REPLAY ? IS_LOADING
						 : 0;
	struct decoder d = decoder_over(tail, tail_bytes);
	uint64_t *bits;

	if (bit == 0 || record->to != NULL)
		return 0;
	bits = map64_insert(&scan->elsewhere, (uint64_t)decode_u32(&d) + 1);
	if (bits == NULL)
		return -ENOMEM;
	*bits = record->is_removal ? *bits & ~bit : *bits | bit;
	return 0;
}

/* A whole account goes only when it leaves this node: one that is removed goes record by record. */
static bool is_whole_account(const struct store_log_record *record)
{
	return record->to != NULL && record->key_bytes == sizeof(uint32_t) &&
	       record->to_bytes == sizeof(uint32_t);
}

static bool is_elsewhere(const struct scan *scan, const struct key *key)
{
	struct decoder d = decoder_over(key->bytes, key->size_bytes);
	const uint64_t *bits = map64_find(&scan->elsewhere, (uint64_t)decode_u32(&d) + 1);

	return bits != NULL && *bits != 0;
}

static bool is_of_node(const struct key *key)
{
	struct decoder d = decoder_over(key->bytes, key->size_bytes);

	return decode_u32(&d) == KEY_NODE_SECTION;
}

static int take(void *arg, const struct store_log_record *record)
{
	struct scan *scan = arg;
	struct key key, to;
	int r = record->is_copy ? 0 : to_key(record->key, record->key_bytes, &key);

	if (r < 0 || record->is_copy)
		return r;
	if (is_of_node(&key))
		return take_note(scan, record);
	if (is_whole_account(record) || is_elsewhere(scan, &key) || is_absent(scan->node, &key))
		return 0;
	if (record->to != NULL) {
		r = to_key(record->to, record->to_bytes, &to);
		if (r < 0)
			return r;
		change_list_add_range(&scan->changes, record->table, &key, &to);
	} else {
		change_list_add(&scan->changes, record->table, &key);
	}
	return scan->changes.used_bytes > LIST_MAX_BYTES ? hand_over(scan) : 0;
}

int log_scan_note(struct node *node, uint64_t after_sequence, bool *ret_is_whole)
{
	struct scan scan = {.node = node};
	int r, handed;

	map64_init(&scan.elsewhere);
	r = store_log_read(node->store, after_sequence, take, &scan);
	handed = hand_over(&scan);
	map64_done(&scan.elsewhere);
	*ret_is_whole = r == -ENODATA || r == -EBADMSG;
	if (*ret_is_whole) {
		log_warning("the log of the local store does not say what has changed since the "
			    "journal's last segment: all accounts are written anew");
		return log_scan_note_all(node);
	}
	return r < 0 ? r : handed;
}

int log_scan_note_all(struct node *node)
{
	struct key from = key_account_begin(0), to = key_account_begin(KEY_NODE_SECTION);
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &from, &to);
	int r = it == NULL ? -ENOMEM : 0;

	while (r == 0 && store_iterator_valid(it)) {
		size_t key_bytes;
		const uint8_t *key = store_iterator_key(it, &key_bytes);
		struct decoder d = decoder_over(key, key_bytes);
		uint32_t account = decode_u32(&d);
		struct key next = key_account_end(account);

		if (!decoder_ok(&d)) {
			r = -EBADMSG;
			break;
		}
		change_set_note_account(node->changes, account);
		store_iterator_seek(it, &next);
	}
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	return r;
}
