/*
 * packer_private.h: what the parts of the packer share.
 */
#ifndef MAILFS_CACHE_PACKER_PRIVATE_H
#define MAILFS_CACHE_PACKER_PRIVATE_H

#include "cache/pack.h"
#include "cache/packer.h"

/* One call of packer_pack_account(). */
struct packing {
	struct node *node;
	uint32_t account;
	const struct packer_options *options;
	struct packer_figures *figures;
	uint64_t not_before_ms; /* the rate allows nothing earlier */
	const atomic_bool *node_is_stopping;
};

/* -ETIMEDOUT, -ECANCELED: it is time to end. */
int packing_check(struct packing *p);

/* So much is about to go over the line: waits until the rate allows it. As packing_check(). */
int packing_pace(struct packing *p, uint64_t bytes);

/* One pack on its way. */
struct pack_put {
	struct uuid id;
	struct pack_builder *builder;
	bool is_pending;
	uint64_t total_bytes; /* of its contents, once it was put */
};

/* An empty one, with an id. */
int pack_put_begin(struct packing *p, struct pack_put *ret);

/* Makes durable that it is pending, then puts it. It has something in it. Blocks. */
int pack_put_send(struct packing *p, struct pack_put *put);

/* All of it that is to be recorded is; or, with what pack_put_send() gave, it will not be. Frees
 * what it holds. A put without a builder is none. */
int pack_put_end(struct packing *p, struct pack_put *put, int error);

/* A range of a pack, in the background's priority and rate. Blocks. On success the result is the
 * caller's. */
int pack_put_get(struct packing *p, const struct uuid *pack, uint64_t offset_bytes, size_t bytes,
	struct backend_result *ret);

/* Packs of the account that are not worth their place (packer_rewrite.c). */
int packer_rewrite(struct packing *p);

#endif
