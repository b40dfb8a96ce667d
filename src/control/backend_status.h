/*
 * backend_status.h: how the store is doing, as JSON and as Prometheus text.
 */
#ifndef MAILFS_CONTROL_BACKEND_STATUS_H
#define MAILFS_CONTROL_BACKEND_STATUS_H

#include <jansson.h>
#include <stdio.h>
#include "backends/backend_chain.h"

/* {put_if_absent, compare_and_swap, probe_message (or null), retries, resolved, gave_up,
 *  operations {put, get, … : {ok, refused, failed, in_flight, bytes, p50_us, p99_us}}}.
 * A new reference; NULL without memory. */
json_t *control_backend_json(const struct backend_chain *chain);

void control_backend_metrics(FILE *out, const struct backend_chain *chain);

#endif
