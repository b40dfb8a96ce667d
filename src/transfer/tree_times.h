/*
 * tree_times.h: times, as people write and read them, and which ones can be had of an account.
 */
#ifndef MAILFS_TRANSFER_TREE_TIMES_H
#define MAILFS_TRANSFER_TREE_TIMES_H

#include <stdint.h>
#include "replication/catalogue.h"

#define TREE_TIMES_TEXT_BYTES 40

/* "2026-11-22T10:30:00.123Z" */
const char *tree_times_text(int64_t ms, char text[TREE_TIMES_TEXT_BYTES]);

/* ISO 8601 with `Z`, an offset (+01:00), or in local time; the time of day, its seconds and their
 * fraction may be missing. "-2h": so long before now_ms (parse_number.h). A time without seconds is
 * its beginning. -EINVAL. */
int tree_times_parse(const char *text, int64_t now_ms, int64_t *ret_ms);

/* -ENOENT, and a message that lists what there is of the account. */
int tree_times_complain(const struct catalogue *catalogue, uint32_t account, int64_t not_after_ms,
	char **ret_message);

#endif
