/*
 * cut.h: what has changed since the last cut, as of one moment: what a segment of the journal is
 * made of (doc/decisions/0006-journal.md).
 *
 * Records come with their keys as in the store, the account in front. Blocks of bodies that the
 * backend has in objects are left out. Keeps a snapshot of the store: it should not live for long.
 */
#ifndef MAILFS_CACHE_CUT_H
#define MAILFS_CACHE_CUT_H

#include "cache/change_set.h"
#include "cache/node.h"

struct cut;

/* All of these need a node with node_options.journal. */

/* Of the newest change (commit.h). */
uint64_t cut_last_lsn(struct node *node);

/* Whether something has changed since the last cut, and what the notes of it take in memory. */
bool cut_is_needed(struct node *node);
uint64_t cut_pending_bytes(struct node *node);

/* Of one account; 0: nothing has changed in it since the last cut. */
uint64_t cut_account_pending_bytes(struct node *node, uint32_t account);

/* As change_set_watch(). */
void cut_watch(struct node *node, void (*noted)(void *arg), void *arg);

/* -ENOMEM: nothing is taken. Waits for operations that are between two steps, and for the second
 * halves of appends that the kernel has sent in two requests (torn_write.h), so not for long. */
int cut_take(struct node *node, struct cut **ret);

/* The number of the newest change in it (commit.h), also when there is none since the last cut. */
uint64_t cut_lsn(const struct cut *cut);

/* The store's number of the newest change in it (store_log_read()). */
uint64_t cut_store_sequence(const struct cut *cut);

/* Sorted by account; none when nothing has changed. */
size_t cut_n_accounts(const struct cut *cut);
uint32_t cut_account(const struct cut *cut, size_t i);

/* The account comes as all its records, instead of those that it had for the reader. */
bool cut_is_whole(const struct cut *cut, size_t i);

/* One step of an account's change. */
struct cut_record {
	enum store_table table;
	const uint8_t *key;
	size_t key_bytes;
	const uint8_t
		*to; /* not NULL: all records from the key up to but without this are removed */
	size_t to_bytes;
	const void *value; /* NULL: the record is removed */
	size_t value_bytes;
};

/* A result other than 0 ends the walk. */
typedef int cut_take_fn(void *arg, const struct cut_record *record);

/* Ranges first, then records by table and key. Errors of the store, and what `take` gives. */
int cut_each(const struct cut *cut, size_t i, cut_take_fn *take, void *arg);

/* All records of any account, changed or not, by table and key: for a checkpoint. */
int cut_each_of_account(const struct cut *cut, uint32_t account, cut_take_fn *take, void *arg);

/* Whether the account is all here at the cut: 0: it was being loaded, or is on the backend only, so
 * its records are none, or not all. Errors of the store. */
int cut_has_account(const struct cut *cut, uint32_t account);

/* Another view of the same moment, without changes (cut_n_accounts() is 0), for cut_has_account()
 * and cut_each_of_account(): for a checkpoint, that is made after the segment. Ends with
 * cut_done(), from any thread; the snapshot lives until both have ended. NULL without memory. */
struct cut *cut_share(const struct cut *cut);

/* It is in the journal. */
void cut_done(struct cut *cut);

/* It is not: its changes belong to the next one. */
void cut_give_back(struct cut *cut);

#endif
