#include <config.h>
#include "cache/log_scan.h"

#include <errno.h>
#include <string.h>
#include "cache/adoption.h"
#include "cache/change_set.h"
#include "cache/node_private.h"
#include "util/codec.h"
#include "util/log.h"

#define LIST_MAX_BYTES 65536

struct scan {
	struct node *node;
	struct change_list changes;
};

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

static int take(void *arg, const struct store_log_record *record)
{
	struct scan *scan = arg;
	struct key key, to;
	int r = record->is_copy ? 0 : to_key(record->key, record->key_bytes, &key);

	if (r < 0 || record->is_copy || is_absent(scan->node, &key))
		return r;
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
	int r = store_log_read(node->store, after_sequence, take, &scan), handed = hand_over(&scan);

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
