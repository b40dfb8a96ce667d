#include <config.h>
#include "backends/memory_backend.h"

#include <errno.h>
#include <stdlib.h>
#include "backends/blocking.h"
#include "backends/memory_store.h"

#define MEMORY_MAX_DELETE_MANY 1000

struct memory_backend {
	struct blocking_backend blocking; /* first */
	struct memory_store *store;
};

static struct memory_store *store_of(const struct blocking_request *request)
{
	return ((struct memory_backend *)(void *)request->backend)->store;
}

static bool memory_put(struct blocking_request *r, struct backend_result *ret)
{
	memory_store_put(store_of(r), r->key, r->parts, r->n_parts, &r->condition, ret);
	return true;
}

static bool memory_get(struct blocking_request *r, struct backend_result *ret)
{
	memory_store_get(store_of(r), r->key, r->offset, r->size_bytes, ret);
	return true;
}

static bool memory_head(struct blocking_request *r, struct backend_result *ret)
{
	memory_store_head(store_of(r), r->key, ret);
	return true;
}

static bool memory_copy(struct blocking_request *r, struct backend_result *ret)
{
	static const struct backend_condition always = {.type = BACKEND_ALWAYS};
	struct backend_result found = {.error = 0};

	memory_store_get(store_of(r), r->key, 0, SIZE_MAX, &found);
	ret->error = found.error;
	if (found.error == 0) {
		struct iovec part = {found.data, found.data_size_bytes};

		memory_store_put(store_of(r), r->continuation, &part, 1, &always, ret);
	}
	backend_result_done(&found);
	return true;
}

static bool memory_remove(struct blocking_request *r, struct backend_result *ret)
{
	(void)ret;
	memory_store_remove(store_of(r), r->key);
	return true;
}

static bool memory_list(struct blocking_request *r, struct backend_result *ret)
{
	memory_store_list(store_of(r), r->key, r->continuation, r->size_bytes, ret);
	return true;
}

static const struct blocking_work memory_work = {
	.put = memory_put,
	.get = memory_get,
	.head = memory_head,
	.copy = memory_copy,
	.remove = memory_remove,
	.list = memory_list,
};

static int memory_space(struct backend *b, struct backend_space *ret)
{
	(void)b, (void)ret;
	return -EOPNOTSUPP;
}

static void memory_get_capabilities(struct backend *b, struct backend_capabilities *ret)
{
	(void)b;
	*ret = (struct backend_capabilities){
		.put_if_absent = true,
		.compare_and_swap = true,
		.copy = true,
		.max_object_bytes = MEMORY_BACKEND_MAX_OBJECT_BYTES,
		.max_delete_many = MEMORY_MAX_DELETE_MANY,
	};
}

static void memory_free(struct backend *b)
{
	struct memory_backend *memory = (struct memory_backend *)(void *)b;

	executor_free(memory->blocking.executor);
	memory_store_close(memory->store);
	free(memory);
}

static const struct backend_ops memory_ops = {
	.name = "memory",
	.answer = blocking_answer,
	.put = blocking_put,
	.get = blocking_get,
	.head = blocking_head,
	.copy = blocking_copy,
	.remove = blocking_remove,
	.list = blocking_list,
	.space = memory_space,
	.get_capabilities = memory_get_capabilities,
	.cancel = blocking_cancel,
	.shutdown = blocking_shutdown,
	.free = memory_free,
};

/* Takes over the store, also on failure. */
static int open_over(struct memory_store *store, struct backend **ret)
{
	struct memory_backend *memory = calloc(1, sizeof(*memory));
	int r = memory == NULL ? -ENOMEM : executor_new("memory", 1, &memory->blocking.executor);

	if (r < 0) {
		memory_store_close(store);
		free(memory);
		return r;
	}
	memory->blocking.base.ops = &memory_ops;
	memory->blocking.work = &memory_work;
	memory->store = store;
	*ret = &memory->blocking.base;
	return 0;
}

int memory_backend_new(struct backend **ret)
{
	struct memory_store *store;
	int r = memory_store_new(&store);

	return r < 0 ? r : open_over(store, ret);
}

int memory_backend_open(const char *name, struct backend **ret)
{
	struct memory_store *store;
	int r = memory_store_open(name, &store);

	return r < 0 ? r : open_over(store, ret);
}
