/*
 * memory_store.h: the objects behind memory_backend.c, in a sorted table, with their own lock.
 */
#ifndef MAILFS_BACKENDS_MEMORY_STORE_H
#define MAILFS_BACKENDS_MEMORY_STORE_H

#include "backends/backend.h"

struct memory_store;

int memory_store_new(struct memory_store **ret);

/* The store of this name, made if there is none. */
int memory_store_open(const char *name, struct memory_store **ret);

/* Frees the store with its last opener. NULL is allowed. */
void memory_store_close(struct memory_store *store);

/* Each fills in *ret as the call of its name in backend.h does; ret->error included. */
void memory_store_put(struct memory_store *store, const char *key, const struct iovec *parts,
	int n_parts, const struct backend_condition *condition, struct backend_result *ret);
void memory_store_get(struct memory_store *store, const char *key, uint64_t offset,
	size_t size_bytes, struct backend_result *ret);
void memory_store_head(struct memory_store *store, const char *key, struct backend_result *ret);
void memory_store_remove(struct memory_store *store, const char *key);
void memory_store_list(struct memory_store *store, const char *prefix, const char *after,
	size_t max_entries, struct backend_result *ret);

#endif
