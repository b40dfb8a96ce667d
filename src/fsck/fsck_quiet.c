/*
 * fsck_quiet.c: whether others write to the volume, which is known only of those who have written:
 * lately, as their cuts say, or since this began, as the names of what is there say.
 */
#include <config.h>
#include "fsck/fsck_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "replication/owner.h"
#include "util/checksum.h"
#include "util/cleanup.h"

static bool matters(struct fsck *f)
{
	return f->options.repair && !f->options.is_online && !fsck_is_over(f);
}

/* Every segment, part and owner record has a name of its own. */
static uint64_t add_names(uint64_t sum, const struct backend_result *page)
{
	for (size_t i = 0; i < page->n_entries; i++)
		sum += checksum_64(page->entries[i].key, strlen(page->entries[i].key));
	return sum;
}

static uint64_t sum_names(struct fsck *f, const char *prefix)
{
	CLEANUP_FREE char *continuation = NULL;
	struct backend_result page;
	uint64_t sum = 0;
	int r;

	do {
		r = backend_list_wait(
			f->options.backend, prefix, continuation, BACKEND_LIST_MAX_ENTRIES, &page);
		if (r < 0) {
			fsck_fail(f, r, "%s cannot be listed: %s", prefix, strerror(-r));
			break;
		}
		sum = add_names(sum, &page);
		free(continuation);
		continuation = TAKE_PTR(page.continuation);
		backend_result_done(&page);
	} while (continuation != NULL && !fsck_is_over(f));
	return sum;
}

static uint64_t sum_all(struct fsck *f)
{
	return sum_names(f, OWNER_PREFIX) + sum_names(f, "journal/");
}

void fsck_quiet_begin(struct fsck *f)
{
	if (matters(f))
		f->names_sum = sum_all(f);
}

void fsck_quiet_check(struct fsck *f)
{
	if (!matters(f))
		return;
	if (f->newest_cut_ms > f->begun_ms - (int64_t)f->options.grace_ms)
		fsck_fail(f, -EBUSY,
			"the volume has been written to within the grace time: to repair it, name "
			"the mountpoint, or unmount it and wait, or (if it is mounted nowhere) set "
			"--grace 0");
}

void fsck_quiet_end(struct fsck *f)
{
	fsck_quiet_check(f);
	if (matters(f) && sum_all(f) != f->names_sum && !fsck_is_over(f))
		fsck_fail(f, -EBUSY,
			"a node has written to the volume meanwhile, so it is mounted somewhere: "
			"nothing was removed; to repair it, name the mountpoint");
}
