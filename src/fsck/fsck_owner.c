#include <config.h>
#include "fsck/fsck_private.h"

#include <errno.h>
#include <string.h>
#include "replication/owner.h"
#include "util/cleanup.h"

static int check_record(struct fsck *f, const char *key)
{
	const char *problem = "it is of another volume";
	struct backend_result record;
	struct owner owner;
	uint64_t epoch;
	int r;

	if (!owner_parse_key(key, &epoch)) {
		fsck_problem(f, FSCK_NOTE, key, "no record of an owner; left alone");
		return 0;
	}
	r = backend_get_wait(f->options.backend, key, 0, OWNER_BYTES + 1, &record);
	if (r == -ENOENT)
		return 0; /* the next owner removes old ones */
	if (r < 0)
		return r;
	r = owner_decode(record.data, record.data_size_bytes, epoch, &owner, &problem);
	if (r < 0 || memcmp(&owner.volume, &f->options.volume, sizeof(owner.volume)) != 0)
		fsck_problem(f, FSCK_ERROR, key, "%s", problem);
	backend_result_done(&record);
	return 0;
}

void fsck_owner_check(struct fsck *f)
{
	CLEANUP_FREE char *continuation = NULL;
	struct backend_result page;
	int r;

	do {
		r = backend_list_wait(f->options.backend, OWNER_PREFIX, continuation,
			BACKEND_LIST_MAX_ENTRIES, &page);
		if (r < 0)
			break;
		for (size_t i = 0; i < page.n_entries && r == 0; i++)
			r = check_record(f, page.entries[i].key);
		free(continuation);
		continuation = TAKE_PTR(page.continuation);
		backend_result_done(&page);
	} while (r == 0 && continuation != NULL);
	if (r < 0)
		fsck_fail(f, r, "the records of owners cannot be read: %s", strerror(-r));
}
