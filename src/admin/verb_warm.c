#include <config.h>
#include "admin/verb.h"

#include <inttypes.h>
#include <stdio.h>
#include "util/parse_number.h"

#define DEFAULT_TIMEOUT_MS (60 * 60 * 1000)

static enum admin_status warm(const struct verb_arguments *arguments, uint64_t timeout_ms)
{
	json_t *request = verb_request(arguments), *result = NULL;
	enum admin_status status;
	char elapsed[32];

	if (request == NULL)
		return ADMIN_FAILED;
	(void)json_object_set_new(request, "timeout_ms", json_integer((json_int_t)timeout_ms));
	status = verb_work(arguments, "/v1/warm", request, &result);
	if (status == ADMIN_OK)
		status = verb_report_failures(arguments, result);
	if (status == ADMIN_OK && !arguments->json)
		printf("%" PRIu64 " accounts are here (%s)\n", verb_number(result, "accounts"),
			verb_duration_text(verb_number(result, "elapsed_ms"), elapsed));
	json_decref(result);
	json_decref(request);
	return status;
}

static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	uint64_t timeout_ms = DEFAULT_TIMEOUT_MS;
	bool all = false, done;
	const struct verb_option options[] = {
		{.name = "all", .flag = &all},
		{.name = "timeout", .take = parse_number_duration_ms, .value = &timeout_ms},
		{.name = NULL},
	};
	struct verb_arguments arguments = {.verb = verb, .options = options, .takes_words = true};
	enum admin_status status = verb_parse(&arguments, argc, argv, &done);

	if (done)
		return status;
	if (all == (arguments.n_words > 0))
		return verb_usage(verb, "%s",
			all ? "either --all or accounts" : "no ACCOUNT given, and no --all");
	return warm(&arguments, timeout_ms);
}

const struct admin_verb verb_warm = {
	.name = "warm",
	.arguments = "[--all] [--timeout DURATION] [--json] MOUNTPOINT [ACCOUNT...]",
	.summary =
		"Brings accounts here that are on the backend only, before somebody asks for them.",
	.help = "  --all               all accounts\n"
		"  --timeout DURATION  give up after this time, e.g. 10m (default 1h); the rest\n"
		"                      loads when it is used\n"
		"  --json              answer in JSON\n"
		"\n"
		"An account is named by its directory, as user or domain/user. Who uses the mount\n"
		"goes before.\n",
	.run = run,
};
