/*
 * transaction.h: the changes of one operation: one batch, and the inodes in memory with it.
 *
 * Used with the locks of all inodes in it held exclusively. begin, puts, then commit or abort.
 */
#ifndef MAILFS_CACHE_TRANSACTION_H
#define MAILFS_CACHE_TRANSACTION_H

#include "cache/change_set.h"
#include "cache/node.h"
#include "cache/pack_live.h"
#include "cache/record.h"
#include "cache/store.h"

#define TRANSACTION_MAX_INODES 6

struct transaction {
	struct node *node;
	struct store_batch *batch;
	struct change_list changes; /* for the journal; empty when the node has none */
	unsigned int n_inodes;
	struct inode *inodes[TRANSACTION_MAX_INODES];
	struct pack_changes packs; /* what of packs comes to live or dies */
	uint64_t upload_ino;       /* the body that the uploader has to look at, or 0 */
	bool upload_now;           /* without its delay */
	uint64_t dirtied_bytes;    /* so much at most waits for the packer now */
	bool has_garbage;          /* there are new KEY_NODE_GARBAGE records */
	uint64_t changed_bytes;    /* about: of records that were put */
	int64_t local_bytes;       /* by so much the local bytes of bodies change */
};

int transaction_begin(struct node *node, struct transaction *ret);

/* The inode as it shall be; must live until commit, which sets its changed_lsn. */
void transaction_put_inode(struct transaction *t, struct inode *inode);
void transaction_put(struct transaction *t, enum store_table table, const struct key *key,
	const void *data, size_t size_bytes);
void transaction_delete(struct transaction *t, enum store_table table, const struct key *key);

/* Keys from `from` up to but without `to`, of one account. */
void transaction_delete_range(struct transaction *t, enum store_table table, const struct key *from,
	const struct key *to);

/* The same for blocks that are only a copy of what the backend has, coming or going: no change of
 * any content, and nothing for the journal. */
void transaction_put_copy(
	struct transaction *t, const struct key *key, const void *data, size_t size_bytes);
void transaction_delete_copy(struct transaction *t, const struct key *key);
void transaction_delete_copies(struct transaction *t, const struct key *from, const struct key *to);

/* Nothing refers to the object any more: it will be removed from the backend, once the journal
 * knows (object_reaper.h). */
void transaction_put_garbage(
	struct transaction *t, uint32_t account, enum object_kind kind, const struct uuid *object);

/* The same of one that nothing ever referred to. */
void transaction_put_unused(
	struct transaction *t, uint32_t account, enum object_kind kind, const struct uuid *object);

/* The object is being put. */
void transaction_put_pending(
	struct transaction *t, uint32_t account, enum object_kind kind, const struct uuid *object);

/* A content of the pack comes to live, or nothing leads to it any more. All of one account. */
void transaction_note_pack(
	struct transaction *t, uint32_t account, const struct pack_change *change);

/* All or nothing; ends the transaction either way. On success the inodes in memory are the new
 * ones and the background work that follows from the changes is started. */
int transaction_commit(struct transaction *t);
void transaction_abort(struct transaction *t);

#endif
