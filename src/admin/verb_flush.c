#include <config.h>
#include "admin/verb.h"

#include <inttypes.h>
#include <stdio.h>
#include "util/parse_number.h"

#define DEFAULT_TIMEOUT_MS 60000
#define ANSWER_MARGIN_MS 10000

static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	struct verb_arguments arguments = {
		.verb = verb,
		.option = "timeout",
		.take = parse_number_duration_ms,
		.value = DEFAULT_TIMEOUT_MS,
	};
	char request[64], elapsed[32], *body;
	json_t *root = NULL;
	bool done;
	enum admin_status status = verb_parse(&arguments, argc, argv, &done);

	if (done)
		return status;
	(void)snprintf(request, sizeof(request), "{\"timeout_ms\": %" PRIu64 "}", arguments.value);
	status = verb_ask(&arguments, "POST", "/v1/flush", request,
		arguments.value + ANSWER_MARGIN_MS, &body);
	if (status == ADMIN_OK)
		status = verb_take_json(&arguments, body, &root);
	if (root != NULL)
		printf("everything is on the backend (%s)\n",
			verb_duration_text(
				(uint64_t)json_integer_value(json_object_get(root, "elapsed_ms")),
				elapsed));
	json_decref(root);
	return status;
}

const struct admin_verb verb_flush = {
	.name = "flush",
	.arguments = "[--timeout DURATION] [--json] MOUNTPOINT",
	.summary = "Puts every mail body that waits on the backend, and returns when that is so.",
	.help = "  --timeout DURATION  give up after this time, e.g. 10m (default 60s); what\n"
		"                      could not be put stays queued\n"
		"  --json              answer in JSON\n",
	.run = run,
};
