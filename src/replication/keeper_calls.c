/*
 * keeper_calls.c: calls of the backend that the keeper's thread waits for: in the background's
 * priority, and ended by keeper_stop().
 */
#include <config.h>
#include "replication/fetch_queue.h"
#include "replication/keeper_private.h"

struct waiting {
	struct lock lock;
	struct lock_condition changed;
	bool is_done;
	struct backend_result result;
};

static void note_done(struct backend_result *result, void *arg)
{
	struct waiting *w = arg;

	lock_acquire(&w->lock);
	w->result = *result;
	w->is_done = true;
	*result = (struct backend_result){.error = result->error};
	lock_condition_signal(&w->changed);
	lock_release(&w->lock);
}

static struct backend_call begin(struct keeper *k, struct waiting *w)
{
	*w = (struct waiting){.is_done = false};
	lock_init(&w->lock);
	lock_condition_init(&w->changed);
	return (struct backend_call){.priority = BACKEND_BACKGROUND,
		.done = note_done,
		.arg = w,
		.cancellation = &k->cancellation};
}

static int end(struct waiting *w, struct backend_result *ret)
{
	lock_acquire(&w->lock);
	while (!w->is_done)
		lock_condition_wait(&w->changed, &w->lock);
	lock_release(&w->lock);
	lock_condition_done(&w->changed);
	lock_done(&w->lock);
	*ret = w->result;
	return ret->error;
}

int keeper_call_remove(struct keeper *k, const char *key)
{
	struct waiting w;
	struct backend_call call = begin(k, &w);
	struct backend_result result;
	int r;

	backend_remove(k->options.backend, key, &call);
	r = end(&w, &result);
	backend_result_done(&result);
	return r;
}

int keeper_call_list(
	struct keeper *k, const char *prefix, const char *continuation, struct backend_result *ret)
{
	return fetch_queue_list(k->options.backend, BACKEND_BACKGROUND, &k->cancellation, prefix,
		continuation, ret);
}
