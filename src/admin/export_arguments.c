/*
 * export_arguments.c: the command lines of `export` and `restore`.
 */
#include <config.h>
#include "admin/export.h"

#include <stdio.h>
#include <string.h>
#include "transfer/tree_times.h"
#include "util/clock.h"

static enum admin_status take_option(struct export_arguments *arguments, int option, char **argv)
{
	switch (option) {
	case 'a':
		if (tree_times_parse(optarg, clock_realtime_ms(), &arguments->not_after_ms) == 0)
			return ADMIN_OK;
		return verb_usage(arguments->verb,
			"'%s' is no time: 2026-01-31T12:00:00Z or -2h expected", optarg);
	case 'j':
		arguments->json = true;
		return ADMIN_OK;
	case 'l':
		arguments->list = true;
		return ADMIN_OK;
	case 's':
		arguments->state_directory = optarg;
		return ADMIN_OK;
	case 'o':
		return verb_take_options(arguments->verb, optarg, &arguments->options);
	case ':':
		return verb_usage(arguments->verb, "no value behind '%s'", argv[optind - 1]);
	default:
		return verb_usage(arguments->verb, "unknown option '%s'", argv[optind - 1]);
	}
}

static enum admin_status take_words(struct export_arguments *arguments, int n, char **words)
{
	static const char *const missing[] = {"no URL or MOUNTPOINT", "no ACCOUNT", "no DIRECTORY"};
	int wanted = arguments->list ? 2 : 3;

	if (n < wanted)
		return verb_usage(arguments->verb, "%s given", missing[n]);
	if (n > wanted)
		return verb_usage(arguments->verb, "one word too many: '%s'", words[wanted]);
	if (arguments->needs_time && !arguments->list && arguments->not_after_ms == 0)
		return verb_usage(arguments->verb, "no --at TIME given");
	if (arguments->list && arguments->not_after_ms != 0)
		return verb_usage(arguments->verb, "--list shows all times: no --at with it");
	arguments->target = words[0];
	arguments->account = words[1];
	arguments->directory = wanted == 3 ? words[2] : NULL;
	return ADMIN_OK;
}

enum admin_status export_parse(
	struct export_arguments *arguments, int argc, char **argv, bool *ret_done)
{
	const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'},
		{"state-dir", required_argument, NULL, 's'},
		{arguments->needs_time ? "at" : NULL, required_argument, NULL, 'a'},
		{"list", no_argument, NULL, 'l'},
		{NULL, 0, NULL, 0},
	};
	enum admin_status status = ADMIN_OK;
	int option;

	*ret_done = true;
	optind = 0;
	opterr = 0;
	while (status == ADMIN_OK &&
		(option = getopt_long(argc, argv, ":ho:", options, NULL)) != -1) {
		if (option == 'h') {
			verb_print_help(arguments->verb);
			return ADMIN_OK;
		}
		status = take_option(arguments, option, argv);
	}
	if (status == ADMIN_OK)
		status = take_words(arguments, argc - optind, argv + optind);
	*ret_done = status != ADMIN_OK;
	return status;
}
