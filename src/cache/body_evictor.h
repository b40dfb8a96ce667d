/*
 * body_evictor.h: keeps the local copies of bodies within the cache's size.
 *
 * Bodies are ordered by their last use, kept in the store (so that a start needs no scan of
 * content and memory does not grow with the number of files), exact to about a minute; reads are
 * written down by the evictor's thread, some time later (body_use.h). Only
 * what the backend has is dropped; a body that is partly dirty loses its clean part.
 */
#ifndef MAILFS_CACHE_BODY_EVICTOR_H
#define MAILFS_CACHE_BODY_EVICTOR_H

#include <stdint.h>
#include "cache/node.h"
#include "cache/transaction.h"

struct body_evictor;

struct body_evictor *body_evictor_new(struct node *node, uint64_t limit_bytes);

/* Adds up what is local and starts the thread. */
int body_evictor_start(struct body_evictor *e);

/* In the caller's transaction, with the inode's lock: this much of the body is local, and it was
 * used now; or so much has been added. */
int body_evictor_note(struct transaction *t, uint64_t ino, uint64_t local_bytes);
int body_evictor_note_fetched(struct transaction *t, uint64_t ino, uint64_t added_bytes);

/* The inode goes: so does its place. */
int body_evictor_forget(struct transaction *t, uint64_t ino);

/* The body was read. Cheap; needs no lock. */
void body_evictor_touch(struct body_evictor *e, uint64_t ino);

/* Drops the least recently used until at most keep_bytes are left. Blocking. */
int body_evictor_shrink(struct body_evictor *e, uint64_t keep_bytes, uint64_t *ret_evicted_bytes);
uint64_t body_evictor_local_bytes(struct body_evictor *e);
uint64_t body_evictor_limit_bytes(struct body_evictor *e);
uint64_t body_evictor_evicted(struct body_evictor *e);
void body_evictor_stop(struct body_evictor *e);
void body_evictor_free(struct body_evictor *e);

#endif
