/*
 * backend_wait.c: the blocking forms of the calls in backend.h.
 */
#include <config.h>
#include "backends/backend.h"

#include "util/lock.h"

struct waiter {
	struct lock lock;
	struct lock_condition changed;
	bool is_done;                 /* lock */
	struct backend_result result; /* lock */
};

static void wake(struct backend_result *result, void *arg)
{
	struct waiter *waiter = arg;

	lock_acquire(&waiter->lock);
	waiter->result = *result;
	waiter->is_done = true;
	*result = (struct backend_result){.error = result->error};
	lock_condition_signal(&waiter->changed);
	lock_release(&waiter->lock);
}

static struct backend_call waiter_init_as(struct waiter *waiter, const struct backend_call *how)
{
	struct backend_call call = *how;

	*waiter = (struct waiter){.is_done = false};
	lock_init(&waiter->lock);
	lock_condition_init(&waiter->changed);
	call.done = wake;
	call.arg = waiter;
	return call;
}

static struct backend_call waiter_init(struct waiter *waiter, enum backend_priority priority)
{
	return waiter_init_as(waiter, &(struct backend_call){.priority = priority});
}

static int waiter_finish(struct waiter *waiter, struct backend_result *ret)
{
	lock_acquire(&waiter->lock);
	while (!waiter->is_done)
		lock_condition_wait(&waiter->changed, &waiter->lock);
	lock_release(&waiter->lock);
	lock_condition_done(&waiter->changed);
	lock_done(&waiter->lock);
	*ret = waiter->result;
	return ret->error;
}

int backend_put_wait(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
	const struct backend_condition *condition, struct backend_result *ret)
{
	struct waiter waiter;
	struct backend_call call = waiter_init(&waiter, BACKEND_COMMIT);

	backend_put(b, key, parts, n_parts, condition, &call);
	return waiter_finish(&waiter, ret);
}

int backend_get_wait(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	struct backend_result *ret)
{
	struct waiter waiter;
	struct backend_call call = waiter_init(&waiter, BACKEND_READER);

	backend_get(b, key, offset, size_bytes, &call);
	return waiter_finish(&waiter, ret);
}

int backend_head_wait(struct backend *b, const char *key, struct backend_result *ret)
{
	struct waiter waiter;
	struct backend_call call = waiter_init(&waiter, BACKEND_READER);

	backend_head(b, key, &call);
	return waiter_finish(&waiter, ret);
}

int backend_copy_wait(struct backend *b, const char *from, const char *to)
{
	struct waiter waiter;
	struct backend_call call = waiter_init(&waiter, BACKEND_COMMIT);
	struct backend_result result;
	int r;

	backend_copy(b, from, to, &call);
	r = waiter_finish(&waiter, &result);
	backend_result_done(&result);
	return r;
}

int backend_remove_wait_as(struct backend *b, const char *key, const struct backend_call *how)
{
	struct waiter waiter;
	struct backend_call call = waiter_init_as(&waiter, how);
	struct backend_result result;
	int r;

	backend_remove(b, key, &call);
	r = waiter_finish(&waiter, &result);
	backend_result_done(&result);
	return r;
}

int backend_remove_wait(struct backend *b, const char *key)
{
	const struct backend_call how = {.priority = BACKEND_COMMIT};

	return backend_remove_wait_as(b, key, &how);
}

int backend_list_wait_as(struct backend *b, const char *prefix, const char *continuation,
	size_t max_entries, const struct backend_call *how, struct backend_result *ret)
{
	struct waiter waiter;
	struct backend_call call = waiter_init_as(&waiter, how);

	backend_list(b, prefix, continuation, max_entries, &call);
	return waiter_finish(&waiter, ret);
}

int backend_list_wait(struct backend *b, const char *prefix, const char *continuation,
	size_t max_entries, struct backend_result *ret)
{
	const struct backend_call how = {.priority = BACKEND_READER};

	return backend_list_wait_as(b, prefix, continuation, max_entries, &how, ret);
}
