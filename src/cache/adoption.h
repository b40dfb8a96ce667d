/*
 * adoption.h: which accounts are on this node, and the wait for those that are on the backend only.
 *
 * An account is here, or absent (KEY_NODE_ABSENT 'B' in the node section, so that a restart knows),
 * or on its way. Nothing of an absent account may be read or changed: whoever serves requests asks
 * adoption_check() first. Thread-safe.
 */
#ifndef MAILFS_CACHE_ADOPTION_H
#define MAILFS_CACHE_ADOPTION_H

#include <stddef.h>
#include <stdint.h>

struct node;

enum adoption_place { ADOPTION_HERE, ADOPTION_ABSENT, ADOPTION_LOADING, ADOPTION_FAILED };

/* These accounts are on the backend only: what is here of them is dropped. Durable like a change.
 * Before anything is served, or by replication when nobody uses the account. */
int adoption_expect(struct node *node, const uint32_t *accounts, size_t n_accounts);

/* 0: it is here; -EINPROGRESS: adoption_wait(). Cheap. */
int adoption_check(struct node *node, uint32_t account);

/* Asks replication for the account (node_replication.load) unless that is under way, and calls
 * `done` when it is here, or with the error; before returning if it is here. One that failed is
 * tried again by the next who asks, after a pause. */
typedef void adoption_done_fn(void *arg, int error);
void adoption_wait(struct node *node, uint32_t account, adoption_done_fn *done, void *arg);

/* By replication: what load() has led to. */
void adoption_finish(struct node *node, uint32_t account, int error);

/* The account goes: new requests wait, and those that run are waited for (at most timeout_ms:
 * -EBUSY). Then the caller flushes what there is, and ends it with adoption_expect() or, to stay,
 * adoption_finish(0). */
int adoption_begin_eviction(struct node *node, uint32_t account, uint32_t timeout_ms);

enum adoption_place adoption_place(struct node *node, uint32_t account, int *ret_error);
struct adoption_figures {
	uint64_t absent, loading, failed;
};
void adoption_get_figures(struct node *node, struct adoption_figures *ret);

#endif
