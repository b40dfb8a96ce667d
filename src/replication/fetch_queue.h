/*
 * fetch_queue.h: pieces of objects, read with many requests in flight and given back in order.
 *
 * For one thread. What is in flight or waits to be taken is at most what was asked for; the caller
 * keeps to a bound.
 */
#ifndef MAILFS_REPLICATION_FETCH_QUEUE_H
#define MAILFS_REPLICATION_FETCH_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include "backends/backend.h"

#define FETCH_QUEUE_TIMEOUT_MS 30000 /* for each read, retries included */

struct fetch_queue;

/* The backend outlives it, and the cancellation (NULL: none) what it is given to. NULL without
 * memory. */
struct fetch_queue *fetch_queue_new(struct backend *backend, enum backend_priority priority,
	struct backend_cancellation *cancellation);

/* Begins to read; `key` is copied. -ENOMEM. */
int fetch_queue_get(
	struct fetch_queue *q, const char *key, uint64_t offset, size_t size_bytes, void *arg);

struct fetch_queue_result {
	void *arg;
	int error;  /* 0 or negative errno */
	void *data; /* malloc()ed, the caller's; fewer bytes than asked for at the object's end */
	size_t size_bytes;
	uint64_t object_size_bytes;
};

/* Waits for the oldest read. -ENOENT: there is none. */
int fetch_queue_take(struct fetch_queue *q, struct fetch_queue_result *ret);

/* How many were begun and not taken. */
size_t fetch_queue_length(const struct fetch_queue *q);

/* Waits for what is in flight. NULL is allowed. */
void fetch_queue_free(struct fetch_queue *q);

/* One read, waiting for it; gives the error. */
int fetch_queue_read(struct backend *backend, enum backend_priority priority,
	struct backend_cancellation *cancellation, const char *key, uint64_t offset,
	size_t size_bytes, struct fetch_queue_result *ret);

#endif
