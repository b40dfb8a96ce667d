/*
 * takeover_private.h: what takeover.c (which journals there are), takeover_chain.c (where they
 * end) and takeover_seal.c (their seals) share.
 */
#ifndef MAILFS_REPLICATION_TAKEOVER_PRIVATE_H
#define MAILFS_REPLICATION_TAKEOVER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "replication/position.h"
#include "replication/takeover.h"

/* A journal that is still being written to gets so many seals at once, if one by one is too slow.
 */
#define TAKEOVER_VOLLEY 32

/* One journal. */
struct takeover_chain {
	struct position next; /* where a seal belongs */
	uint64_t before;      /* the last that there is below `next`; 0: none */
	uint64_t first, last; /* that there are; 0: none */
	uint64_t
		ahead; /* bit i: there is one at next + 1 + i; less than TAKEOVER_VOLLEY above it */
	bool is_sealed;
	uint64_t own_seal;      /* where the seal was put; 0: not by us */
	bool is_damaged;        /* the head that was looked at last */
	uint64_t seal_previous; /* of it, if it is a seal: what that says of the one before */
	uint64_t last_checksum; /* of the head at next - 1; 0: there is none, or it is damaged */
};

struct takeover {
	const struct takeover_options *options;
	struct takeover_chain *chains;
	size_t n, capacity;
	char **ret_message;
};

/* ---- takeover.c */

/* The segment at chain->next, whose key that is: chain->next moves on. Says whether it is damaged,
 * or a seal. -ENOENT. */
int takeover_look(struct takeover *takeover, struct takeover_chain *chain, const char *key);

/* ---- takeover_chain.c */

/* There is one more, in ascending order. */
void takeover_chain_add(struct takeover_chain *chain, uint64_t sequence);

/* chain->next moves over segments that are missing and were complete. When all were added; blocks
 * for the backend, where something is missing near the end. */
int takeover_chain_settle(struct takeover *takeover, struct takeover_chain *chain);

/* ---- takeover_seal.c */

/* Seals it, if it is not. -EAGAIN: what was listed is gone, and so is the seal; list again. */
int takeover_seal(struct takeover *takeover, struct takeover_chain *chain);

#endif
