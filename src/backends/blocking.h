/*
 * blocking.h: calls of drivers whose work blocks, carried to the threads of an executor.
 *
 * A driver embeds a struct blocking_backend and gives functions that do the work; blocking.c has
 * the backend_ops for it that copy a call into a request and queue it.
 */
#ifndef MAILFS_BACKENDS_BLOCKING_H
#define MAILFS_BACKENDS_BLOCKING_H

#include "backends/backend.h"
#include "backends/executor.h"

struct blocking_backend;
struct blocking_request;

/* Does the work and fills in *ret. True: complete the call with *ret. False: the driver completes
 * it later, from a thread of its own, by blocking_request_complete(). */
typedef bool blocking_fn(struct blocking_request *request, struct backend_result *ret);

struct blocking_work {
	blocking_fn *put, *get, *head, *copy, *remove, *list;
};

struct blocking_backend {
	struct backend base; /* first */
	const struct blocking_work *work;
	struct executor *executor;
};

/* One call. The fields that a function's call does not name are zero. */
struct blocking_request {
	struct executor_job job; /* first */
	struct backend_call call;
	struct blocking_backend *backend;
	blocking_fn *run;
	const char *key;                    /* list: the prefix; copy: from where */
	const char *continuation;           /* list; copy: where to */
	const struct iovec *parts;          /* put */
	int n_parts;                        /* put */
	struct backend_condition condition; /* put */
	uint64_t offset;                    /* get */
	size_t size_bytes;                  /* get; list: how many entries */
	struct list_node node;              /* the driver's, when it completes the call later */
	char text[];
};

/* For the driver's backend_ops. */
void blocking_answer(struct backend *b, int error, const struct backend_call *call);
void blocking_put(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
	const struct backend_condition *condition, const struct backend_call *call);
void blocking_get(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	const struct backend_call *call);
void blocking_head(struct backend *b, const char *key, const struct backend_call *call);
void blocking_copy(
	struct backend *b, const char *from, const char *to, const struct backend_call *call);
void blocking_remove(struct backend *b, const char *key, const struct backend_call *call);
void blocking_list(struct backend *b, const char *prefix, const char *continuation,
	size_t max_entries, const struct backend_call *call);

/* Waiting requests only; a running one may look itself. */
void blocking_cancel(struct backend *b);

/* Shuts the executor down: every request is complete afterwards, if the driver completes the
 * requests it kept from the executor's own threads. */
void blocking_shutdown(struct backend *b);

/* Completes the call and frees the request. */
void blocking_request_complete(struct blocking_request *request, struct backend_result *result);

#endif
