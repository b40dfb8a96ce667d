#include <config.h>
#include "admin/verb.h"

#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_MS 10000

/* The same figures, whichever way they are asked for. */
static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	struct verb_arguments arguments = {.verb = verb};
	char *body;
	bool done;
	enum admin_status status = verb_parse(&arguments, argc, argv, &done);

	if (done)
		return status;
	status = verb_ask(&arguments, "GET", arguments.json ? "/v1/status" : "/metrics", NULL,
		TIMEOUT_MS, &body);
	if (status != ADMIN_OK)
		return status;
	fputs(body, stdout);
	free(body);
	return ADMIN_OK;
}

const struct admin_verb verb_metrics = {
	.name = "metrics",
	.arguments = "[--json] MOUNTPOINT",
	.summary = "Prints the figures in Prometheus' text format.",
	.help = "  --json  as 'status --json'\n"
		"\n"
		"For node_exporter's textfile collector, or the like.\n",
	.run = run,
};
