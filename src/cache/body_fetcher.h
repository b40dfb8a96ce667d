/*
 * body_fetcher.h: brings bodies back from the backend into the local cache.
 *
 * What several readers wait for is fetched once: of a pack exactly the stored content, else a whole
 * object. What arrives is verified by its
 * checksums before anything of it is stored or seen. When it cannot be stored, since the disk is
 * full, those who wait get it all the same. Blocks that were written locally meanwhile
 * stay as they are.
 */
#ifndef MAILFS_CACHE_BODY_FETCHER_H
#define MAILFS_CACHE_BODY_FETCHER_H

#include <stddef.h>
#include <stdint.h>
#include "cache/node.h"
#include "cache/record.h"

struct body_fetcher;

/* 0: it is local now; or -EIO (also for a missing or damaged object; the log says which),
 * -ETIMEDOUT, … When the object came and was verified but could not be stored (-ENOSPC), `content`
 * is what it holds, until this returns; else it is NULL. */
typedef void body_fetched_fn(void *arg, int error, const void *content, size_t content_bytes);

struct body_fetcher_figures {
	uint64_t objects, objects_bytes;
};

struct body_fetcher *body_fetcher_new(struct node *node);

/* Fetches what the extent leads to and stores what the inode still needs of it; then `done`, always
 * from another thread. Never called with a lock held. */
void body_fetcher_fetch(struct body_fetcher *f, uint64_t ino, const struct extent *extent,
	body_fetched_fn *done, void *arg);
void body_fetcher_get_figures(struct body_fetcher *f, struct body_fetcher_figures *ret);

/* Waits until no fetch is running. */
void body_fetcher_drain(struct body_fetcher *f);
void body_fetcher_free(struct body_fetcher *f);

#endif
