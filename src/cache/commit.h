/*
 * commit.h: group commit: one sync of the store serves everybody who waits.
 *
 * Every change gets a log sequence number (LSN) when the store has accepted it. A waiter asks for
 * an LSN; the first one that finds nobody syncing does it itself, on its own thread (no hand-over),
 * for all that wait by then, and goes on while others have come. One that has led for a while is
 * relieved by the next one who comes. See doc/durability.md.
 *
 * After a failed sync nothing is known about what is on disk: the error sticks, every later wait
 * gets it, until mailfs is started anew and recovers from the log.
 */
#ifndef MAILFS_CACHE_COMMIT_H
#define MAILFS_CACHE_COMMIT_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/store.h"

struct commit;

/* `error` is 0 or negative errno. Must not wait for another commit. */
typedef void commit_done_fn(void *arg, int error);

struct commit_figures {
	uint64_t syncs;   /* of the store */
	uint64_t waits;   /* requests for a commit */
	uint64_t covered; /* of these: answered at once, all was durable */
	int error;        /* the one that sticks, or 0 */
};

struct commit *commit_new(struct store *store);

/* Nobody may be waiting. */
void commit_free(struct commit *c);

/* Numbers a change that the store has just accepted. */
uint64_t commit_note_change(struct commit *c);

/* Of the newest change so far. */
uint64_t commit_last_lsn(const struct commit *c);

/* Calls `done` once everything up to `lsn` is durable; before returning if it is. Blocks for a
 * bounded number of syncs, or not at all. */
void commit_wait(struct commit *c, uint64_t lsn, commit_done_fn *done, void *arg);

/* The same for everything noted so far, blocking. */
int commit_now(struct commit *c);
void commit_get_figures(struct commit *c, struct commit_figures *ret);

#endif
