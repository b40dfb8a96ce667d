/*
 * account_packs.h: whether the KEY_PACK records of an account are what its extents say. For
 * account_check.c.
 */
#ifndef MAILFS_CACHE_ACCOUNT_PACKS_H
#define MAILFS_CACHE_ACCOUNT_PACKS_H

#include <stddef.h>
#include "cache/body_map.h"
#include "cache/node.h"
#include "util/map64.h"

struct account_packs {
	struct pack_sum *sums;
	size_t n, capacity;
	struct map64 places; /* beginning of the pack's id -> index in sums, plus 1 */

	/* Of the inode whose extents come now: one of each content, by their places in it. */
	struct extent *contents;
	size_t n_contents, contents_capacity;
};

void account_packs_init(struct account_packs *p);
void account_packs_done(struct account_packs *p);

/* The extents of another inode come now. */
void account_packs_next_inode(struct account_packs *p);

/* The next extent of the inode, by its place in the file. -ENOMEM. */
int account_packs_take(struct account_packs *p, const struct extent *x);

/* When all have been taken. -EBADMSG: the record of this pack is another, malformed or missing. */
int account_packs_check(
	struct account_packs *p, struct node *node, uint32_t account, struct uuid *ret_pack);

#endif
