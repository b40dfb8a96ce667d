/*
 * fsck_private.h: what the files of fsck share.
 */
#ifndef MAILFS_FSCK_FSCK_PRIVATE_H
#define MAILFS_FSCK_FSCK_PRIVATE_H

#include "cache/record.h"
#include "fsck/fsck.h"
#include "replication/position.h"
#include "replication/section.h"
#include "transfer/tree_node.h"
#include "util/lock.h"
#include "util/worker_pool.h"

/* ---- references (fsck_references.c): who names which object. A new kind of object is a line here,
 * in fsck_references_of() and in fsck_object_parse(). */
enum fsck_object_kind { FSCK_BODY, FSCK_PACK };

struct fsck_reference {
	uint32_t account;
	uint32_t kind; /* enum fsck_object_kind */
	struct uuid object;
};

struct fsck_references {
	struct fsck_reference *list;
	size_t n, capacity;
	bool is_sorted, is_incomplete; /* there were too many, or too little memory */
};

void fsck_references_add(struct fsck_references *references, const struct fsck_reference *one);
bool fsck_references_have(struct fsck_references *references, const struct fsck_reference *one);
void fsck_references_sort(struct fsck_references *references);
void fsck_references_done(struct fsck_references *references);

/* Whether the record of the account names an object. */
bool fsck_references_of(
	uint32_t account, const struct section_record *record, struct fsck_reference *ret);

/* Whether it is the key of an object that records name. */
bool fsck_object_parse(const char *key, struct fsck_reference *ret);
void fsck_object_key(const struct fsck_reference *reference, char key[BACKEND_KEY_MAX_BYTES]);

/* ---- the whole */

struct fsck_orphan {
	char *key;
	const char *what;
	int64_t modified_ms;
};

struct fsck {
	struct fsck_options options;
	struct tree_node *tree;
	int64_t begun_ms;
	uint32_t *retry; /* accounts that are looked at again, since the volume is in use */
	size_t n_retry, retry_capacity;
	bool is_second_try;
	uint64_t names_sum; /* fsck_quiet.c */

	struct lock lock; /* protects what follows */
	struct fsck_figures figures;
	struct fsck_references references; /* of all segments */
	struct fsck_orphan *orphans;
	size_t n_orphans, orphans_capacity;
	int64_t newest_cut_ms;
	bool is_blind; /* something is damaged that could name objects */
	int error;     /* the first that ends all */
	char *message;
	uint64_t progress_done, progress_total;
	const char *phase;
};

void fsck_problem(struct fsck *f, enum fsck_severity severity, const char *subject,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
void fsck_begin_phase(struct fsck *f, const char *phase, uint64_t total);
void fsck_step(struct fsck *f);
bool fsck_is_over(struct fsck *f);

/* All ends with this error. */
void fsck_fail(struct fsck *f, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A cut of this time is on the backend. */
void fsck_note_cut(struct fsck *f, int64_t created_ms);
void fsck_note_damage(struct fsck *f);

/* ---- fsck_frame.c: one object with sections */

struct fsck_frame {
	enum { FSCK_SEGMENT, FSCK_PART, FSCK_CHECKPOINT, FSCK_CHECKPOINT_PART } type;
	struct position position; /* segments and their parts */
	uint16_t part;            /* 0: the segment or checkpoint itself */
	uint32_t account;         /* checkpoints */
	uint64_t number;
	const char *key;

	struct fsck_references *references; /* what its records name */
	struct lock *references_lock;       /* NULL: they are the caller's own */

	/* Found. */
	bool has_head, is_missing;
	int64_t created_ms;
	uint32_t n_parts;
};

/* Reads and verifies all of it; what is wrong is told. */
void fsck_frame_check(struct fsck *f, struct fsck_frame *frame);

/* ---- fsck_journal.c */
void fsck_journal_check(struct fsck *f);

/* Holes in the chains, as the tree's catalogue has them. */
void fsck_journal_check_chains(struct fsck *f);

/* ---- fsck_accounts.c */
void fsck_accounts_check(struct fsck *f);

/* ---- fsck_account.c */

struct fsck_object {
	struct fsck_reference reference;
	uint64_t size_bytes;
	int64_t modified_ms;
	bool is_named;
};

/* Where in a pack an extent leads. */
struct fsck_piece {
	struct uuid pack;
	struct extent extent;
};

struct fsck_checkpoint {
	uint64_t number;
	uint16_t part;
	int64_t modified_ms;
};

struct fsck_account {
	struct fsck *fsck;
	uint32_t account;
	struct fsck_object *objects; /* sorted by reference, as they are listed */
	size_t n_objects, capacity;
	struct fsck_checkpoint *checkpoints; /* parts behind the one that they are of */
	size_t n_checkpoints, checkpoints_capacity;
	struct fsck_references old;
	struct fsck_piece *pieces; /* with `deep` */
	size_t n_pieces, pieces_capacity;
	bool is_expected; /* the root account has a name for it */
	bool is_damaged;
};

/* Frees it. A worker_pool_fn. */
void fsck_account_check(void *arg);
int fsck_reference_compare(const void *a, const void *b);

/* ---- fsck_body.c: the objects that content is in */

/* What an extent of the account leads to. */
void fsck_body_reference(uint32_t account, const struct extent *extent, struct fsck_reference *ret);

/* Whether an object of this size can have what the extent says. */
bool fsck_body_size_fits(uint64_t object_bytes, const struct extent *extent);

/* Reads and verifies those that are named, many at a time. */
void fsck_body_check_all(struct fsck_account *a);

/* ---- fsck_owner.c: the records of owners */
void fsck_owner_check(struct fsck *f);

/* ---- fsck_quiet.c: before a repair of what no daemon was named for */

/* What is there, to be compared at the end. */
void fsck_quiet_begin(struct fsck *f);

/* All ends with -EBUSY if cuts are there that are not old enough. */
void fsck_quiet_check(struct fsck *f);

/* ...and if somebody has written since the beginning. */
void fsck_quiet_end(struct fsck *f);

/* ---- fsck_orphans.c */

/* `key` is copied. */
void fsck_orphans_add(struct fsck *f, const char *key, const char *what, int64_t modified_ms);
void fsck_orphans_judge(struct fsck *f);

#endif
