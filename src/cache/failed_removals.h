/*
 * failed_removals.h: objects that could not be removed, each with the time to try it again, so that
 * one that never goes does not hold up the others.
 *
 * No locks: it belongs to object_reaper.c, which uses it under its own.
 */
#ifndef MAILFS_CACHE_FAILED_REMOVALS_H
#define MAILFS_CACHE_FAILED_REMOVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/record.h"
#include "util/uuid.h"

#define FAILED_REMOVALS_MAX 64
#define FAILED_REMOVALS_FIRST_PAUSE_MS 1000
#define FAILED_REMOVALS_LONGEST_PAUSE_MS 60000

struct failed_removal {
	struct uuid object;
	struct object_record record;
	uint64_t due_ms; /* monotonic */
	uint64_t pause_ms;
};

struct failed_removals {
	size_t n;
	struct failed_removal entries[FAILED_REMOVALS_MAX];
};

bool failed_removals_has(const struct failed_removals *f, const struct uuid *object);

/* It failed (again): its pause is the first one, or doubles. False: there is no room for it. */
bool failed_removals_note(struct failed_removals *f, const struct uuid *object,
	const struct object_record *record, uint64_t now_ms);

/* It is gone. */
void failed_removals_forget(struct failed_removals *f, const struct uuid *object);

/* The one that is due first, or NULL when there is none at all. */
const struct failed_removal *failed_removals_first(const struct failed_removals *f);

/* All are due now. */
void failed_removals_hurry(struct failed_removals *f);

#endif
