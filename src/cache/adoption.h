/*
 * adoption.h: which accounts are on this node, and the wait for those that are on the backend only.
 *
 * An account is here, or absent (KEY_NODE_ABSENT 'B' in the node section, so that a restart knows),
 * or on its way. Nothing of an absent account may be read or changed: whoever serves requests asks
 * adoption_enter() first. Thread-safe; no function takes a lock of the node's while it holds its
 * own, callbacks are called without any.
 */
#ifndef MAILFS_CACHE_ADOPTION_H
#define MAILFS_CACHE_ADOPTION_H

#include <stddef.h>
#include <stdint.h>

#define ADOPTION_MAX_WAITERS 65536 /* of all accounts */

struct node;

enum adoption_place { ADOPTION_HERE, ADOPTION_ABSENT, ADOPTION_LOADING, ADOPTION_FAILED };

/* These accounts are on the backend only: what is here of them is dropped (replay_clean.c). Durable
 * like a change, and done again by the next start when it is interrupted: from the first write on
 * they are absent. Before anything is served, or by replication when nobody uses the account
 * (adoption_begin_eviction()) and everything of it was flushed. Blocks for puts of their bodies
 * that are under way. -EBUSY: one is being loaded; errors of the store: those that were not reached
 * are as before. */
int adoption_expect(struct node *node, const uint32_t *accounts, size_t n_accounts);

/* 0: it is here; -EINPROGRESS: adoption_wait(). Cheap: while all accounts are here one load. */
int adoption_check(struct node *node, uint32_t account);

/* As adoption_check(); with 0 the account stays here until adoption_leave(), by any thread: an
 * eviction that begins waits for that. May be nested. Two atomic additions, no lock while all
 * accounts are here. */
int adoption_enter(struct node *node, uint32_t account);
void adoption_leave(struct node *node, uint32_t account);

/* Once more, by who is in already: also while an eviction waits. */
void adoption_hold(struct node *node, uint32_t account);

/* Asks replication for the account (node_replication.load) unless that is under way, and calls
 * `done` when it is here, or with the error; before returning if it is here. One that failed is
 * tried again by the next who asks, after a pause; until then `done` gets the error at once.
 *   -ESTALE: the account has moved; -ENOBUFS, -ENOMEM: too many wait; -ECANCELED; otherwise what
 *   loading has led to (adoption_finish()), -EIO where there is no replication. */
typedef void adoption_done_fn(void *arg, int error);
void adoption_wait(struct node *node, uint32_t account, adoption_done_fn *done, void *arg);

/* By replication: what load() has led to; or with 0 the end of an eviction that is given up. */
void adoption_finish(struct node *node, uint32_t account, int error);

/* The account goes: new requests wait, and those that run are waited for (at most timeout_ms:
 * -EBUSY, and all is as before), as are uploads of its bodies; none begins any more. Then the
 * caller flushes what there is, and ends it with adoption_expect() or, to stay, adoption_finish(0).
 *   -ENOENT: it is not here; -EBUSY: also when it is going already. */
int adoption_begin_eviction(struct node *node, uint32_t account, uint32_t timeout_ms);

/* Who waits gets -ECANCELED, as does who comes later; when it returns, no `done` runs any more.
 * For the end of whoever serves. */
void adoption_end_waits(struct node *node);

/* One that is going is still here. *ret_error: of one that failed, else 0. */
enum adoption_place adoption_place(struct node *node, uint32_t account, int *ret_error);
struct adoption_figures {
	uint64_t absent, loading, failed;
	uint64_t waiters;
};
void adoption_get_figures(struct node *node, struct adoption_figures *ret);

/* ---- by the node */
struct adoption;

struct adoption *adoption_new(struct node *node);
void adoption_free(struct adoption *adoption); /* NULL is allowed; nobody waits */

/* Which accounts are absent; behind replay_recover(). */
int adoption_recover(struct adoption *adoption);

#endif
