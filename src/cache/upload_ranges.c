/*
 * Arithmetic on the dirty ranges of an upload record (body_map.h).
 */
#include <config.h>
#include "cache/body_map.h"

#include <assert.h>
#include <string.h>

static void remove_at(struct upload *u, uint32_t i)
{
	u->n_dirty--;
	memmove(&u->dirty[i], &u->dirty[i + 1], (u->n_dirty - i) * sizeof(u->dirty[0]));
}

static void insert_at(struct block_range *ranges, uint32_t *n, uint32_t i, struct block_range range)
{
	memmove(&ranges[i + 1], &ranges[i], (*n - i) * sizeof(ranges[0]));
	ranges[i] = range;
	(*n)++;
}

/* Joins the two neighbours with the smallest gap, so that one more range fits. */
static void join_nearest(struct block_range *ranges, uint32_t *n)
{
	uint32_t best = 1;

	for (uint32_t i = 2; i < *n; i++) {
		if (ranges[i].first - ranges[i - 1].end < ranges[best].first - ranges[best - 1].end)
			best = i;
	}
	ranges[best - 1].end = ranges[best].end;
	(*n)--;
	memmove(&ranges[best], &ranges[best + 1], (*n - best) * sizeof(ranges[0]));
}

/* Works on a copy with room for one more than the record has. */
static void insert_sorted(struct upload *u, struct block_range range)
{
	struct block_range ranges[RECORD_UPLOAD_MAX_RANGES + 1];
	uint32_t n = u->n_dirty, i = 0;

	memcpy(ranges, u->dirty, n * sizeof(ranges[0]));
	while (i < n && ranges[i].first < range.first)
		i++;
	insert_at(ranges, &n, i, range);
	if (n > RECORD_UPLOAD_MAX_RANGES)
		join_nearest(ranges, &n);
	memcpy(u->dirty, ranges, n * sizeof(ranges[0]));
	u->n_dirty = n;
}

void upload_add_range(struct upload *u, uint64_t first, uint64_t end)
{
	struct block_range range = {first, end};

	if (first >= end)
		return;
	for (uint32_t i = 0; i < u->n_dirty;) {
		struct block_range *other = &u->dirty[i];

		if (other->first > range.end || range.first > other->end) {
			i++;
			continue;
		}
		if (other->first < range.first)
			range.first = other->first;
		if (other->end > range.end)
			range.end = other->end;
		remove_at(u, i);
	}
	insert_sorted(u, range);
}

void upload_remove_range(struct upload *u, uint64_t first, uint64_t end)
{
	struct upload old = *u;

	u->n_dirty = 0;
	for (uint32_t i = 0; i < old.n_dirty; i++) {
		struct block_range range = old.dirty[i];

		if (range.end <= first || range.first >= end) {
			insert_sorted(u, range);
			continue;
		}
		if (range.first < first)
			insert_sorted(u, (struct block_range){range.first, first});
		if (range.end > end)
			insert_sorted(u, (struct block_range){end, range.end});
	}
}

bool upload_covers(const struct upload *u, uint64_t first, uint64_t end)
{
	for (uint32_t i = 0; i < u->n_dirty; i++) {
		if (u->dirty[i].first <= first && end <= u->dirty[i].end)
			return true;
	}
	return false;
}

bool upload_touches(const struct upload *u, uint64_t block)
{
	if (u->running && block >= u->uploading.first && block < u->uploading.end)
		return true;
	return upload_covers(u, block, block + 1);
}
