#include <config.h>
#include "admin/verb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"
#include "util/parse_number.h"

#define TIMEOUT_MS 10000
#define TOP_REQUESTS 5

/* As the daemon has it. */
#define DEFAULT_ACCOUNTS 1000
#define MAX_ACCOUNTS 10000

struct request_count {
	const char *opcode;
	uint64_t n;
};

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
		verb_size_text(verb_number(figures, "body_cache_bytes"), used),
		verb_size_text(verb_number(figures, "body_cache_limit_bytes"), limit));
	if (verb_number(figures, "dirty_files") == 0)
		puts("all on the backend");
	else
		printf("%" PRIu64 " not yet on the backend, the oldest for %s\n",
			verb_number(figures, "dirty_files"),
			verb_duration_text(verb_number(figures, "oldest_dirty_ms"), age));
}

static void print_health(const json_t *figures)
{
	const char *backend_error = json_string_value(json_object_get(figures, "backend_error"));
	const char *store_error = json_string_value(json_object_get(figures, "store_error"));

	if (backend_error == NULL)
		printf("  backend   ok; %" PRIu64 " objects written, %" PRIu64 " read\n",
			verb_number(figures, "objects_put"),
			verb_number(figures, "objects_fetched"));
	else
		printf("  backend   FAILING: the last call gave %s\n", backend_error);
	if (json_is_true(json_object_get(figures, "is_fenced")))
		puts("  node      FENCED: another node has taken over; changes get ESTALE");
	if (json_is_true(json_object_get(figures, "backlog_is_full")))
		puts("  backlog   FULL: changes are refused until the backend has more of them");
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

/* ---- replication */

static void print_accounts(const json_t *replication)
{
	printf("  accounts  %" PRIu64 " here, %" PRIu64 " on the backend only",
		verb_number(replication, "accounts_here"),
		verb_number(replication, "accounts_absent"));
	if (verb_number(replication, "accounts_loading") > 0)
		printf(", %" PRIu64 " loading", verb_number(replication, "accounts_loading"));
	if (verb_number(replication, "accounts_failed") > 0)
		printf(", %" PRIu64 " CANNOT BE LOADED (see 'status --accounts')",
			verb_number(replication, "accounts_failed"));
	putchar('\n');
}

static void print_lag(const json_t *replication)
{
	const char *ended = json_string_value(json_object_get(replication, "error"));
	const char *failing = json_string_value(json_object_get(replication, "last_error"));
	char size[32], age[32];

	printf("  journal   segment %" PRIu64 ", incarnation %" PRIu64 ", epoch %" PRIu64 "; ",
		verb_number(replication, "last_segment"), verb_number(replication, "incarnation"),
		verb_number(replication, "epoch"));
	if (ended != NULL)
		printf("ENDED: %s, another node has taken over\n", ended);
	else if (verb_number(replication, "lag_ms") == 0)
		puts("all is on the backend");
	else
		printf("%s not on the backend, the oldest for %s, %" PRIu64
		       " segments in flight%s%s\n",
			verb_size_text(verb_number(replication, "lag_bytes"), size),
			verb_duration_text(verb_number(replication, "lag_ms"), age),
			verb_number(replication, "segments_in_flight"),
			failing != NULL ? "; FAILING: " : "", failing != NULL ? failing : "");
}

static void print_keeping(const json_t *replication)
{
	const char *error = json_string_value(json_object_get(replication, "background_error"));
	char size[32];

	printf("  kept      %" PRIu64 " segments (%s) on the backend; since the start %" PRIu64
	       " checkpoints written, %" PRIu64 " segments removed%s%s\n",
		verb_number(replication, "journal_segments"),
		verb_size_text(verb_number(replication, "journal_bytes"), size),
		verb_number(replication, "checkpoints_written"),
		verb_number(replication, "segments_removed"), error != NULL ? "; FAILING: " : "",
		error != NULL ? error : "");
}

static void print_replication(const json_t *replication)
{
	if (replication == NULL)
		return;
	print_accounts(replication);
	print_lag(replication);
	print_keeping(replication);
}

static void print_status(const json_t *root)
{
	const json_t *figures = json_object_get(root, "figures");
	char uptime[32], space[32];

	printf("%s on %s (pid %" PRIu64 ", up %s, mailfs %s)\n", verb_text(root, "url"),
		verb_text(root, "mountpoint"), verb_number(root, "pid"),
		verb_duration_text(verb_number(root, "uptime_ms"), uptime),
		verb_text(root, "version"));
	printf("  volume    %s\n", verb_text(root, "volume_uuid"));
	printf("  state     %s (%s free)\n", verb_text(root, "state_directory"),
		verb_size_text(verb_number(figures, "free_disk_bytes"), space));
	printf("  syncs     ack=%s; %" PRIu64 " asked for, %" PRIu64 " commits\n",
		verb_text(root, "ack"), verb_number(figures, "sync_requests"),
		verb_number(root, "commits"));
	print_replication(json_object_get(root, "replication"));
	print_bodies(figures);
	print_health(figures);
	print_promises(json_object_get(root, "backend"));
	print_requests(json_object_get(root, "fuse_requests"));
}

static enum admin_status show_node(const struct verb_arguments *arguments)
{
	json_t *root = NULL;
	char *body;
	enum admin_status status =
		verb_ask(arguments, "GET", "/v1/status", NULL, TIMEOUT_MS, &body);

	if (status == ADMIN_OK)
		status = verb_take_json(arguments, body, &root);
	if (root != NULL)
		print_status(root);
	json_decref(root);
	return status;
}

/* ---- accounts */

/* "-" where there is nothing to say. */
static const char *duration(const json_t *account, const char *name, char *text)
{
	return verb_number(account, name) > 0 ? verb_duration_text(verb_number(account, name), text)
					      : "-";
}

static void print_account(const json_t *account)
{
	const char *error = json_string_value(json_object_get(account, "error"));
	char lag[32], tail[32], idle[32], here[32];

	printf("%-28s %8" PRIu64 " %-8s %-10s %-12s %10" PRIu64 " %-12s %s%s%s\n",
		verb_text(account, "name"), verb_number(account, "account"),
		verb_text(account, "place"), duration(account, "pending_ms", lag),
		verb_size_text(verb_number(account, "tail_bytes"), tail),
		verb_number(account, "checkpoint"), duration(account, "idle_ms", idle),
		verb_size_text(verb_number(account, "local_bytes"), here),
		error != NULL ? "  " : "", error != NULL ? error : "");
}

static void print_list(const json_t *root)
{
	const json_t *list = json_object_get(root, "accounts"), *account;
	size_t i;

	printf("%-28s %8s %-8s %-10s %-12s %10s %-12s %s\n", "ACCOUNT", "NUMBER", "PLACE", "LAG",
		"TAIL", "CHECKPOINT", "IDLE", "BYTES HERE");
	json_array_foreach(list, i, account) print_account(account);
	if (json_is_true(json_object_get(root, "more")))
		printf("%zu of %" PRIu64 " accounts; --limit shows more\n", json_array_size(list),
			verb_number(root, "total"));
}

static enum admin_status show_accounts(const struct verb_arguments *arguments, uint64_t limit)
{
	json_t *request = verb_request(arguments), *root = NULL;
	CLEANUP_FREE char *text = NULL;
	enum admin_status status;
	char *body;

	if (request == NULL)
		return ADMIN_FAILED;
	if (arguments->n_words == 0)
		(void)json_object_set_new(request, "limit", json_integer((json_int_t)limit));
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (text == NULL)
		return verb_fail("out of memory");
	status = verb_ask(arguments, "POST", "/v1/accounts", text, TIMEOUT_MS, &body);
	if (status == ADMIN_OK)
		status = verb_take_json(arguments, body, &root);
	if (root != NULL)
		print_list(root);
	json_decref(root);
	return status;
}

static int take_limit(const char *text, uint64_t *ret)
{
	return parse_number_u64(text, MAX_ACCOUNTS, ret);
}

static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	uint64_t limit = DEFAULT_ACCOUNTS;
	bool accounts = false, done;
	const struct verb_option options[] = {
		{.name = "accounts", .flag = &accounts},
		{.name = "limit", .take = take_limit, .value = &limit},
		{.name = NULL},
	};
	struct verb_arguments arguments = {.verb = verb, .options = options, .takes_words = true};
	enum admin_status status = verb_parse(&arguments, argc, argv, &done);

	if (done)
		return status;
	if (accounts && arguments.n_words > 0)
		return verb_usage(verb, "either --accounts or accounts");
	return accounts || arguments.n_words > 0 ? show_accounts(&arguments, limit)
						 : show_node(&arguments);
}

const struct admin_verb verb_status = {
	.name = "status",
	.arguments = "[--accounts [--limit N]] [--json] MOUNTPOINT [ACCOUNT...]",
	.summary = "Says how a mounted volume is doing, or some of its accounts.",
	.help = "  --accounts  how all accounts are\n"
		"  --limit N   at most so many of them (default 1000, at most 10000)\n"
		"  --json      everything, in JSON\n"
		"\n"
		"An account is named by its directory, as user or domain/user; / is the root\n"
		"account, which has the names of the others. Instead of MOUNTPOINT the volume's\n"
		"URL, the state directory or the control socket in it will do; the last two also\n"
		"when the mount hangs.\n",
	.run = run,
};
