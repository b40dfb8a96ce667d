/*
 * read_only_backend.h: a wrapper through which nothing can be changed: puts, copies and removals
 * give -EROFS. For those who look at a volume that others may be using.
 */
#ifndef MAILFS_BACKENDS_READ_ONLY_BACKEND_H
#define MAILFS_BACKENDS_READ_ONLY_BACKEND_H

#include <stdint.h>
#include "backends/backend.h"

/* Takes over `next`, also on failure. -ENOMEM. */
int read_only_backend_new(struct backend *next, struct backend **ret);

/* Over a backend that stays the caller's and outlives it. All calls have to be done before it is
 * freed: to shut it down ends none. -ENOMEM. */
int read_only_backend_borrow(struct backend *next, struct backend **ret);

/* How many reads have failed in a way that may be over later (retry_backend_is_passing()), and not
 * because of what the store has. `b` is what one of these gave. */
uint64_t read_only_backend_failures(struct backend *b);

#endif
