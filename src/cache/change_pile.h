/*
 * change_pile.h: a set of changed keys in memory, for change_set.c only. Not locked.
 */
#ifndef MAILFS_CACHE_CHANGE_PILE_H
#define MAILFS_CACHE_CHANGE_PILE_H

#include "cache/change_set.h"
#include "util/map64.h"

struct change_chunk;

struct change_entry {
	uint64_t hash;
	uint32_t account;
	uint16_t key_bytes, to_bytes;
	uint8_t table;
	uint8_t bytes[]; /* the key, and behind it `to` */
};

struct change_pile {
	struct change_chunk *chunks;
	struct change_entry **slots; /* open addressing; capacity is a power of two */
	size_t capacity, used;
	uint64_t bytes;
	struct map64 accounts; /* account + 1 -> bytes of its entries */
	struct map64 whole;    /* account + 1 -> 1 */
};

void change_pile_init(struct change_pile *pile);
void change_pile_done(struct change_pile *pile);

/* The hash of an entry is set here. -ENOMEM: the account is marked whole, or if even that fails
 * nothing is changed. */
int change_pile_add(struct change_pile *pile, struct change_entry *entry);

/* Its entries stay until they are dropped, but count no more. -ENOMEM. */
int change_pile_mark_whole(struct change_pile *pile, uint32_t account);
bool change_pile_is_whole(const struct change_pile *pile, uint32_t account);

/* Marks the account with the most bytes and gives its memory back. -ENOMEM. */
int change_pile_drop_largest(struct change_pile *pile);

/* All of it as a cut, whose keys live in the pile. -ENOMEM. */
int change_pile_sort(const struct change_pile *pile, struct change_cut *ret);
void change_pile_sort_done(struct change_cut *cut);

#endif
