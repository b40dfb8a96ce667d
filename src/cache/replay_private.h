/*
 * replay_private.h: what replay.c and replay_clean.c share.
 */
#ifndef MAILFS_CACHE_REPLAY_PRIVATE_H
#define MAILFS_CACHE_REPLAY_PRIVATE_H

#include <stdbool.h>
#include "cache/node.h"
#include "cache/store.h"

/* What only this node has of the account besides its records, and what is in memory. The node runs.
 */
int replay_clean_local(struct node *node, uint32_t account);

/* Into the batch: all records that there are of the account go, and its queues. Nobody adds any
 * until the batch is written. */
int replay_clean_records(struct node *node, struct store_batch *batch, uint32_t account);

/* Throws away the account and its marker. That it is absent stays noted. */
int replay_clean_all(struct node *node, uint32_t account);

/* Objects that are to be removed, or that are being put, stay: a state that is loaded may refer to
 * them. What nothing refers to is found by a check of the whole volume. */
int replay_clean_objects(struct node *node, uint32_t account);

/* 1: there are any; 0. */
int replay_clean_has_records(struct node *node, uint32_t account);

/* The account is noted as absent, then all that is here of it goes. *ret_is_absent is always
 * written: with an error, whether it came so far. Nobody uses the account. */
int replay_clean_expect(struct node *node, uint32_t account, bool *ret_is_absent);

/* Queues the uploads that are noted of the account; none is queued. */
int replay_clean_resume(struct node *node, uint32_t account);

#endif
