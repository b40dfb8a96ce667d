#include <config.h>
#include "cache/change_pile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/checksum.h"

#define CHUNK_BYTES 65536
#define FIRST_SLOTS 256

struct change_chunk {
	struct change_chunk *next;
	size_t used_bytes;
	_Alignas(struct change_entry) uint8_t bytes[CHUNK_BYTES];
};

static size_t entry_bytes(const struct change_entry *e)
{
	size_t bytes = sizeof(*e) + e->key_bytes + e->to_bytes;

	return (bytes + 7) / 8 * 8;
}

void change_pile_init(struct change_pile *pile)
{
	*pile = (struct change_pile){.chunks = NULL};
	map64_init(&pile->accounts);
	map64_init(&pile->whole);
}

void change_pile_done(struct change_pile *pile)
{
	while (pile->chunks != NULL) {
		struct change_chunk *chunk = pile->chunks;

		pile->chunks = chunk->next;
		free(chunk);
	}
	free(pile->slots);
	map64_done(&pile->accounts);
	map64_done(&pile->whole);
}

bool change_pile_is_whole(const struct change_pile *pile, uint32_t account)
{
	return map64_find(&pile->whole, (uint64_t)account + 1) != NULL;
}

int change_pile_mark_whole(struct change_pile *pile, uint32_t account)
{
	uint64_t *mark = map64_insert(&pile->whole, (uint64_t)account + 1);

	if (mark == NULL)
		return -ENOMEM;
	*mark = 1;
	map64_remove(&pile->accounts, (uint64_t)account + 1);
	return 0;
}

/* ---- adding */

static bool is_same(const struct change_entry *a, const struct change_entry *b)
{
	return a->hash == b->hash && a->table == b->table && a->key_bytes == b->key_bytes &&
	       a->to_bytes == b->to_bytes &&
	       memcmp(a->bytes, b->bytes, (size_t)a->key_bytes + a->to_bytes) == 0;
}

/* Where it is, or where it would go. */
static struct change_entry **find_slot(struct change_pile *pile, const struct change_entry *e)
{
	size_t i = e->hash & (pile->capacity - 1);

	while (pile->slots[i] != NULL && !is_same(pile->slots[i], e))
		i = (i + 1) & (pile->capacity - 1);
	return &pile->slots[i];
}

static int grow(struct change_pile *pile)
{
	size_t capacity = pile->capacity > 0 ? 2 * pile->capacity : FIRST_SLOTS;
	struct change_entry **old = pile->slots;
	size_t old_capacity = pile->capacity;
	struct change_entry **slots = calloc(capacity, sizeof(*slots));

	if (slots == NULL)
		return -ENOMEM;
	pile->slots = slots;
	pile->capacity = capacity;
	for (size_t i = 0; i < old_capacity; i++) {
		if (old[i] != NULL)
			*find_slot(pile, old[i]) = old[i];
	}
	pile->bytes += (capacity - old_capacity) * sizeof(*slots);
	free(old);
	return 0;
}

static struct change_entry *copy_entry(struct change_pile *pile, const struct change_entry *e)
{
	struct change_chunk *chunk = pile->chunks;
	size_t bytes = entry_bytes(e);
	struct change_entry *copy;

	if (chunk == NULL || chunk->used_bytes + bytes > CHUNK_BYTES) {
		chunk = malloc(sizeof(*chunk));
		if (chunk == NULL)
			return NULL;
		chunk->next = pile->chunks;
		chunk->used_bytes = 0;
		pile->chunks = chunk;
		pile->bytes += sizeof(*chunk);
	}
	copy = (struct change_entry *)(void *)(chunk->bytes + chunk->used_bytes);
	memcpy(copy, e, sizeof(*e) + e->key_bytes + e->to_bytes);
	chunk->used_bytes += bytes;
	return copy;
}

static int insert(struct change_pile *pile, const struct change_entry *e)
{
	struct change_entry **slot, *copy;
	uint64_t *bytes;

	if (pile->used * 4 >= pile->capacity * 3 && grow(pile) < 0)
		return -ENOMEM;
	slot = find_slot(pile, e);
	if (*slot != NULL)
		return 0;
	bytes = map64_insert(&pile->accounts, (uint64_t)e->account + 1);
	copy = bytes != NULL ? copy_entry(pile, e) : NULL;
	if (copy == NULL)
		return -ENOMEM;
	*bytes += entry_bytes(e) + sizeof(*slot);
	*slot = copy;
	pile->used++;
	return 0;
}

int change_pile_add(struct change_pile *pile, struct change_entry *entry)
{
	/* The head too, but for the hash itself. */
	size_t from = offsetof(struct change_entry, account);

	if (change_pile_is_whole(pile, entry->account))
		return 0;
	entry->hash = checksum_64((const uint8_t *)entry + from,
		sizeof(*entry) - from + entry->key_bytes + entry->to_bytes);
	return insert(pile, entry) == 0 ? 0 : change_pile_mark_whole(pile, entry->account);
}

/* ---- the ceiling */

static uint32_t largest_account(const struct change_pile *pile)
{
	uint64_t most = 0, key = 1;

	for (size_t i = 0; i < pile->accounts.capacity; i++) {
		const struct map64_slot *slot = &pile->accounts.slots[i];

		if (slot->key != 0 && slot->value > most) {
			most = slot->value;
			key = slot->key;
		}
	}
	return (uint32_t)(key - 1);
}

int change_pile_drop_largest(struct change_pile *pile)
{
	struct change_pile rest;
	int r = change_pile_mark_whole(pile, largest_account(pile));

	if (r < 0)
		return r;
	change_pile_init(&rest);
	for (size_t i = 0; r == 0 && i < pile->capacity; i++) {
		if (pile->slots[i] != NULL && !change_pile_is_whole(pile, pile->slots[i]->account))
			r = insert(&rest, pile->slots[i]);
	}
	if (r < 0) {
		change_pile_done(&rest);
		return r;
	}
	map64_done(&rest.whole);
	rest.whole = pile->whole;
	map64_init(&pile->whole);
	change_pile_done(pile);
	*pile = rest;
	return 0;
}

/* ---- as a cut */

static int compare(const void *a, const void *b)
{
	const struct change_entry *one = *(struct change_entry *const *)a;
	const struct change_entry *other = *(struct change_entry *const *)b;
	size_t shorter = one->key_bytes < other->key_bytes ? one->key_bytes : other->key_bytes;
	int r;

	if (one->account != other->account)
		return one->account < other->account ? -1 : 1;
	if ((one->to_bytes > 0) != (other->to_bytes > 0))
		return one->to_bytes > 0 ? -1 : 1;
	if (one->table != other->table)
		return one->table < other->table ? -1 : 1;
	r = memcmp(one->bytes, other->bytes, shorter);
	return r != 0 ? r
		      : (one->key_bytes > other->key_bytes) - (one->key_bytes < other->key_bytes);
}

static int compare_accounts(const void *a, const void *b)
{
	const struct account_changes *one = a, *other = b;

	return (one->account > other->account) - (one->account < other->account);
}

/* The entries that count, sorted. */
static struct change_entry **collect(const struct change_pile *pile, size_t *ret_n)
{
	struct change_entry **entries = calloc(pile->used + 1, sizeof(struct change_entry *));

	*ret_n = 0;
	for (size_t i = 0; entries != NULL && i < pile->capacity; i++) {
		struct change_entry *e = pile->slots[i];

		if (e != NULL && !change_pile_is_whole(pile, e->account))
			entries[(*ret_n)++] = e;
	}
	if (entries != NULL)
		qsort(entries, *ret_n, sizeof(struct change_entry *), compare);
	return entries;
}

static struct change as_change(const struct change_entry *e)
{
	return (struct change){
		.table = e->table,
		.key_bytes = e->key_bytes,
		.to_bytes = e->to_bytes,
		.key = e->bytes,
		.to = e->bytes + e->key_bytes,
	};
}

static void group(struct change_cut *cut, struct change_entry *const *entries, size_t n,
	struct change *changes)
{
	for (size_t i = 0; i < n; i++) {
		struct account_changes *last =
			cut->n_accounts > 0 ? &cut->accounts[cut->n_accounts - 1] : NULL;

		changes[i] = as_change(entries[i]);
		if (last == NULL || last->account != entries[i]->account) {
			last = &cut->accounts[cut->n_accounts++];
			*last = (struct account_changes){
				.account = entries[i]->account, .changes = &changes[i]};
		}
		last->n_changes++;
	}
}

static void add_whole(struct change_cut *cut, const struct change_pile *pile)
{
	for (size_t i = 0; i < pile->whole.capacity; i++) {
		if (pile->whole.slots[i].key != 0)
			cut->accounts[cut->n_accounts++] = (struct account_changes){
				.account = (uint32_t)(pile->whole.slots[i].key - 1),
				.is_whole = true,
			};
	}
	qsort(cut->accounts, cut->n_accounts, sizeof(cut->accounts[0]), compare_accounts);
}

int change_pile_sort(const struct change_pile *pile, struct change_cut *ret)
{
	size_t n = 0;
	struct change_entry **entries = collect(pile, &n);
	struct change_cut cut = {
		.accounts = calloc(n + pile->whole.used + 1, sizeof(struct account_changes)),
		.all = calloc(n + 1, sizeof(struct change)),
	};
	int r = entries == NULL || cut.accounts == NULL || cut.all == NULL ? -ENOMEM : 0;

	if (r == 0) {
		group(&cut, entries, n, cut.all);
		add_whole(&cut, pile);
		*ret = cut;
	} else {
		change_pile_sort_done(&cut);
	}
	free(entries);
	return r;
}

void change_pile_sort_done(struct change_cut *cut)
{
	free(cut->accounts);
	free(cut->all);
}
