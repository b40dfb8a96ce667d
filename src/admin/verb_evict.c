#include <config.h>
#include "admin/verb.h"

#include <inttypes.h>
#include <stdio.h>
#include "util/parse_number.h"

#define TIMEOUT_MS 600000

static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	struct verb_arguments arguments = {
		.verb = verb, .option = "keep", .take = parse_number_size_bytes};
	char request[64], dropped[32], kept[32], *body;
	json_t *root = NULL;
	bool done;
	enum admin_status status = verb_parse(&arguments, argc, argv, &done);

	if (done)
		return status;
	(void)snprintf(request, sizeof(request), "{\"keep_bytes\": %" PRIu64 "}", arguments.value);
	status = verb_ask(&arguments, "POST", "/v1/evict", request, TIMEOUT_MS, &body);
	if (status == ADMIN_OK)
		status = verb_take_json(&arguments, body, &root);
	if (root != NULL)
		printf("%s dropped, %s kept\n",
			verb_size_text((uint64_t)json_integer_value(
					       json_object_get(root, "evicted_bytes")),
				dropped),
			verb_size_text((uint64_t)json_integer_value(
					       json_object_get(root, "body_cache_bytes")),
				kept));
	json_decref(root);
	return status;
}

const struct admin_verb verb_evict = {
	.name = "evict",
	.arguments = "[--keep SIZE] [--json] MOUNTPOINT",
	.summary = "Drops local copies of mail bodies that are on the backend.",
	.help = "  --keep SIZE  leave the most recently used ones, up to this much, e.g. 10G\n"
		"               (default 0)\n"
		"  --json       answer in JSON\n"
		"\n"
		"Bodies that are not on the backend yet stay; 'flush' first to drop those too.\n",
	.run = run,
};
