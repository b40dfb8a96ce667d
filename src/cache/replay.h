/*
 * replay.h: records that were shipped become an account of this node's store
 * (doc/decisions/0006-journal.md).
 *
 * A replay begins with an empty account and applies steps in their order: a checkpoint, or what one
 * segment has of the account. The records of a step come as cut_each() gives them: ranges, then the
 * meta table by key, then the data table. Keys are without the account's number in front.
 *
 * Nothing that is replayed is a change: it is not noted for the journal and has no number.
 *
 * All or nothing. A marker (KEY_NODE_REPLAY) stands in the store from begin to finish, so that
 * records can be written in batches: who finds it must not use the account. replay_recover() throws
 * away what a crash left half. From begin to finish nobody else may use the account.
 *
 * Extents and blocks. A block of a step is newer than an extent of the same step or one before; an
 * extent that leads to another object than the one before is newer than the blocks before it: those
 * are dropped, since they may be older than the object. So what blocks a body has in the end are
 * what no object has, and are queued for upload.
 */
#ifndef MAILFS_CACHE_REPLAY_H
#define MAILFS_CACHE_REPLAY_H

#include <stdbool.h>
#include "cache/node.h"
#include "cache/store.h"

/* What is collected before it is written. A record that is larger is written alone. */
#define REPLAY_BATCH_BYTES (UINT64_C(4) << 20)

/* Numbers that the lost node may have given out after the last record that was shipped. */
#define REPLAY_SPARE_LOCALS 1024

struct replay;

/* Drops all that is local of the account: records, copies, queued uploads and removals of objects
 * (what these would have removed may be in use again). One that did not end begins anew. */
int replay_begin(struct node *node, uint32_t account, struct replay **ret);

/* The next step begins. */
int replay_step(struct replay *r);

/* -EBADMSG: no key of an account's record, or out of order; errors of the store. After an error
 * only replay_abort() is left. */
int replay_put(struct replay *r, enum store_table table, const void *key, size_t key_bytes,
	const void *value, size_t value_bytes);
int replay_remove(struct replay *r, enum store_table table, const void *key, size_t key_bytes);

/* From `key` up to but without `to`. */
int replay_remove_range(struct replay *r, enum store_table table, const void *key, size_t key_bytes,
	const void *to, size_t to_bytes);

/* Verifies the account (account_check.h), adds what is node-local (uploads, notes of inodes without
 * names, numbers that are free), and takes the marker away, with
 * the note that the account is absent. next_account is for the root
 * account: account numbers below it were given out, as far as the caller knows. On failure the
 * account is thrown away; -EBADMSG: it is broken, *ret_message (malloc()ed) says how. Frees r. */
int replay_finish(struct replay *r, uint32_t next_account, char **ret_message);

/* Throws away what there is of the account. Frees r; NULL is allowed. */
void replay_abort(struct replay *r);

/* 1: it must not be used; 0; errors of the store. */
int replay_is_running(struct node *node, uint32_t account);

/* Ends the inodes of the account that no name leads to, as after a crash of the node that wrote
 * them. These are changes. Before the kernel can know any inode of the account. */
int replay_end_orphans(struct node *node, uint32_t account);

/* At the start of a node, before all else: accounts that were being replayed are thrown away, as if
 * they had never been here. Those that are noted as absent (adoption.h) still are. */
int replay_recover(struct node *node);

#endif
