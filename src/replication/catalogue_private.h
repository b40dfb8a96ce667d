/*
 * catalogue_private.h: what catalogue.c and catalogue_plan.c share.
 */
#ifndef MAILFS_REPLICATION_CATALOGUE_PRIVATE_H
#define MAILFS_REPLICATION_CATALOGUE_PRIVATE_H

#include "replication/catalogue.h"
#include "replication/checkpoint.h"
#include "replication/segment.h"

/* A segment that was listed. */
struct catalogue_segment {
	struct position position;
	const char *problem; /* NULL: `segment` is good and counts */
	struct segment segment;
	bool is_later; /* than catalogue_options.not_after_ms */
};

/* The account's sections in one segment. */
struct catalogue_item {
	uint32_t account;
	uint32_t segment; /* index */
	uint32_t entry;   /* first in its directory */
	uint32_t n_entries;
};

struct catalogue {
	struct catalogue_options options;
	struct catalogue_segment *segments; /* sorted by position */
	size_t n_segments, capacity;
	uint64_t n_sections;
	struct catalogue_item *items; /* sorted by account, then segment */
	size_t n_items;
	struct catalogue_journal *journals;
	size_t n_journals;
	struct catalogue_hole *holes; /* sorted by position */
	size_t n_holes, holes_capacity;
	uint32_t next_account;
};

/* "node/incarnation/sequence" as in the key, for messages. */
#define CATALOGUE_TEXT_BYTES POSITION_SEGMENT_KEY_BYTES

/* ---- catalogue_checkpoints.c */

/* The account's, in the order of their positions. */
const struct catalogue_item *catalogue_items(
	const struct catalogue *c, uint32_t account, size_t *ret_n);

struct catalogue_numbers {
	struct catalogue_number {
		uint64_t number;
		uint32_t n_parts; /* that are there beside it */
	} * numbers;              /* in ascending order, as they are listed; owned */
	size_t n, capacity;
};

/* Of all checkpoints of the account. -EFBIG above CATALOGUE_MAX_CHECKPOINTS. */
int catalogue_list_checkpoints(const struct catalogue *c, uint32_t account,
	struct catalogue_numbers *ret, char **ret_message);

/* The head of the object, as much as it takes; checkpoint_done() it. -EBADMSG, with a problem that
 * is never freed; -ENOENT. */
int catalogue_read_checkpoint(const struct catalogue *c, uint32_t account, uint64_t number,
	enum backend_priority priority, struct checkpoint *ret, const char **ret_problem);

#endif
