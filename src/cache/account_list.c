#include <config.h>
#include "cache/account_list.h"

#include <errno.h>
#include <stdlib.h>
#include "cache/adoption.h"
#include "cache/damaged_record.h"
#include "cache/node_private.h"
#include "cache/record.h"
#include "util/codec.h"

struct list {
	uint32_t *accounts;
	size_t n, capacity;
};

int account_list_has(struct node *node, uint32_t account)
{
	struct key key = key_inode(key_ino_compose(account, KEY_INO_LOCAL_ROOT));
	struct store_value value;
	int r = store_get(node->store, STORE_META, &key, &value);

	if (r == 0)
		store_value_done(&value);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

uint64_t account_list_count(struct node *node)
{
	struct key from = key_account_begin(0), to = key_account_begin(KEY_NODE_SECTION);
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &from, &to);
	uint64_t n = 0;

	for (; it != NULL && store_iterator_valid(it); n++) {
		size_t key_bytes;
		const uint8_t *key = store_iterator_key(it, &key_bytes);
		struct decoder d = decoder_over(key, key_bytes);
		struct key next = key_account_end(decode_u32(&d));

		store_iterator_seek(it, &next);
	}
	store_iterator_free(it);
	return n;
}

static int add(struct list *list, uint32_t account)
{
	size_t capacity = list->capacity > 0 ? 2 * list->capacity : 64;
	uint32_t *bigger;

	if (list->n == list->capacity) {
		bigger = reallocarray(list->accounts, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		list->accounts = bigger;
		list->capacity = capacity;
	}
	list->accounts[list->n++] = account;
	return 0;
}

static int take_name(struct node *node, struct list *list, const struct store_iterator *it)
{
	size_t value_bytes;
	const uint8_t *value = store_iterator_value(it, &value_bytes);
	struct entry entry;
	uint32_t account;
	int r;

	if (record_decode_entry(value, value_bytes, &entry) < 0) {
		damaged_record_say(it, "a name in the root account");
		return 0; /* nobody comes to its account by this name */
	}
	account = key_ino_account(entry.ino);
	if (account == KEY_ROOT_ACCOUNT || adoption_place(node, account, &r) != ADOPTION_HERE)
		return 0;
	r = account_list_has(node, account);
	return r == 0 ? add(list, account) : r < 0 ? r : 0;
}

int account_list_missing(struct node *node, uint32_t **ret, size_t *ret_n)
{
	struct key from = key_type(KEY_ROOT_ACCOUNT, KEY_NAME);
	struct key to = key_type(KEY_ROOT_ACCOUNT, KEY_NAME + 1);
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &from, &to);
	struct list list = {0};
	int r = it == NULL ? -ENOMEM : 0;

	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it))
		r = take_name(node, &list, it);
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	if (r < 0) {
		free(list.accounts);
		return r;
	}
	*ret = list.accounts;
	*ret_n = list.n;
	return 0;
}
