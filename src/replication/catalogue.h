/*
 * catalogue.h: what the backend has of journals, and what of it makes an account.
 *
 * catalogue_load() lists `journal/` and reads the head of every segment, many at a time. The chain
 * of each journal is verified: numbers without gaps, each segment naming the one before. What is
 * missing or damaged is a hole; a prefix that is missing was removed when nobody needed it, perhaps
 * between the listing and the reading.
 *
 * catalogue_plan() then says for one account which checkpoint and which sections it is made of. The
 * segments of an account name each other (previous positions), also from one journal to another:
 * whoever is reached from its last segment is whole, whatever holes there are elsewhere.
 *
 * Checkpoints are looked for account by account, since a listing of all accounts would have all
 * their objects in it. A checkpoint's position is that of the account's latest segment by then, so
 * the chain meets it. What does not lead to it is older, if it leads to the account's beginning or
 * to what was removed; anything else is damage, and so is what claims to be newer. A checkpoint
 * that cannot be used is passed over when the one before it and the segments since lead as far, as
 * far as that can be known.
 *
 * Immutable once loaded, so for many threads. Memory: about 200 bytes for each segment and 120 for
 * each section.
 */
#ifndef MAILFS_REPLICATION_CATALOGUE_H
#define MAILFS_REPLICATION_CATALOGUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/backend.h"
#include "replication/position.h"
#include "replication/section.h"

#define CATALOGUE_MAX_SEGMENTS (1U << 20)
#define CATALOGUE_MAX_SECTIONS (1U << 21) /* of all segments together */
#define CATALOGUE_HEADS_IN_FLIGHT 32      /* of FRAME_FIRST_READ_BYTES, few of them larger */
#define CATALOGUE_CHECKPOINTS_TRIED 4     /* newest first, when they are damaged */
#define CATALOGUE_MAX_CHECKPOINTS 65536   /* of one account */

struct catalogue_options {
	struct backend *backend;
	enum backend_priority priority;
	struct uuid volume;                        /* that checkpoints must be of */
	const atomic_bool *cancelled;              /* NULL: never; set: -ECANCELED soon */
	struct backend_cancellation *cancellation; /* of its calls, also later; NULL: none */

	/* Accounts as of this time (ms since 1970): what was cut later does not count. Where a
	 * journal's times go back, what follows a later cut is later too. 0: as they are. */
	int64_t not_after_ms;
};

struct catalogue;

/* Blocks. Errors of the backend, -EFBIG above a ceiling, -ENOMEM; *ret_message is a malloc()ed
 * sentence. Holes are no error here. The backend outlives the catalogue. */
int catalogue_load(
	const struct catalogue_options *options, struct catalogue **ret, char **ret_message);
void catalogue_free(struct catalogue *catalogue); /* NULL is allowed */

/* ---- journals */

struct catalogue_journal {
	struct uuid node;
	uint64_t incarnation;
	uint64_t first;      /* sequence of the first segment that there is */
	uint64_t n_segments; /* up to a seal */

	/* Where the next segment or a seal belongs: before the first one that is missing. Segments
	 * in flight may have come behind it; a seal ends them. */
	uint64_t end;
	uint64_t end_checksum; /* of the head before it; 0: that is damaged */
	bool is_sealed;
	uint64_t seal; /* its sequence, if it is sealed */
	struct uuid taker;
	bool has_holes;
};

size_t catalogue_n_journals(const struct catalogue *catalogue);
const struct catalogue_journal *catalogue_journal(const struct catalogue *catalogue, size_t i);

/* Problems of holes that are in no single object; all others are damage of one. */
#define CATALOGUE_MISSING "it is missing"
#define CATALOGUE_NOT_NEXT "it does not follow the one before it"
#define CATALOGUE_LOST "it is a seal, in the place of a segment that was complete"

/* One line for each hole: what is missing or damaged, and why. */
struct catalogue_hole {
	struct position position; /* the first one */
	uint64_t last_sequence;
	const char *problem; /* never freed */
};
size_t catalogue_n_holes(const struct catalogue *catalogue);
const struct catalogue_hole *catalogue_hole(const struct catalogue *catalogue, size_t i);

/* Above all accounts that any segment names. */
uint32_t catalogue_next_account(const struct catalogue *catalogue);

/* ---- accounts */

/* Whether a segment has changes of it. */
bool catalogue_has_account(const struct catalogue *catalogue, uint32_t account);

struct catalogue_section {
	char key[POSITION_SEGMENT_KEY_BYTES]; /* of the object */
	uint64_t offset_bytes;
	struct section_info info;
	bool begins_step; /* the first of a checkpoint or of a segment */
};

struct catalogue_plan {
	bool has_checkpoint;
	uint64_t checkpoint_number;
	struct position last; /* of the account's last change: what its next segment names */
	size_t n_sections;
	struct catalogue_section *sections; /* in order; owned: catalogue_plan_done() */
	uint64_t stored_bytes;
	int64_t time_ms; /* of the cut that it ends with */

	/* With not_after_ms: there are later changes up to then, but they do not lead to what is
	 * here any more; the state is that of time_ms. */
	bool is_early;

	/* Changes behind `last` may be lost: its journal has a hole there; or was sealed before it,
	 * though a checkpoint has it, so that it did count; or a newer checkpoint cannot be read,
	 * and segments that it had may have been removed. */
	bool is_uncertain;
	struct position uncertain_from; /* the hole or seal, unless it is the checkpoint */
	uint64_t uncertain_checkpoint;  /* its number; 0: it is the hole */
};

/* Blocks for a listing and a read, or a few more where a checkpoint cannot be read. -ENOENT:
 * nothing is known of the account, or nothing that is old enough. -EBADMSG: segments that it needs
 * are missing or damaged, or its newest checkpoint is and no other way leads as far; *ret_message
 * (malloc()ed) says from which position on, or which checkpoint. Errors of the backend; -ENOMEM. */
int catalogue_plan(const struct catalogue *catalogue, uint32_t account,
	enum backend_priority priority, struct catalogue_plan *ret, char **ret_message);
void catalogue_plan_done(struct catalogue_plan *plan);

/* What there is of an account, whatever not_after_ms says. Each checkpoint is a state that can be
 * had; and so are the cuts behind the newest one. */
struct catalogue_times {
	int64_t *checkpoints_ms; /* newest first; owned: catalogue_times_done() */
	size_t n_checkpoints;    /* damaged ones, and without all parts, are left out */
	size_t n_segments;       /* with changes of the account */
	int64_t oldest_segment_ms, newest_segment_ms;
};

/* Blocks for a listing and a read for each checkpoint. Errors as above. */
int catalogue_times(const struct catalogue *catalogue, uint32_t account,
	struct catalogue_times *ret, char **ret_message);
void catalogue_times_done(struct catalogue_times *times);

#endif
