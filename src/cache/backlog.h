/*
 * backlog.h: how much has changed here that is not on the backend yet, and when it is too much.
 *
 * While the backend is away changes gather on the local disk. Above half of a limit changes are to
 * be delayed, more and more, so that the backend can keep up if it is only slow; at the limit what
 * needs room is refused with ENOSPC, as on a full disk (store_check_space()), until the backend has
 * caught up. Reading and removing are never affected. Replication says how old the oldest change is
 * that is not on the backend (node_replication.lag); how much was changed since is counted here, at
 * moments a second apart. Without replication there is no backlog. Thread-safe, does not block.
 */
#ifndef MAILFS_CACHE_BACKLOG_H
#define MAILFS_CACHE_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

#define BACKLOG_DEFAULT_BYTES (UINT64_C(4) << 30)
#define BACKLOG_DEFAULT_AGE_MS (UINT64_C(24) * 3600 * 1000)
#define BACKLOG_MAX_DELAY_MS 200

struct node;
struct backlog;

/* 0: the defaults. NULL without memory. */
struct backlog *backlog_new(struct node *node, uint64_t limit_bytes, uint64_t limit_age_ms);
void backlog_free(struct backlog *b); /* NULL is allowed */

/* So much was accepted. */
void backlog_note(struct backlog *b, uint64_t bytes);

/* 0, or -ENOSPC. Looks at most every BACKLOG_LOOK_MS. */
#define BACKLOG_LOOK_MS 100
int backlog_check(struct backlog *b);

/* By how much a change is to be delayed now: 0 to BACKLOG_MAX_DELAY_MS. */
uint32_t backlog_delay_ms(struct backlog *b);

struct backlog_figures {
	uint64_t bytes, age_ms; /* as of the last look */
	bool is_full;
	uint64_t refused; /* changes, since the start */
};
void backlog_get_figures(struct backlog *b, struct backlog_figures *ret);

#endif
