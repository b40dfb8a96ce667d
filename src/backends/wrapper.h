/*
 * wrapper.h: what backends that wrap another one have in common.
 *
 * Each call becomes a struct wrapper_call that knows its operation and arguments, so that a wrapper
 * is one function: what to do with any call. It may forward the call, later, again, or not at all,
 * and completes it once.
 */
#ifndef MAILFS_BACKENDS_WRAPPER_H
#define MAILFS_BACKENDS_WRAPPER_H

#include "backends/backend.h"

enum wrapper_operation {
	WRAPPER_PUT,
	WRAPPER_GET,
	WRAPPER_HEAD,
	WRAPPER_REMOVE,
	WRAPPER_REMOVE_MANY,
	WRAPPER_LIST,
	WRAPPER_COPY,
	WRAPPER_N_OPERATIONS,
};

struct wrapper_call;

struct wrapper {
	struct backend base;    /* first */
	struct backend *next;   /* owned */
	size_t call_size_bytes; /* of the wrapper's own struct that begins with a wrapper_call */
	void (*start)(struct wrapper_call *call);
};

/* The fields that the operation does not have are zero, as is what follows in the wrapper's own. */
struct wrapper_call {
	struct wrapper *wrapper;
	enum wrapper_operation operation;
	struct backend_call call; /* the caller's */
	uint64_t deadline_ms;
	const char *key;          /* list: the prefix */
	const char *continuation; /* copy: where to */
	const struct iovec *parts;
	int n_parts;
	struct backend_condition condition;
	uint64_t offset;
	size_t size_bytes; /* list: how many entries */
	const char *const *keys;
	size_t n_keys;
};

const char *wrapper_operation_name(enum wrapper_operation operation);

/* Makes the call on the next backend, with the time that is left, at most limit_ms (0: no limit).
 */
void wrapper_call_forward(struct wrapper_call *call, uint32_t limit_ms,
	void (*done)(struct backend_result *result, void *call));

/* Completes the caller's call and frees `call`. */
void wrapper_call_complete(struct wrapper_call *call, struct backend_result *result);
void wrapper_call_complete_error(struct wrapper_call *call, int error);

/* Has the next backend complete it from a thread of its own: for use within `start`. */
void wrapper_call_answer(struct wrapper_call *call, int error);

/* For the wrapper's backend_ops. */
void wrapper_answer(struct backend *b, int error, const struct backend_call *call);
void wrapper_put(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
	const struct backend_condition *condition, const struct backend_call *call);
void wrapper_get(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	const struct backend_call *call);
void wrapper_head(struct backend *b, const char *key, const struct backend_call *call);
void wrapper_copy(
	struct backend *b, const char *from, const char *to, const struct backend_call *call);
void wrapper_remove(struct backend *b, const char *key, const struct backend_call *call);
void wrapper_remove_many(
	struct backend *b, const char *const *keys, size_t n_keys, const struct backend_call *call);
void wrapper_list(struct backend *b, const char *prefix, const char *continuation,
	size_t max_entries, const struct backend_call *call);
int wrapper_space(struct backend *b, struct backend_space *ret);
/* For wrappers at which no call waits. */
void wrapper_cancel(struct backend *b);
void wrapper_get_capabilities(struct backend *b, struct backend_capabilities *ret);

#endif
