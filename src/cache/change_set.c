#include <config.h>
#include "cache/change_set.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "cache/change_pile.h"
#include "util/codec.h"
#include "util/lock.h"
#include "util/log.h"

#define LIST_STEP_BYTES 1024

struct change_set {
	pthread_rwlock_t gate; /* shared: writers between enter and leave; outermost of all here */
	struct lock lock;      /* pile */
	struct change_pile pile;
	uint64_t limit_bytes;
	void (*noted)(void *arg); /* protected by lock */
	void *noted_arg;
};

/* First member: the caller's view. */
struct taken_cut {
	struct change_cut cut;
	struct change_pile pile;
};

/* ---- lists: entries one behind the other, at multiples of 8 */

static uint32_t account_of(const struct key *key)
{
	struct decoder d = decoder_over(key->bytes, key->size_bytes);

	return decode_u32(&d);
}

static bool make_room(struct change_list *list, size_t bytes)
{
	size_t capacity = list->capacity_bytes;
	uint8_t *grown;

	if (list->used_bytes + bytes <= capacity)
		return true;
	while (capacity < list->used_bytes + bytes)
		capacity += capacity > 0 ? capacity : LIST_STEP_BYTES;
	grown = realloc(list->entries, capacity);
	if (grown == NULL)
		return false;
	list->entries = grown;
	list->capacity_bytes = capacity;
	return true;
}

static size_t step(const struct change_entry *e)
{
	return (sizeof(*e) + e->key_bytes + e->to_bytes + 7) / 8 * 8;
}

static void append(struct change_list *list, enum store_table table, const struct key *key,
	const struct key *to)
{
	struct change_entry head = {
		.account = account_of(key),
		.key_bytes = (uint16_t)key->size_bytes,
		.to_bytes = (uint16_t)(to != NULL ? to->size_bytes : 0),
		.table = (uint8_t)table,
	};
	struct change_entry *e;

	if (head.account == KEY_NODE_SECTION)
		return;
	if (!make_room(list, step(&head))) {
		list->is_incomplete = true;
		return;
	}
	e = (struct change_entry *)(void *)(list->entries + list->used_bytes);
	/* Not *e = head: what lies behind its last member would come with it, and is hashed where
	 * the key is short (change_pile_add()). */
	memset(e, 0, step(&head));
	memcpy(e, &head, offsetof(struct change_entry, bytes));
	memcpy(e->bytes, key->bytes, key->size_bytes);
	if (to != NULL)
		memcpy(e->bytes + key->size_bytes, to->bytes, to->size_bytes);
	list->used_bytes += step(e);
}

void change_list_add(struct change_list *list, enum store_table table, const struct key *key)
{
	append(list, table, key, NULL);
}

void change_list_add_range(struct change_list *list, enum store_table table, const struct key *from,
	const struct key *to)
{
	append(list, table, from, to);
}

void change_list_done(struct change_list *list)
{
	free(list->entries);
	*list = (struct change_list){.entries = NULL};
}

/* ---- the set */

struct change_set *change_set_new(uint64_t limit_bytes)
{
	struct change_set *set = calloc(1, sizeof(*set));
	pthread_rwlockattr_t attributes;

	if (set == NULL)
		return NULL;
	/* Writers come all the time: a cut must not wait for a moment without any. */
	(void)pthread_rwlockattr_init(&attributes);
	(void)pthread_rwlockattr_setkind_np(
		&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	if (pthread_rwlock_init(&set->gate, &attributes) != 0) {
		(void)pthread_rwlockattr_destroy(&attributes);
		free(set);
		return NULL;
	}
	(void)pthread_rwlockattr_destroy(&attributes);
	lock_init(&set->lock);
	change_pile_init(&set->pile);
	set->limit_bytes = limit_bytes;
	return set;
}

void change_set_free(struct change_set *set)
{
	if (set == NULL)
		return;
	change_pile_done(&set->pile);
	lock_done(&set->lock);
	(void)pthread_rwlock_destroy(&set->gate);
	free(set);
}

void change_set_enter(struct change_set *set)
{
	(void)pthread_rwlock_rdlock(&set->gate);
}

void change_set_leave(struct change_set *set)
{
	(void)pthread_rwlock_unlock(&set->gate);
}

void change_set_pass(struct change_set *set)
{
	(void)pthread_rwlock_wrlock(&set->gate);
	(void)pthread_rwlock_unlock(&set->gate);
}

/* Losing a key would lose a mail: without memory for a mark of a few bytes there is no going on. */
static void must_be_noted(int error)
{
	if (error == 0)
		return;
	log_error("no memory to note what has changed");
	abort();
}

static bool is_empty_locked(const struct change_set *set) REQUIRES(set->lock)
{
	return set->pile.used == 0 && set->pile.whole.used == 0;
}

static void tell_locked(struct change_set *set, bool was_empty) REQUIRES(set->lock)
{
	if (was_empty && set->noted != NULL && !is_empty_locked(set))
		set->noted(set->noted_arg);
}

void change_set_watch(struct change_set *set, void (*noted)(void *arg), void *arg)
{
	lock_acquire(&set->lock);
	set->noted = noted;
	set->noted_arg = arg;
	tell_locked(set, true);
	lock_release(&set->lock);
}

bool change_set_is_empty(struct change_set *set)
{
	bool empty;

	lock_acquire(&set->lock);
	empty = is_empty_locked(set);
	lock_release(&set->lock);
	return empty;
}

static void keep_limit_locked(struct change_set *set) REQUIRES(set->lock)
{
	while (set->pile.bytes > set->limit_bytes && set->pile.used > 0)
		must_be_noted(change_pile_drop_largest(&set->pile));
}

void change_set_note(struct change_set *set, struct change_list *list)
{
	bool was_empty;

	lock_acquire(&set->lock);
	was_empty = is_empty_locked(set);
	for (size_t at = 0; at < list->used_bytes;) {
		struct change_entry *e = (struct change_entry *)(void *)(list->entries + at);

		must_be_noted(change_pile_add(&set->pile, e));
		at += step(e);
	}
	keep_limit_locked(set);
	tell_locked(set, was_empty);
	lock_release(&set->lock);
}

void change_set_note_account(struct change_set *set, uint32_t account)
{
	bool was_empty;

	lock_acquire(&set->lock);
	was_empty = is_empty_locked(set);
	must_be_noted(change_pile_mark_whole(&set->pile, account));
	tell_locked(set, was_empty);
	lock_release(&set->lock);
}

uint64_t change_set_account_bytes(struct change_set *set, uint32_t account)
{
	uint64_t bytes = 0, *place;

	lock_acquire(&set->lock);
	place = map64_find(&set->pile.accounts, (uint64_t)account + 1);
	if (place != NULL)
		bytes = *place;
	else if (change_pile_is_whole(&set->pile, account))
		bytes = 1; /* all of it; how much that is nobody knows here */
	lock_release(&set->lock);
	return bytes;
}

uint64_t change_set_bytes(struct change_set *set)
{
	uint64_t bytes;

	lock_acquire(&set->lock);
	bytes = set->pile.bytes;
	lock_release(&set->lock);
	return bytes;
}

/* ---- cuts */

/* Leaves an empty pile. */
static struct change_pile take_pile(struct change_set *set)
{
	struct change_pile pile;

	lock_acquire(&set->lock);
	pile = set->pile;
	change_pile_init(&set->pile);
	lock_release(&set->lock);
	return pile;
}

int change_set_cut(
	struct change_set *set, void (*at_cut)(void *arg), void *arg, struct change_cut **ret)
{
	struct taken_cut *taken = calloc(1, sizeof(*taken));
	int r;

	if (taken == NULL)
		return -ENOMEM;
	(void)pthread_rwlock_wrlock(&set->gate);
	taken->pile = take_pile(set);
	at_cut(arg);
	(void)pthread_rwlock_unlock(&set->gate);
	r = change_pile_sort(&taken->pile, &taken->cut);
	if (r < 0) {
		change_set_give_back(set, &taken->cut);
		return r;
	}
	*ret = &taken->cut;
	return 0;
}

void change_set_give_back(struct change_set *set, struct change_cut *cut)
{
	struct taken_cut *taken = (struct taken_cut *)(void *)cut;
	const struct change_pile *pile = &taken->pile;
	bool was_empty;

	lock_acquire(&set->lock);
	was_empty = is_empty_locked(set);
	for (size_t i = 0; i < pile->whole.capacity; i++) {
		if (pile->whole.slots[i].key != 0)
			must_be_noted(change_pile_mark_whole(
				&set->pile, (uint32_t)(pile->whole.slots[i].key - 1)));
	}
	for (size_t i = 0; i < pile->capacity; i++) {
		if (pile->slots[i] != NULL && !change_pile_is_whole(pile, pile->slots[i]->account))
			must_be_noted(change_pile_add(&set->pile, pile->slots[i]));
	}
	keep_limit_locked(set);
	tell_locked(set, was_empty);
	lock_release(&set->lock);
	change_cut_free(cut);
}

void change_cut_free(struct change_cut *cut)
{
	struct taken_cut *taken = (struct taken_cut *)(void *)cut;

	if (cut == NULL)
		return;
	change_pile_sort_done(cut);
	change_pile_done(&taken->pile);
	free(taken);
}
