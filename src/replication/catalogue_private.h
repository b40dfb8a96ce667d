/*
 * catalogue_private.h: what the files of the catalogue share.
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

struct catalogue_number {
	uint64_t number;
	uint32_t n_parts; /* that are there beside it: part 1, and so on to the first gap */
};

struct catalogue_numbers {
	struct catalogue_number *numbers; /* in ascending order, as they are listed; owned */
	size_t n, capacity;
};

/* Of all checkpoints of the account. -EFBIG above CATALOGUE_MAX_CHECKPOINTS. */
int catalogue_list_checkpoints(const struct catalogue *c, uint32_t account,
	struct catalogue_numbers *ret, char **ret_message);

/* The head of the object, as much as it takes; checkpoint_done() it. -EBADMSG, with a problem that
 * is never freed; -ENOENT. */
int catalogue_read_checkpoint(const struct catalogue *c, uint32_t account, uint64_t number,
	enum backend_priority priority, struct checkpoint *ret, const char **ret_problem);

/* Of one that cannot be read: only what its header says. -EBADMSG: that is damaged too; -ENOENT;
 * errors of the backend. */
int catalogue_read_header(const struct catalogue *c, uint32_t account, uint64_t number,
	enum backend_priority priority, struct checkpoint *ret);

/* All its parts were listed. */
bool catalogue_is_whole(const struct catalogue_number *number, const struct checkpoint *checkpoint);

/* ---- catalogue_removed.c */

/* Whether segments of an account may have been removed, for the sake of its checkpoint with that
 * number, which cannot be read, that came behind `last`: a segment of it which is there, as all
 * before it that are needed. Blocks for a listing and reads. Errors of the backend, -ENOMEM. */
int catalogue_may_lack(const struct catalogue *c, uint64_t number, const struct position *last,
	bool *ret, char **ret_message);

/* ---- catalogue_choice.c */

/* A checkpoint that says how far it went, but lacks parts, or has a damaged directory. */
struct catalogue_lost {
	uint64_t number;
	struct position position;
	const char *problem; /* never freed */
};

/* The newest checkpoint that an account can be built upon, and what was passed over for it. */
struct catalogue_choice {
	struct checkpoint checkpoint; /* owned: catalogue_choice_done() */
	bool has_checkpoint;
	struct catalogue_lost lost[CATALOGUE_CHECKPOINTS_TRIED]; /* newest first */
	unsigned int n_lost;
	unsigned int n_unreadable; /* the header is damaged, or it is gone since it was listed */
	uint64_t unreadable;       /* the newest one's number */
	bool is_any_gone;          /* that was listed */
	const char *problem;       /* with it; never freed */
};

/* Newest first, up to CATALOGUE_CHECKPOINTS_TRIED that cannot be used; what is later than
 * catalogue_options.not_after_ms does not count. Whether passing over was right is the caller's to
 * find out. Blocks for a listing and reads. Errors of the backend, -EFBIG, -ENOMEM. */
int catalogue_choose(const struct catalogue *c, uint32_t account, enum backend_priority priority,
	struct catalogue_choice *ret, char **ret_message);
void catalogue_choice_done(struct catalogue_choice *choice);

#endif
