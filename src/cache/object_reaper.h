/*
 * object_reaper.h: removes from the backend the objects that nothing refers to any more.
 *
 * KEY_NODE_GARBAGE records name them. An object is removed only when the change that dropped the
 * last reference is durable; with a journal only when that is in the journal on the backend, and
 * its retention later, or whoever restores from the journal could miss it. One that nothing ever
 * referred to need not wait; without replication the others stay. The record goes when the backend
 * has confirmed: after a crash at any point the removal is simply done again, the wait, too. An
 * object that cannot be removed is tried again later, with growing pauses, and does not hold up the
 * others; when several fail one after the other it is the backend, and all wait. A damaged record
 * is passed over, and its object stays.
 */
#ifndef MAILFS_CACHE_OBJECT_REAPER_H
#define MAILFS_CACHE_OBJECT_REAPER_H

#include <stdint.h>
#include "cache/node.h"

struct object_reaper;

struct object_reaper *object_reaper_new(struct node *node);

/* What was pending at a crash becomes garbage; then starts the thread. */
int object_reaper_start(struct object_reaper *r);

/* There is new garbage. Does not block. */
void object_reaper_wake(struct object_reaper *r);

/* Replication comes or goes: what waits for the journal can go on. Its functions are called by the
 * reaper's thread until the next call, and the last one for a while beyond it. */
void object_reaper_set_replication(
	struct object_reaper *r, const struct node_replication *replication);

/* Waits until there is no garbage left that may go; -ETIMEDOUT or the backend's error. */
int object_reaper_flush(struct object_reaper *r, uint64_t deadline_ms);
uint64_t object_reaper_removed(struct object_reaper *r);
void object_reaper_stop(struct object_reaper *r);
void object_reaper_free(struct object_reaper *r);

#endif
