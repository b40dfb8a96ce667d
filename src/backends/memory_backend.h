/*
 * memory_backend.h: objects in this process's memory, for tests.
 *
 * Calls complete on a thread of the backend. Compare-and-swap is refused on objects that are no
 * records (-EOPNOTSUPP), as by the strictest store.
 */
#ifndef MAILFS_BACKENDS_MEMORY_BACKEND_H
#define MAILFS_BACKENDS_MEMORY_BACKEND_H

#include "backends/backend.h"

#define MEMORY_BACKEND_MAX_OBJECT_BYTES (1ULL << 30)

/* An empty store of its own. Starts a thread. */
int memory_backend_new(struct backend **ret);

/* The store of this name: all backends open on one name share its objects, which live as long as
 * one of them is open. */
int memory_backend_open(const char *name, struct backend **ret);

#endif
