/*
 * keeper_calls.c: calls of the backend that the keeper's thread waits for: in the background's
 * priority, and ended by keeper_stop().
 */
#include <config.h>
#include "replication/keeper_private.h"

static struct backend_call how(struct keeper *k)
{
	return (struct backend_call){
		.priority = BACKEND_BACKGROUND, .cancellation = &k->cancellation};
}

int keeper_call_remove(struct keeper *k, const char *key)
{
	const struct backend_call call = how(k);

	return backend_remove_wait_as(k->options.backend, key, &call);
}

int keeper_call_list(
	struct keeper *k, const char *prefix, const char *continuation, struct backend_result *ret)
{
	const struct backend_call call = how(k);

	return backend_list_wait_as(
		k->options.backend, prefix, continuation, BACKEND_LIST_MAX_ENTRIES, &call, ret);
}
