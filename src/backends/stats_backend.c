#include <config.h>
#include "backends/stats_backend.h"

#include <errno.h>
#include <stdlib.h>
#include "util/clock.h"

struct counters {
	atomic_uint_least64_t bytes, in_flight, microseconds;
	atomic_uint_least64_t latency[STATS_N_OUTCOMES][STATS_BACKEND_BUCKETS];
};

struct stats_backend {
	struct wrapper wrapper; /* first */
	struct counters counters[WRAPPER_N_OPERATIONS];
};

struct stats_call {
	struct wrapper_call call; /* first */
	uint64_t begun_ns;
};

static struct counters *counters_of(const struct wrapper_call *call)
{
	return &((struct stats_backend *)(void *)call->wrapper)->counters[call->operation];
}

static void add(atomic_uint_least64_t *to, uint64_t n)
{
	atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

static enum stats_backend_outcome outcome_of(int error)
{
	if (error == 0)
		return STATS_OK;
	if (error == -ENOENT || error == -EEXIST || error == -ESTALE || error == -ERANGE)
		return STATS_REFUSED;
	return STATS_FAILED;
}

static unsigned int bucket_of(uint64_t microseconds)
{
	unsigned int bits =
		microseconds == 0 ? 0 : 64 - (unsigned int)__builtin_clzll(microseconds);

	return bits < STATS_BACKEND_BUCKETS ? bits : STATS_BACKEND_BUCKETS - 1;
}

static void done(struct backend_result *result, void *arg)
{
	struct wrapper_call *call = arg;
	struct counters *counters = counters_of(call);
	uint64_t us = (clock_monotonic_ns() - ((struct stats_call *)arg)->begun_ns) / 1000;

	add(&counters->latency[outcome_of(result->error)][bucket_of(us)], 1);
	add(&counters->microseconds, us);
	if (call->operation == WRAPPER_PUT && result->error == 0)
		add(&counters->bytes, backend_parts_size_bytes(call->parts, call->n_parts));
	else
		add(&counters->bytes, result->data_size_bytes);
	atomic_fetch_sub_explicit(&counters->in_flight, 1, memory_order_relaxed);
	wrapper_call_complete(call, result);
}

static void start(struct wrapper_call *call)
{
	((struct stats_call *)(void *)call)->begun_ns = clock_monotonic_ns();
	add(&counters_of(call)->in_flight, 1);
	wrapper_call_forward(call, 0, done);
}

static void stats_shutdown(struct backend *b)
{
	backend_shutdown(((struct wrapper *)(void *)b)->next);
}

static void stats_free(struct backend *b)
{
	backend_free(((struct wrapper *)(void *)b)->next);
	free(b);
}

static const struct backend_ops stats_ops = {
	.name = "stats",
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
	.shutdown = stats_shutdown,
	.free = stats_free,
};

int stats_backend_new(struct backend *next, struct backend **ret)
{
	struct stats_backend *stats = calloc(1, sizeof(*stats));

	if (stats == NULL) {
		backend_free(next);
		return -ENOMEM;
	}
	stats->wrapper = (struct wrapper){
		.base.ops = &stats_ops,
		.next = next,
		.call_size_bytes = sizeof(struct stats_call),
		.start = start,
	};
	*ret = &stats->wrapper.base;
	return 0;
}

void stats_backend_read(
	struct backend *b, enum wrapper_operation operation, struct stats_backend_figures *ret)
{
	struct counters *counters = &((struct stats_backend *)(void *)b)->counters[operation];

	*ret = (struct stats_backend_figures){
		.bytes = atomic_load(&counters->bytes),
		.in_flight = atomic_load(&counters->in_flight),
		.microseconds = atomic_load(&counters->microseconds),
	};
	for (int outcome = 0; outcome < STATS_N_OUTCOMES; outcome++) {
		for (int i = 0; i < STATS_BACKEND_BUCKETS; i++) {
			ret->latency[outcome][i] = atomic_load(&counters->latency[outcome][i]);
			ret->calls[outcome] += ret->latency[outcome][i];
		}
	}
}

uint64_t stats_backend_quantile(const struct stats_backend_figures *figures, double share)
{
	uint64_t total = 0, seen = 0;

	for (int outcome = 0; outcome < STATS_N_OUTCOMES; outcome++)
		total += figures->calls[outcome];
	for (int i = 0; i < STATS_BACKEND_BUCKETS && total > 0; i++) {
		for (int outcome = 0; outcome < STATS_N_OUTCOMES; outcome++)
			seen += figures->latency[outcome][i];
		if (seen > 0 && (double)seen >= share * (double)total)
			return 1ULL << i;
	}
	return 0;
}
