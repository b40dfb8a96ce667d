#include <config.h>
#include "control/backend_status.h"

#include <inttypes.h>
#include "backends/retry_backend.h"
#include "backends/stats_backend.h"

static const struct {
	enum stats_backend_outcome outcome;
	const char *name;
} outcomes[] = {{STATS_OK, "ok"}, {STATS_REFUSED, "refused"}, {STATS_FAILED, "failed"}};

#define N_OUTCOMES (sizeof(outcomes) / sizeof(outcomes[0]))

static json_t *operation_json(const struct stats_backend_figures *figures)
{
	json_t *root = json_pack("{s:I, s:I, s:I, s:I}", "in_flight",
		(json_int_t)figures->in_flight, "bytes", (json_int_t)figures->bytes, "p50_us",
		(json_int_t)stats_backend_quantile(figures, 0.5), "p99_us",
		(json_int_t)stats_backend_quantile(figures, 0.99));

	for (size_t i = 0; i < N_OUTCOMES; i++)
		(void)json_object_set_new(root, outcomes[i].name,
			json_integer((json_int_t)figures->calls[outcomes[i].outcome]));
	return root;
}

json_t *control_backend_json(const struct backend_chain *chain)
{
	struct retry_backend_figures retries;
	json_t *operations = json_object();

	retry_backend_read(chain->retry, &retries);
	for (int i = 0; i < WRAPPER_N_OPERATIONS; i++) {
		enum wrapper_operation operation = (enum wrapper_operation)i;
		struct stats_backend_figures figures;

		stats_backend_read(chain->backend, operation, &figures);
		(void)json_object_set_new(
			operations, wrapper_operation_name(operation), operation_json(&figures));
	}
	return json_pack("{s:b, s:b, s:s?, s:I, s:I, s:I, s:o}", "put_if_absent",
		chain->probe.put_if_absent, "compare_and_swap", chain->probe.compare_and_swap,
		"probe_message", chain->probe_message, "retries", (json_int_t)retries.retries,
		"resolved", (json_int_t)retries.resolved, "gave_up", (json_int_t)retries.gave_up,
		"operations", operations);
}

/* ---- Prometheus */

static void print_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP mailfs_backend_%s %s\n# TYPE mailfs_backend_%s %s\n", name, help, name,
		type);
}

static void print_value(
	FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
	print_head(out, name, type, help);
	fprintf(out, "mailfs_backend_%s %" PRIu64 "\n", name, value);
}

static void print_calls(FILE *out, const struct stats_backend_figures *figures)
{
	print_head(out, "calls_total", "counter", "Calls of the backend, with their repetitions.");
	for (int i = 0; i < WRAPPER_N_OPERATIONS; i++) {
		for (size_t k = 0; k < N_OUTCOMES; k++)
			fprintf(out,
				"mailfs_backend_calls_total{operation=\"%s\",outcome=\"%s\"} "
				"%" PRIu64 "\n",
				wrapper_operation_name((enum wrapper_operation)i), outcomes[k].name,
				figures[i].calls[outcomes[k].outcome]);
	}
}

/* Every second bucket: from 1 us to 67 s in steps of four. */
static void print_latency(
	FILE *out, const char *operation, const struct stats_backend_figures *figures)
{
	uint64_t n = 0;

	for (int i = 0; i < STATS_BACKEND_BUCKETS; i++) {
		for (size_t k = 0; k < N_OUTCOMES; k++)
			n += figures->latency[outcomes[k].outcome][i];
		if (i % 2 == 0 && i < STATS_BACKEND_BUCKETS - 1)
			fprintf(out,
				"mailfs_backend_seconds_bucket{operation=\"%s\",le=\"%g\"} %" PRIu64
				"\n",
				operation, (double)(UINT64_C(1) << i) / 1e6, n);
	}
	fprintf(out,
		"mailfs_backend_seconds_bucket{operation=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
		"mailfs_backend_seconds_sum{operation=\"%s\"} %g\n"
		"mailfs_backend_seconds_count{operation=\"%s\"} %" PRIu64 "\n",
		operation, n, operation, (double)figures->microseconds / 1e6, operation, n);
}

void control_backend_metrics(FILE *out, const struct backend_chain *chain)
{
	struct stats_backend_figures figures[WRAPPER_N_OPERATIONS];
	struct retry_backend_figures retries;

	for (int i = 0; i < WRAPPER_N_OPERATIONS; i++)
		stats_backend_read(chain->backend, (enum wrapper_operation)i, &figures[i]);
	retry_backend_read(chain->retry, &retries);
	print_calls(out, figures);
	print_head(out, "bytes_total", "counter", "Bytes put and got.");
	for (int i = 0; i < WRAPPER_N_OPERATIONS; i++)
		fprintf(out, "mailfs_backend_bytes_total{operation=\"%s\"} %" PRIu64 "\n",
			wrapper_operation_name((enum wrapper_operation)i), figures[i].bytes);
	print_head(out, "seconds", "histogram", "How long calls of the backend took.");
	for (int i = 0; i < WRAPPER_N_OPERATIONS; i++)
		print_latency(out, wrapper_operation_name((enum wrapper_operation)i), &figures[i]);
	print_value(out, "retries_total", "counter", "Attempts after the first.", retries.retries);
	print_value(out, "resolved_total", "counter",
		"Lost answers that were found to be successes.", retries.resolved);
	print_value(out, "gave_up_total", "counter",
		"Calls that failed although another attempt might have helped.", retries.gave_up);
	print_value(out, "put_if_absent", "gauge", "The store keeps this promise.",
		chain->probe.put_if_absent);
	print_value(out, "compare_and_swap", "gauge", "The store keeps this promise.",
		chain->probe.compare_and_swap);
}
