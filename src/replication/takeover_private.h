/*
 * takeover_private.h: what takeover.c (where journals end) and takeover_seal.c (their seals) share.
 */
#ifndef MAILFS_REPLICATION_TAKEOVER_PRIVATE_H
#define MAILFS_REPLICATION_TAKEOVER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "replication/position.h"
#include "replication/takeover.h"

/* One journal. */
struct takeover_chain {
	struct position next; /* where a seal belongs */
	uint64_t first, last; /* that there are; 0: none */
	uint64_t ahead;       /* bit i: there is one at next + 1 + i */
	bool is_sealed;
	uint64_t own_seal;      /* where the seal was put; 0: not by us */
	bool is_damaged;        /* the head that was looked at last */
	uint64_t last_checksum; /* of the head before `next`; 0: there is none, or it is damaged */
};

struct takeover {
	const struct takeover_options *options;
	struct takeover_chain *chains;
	size_t n, capacity;
	char **ret_message;
};

/* ---- takeover.c */

/* The segment at chain->next, whose key that is: chain->next moves on. -ENOENT. */
int takeover_look(struct takeover *takeover, struct takeover_chain *chain, const char *key);

/* ---- takeover_seal.c */

/* Seals it, if it is not. -EAGAIN: what was listed is gone, and so is the seal; list again. */
int takeover_seal(struct takeover *takeover, struct takeover_chain *chain);

#endif
