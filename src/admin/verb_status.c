#include <config.h>
#include "admin/verb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 10000
#define TOP_REQUESTS 5

struct request_count {
	const char *opcode;
	uint64_t n;
};

static uint64_t number(const json_t *root, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(root, name));
}

static const char *text(const json_t *root, const char *name)
{
	const char *value = json_string_value(json_object_get(root, name));

	return value != NULL ? value : "?";
}

static int by_count(const void *a, const void *b)
{
	const struct request_count *one = a, *other = b;

	return (one->n < other->n) - (one->n > other->n);
}

/* "1234 (LOOKUP 900, GETATTR 300, …)" */
static void print_requests(json_t *counts)
{
	struct request_count sorted[64];
	uint64_t total = 0;
	const char *opcode;
	json_t *value;
	size_t n = 0;

	json_object_foreach (counts, opcode, value) {
		total += (uint64_t)json_integer_value(value);
		if (n < sizeof(sorted) / sizeof(sorted[0]))
			sorted[n++] =
				(struct request_count){opcode, (uint64_t)json_integer_value(value)};
	}
	qsort(sorted, n, sizeof(sorted[0]), by_count);
	printf("  requests  %" PRIu64, total);
	for (size_t i = 0; i < n && i < TOP_REQUESTS; i++)
		printf("%s%s %" PRIu64, i == 0 ? " (" : ", ", sorted[i].opcode, sorted[i].n);
	puts(n > TOP_REQUESTS ? ", ...)" : n > 0 ? ")" : "");
}

static void print_bodies(const json_t *figures)
{
	char used[32], limit[32], age[32];

	printf("  bodies    cache %s of %s; ",
		verb_size_text(number(figures, "body_cache_bytes"), used),
		verb_size_text(number(figures, "body_cache_limit_bytes"), limit));
	if (number(figures, "dirty_files") == 0)
		puts("all on the backend");
	else
		printf("%" PRIu64 " not yet on the backend, the oldest for %s\n",
			number(figures, "dirty_files"),
			verb_duration_text(number(figures, "oldest_dirty_ms"), age));
}

static void print_health(const json_t *figures)
{
	const char *backend_error = json_string_value(json_object_get(figures, "backend_error"));
	const char *store_error = json_string_value(json_object_get(figures, "store_error"));

	if (backend_error == NULL)
		printf("  backend   ok; %" PRIu64 " objects written, %" PRIu64 " read\n",
			number(figures, "objects_put"), number(figures, "objects_fetched"));
	else
		printf("  backend   FAILING: the last call gave %s\n", backend_error);
	if (store_error != NULL)
		printf("  store     FAILED: %s; no more changes are taken\n", store_error);
}

static void print_promises(const json_t *backend)
{
	const char *message = json_string_value(json_object_get(backend, "probe_message"));

	if (message != NULL)
		printf("  promises  BROKEN: %s; use the volume from one node only\n", message);
	else if (!json_is_true(json_object_get(backend, "compare_and_swap")))
		puts("  promises  the store has no compare-and-swap: use it from one node only");
	else
		puts("  promises  the store keeps put-if-absent and compare-and-swap");
}

static void print_status(const json_t *root)
{
	const json_t *figures = json_object_get(root, "figures");
	char uptime[32], space[32];

	printf("%s on %s (pid %" PRIu64 ", up %s, mailfs %s)\n", text(root, "url"),
		text(root, "mountpoint"), number(root, "pid"),
		verb_duration_text(number(root, "uptime_ms"), uptime), text(root, "version"));
	printf("  volume    %s\n", text(root, "volume_uuid"));
	printf("  state     %s (%s free)\n", text(root, "state_directory"),
		verb_size_text(number(figures, "free_disk_bytes"), space));
	printf("  syncs     ack=%s; %" PRIu64 " asked for, %" PRIu64 " commits\n",
		text(root, "ack"), number(figures, "sync_requests"), number(root, "commits"));
	print_bodies(figures);
	print_health(figures);
	print_promises(json_object_get(root, "backend"));
	print_requests(json_object_get(root, "fuse_requests"));
}

static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	struct verb_arguments arguments = {.verb = verb};
	json_t *root = NULL;
	char *body;
	bool done;
	enum admin_status status = verb_parse(&arguments, argc, argv, &done);

	if (done)
		return status;
	status = verb_ask(&arguments, "GET", "/v1/status", NULL, TIMEOUT_MS, &body);
	if (status == ADMIN_OK)
		status = verb_take_json(&arguments, body, &root);
	if (root != NULL)
		print_status(root);
	json_decref(root);
	return status;
}

const struct admin_verb verb_status = {
	.name = "status",
	.arguments = "[--json] MOUNTPOINT",
	.summary = "Says how a mounted volume is doing.",
	.help = "  --json  everything, in JSON\n"
		"\n"
		"Instead of MOUNTPOINT the state directory or the control socket in it will do,\n"
		"also when the mount hangs.\n",
	.run = run,
};
