#include <config.h>
#include "admin/verb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "util/parse_number.h"

#define BODIES_TIMEOUT_MS 600000
#define DEFAULT_TIMEOUT_MS 600000

struct evict_options {
	uint64_t keep_bytes, idle_ms, timeout_ms;
	bool keep, idle, force, timeout;
};

/* ---- local copies of bodies */

static enum admin_status evict_bodies(const struct verb_arguments *arguments, uint64_t keep_bytes)
{
	char request[64], dropped[32], kept[32], *body;
	enum admin_status status;
	json_t *root = NULL;

	(void)snprintf(request, sizeof(request), "{\"keep_bytes\": %" PRIu64 "}", keep_bytes);
	status = verb_ask(arguments, "POST", "/v1/evict", request, BODIES_TIMEOUT_MS, &body);
	if (status == ADMIN_OK)
		status = verb_take_json(arguments, body, &root);
	if (root != NULL)
		printf("%s dropped, %s kept\n",
			verb_size_text(verb_number(root, "evicted_bytes"), dropped),
			verb_size_text(verb_number(root, "body_cache_bytes"), kept));
	json_decref(root);
	return status;
}

/* ---- accounts */

static void print_result(const json_t *result)
{
	char elapsed[32];

	printf("%" PRIu64 " accounts evicted", verb_number(result, "evicted"));
	if (verb_number(result, "absent") > 0)
		printf(", %" PRIu64 " were not here", verb_number(result, "absent"));
	if (verb_number(result, "skipped") > 0)
		printf(", %" PRIu64 " are in use and stay", verb_number(result, "skipped"));
	printf(" (%s)\n", verb_duration_text(verb_number(result, "elapsed_ms"), elapsed));
}

static enum admin_status evict_accounts(
	const struct verb_arguments *arguments, const struct evict_options *o)
{
	json_t *request = verb_request(arguments), *result = NULL;
	enum admin_status status;

	if (request == NULL)
		return ADMIN_FAILED;
	(void)json_object_set_new(request, "timeout_ms", json_integer((json_int_t)o->timeout_ms));
	(void)json_object_set_new(request, "force", json_boolean(o->force));
	if (o->idle)
		(void)json_object_set_new(request, "idle_ms", json_integer((json_int_t)o->idle_ms));
	status = verb_work(arguments, "/v1/evict", request, &result);
	if (status == ADMIN_OK) {
		if (!arguments->json)
			print_result(result);
		status = verb_report_failures(arguments, result);
	}
	json_decref(result);
	json_decref(request);
	return status;
}

static enum admin_status check(
	const struct verb_arguments *arguments, const struct evict_options *o)
{
	bool accounts = arguments->n_words > 0;

	if (accounts && o->idle)
		return verb_usage(arguments->verb, "either --idle or accounts");
	if (o->keep && (accounts || o->idle))
		return verb_usage(arguments->verb, "--keep is for bodies, not for accounts");
	if ((o->force || o->timeout) && !accounts && !o->idle)
		return verb_usage(arguments->verb, "no ACCOUNT given, and no --idle");
	return ADMIN_OK;
}

static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	struct evict_options o = {.timeout_ms = DEFAULT_TIMEOUT_MS};
	const struct verb_option options[] = {
		{.name = "force", .flag = &o.force},
		{.name = "idle",
			.flag = &o.idle,
			.take = parse_number_duration_ms,
			.value = &o.idle_ms},
		{.name = "keep",
			.flag = &o.keep,
			.take = parse_number_size_bytes,
			.value = &o.keep_bytes},
		{.name = "timeout",
			.flag = &o.timeout,
			.take = parse_number_duration_ms,
			.value = &o.timeout_ms},
		{.name = NULL},
	};
	struct verb_arguments arguments = {.verb = verb, .options = options, .takes_words = true};
	bool done;
	enum admin_status status = verb_parse(&arguments, argc, argv, &done);

	if (done)
		return status;
	status = check(&arguments, &o);
	if (status != ADMIN_OK)
		return status;
	return arguments.n_words > 0 || o.idle ? evict_accounts(&arguments, &o)
					       : evict_bodies(&arguments, o.keep_bytes);
}

const struct admin_verb verb_evict = {
	.name = "evict",
	.arguments = "[--idle DURATION | --keep SIZE] [--force] [--timeout DURATION] [--json] "
		     "MOUNTPOINT [ACCOUNT...]",
	.summary = "Drops accounts, or copies of mail bodies, that are on the backend from this "
		   "machine.",
	.help = "With ACCOUNTs or --idle: puts what changed in them on the backend, with a\n"
		"checkpoint of each, and drops all that is here of them. They load again when\n"
		"they are used. Those with open files are refused.\n"
		"  --idle DURATION     all accounts that have not changed for so long, e.g. 30d;\n"
		"                      those with open files are left out\n"
		"  --force             also with open files: who has them goes on, after a wait\n"
		"  --timeout DURATION  give up after this time (default 10m)\n"
		"\n"
		"Else: drops local copies of mail bodies that are on the backend. Those that are\n"
		"not stay; 'flush' first to drop those too.\n"
		"  --keep SIZE         leave the most recently used ones, up to this much,\n"
		"                      e.g. 10G (default 0)\n"
		"\n"
		"  --json              answer in JSON\n",
	.run = run,
};
