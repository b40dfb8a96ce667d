#include <config.h>
#include "cache/account_table.h"

#include <errno.h>
#include <stdlib.h>
#include "cache/node_private.h"
#include "cache/record.h"
#include "cache/transaction.h"
#include "util/lock.h"
#include "util/map64.h"

#define RESERVE_LOCALS 1024
#define RESERVE_ACCOUNTS 16

struct account {
	uint64_t next_local, reserved_local;
	uint32_t next_account, reserved_account;
};

struct account_table {
	struct node *node;
	struct lock lock;      /* held while a chunk is reserved: rare and short */
	struct map64 accounts; /* number + 1 -> struct account *; protected by lock */
};

struct account_table *account_table_new(struct node *node)
{
	struct account_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	table->node = node;
	lock_init(&table->lock);
	map64_init(&table->accounts);
	return table;
}

void account_table_free(struct account_table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->accounts.capacity; i++) {
		if (table->accounts.slots[i].key != 0)
			free((void *)(uintptr_t)table->accounts.slots[i].value);
	}
	map64_done(&table->accounts);
	lock_done(&table->lock);
	free(table);
}

static int load(struct account_table *table, uint32_t number, struct account *ret)
{
	struct key key = key_account(number);
	struct account_record record = {.next_local = KEY_INO_LOCAL_ROOT + 1, .next_account = 1};
	struct store_value value;
	int r = store_get(table->node->store, STORE_META, &key, &value);

	if (r == 0) {
		r = record_decode_account(value.data, value.size_bytes, &record);
		store_value_done(&value);
	} else if (r == -ENOENT) {
		r = 0;
	}
	*ret = (struct account){
		.next_local = record.next_local,
		.reserved_local = record.next_local,
		.next_account = record.next_account,
		.reserved_account = record.next_account,
	};
	return r;
}

static int find_locked(struct account_table *table, uint32_t number, struct account **ret)
	REQUIRES(table->lock)
{
	uint64_t *place = map64_find(&table->accounts, (uint64_t)number + 1);
	struct account *account;
	int r;

	if (place != NULL) {
		*ret = (struct account *)(uintptr_t)*place;
		return 0;
	}
	account = calloc(1, sizeof(*account));
	if (account == NULL)
		return -ENOMEM;
	r = load(table, number, account);
	place = r < 0 ? NULL : map64_insert(&table->accounts, (uint64_t)number + 1);
	if (place == NULL) {
		free(account);
		return r < 0 ? r : -ENOMEM;
	}
	*place = (uint64_t)(uintptr_t)account;
	*ret = account;
	return 0;
}

static int reserve(struct account_table *table, uint32_t number, uint64_t local, uint32_t account)
{
	struct account_record record = {.next_local = local, .next_account = account};
	uint8_t data[RECORD_ACCOUNT_BYTES];
	struct key key = key_account(number);
	struct transaction t;
	int r = transaction_begin(table->node, &t);

	if (r < 0)
		return r;
	transaction_put(&t, STORE_META, &key, data, record_encode_account(&record, data));
	return transaction_commit(&t);
}

static int next_local_locked(struct account_table *table, uint32_t number, uint64_t *ret)
	REQUIRES(table->lock)
{
	struct account *a;
	int r = find_locked(table, number, &a);

	if (r == 0 && a->next_local > KEY_INO_LOCAL_MAX - RESERVE_LOCALS)
		r = -ENOSPC;
	if (r == 0 && a->next_local == a->reserved_local) {
		r = reserve(table, number, a->reserved_local + RESERVE_LOCALS, a->reserved_account);
		if (r == 0)
			a->reserved_local += RESERVE_LOCALS;
	}
	if (r == 0)
		*ret = a->next_local++;
	return r;
}

int account_table_allocate_ino(struct account_table *table, uint32_t account, uint64_t *ret)
{
	uint64_t local = 0;
	int r;

	lock_acquire(&table->lock);
	r = next_local_locked(table, account, &local);
	lock_release(&table->lock);
	if (r == 0)
		*ret = key_ino_compose(account, local);
	return r;
}

static int next_account_locked(struct account_table *table, uint32_t *ret) REQUIRES(table->lock)
{
	struct account *root;
	int r = find_locked(table, KEY_ROOT_ACCOUNT, &root);

	if (r == 0 && root->next_account > KEY_ACCOUNT_MAX - RESERVE_ACCOUNTS)
		r = -ENOSPC;
	if (r == 0 && root->next_account == root->reserved_account) {
		r = reserve(table, KEY_ROOT_ACCOUNT, root->reserved_local,
			root->reserved_account + RESERVE_ACCOUNTS);
		if (r == 0)
			root->reserved_account += RESERVE_ACCOUNTS;
	}
	if (r == 0)
		*ret = root->next_account++;
	return r;
}

int account_table_create(struct account_table *table, uint32_t *ret)
{
	int r;

	lock_acquire(&table->lock);
	r = next_account_locked(table, ret);
	lock_release(&table->lock);
	return r;
}

void account_table_forget(struct account_table *table, uint32_t account)
{
	uint64_t *place;

	lock_acquire(&table->lock);
	place = map64_find(&table->accounts, (uint64_t)account + 1);
	if (place != NULL) {
		free((void *)(uintptr_t)*place);
		map64_remove(&table->accounts, (uint64_t)account + 1);
	}
	lock_release(&table->lock);
}
