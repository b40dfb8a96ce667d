/*
 * map64.h: a hash table from non-zero 64-bit numbers to 64-bit numbers. Not locked.
 */
#ifndef MAILFS_UTIL_MAP64_H
#define MAILFS_UTIL_MAP64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map64_slot {
	uint64_t key; /* 0: free */
	uint64_t value;
};

struct map64 {
	struct map64_slot *slots; /* capacity is a power of two, or no slots at all */
	size_t capacity;
	size_t used;
};

void map64_init(struct map64 *map);
void map64_done(struct map64 *map);

/* The value's place, or NULL. Valid until the next insertion or removal. */
uint64_t *map64_find(const struct map64 *map, uint64_t key);

/* The value's place; a new one holds 0. NULL when there is no memory. */
uint64_t *map64_insert(struct map64 *map, uint64_t key);
void map64_remove(struct map64 *map, uint64_t key);

/* Spreads numbers that differ in few bits over all 64. */
uint64_t map64_hash(uint64_t key);

#endif
