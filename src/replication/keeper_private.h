/*
 * keeper_private.h: what the files of the keeper share: keeper.c (life, jobs, when), keeper_tails.c
 * (who needs what), keeper_calls.c (the backend), keeper_look.c (what was there at the start),
 * keeper_checkpoint.c (checkpoints), keeper_remove.c (removals).
 */
#ifndef MAILFS_REPLICATION_KEEPER_PRIVATE_H
#define MAILFS_REPLICATION_KEEPER_PRIVATE_H

#include <pthread.h>
#include "replication/catalogue.h"
#include "replication/checkpoint_writer.h"
#include "replication/keeper.h"
#include "util/list.h"
#include "util/lock.h"
#include "util/map64.h"

#define KEEPER_OWN 0 /* index of the node's own journal */

/* A segment with changes of an account that its checkpoint does not have. */
struct keeper_item {
	uint64_t sequence;
	uint64_t bytes;
	uint32_t journal;
};

/* Up to where a journal has, or had, segments with changes of an account. */
struct keeper_mark {
	uint64_t sequence;
	uint32_t journal;
};

/* A checkpoint that is on the backend. */
struct keeper_old {
	uint64_t number;
	int64_t created_ms;
	uint16_t n_parts;
};

struct keeper_tail {
	uint32_t account;
	bool is_catalogued; /* the catalogue has segments of it, of which not all may be needed */
	bool is_looked;     /* all below is known from the backend, not only from the journal */
	bool is_empty;      /* the newest checkpoint says: nothing is left of the account */
	uint64_t number;    /* the highest that is or was there */
	uint64_t covered;   /* of its own journal: so far it is in a checkpoint */
	struct keeper_item *items;
	size_t n_items, items_capacity;
	struct keeper_mark *marks;
	size_t n_marks;
	struct keeper_old
		*old; /* what nothing is built upon, then ascending; the last is the newest */
	size_t n_old;
	uint64_t bytes;      /* of items */
	uint64_t changed_ms; /* monotonic */
	uint64_t not_before_ms;
	unsigned int failures;
	int error;
};

struct keeper_segment {
	uint64_t bytes;
	uint32_t n_needed; /* accounts that need it */
	uint16_t n_parts;
	bool is_kept; /* it must not be removed: a seal, or damaged, or not known well enough */
	bool is_there;
};

struct keeper_journal {
	struct uuid node;
	uint64_t incarnation;
	uint64_t first; /* sequence of segments[begin] */
	struct keeper_segment *segments;
	size_t begin, n, capacity; /* segments[begin] to segments[begin + n - 1] */
	uint64_t bytes, n_there;
};

struct keeper_job_state {
	struct list_node node;
	unsigned int n_holders; /* the caller, and the list or the thread */
	bool takes_all, has_begun, is_cancelled, is_done, is_unlimited;
	uint32_t *accounts;
	size_t n_accounts, next;
	uint64_t bytes;
	int error;
};

struct keeper {
	struct keeper_options options;
	pthread_t thread;
	atomic_bool stopping;
	struct backend_cancellation cancellation; /* of the calls of keeper_calls.c */

	/* Segments of the own journal up to here come from the catalogue, those behind it from the
	 * journal. Set once, at the start; UINT64_MAX: not yet. */
	uint64_t own_loaded;
	struct catalogue *catalogue; /* the thread's, like all to the lock; NULL: not needed */
	size_t n_unlooked;           /* accounts of the catalogue */
	struct checkpoint_writer *writer;
	uint64_t next_put_ms; /* the rate's */
	uint64_t snapshot_end_ms;
	bool is_unlimited, is_for_job; /* what is put now */
	unsigned int load_failures;
	int64_t newest_ms; /* of all segments that were seen: checkpoints are later */

	struct lock lock; /* all below; under it nothing of the store, the journal or the backend */
	struct lock_condition changed;
	struct list_node jobs;
	uint64_t n_events;
	struct map64 by_account; /* account + 1 -> struct keeper_tail * */
	struct keeper_tail **tails;
	size_t n_tails, tails_capacity;
	struct keeper_journal *journals;
	size_t n_journals;
	int64_t newest_completed_ms; /* as newest_ms, of what came from the journal */
	struct keeper_figures figures;
};

/* Sleeps, but for keeper_stop(): -ECANCELED. */
int keeper_sleep_until(struct keeper *keeper, uint64_t until_ms);

/* For the figures. */
void keeper_note_error(struct keeper *keeper, int error);

/* ---- keeper_calls.c: as backend_*_wait() */
int keeper_call_remove(struct keeper *keeper, const char *key);
int keeper_call_list(struct keeper *keeper, const char *prefix, const char *continuation,
	struct backend_result *ret);

/* ---- keeper_tails.c */

struct keeper_tail *keeper_find_locked(struct keeper *keeper, uint32_t account)
	REQUIRES(keeper->lock);

/* Makes it. NULL without memory. */
struct keeper_tail *keeper_tail_locked(struct keeper *keeper, uint32_t account)
	REQUIRES(keeper->lock);
void keeper_forget_tail_locked(struct keeper *keeper, struct keeper_tail *tail)
	REQUIRES(keeper->lock);

/* Of the account's changes in that segment. -ENOMEM. */
int keeper_add_item_locked(struct keeper *keeper, struct keeper_tail *tail,
	const struct keeper_item *item) REQUIRES(keeper->lock);

/* Items for which `is_needed` says false go. */
void keeper_drop_items_locked(struct keeper *keeper, struct keeper_tail *tail,
	bool (*is_needed)(const void *arg, const struct keeper_item *item), const void *arg)
	REQUIRES(keeper->lock);

/* -ENOMEM. */
int keeper_add_old_locked(struct keeper *keeper, struct keeper_tail *tail,
	const struct keeper_old *old) REQUIRES(keeper->lock);

/* Behind the last one. -ENOMEM. */
int keeper_add_segment_locked(struct keeper *keeper, struct keeper_journal *journal,
	const struct keeper_segment *segment) REQUIRES(keeper->lock);
struct keeper_segment *keeper_segment_locked(
	struct keeper *keeper, uint32_t journal, uint64_t sequence) REQUIRES(keeper->lock);

/* The journal's callback. */
void keeper_completed(void *arg, const struct journal_completed *segment);

/* Of accounts that should have a checkpoint now, up to `max`; the most urgent ones first. */
size_t keeper_due(struct keeper *keeper, uint32_t *ret, size_t max);

void keeper_tails_done(struct keeper *keeper);

/* ---- keeper_look.c */

/* Loads the catalogue, and takes from it what there is. Blocks. */
int keeper_load(struct keeper *keeper);

/* Finds out what the account's checkpoints are, and what of its tail they have. Blocks. */
int keeper_look(struct keeper *keeper, uint32_t account);

/* ---- keeper_checkpoint.c */

/* Gives each of these (at most KEEPER_BATCH_ACCOUNTS) a checkpoint, if it has a tail. *ret_bytes
 * grows by what was put. Gives the first error. Blocks. */
int keeper_make_checkpoints(
	struct keeper *keeper, const uint32_t *accounts, size_t n, uint64_t *ret_bytes);

/* ---- keeper_remove.c */

/* Removes what is not needed any more, for a while. 1: there is more; 0; or an error. Blocks. */
int keeper_remove(struct keeper *keeper);

/* Parts and segments that a crash left where nothing names them. Once. */
int keeper_remove_strays(struct keeper *keeper);

#endif
