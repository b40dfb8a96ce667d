#include <config.h>
#include "util/map64.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_CAPACITY 64

/* The finisher of SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t map64_hash(uint64_t key)
{
	key ^= key >> 30;
	key *= UINT64_C(0xbf58476d1ce4e5b9);
	key ^= key >> 27;
	key *= UINT64_C(0x94d049bb133111eb);
	return key ^ key >> 31;
}

void map64_init(struct map64 *map)
{
	*map = (struct map64){0};
}

void map64_done(struct map64 *map)
{
	free(map->slots);
	map64_init(map);
}

/* Where the key is, or the free slot where it would go. */
static size_t slot_of(const struct map64 *map, uint64_t key)
{
	size_t i = (size_t)map64_hash(key) & (map->capacity - 1);

	while (map->slots[i].key != 0 && map->slots[i].key != key)
		i = (i + 1) & (map->capacity - 1);
	return i;
}

uint64_t *map64_find(const struct map64 *map, uint64_t key)
{
	size_t i;

	assert(key != 0);
	if (map->capacity == 0)
		return NULL;
	i = slot_of(map, key);
	return map->slots[i].key == key ? &map->slots[i].value : NULL;
}

static bool grow(struct map64 *map)
{
	struct map64 bigger = {.capacity = map->capacity ? map->capacity * 2 : FIRST_CAPACITY};

	bigger.slots = calloc(bigger.capacity, sizeof(*bigger.slots));
	if (bigger.slots == NULL)
		return false;
	for (size_t i = 0; i < map->capacity; i++) {
		if (map->slots[i].key != 0)
			bigger.slots[slot_of(&bigger, map->slots[i].key)] = map->slots[i];
	}
	bigger.used = map->used;
	free(map->slots);
	*map = bigger;
	return true;
}

uint64_t *map64_insert(struct map64 *map, uint64_t key)
{
	size_t i;

	assert(key != 0);
	if (map->used * 4 >= map->capacity * 3 && !grow(map))
		return NULL;
	i = slot_of(map, key);
	if (map->slots[i].key == 0) {
		map->slots[i] = (struct map64_slot){.key = key};
		map->used++;
	}
	return &map->slots[i].value;
}

/* Moves later members of the run back, so that no search meets a gap (Knuth 6.4, algorithm R). */
void map64_remove(struct map64 *map, uint64_t key)
{
	size_t mask = map->capacity - 1;
	size_t hole, i, home;

	if (map64_find(map, key) == NULL)
		return;
	hole = slot_of(map, key);
	for (i = (hole + 1) & mask; map->slots[i].key != 0; i = (i + 1) & mask) {
		home = (size_t)map64_hash(map->slots[i].key) & mask;
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			map->slots[hole] = map->slots[i];
			hole = i;
		}
	}
	map->slots[hole] = (struct map64_slot){0};
	map->used--;
}
