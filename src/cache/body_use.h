/*
 * body_use.h: bodies that were read, until their place among the least recently used is written
 * down. So a read costs no write, and many reads of one body cost one.
 *
 * Thread-safe; nothing blocks. What does not fit is forgotten: the order becomes less exact.
 */
#ifndef MAILFS_CACHE_BODY_USE_H
#define MAILFS_CACHE_BODY_USE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BODY_USE_MAX 8192

/* A body that was noted is not noted again within this. */
#define BODY_USE_GRANULARITY_MS 60000

struct body_use;

/* NULL without memory. */
struct body_use *body_use_new(void);
void body_use_free(struct body_use *u);

/* True when it is the first that waits: somebody should take it, soon. */
bool body_use_note(struct body_use *u, uint64_t ino);

/* Takes away up to `max`, the oldest first. */
size_t body_use_take(struct body_use *u, uint64_t *inos, size_t max);

#endif
