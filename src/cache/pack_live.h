/*
 * pack_live.h: how much of each pack is live: the KEY_PACK records of accounts.
 *
 * A content in a pack is live while an extent leads to it. Transactions say what they add and take
 * away (transaction_note_pack()); the records are changed in the same batch, under one lock of the
 * node, since bodies under different locks share a pack. A pack without live content becomes
 * garbage in that batch, but not while it is pending: then its packer is still at it.
 */
#ifndef MAILFS_CACHE_PACK_LIVE_H
#define MAILFS_CACHE_PACK_LIVE_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/node.h"
#include "cache/record.h"

struct transaction;

/* What a transaction changes of one pack. */
struct pack_change {
	struct uuid pack;
	uint64_t total_bytes; /* not 0: the pack's contents are so large, and it may be new */
	int64_t live_bytes;
	int32_t live_bodies;
	bool is_complete; /* its packer has ended: it is pending no more */
};

struct pack_changes {
	uint32_t account;
	unsigned int n, capacity;
	struct pack_change *changes;
	bool is_incomplete; /* no memory: the operation has to fail */
};

/* Adds up with what is there of the same pack. All of one list are of one account. */
void pack_live_add(struct pack_changes *list, uint32_t account, const struct pack_change *change);
void pack_live_done(struct pack_changes *list);

/* Puts the new records into the transaction. Under the node's pack lock, until it is committed. */
int pack_live_apply(struct transaction *t, const struct pack_changes *list);

/* -ENOENT, -EBADMSG. */
int pack_live_load(
	struct node *node, uint32_t account, const struct uuid *pack, struct pack_record *ret);

struct pack_live_figures {
	uint64_t packs, total_bytes, live_bytes, live_bodies;
};

/* Of one account; a scan. Damaged records are passed over. */
int pack_live_sum(struct node *node, uint32_t account, struct pack_live_figures *ret);

#endif
