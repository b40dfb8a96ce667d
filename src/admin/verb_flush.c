#include <config.h>
#include "admin/verb.h"

#include <inttypes.h>
#include <stdio.h>
#include "util/parse_number.h"

#define DEFAULT_TIMEOUT_MS 60000

static void print_result(const json_t *result)
{
	char elapsed[32];
	const char *how = json_is_true(json_object_get(result, "checkpoint"))
				  ? "in checkpoints on the backend"
				  : "on the backend";

	(void)verb_duration_text(verb_number(result, "elapsed_ms"), elapsed);
	if (json_is_true(json_object_get(result, "all")))
		printf("everything is %s (%s)\n", how, elapsed);
	else
		printf("%" PRIu64 " accounts are %s (%s)\n", verb_number(result, "accounts"), how,
			elapsed);
}

static enum admin_status flush(
	const struct verb_arguments *arguments, uint64_t timeout_ms, bool checkpoint)
{
	json_t *request = verb_request(arguments), *result = NULL;
	enum admin_status status;

	if (request == NULL)
		return ADMIN_FAILED;
	(void)json_object_set_new(request, "timeout_ms", json_integer((json_int_t)timeout_ms));
	(void)json_object_set_new(request, "checkpoint", json_boolean(checkpoint));
	status = verb_work(arguments, "/v1/flush", request, &result);
	if (status == ADMIN_OK)
		status = verb_report_failures(arguments, result);
	if (status == ADMIN_OK && !arguments->json)
		print_result(result);
	json_decref(result);
	json_decref(request);
	return status;
}

static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	uint64_t timeout_ms = DEFAULT_TIMEOUT_MS;
	bool all = false, checkpoint = false, done;
	const struct verb_option options[] = {
		{.name = "all", .flag = &all},
		{.name = "checkpoint", .flag = &checkpoint},
		{.name = "timeout", .take = parse_number_duration_ms, .value = &timeout_ms},
		{.name = NULL},
	};
	struct verb_arguments arguments = {.verb = verb, .options = options, .takes_words = true};
	enum admin_status status = verb_parse(&arguments, argc, argv, &done);

	if (done)
		return status;
	if (all && arguments.n_words > 0)
		return verb_usage(verb, "either --all or accounts");
	return flush(&arguments, timeout_ms, checkpoint);
}

const struct admin_verb verb_flush = {
	.name = "flush",
	.arguments = "[--all] [--checkpoint] [--timeout DURATION] [--json] MOUNTPOINT [ACCOUNT...]",
	.summary = "Puts everything that changed on the backend, and returns when that is so.",
	.help = "  --all               all accounts, as without any\n"
		"  --checkpoint        the accounts' state into a checkpoint of each, too\n"
		"  --timeout DURATION  give up after this time, e.g. 10m (default 60s); what\n"
		"                      could not be put stays queued\n"
		"  --json              answer in JSON\n"
		"\n"
		"An account is named by its directory, as user or domain/user.\n",
	.run = run,
};
