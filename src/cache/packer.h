/*
 * packer.h: carries small bodies from the journal into packs, and keeps packs worth their place.
 * Only on nodes with a journal.
 *
 * Runs of dirty blocks below BODY_MAP_SMALL_BYTES are not uploaded one by one: the journal has
 * them. When an account is packed, those that are dirty by then are put together into objects of
 * PACKER_TARGET_BYTES, and are clean afterwards. What changes meanwhile stays dirty.
 *
 * Crash safety. A durable KEY_NODE_PENDING record names the pack before it is put, and stays until
 * all its contents have been recorded, UPLOAD_TASK_AT_ONCE bodies at a time, in one batch with
 * their extents and the pack's KEY_PACK record. After a crash a pack to which nothing leads is
 * garbage, and bodies that were not recorded are dirty as before.
 *
 * Packs of which less than half is live, and small ones once there are many, are rewritten: what
 * lives is copied as it is stored into the next pack.
 */
#ifndef MAILFS_CACHE_PACKER_H
#define MAILFS_CACHE_PACKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "cache/node.h"

#define PACKER_TARGET_BYTES (UINT64_C(16) << 20)
#define PACKER_MAX_BODIES 8192 /* in one pack */

/* Packs below this size are small; so many of an account are made fewer. */
#define PACKER_SMALL_PACK_BYTES (UINT64_C(1) << 20)
#define PACKER_SMALL_PACKS 8

struct packer_options {
	uint64_t min_bytes_live;     /* fewer dirty bytes are left where they are */
	uint64_t rate_bytes_per_s;   /* of what is put and fetched; 0: no limit */
	uint64_t deadline_ms;        /* clock_monotonic_ms(); 0: none */
	const atomic_bool *stopping; /* NULL: none; looked at about every 100 ms */
	bool only_dirty;             /* packs are not rewritten */
};

struct packer_figures {
	uint64_t packs, packs_bytes; /* put */
	uint64_t bodies;             /* of these, that were dirty */
	uint64_t rewritten;          /* packs of which all that lived was copied */
	uint64_t copied_bytes;       /* by that */
};

/* The account is here and stays (adoption.h). Packs what is small and dirty of it, then rewrites
 * packs. Blocks for the backend, in its background's priority; one account at a time, so also for
 * others. Adds to *figures. Not durable by itself: as any change. -ETIMEDOUT, -ECANCELED
 * (stopping), errors of backend and store: what was not recorded is dirty as before. */
int packer_pack_account(struct node *node, uint32_t account, const struct packer_options *options,
	struct packer_figures *figures);

/* All accounts with something dirty. Gives the first error, but goes on. */
int packer_pack_all(
	struct node *node, const struct packer_options *options, struct packer_figures *figures);

/* ---- of the node: packs by itself when the cache is full of dirty small bodies */

struct packer;

struct packer *packer_new(struct node *node);

/* How much is dirty; then starts the thread (mfs-pack). */
int packer_start(struct packer *p);

/* A transaction has made so much dirty at most. Does not block. */
void packer_note_dirty(struct packer *p, uint64_t bytes);

/* Since the start, of all calls. */
void packer_get_figures(struct packer *p, struct packer_figures *ret);

/* Ends what is under way, also of other callers, with -ECANCELED. */
void packer_stop(struct packer *p);
void packer_free(struct packer *p);

#endif
