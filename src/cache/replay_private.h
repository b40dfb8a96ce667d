/*
 * replay_private.h: what replay.c and replay_clean.c share.
 */
#ifndef MAILFS_CACHE_REPLAY_PRIVATE_H
#define MAILFS_CACHE_REPLAY_PRIVATE_H

#include "cache/node.h"
#include "cache/store.h"

/* What only this node has of the account besides its records, and what is in memory. The node runs.
 */
int replay_clean_local(struct node *node, uint32_t account);

/* Into the batch: all records of the account go, and its queues. */
void replay_clean_records(struct store_batch *batch, uint32_t account);

/* Throws away the account and its marker. */
int replay_clean_all(struct node *node, uint32_t account);

#endif
