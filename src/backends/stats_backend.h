/*
 * stats_backend.h: a wrapper that counts calls, bytes and time, by operation and outcome.
 */
#ifndef MAILFS_BACKENDS_STATS_BACKEND_H
#define MAILFS_BACKENDS_STATS_BACKEND_H

#include "backends/wrapper.h"

/* Bucket i counts calls that took less than 2^i microseconds (and not less than half of it); the
 * last one all longer ones, from 67 s. */
#define STATS_BACKEND_BUCKETS 28

enum stats_backend_outcome {
	STATS_OK,
	STATS_REFUSED, /* an answer: -ENOENT, -EEXIST, -ESTALE, -ERANGE */
	STATS_FAILED,
	STATS_N_OUTCOMES,
};

struct stats_backend_figures {
	uint64_t calls[STATS_N_OUTCOMES];
	uint64_t bytes; /* put: of those that succeeded; get: that came */
	uint64_t in_flight;
	uint64_t microseconds; /* of all calls together */
	uint64_t latency[STATS_N_OUTCOMES][STATS_BACKEND_BUCKETS];
};

/* Takes over `next`, also on failure. */
int stats_backend_new(struct backend *next, struct backend **ret);

/* `b` is what stats_backend_new() gave. Figures of calls under way may be a step apart. */
void stats_backend_read(
	struct backend *b, enum wrapper_operation operation, struct stats_backend_figures *ret);

/* In microseconds, the upper end of the bucket that holds this share (0 to 1) of all calls; 0 when
 * there were none. */
uint64_t stats_backend_quantile(const struct stats_backend_figures *figures, double share);

#endif
