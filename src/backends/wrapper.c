#include <config.h>
#include "backends/wrapper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/clock.h"

static struct backend *next_of(struct backend *b)
{
	return ((struct wrapper *)(void *)b)->next;
}

const char *wrapper_operation_name(enum wrapper_operation operation)
{
	static const char *const names[] = {
		"put", "get", "head", "remove", "remove_many", "list", "copy"};

	return names[operation];
}

static struct backend_call left_of(const struct wrapper_call *call, uint32_t limit_ms,
	void (*done)(struct backend_result *result, void *call), void *arg)
{
	uint64_t now_ms = clock_monotonic_ms(), left_ms = 1;

	if (call->deadline_ms > now_ms)
		left_ms = call->deadline_ms - now_ms;
	if (limit_ms != 0 && left_ms > limit_ms)
		left_ms = limit_ms;
	return (struct backend_call){.priority = call->call.priority,
		.timeout_ms = (uint32_t)left_ms,
		.done = done,
		.arg = arg,
		.cancellation = call->call.cancellation};
}

void wrapper_call_forward(struct wrapper_call *call, uint32_t limit_ms,
	void (*done)(struct backend_result *result, void *call))
{
	struct backend *next = call->wrapper->next;
	struct backend_call inner = left_of(call, limit_ms, done, call);

	switch (call->operation) {
	case WRAPPER_PUT:
		backend_put(next, call->key, call->parts, call->n_parts, &call->condition, &inner);
		break;
	case WRAPPER_GET:
		backend_get(next, call->key, call->offset, call->size_bytes, &inner);
		break;
	case WRAPPER_HEAD:
		backend_head(next, call->key, &inner);
		break;
	case WRAPPER_REMOVE:
		backend_remove(next, call->key, &inner);
		break;
	case WRAPPER_REMOVE_MANY:
		backend_remove_many(next, call->keys, call->n_keys, &inner);
		break;
	case WRAPPER_COPY:
		backend_copy(next, call->key, call->continuation, &inner);
		break;
	case WRAPPER_LIST:
	case WRAPPER_N_OPERATIONS:
		backend_list(next, call->key, call->continuation, call->size_bytes, &inner);
		break;
	}
}

void wrapper_call_complete(struct wrapper_call *call, struct backend_result *result)
{
	/* What the next backend gave goes on to the caller; what it leaves is freed here. */
	backend_complete(&call->call, result);
	free(call);
}

void wrapper_call_complete_error(struct wrapper_call *call, int error)
{
	struct backend_result result = {.error = error};

	wrapper_call_complete(call, &result);
}

static void answered(struct backend_result *result, void *call)
{
	wrapper_call_complete(call, result);
}

void wrapper_call_answer(struct wrapper_call *call, int error)
{
	struct backend *next = call->wrapper->next;
	struct backend_call inner = left_of(call, 0, answered, call);

	next->ops->answer(next, error, &inner);
}

static struct wrapper_call *call_new(struct backend *b, enum wrapper_operation operation,
	const char *key, const char *continuation, const struct backend_call *call)
{
	struct wrapper *wrapper = (struct wrapper *)(void *)b;
	size_t key_size = strlen(key) + 1;
	size_t more_size = continuation == NULL ? 0 : strlen(continuation) + 1;
	char *memory = calloc(1, wrapper->call_size_bytes + key_size + more_size);
	struct wrapper_call *new_call = (struct wrapper_call *)(void *)memory;

	if (memory == NULL) {
		wrapper_answer(b, -ENOMEM, call);
		return NULL;
	}
	memory += wrapper->call_size_bytes;
	new_call->wrapper = wrapper;
	new_call->operation = operation;
	new_call->call = *call;
	new_call->deadline_ms = backend_deadline_ms(call);
	new_call->key = memcpy(memory, key, key_size);
	if (continuation != NULL)
		new_call->continuation = memcpy(memory + key_size, continuation, more_size);
	return new_call;
}

void wrapper_answer(struct backend *b, int error, const struct backend_call *call)
{
	struct backend *next = next_of(b);

	next->ops->answer(next, error, call);
}

void wrapper_put(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
	const struct backend_condition *condition, const struct backend_call *call)
{
	struct wrapper_call *new_call = call_new(b, WRAPPER_PUT, key, NULL, call);

	if (new_call == NULL)
		return;
	new_call->parts = parts;
	new_call->n_parts = n_parts;
	new_call->condition = *condition;
	new_call->wrapper->start(new_call);
}

void wrapper_get(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	const struct backend_call *call)
{
	struct wrapper_call *new_call = call_new(b, WRAPPER_GET, key, NULL, call);

	if (new_call == NULL)
		return;
	new_call->offset = offset;
	new_call->size_bytes = size_bytes;
	new_call->wrapper->start(new_call);
}

void wrapper_head(struct backend *b, const char *key, const struct backend_call *call)
{
	struct wrapper_call *new_call = call_new(b, WRAPPER_HEAD, key, NULL, call);

	if (new_call != NULL)
		new_call->wrapper->start(new_call);
}

void wrapper_copy(
	struct backend *b, const char *from, const char *to, const struct backend_call *call)
{
	struct wrapper_call *new_call = call_new(b, WRAPPER_COPY, from, to, call);

	if (new_call != NULL)
		new_call->wrapper->start(new_call);
}

void wrapper_remove(struct backend *b, const char *key, const struct backend_call *call)
{
	struct wrapper_call *new_call = call_new(b, WRAPPER_REMOVE, key, NULL, call);

	if (new_call != NULL)
		new_call->wrapper->start(new_call);
}

void wrapper_remove_many(
	struct backend *b, const char *const *keys, size_t n_keys, const struct backend_call *call)
{
	struct wrapper_call *new_call = call_new(b, WRAPPER_REMOVE_MANY, "", NULL, call);

	if (new_call == NULL)
		return;
	new_call->keys = keys;
	new_call->n_keys = n_keys;
	new_call->wrapper->start(new_call);
}

void wrapper_list(struct backend *b, const char *prefix, const char *continuation,
	size_t max_entries, const struct backend_call *call)
{
	struct wrapper_call *new_call = call_new(b, WRAPPER_LIST, prefix, continuation, call);

	if (new_call == NULL)
		return;
	new_call->size_bytes = max_entries;
	new_call->wrapper->start(new_call);
}

int wrapper_space(struct backend *b, struct backend_space *ret)
{
	return backend_space(next_of(b), ret);
}

void wrapper_cancel(struct backend *b)
{
	backend_look_for_cancelled(next_of(b));
}

void wrapper_get_capabilities(struct backend *b, struct backend_capabilities *ret)
{
	backend_get_capabilities(next_of(b), ret);
}
