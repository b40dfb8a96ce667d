#include <config.h>
#include "backends/call_guard.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct call_guard {
	struct backend *backend;
	struct backend_call call;
	pthread_t caller;
	atomic_int references; /* the call's and that of `done` */
	atomic_bool is_left;
	atomic_bool is_done;
};

static void release(struct call_guard *guard)
{
	if (atomic_fetch_sub(&guard->references, 1) == 1)
		free(guard);
}

static void guarded_done(struct backend_result *result, void *arg)
{
	struct call_guard *guard = arg;
	bool was_done = atomic_exchange(&guard->is_done, true);
	bool is_within = !atomic_load(&guard->is_left) &&
			 pthread_equal(guard->caller, pthread_self()) != 0 &&
			 !atomic_load(&guard->backend->is_shut_down);

	assert(!was_done && "a driver completed a call twice");
	assert(!is_within && "a driver completed a call within the call");
	assert(result->error <= 0);
	(void)was_done, (void)is_within;
	guard->call.done(result, guard->call.arg);
	release(guard);
}

struct call_guard *call_guard_enter(
	struct backend *b, const struct backend_call *call, struct backend_call *ret)
{
	struct call_guard *guard = NULL;

	assert(call->done != NULL);
	*ret = *call;
	if (ret->timeout_ms == 0)
		ret->timeout_ms = BACKEND_DEFAULT_TIMEOUT_MS;
#ifndef NDEBUG
	guard = calloc(1, sizeof(*guard));
#endif
	if (guard == NULL)
		return NULL;
	guard->backend = b;
	guard->call = *call;
	guard->caller = pthread_self();
	atomic_init(&guard->references, 2);
	ret->done = guarded_done;
	ret->arg = guard;
	return guard;
}

void call_guard_leave(struct call_guard *guard)
{
	if (guard == NULL)
		return;
	atomic_store(&guard->is_left, true);
	release(guard);
}
