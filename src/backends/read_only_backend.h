/*
 * read_only_backend.h: a wrapper through which nothing can be changed: puts, copies and removals
 * give -EROFS. For those who look at a volume that others may be using.
 */
#ifndef MAILFS_BACKENDS_READ_ONLY_BACKEND_H
#define MAILFS_BACKENDS_READ_ONLY_BACKEND_H

#include "backends/backend.h"

/* Takes over `next`, also on failure. -ENOMEM. */
int read_only_backend_new(struct backend *next, struct backend **ret);

/* Over a backend that stays the caller's and outlives it. All calls have to be done before it is
 * freed: to shut it down ends none. -ENOMEM. */
int read_only_backend_borrow(struct backend *next, struct backend **ret);

#endif
