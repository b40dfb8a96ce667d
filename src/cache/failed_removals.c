#include <config.h>
#include "cache/failed_removals.h"

#include <string.h>

static size_t find(const struct failed_removals *f, const struct uuid *object)
{
	size_t i = 0;

	while (i < f->n && memcmp(&f->entries[i].object, object, sizeof(*object)) != 0)
		i++;
	return i;
}

bool failed_removals_has(const struct failed_removals *f, const struct uuid *object)
{
	return find(f, object) < f->n;
}

bool failed_removals_note(struct failed_removals *f, const struct uuid *object,
	const struct object_record *record, uint64_t now_ms)
{
	size_t i = find(f, object);
	struct failed_removal *entry = &f->entries[i];

	if (i == FAILED_REMOVALS_MAX)
		return false;
	if (i == f->n) {
		f->n++;
		*entry = (struct failed_removal){.object = *object,
			.record = *record,
			.pause_ms = FAILED_REMOVALS_FIRST_PAUSE_MS};
	} else if (entry->pause_ms < FAILED_REMOVALS_LONGEST_PAUSE_MS / 2) {
		entry->pause_ms *= 2;
	} else {
		entry->pause_ms = FAILED_REMOVALS_LONGEST_PAUSE_MS;
	}
	entry->due_ms = now_ms + entry->pause_ms;
	return true;
}

void failed_removals_forget(struct failed_removals *f, const struct uuid *object)
{
	size_t i = find(f, object);

	if (i < f->n)
		f->entries[i] = f->entries[--f->n];
}

const struct failed_removal *failed_removals_first(const struct failed_removals *f)
{
	const struct failed_removal *first = NULL;

	for (size_t i = 0; i < f->n; i++) {
		if (first == NULL || f->entries[i].due_ms < first->due_ms)
			first = &f->entries[i];
	}
	return first;
}

void failed_removals_hurry(struct failed_removals *f)
{
	for (size_t i = 0; i < f->n; i++)
		f->entries[i].due_ms = 0;
}
