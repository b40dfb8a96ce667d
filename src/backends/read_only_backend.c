#include <config.h>
#include "backends/read_only_backend.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "backends/retry_backend.h"
#include "backends/wrapper.h"

struct read_only_backend {
	struct wrapper wrapper; /* first */
	bool is_borrowed;
	atomic_uint_least64_t failures;
};

static struct read_only_backend *of(struct backend *b)
{
	return (struct read_only_backend *)(void *)b;
}

static void done(struct backend_result *result, void *arg)
{
	struct wrapper_call *call = arg;

	if (retry_backend_is_passing(result->error))
		atomic_fetch_add(&of(&call->wrapper->base)->failures, 1);
	wrapper_call_complete(call, result);
}

static void start(struct wrapper_call *call)
{
	if (call->operation == WRAPPER_GET || call->operation == WRAPPER_HEAD ||
		call->operation == WRAPPER_LIST)
		wrapper_call_forward(call, 0, done);
	else
		wrapper_call_answer(call, -EROFS);
}

static void read_only_shutdown(struct backend *b)
{
	if (!of(b)->is_borrowed)
		backend_shutdown(of(b)->wrapper.next);
}

static void read_only_free(struct backend *b)
{
	if (!of(b)->is_borrowed)
		backend_free(of(b)->wrapper.next);
	free(b);
}

static const struct backend_ops read_only_ops = {
	.name = "read-only",
	.answer = wrapper_answer,
	.put = wrapper_put,
	.get = wrapper_get,
	.head = wrapper_head,
	.copy = wrapper_copy,
	.remove = wrapper_remove,
	.remove_many = wrapper_remove_many,
	.list = wrapper_list,
	.space = wrapper_space,
	.get_capabilities = wrapper_get_capabilities,
	.cancel = wrapper_cancel,
	.shutdown = read_only_shutdown,
	.free = read_only_free,
};

static int make(struct backend *next, bool is_borrowed, struct backend **ret)
{
	struct read_only_backend *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return -ENOMEM;
	b->wrapper = (struct wrapper){
		.base.ops = &read_only_ops,
		.next = next,
		.call_size_bytes = sizeof(struct wrapper_call),
		.start = start,
	};
	b->is_borrowed = is_borrowed;
	*ret = &b->wrapper.base;
	return 0;
}

int read_only_backend_new(struct backend *next, struct backend **ret)
{
	int r = make(next, false, ret);

	if (r < 0)
		backend_free(next);
	return r;
}

int read_only_backend_borrow(struct backend *next, struct backend **ret)
{
	return make(next, true, ret);
}

uint64_t read_only_backend_failures(struct backend *b)
{
	return atomic_load(&of(b)->failures);
}
