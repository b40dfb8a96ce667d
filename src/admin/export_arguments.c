/*
 * export_arguments.c: the command lines of `export` and `restore`.
 */
#include <config.h>
#include "admin/export.h"

#include "transfer/tree_times.h"
#include "util/clock.h"

static int take_time(const char *text, uint64_t *ret)
{
	int64_t ms;
	int r = tree_times_parse(text, clock_realtime_ms(), &ms);

	if (r == 0)
		*ret = (uint64_t)ms;
	return r;
}

static enum admin_status check(
	struct export_arguments *arguments, const struct verb_arguments *common)
{
	size_t n_wanted = arguments->list ? 1 : 2;

	if (common->n_words < n_wanted)
		return verb_usage(common->verb, "no DIRECTORY given");
	if (common->n_words > n_wanted)
		return verb_usage(common->verb, "one word too many: '%s'", common->words[n_wanted]);
	if (arguments->needs_time && !arguments->list && arguments->not_after_ms == 0)
		return verb_usage(common->verb, "no --at TIME given");
	if (arguments->list && arguments->not_after_ms != 0)
		return verb_usage(common->verb, "--list shows all times: no --at with it");
	arguments->json = common->json;
	arguments->target = common->target;
	arguments->account = common->words[0];
	arguments->directory = arguments->list ? NULL : common->words[1];
	return ADMIN_OK;
}

enum admin_status export_parse(
	struct export_arguments *arguments, int argc, char **argv, bool *ret_done)
{
	static const char *const wanted[] = {"URL or MOUNTPOINT", "ACCOUNT", NULL};
	uint64_t not_after_ms = 0;
	const struct verb_option options[] = {
		{.name = "state-dir", .text = &arguments->state_directory},
		{.name = arguments->needs_time ? "at" : NULL,
			.take = take_time,
			.value = &not_after_ms,
			.complaint = "is no time: 2026-01-31T12:00:00Z or -2h expected"},
		{.name = "list", .flag = &arguments->list},
		{.name = NULL},
	};
	struct verb_arguments common = {.verb = arguments->verb,
		.options = options,
		.wanted = wanted,
		.takes_words = true,
		.takes_backend_options = true};
	enum admin_status status = verb_parse(&common, argc, argv, ret_done);

	arguments->options = common.backend_options;
	arguments->not_after_ms = (int64_t)not_after_ms;
	if (*ret_done)
		return status;
	status = check(arguments, &common);
	*ret_done = status != ADMIN_OK;
	return status;
}
