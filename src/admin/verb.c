#include <config.h>
#include "admin/verb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "admin/client.h"
#include "admin/find_daemon.h"
#include "config/option_list.h"
#include "util/cleanup.h"
#include "util/text_list.h"

#define TEXT_BYTES 32

enum admin_status verb_fail(const char *format, ...)
{
	va_list arguments;

	fputs("mailfs-admin: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return ADMIN_FAILED;
}

enum admin_status verb_usage(const struct admin_verb *verb, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "mailfs-admin %s: ", verb->name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\nusage: mailfs-admin %s %s\n", verb->name, verb->arguments);
	return ADMIN_USAGE;
}

void verb_print_help(const struct admin_verb *verb)
{
	printf("usage: mailfs-admin %s %s\n\n%s\n", verb->name, verb->arguments, verb->summary);
	if (verb->help != NULL)
		printf("\n%s", verb->help);
}

/* ---- the command line */

static enum admin_status take_positional(struct verb_arguments *arguments, int n, char **words)
{
	if (n == 0)
		return verb_usage(arguments->verb, "no MOUNTPOINT given");
	if (n > 1)
		return verb_usage(arguments->verb, "one word too many: '%s'", words[1]);
	arguments->target = words[0];
	return ADMIN_OK;
}

static enum admin_status take_value(struct verb_arguments *arguments, const char *text)
{
	if (arguments->take(text, &arguments->value) < 0)
		return verb_usage(
			arguments->verb, "'%s' is no value for --%s", text, arguments->option);
	return ADMIN_OK;
}

enum admin_status verb_parse(
	struct verb_arguments *arguments, int argc, char **argv, bool *ret_done)
{
	const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'},
		{arguments->option, required_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	enum admin_status status = ADMIN_OK;
	int option;

	*ret_done = true;
	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (option == 'h') {
			verb_print_help(arguments->verb);
			return ADMIN_OK;
		}
		if (option == 'j')
			arguments->json = true;
		else if (option == 'v')
			status = take_value(arguments, optarg);
		else
			status = verb_usage(arguments->verb, "%s '%s'",
				option == ':' ? "no value behind" : "unknown option",
				argv[optind - 1]);
		if (status != ADMIN_OK)
			return status;
	}
	status = take_positional(arguments, argc - optind, argv + optind);
	*ret_done = status != ADMIN_OK;
	return status;
}

/* One unescaped option of the backend. */
static enum admin_status take_one(const char *option, char ***options)
{
	int r = text_list_append(options, option);

	return r < 0 ? verb_fail("%s: %s", option, strerror(-r)) : ADMIN_OK;
}

enum admin_status verb_take_options(
	const struct admin_verb *verb, const char *list, char ***options)
{
	enum admin_status status = ADMIN_OK;

	while (status == ADMIN_OK) {
		CLEANUP_FREE char *option = NULL;
		int r = option_list_next(&list, &option);

		if (r < 0)
			return verb_usage(
				verb, "the list of options behind -o ends in a lone backslash");
		if (option == NULL)
			break;
		status = take_one(option, options);
	}
	return status;
}

/* ---- asking the daemon */

/* The daemon said no: its reason, for people or as it is. */
static enum admin_status report_refusal(
	const struct verb_arguments *arguments, const struct client_answer *answer)
{
	json_t *root = json_loads(answer->body, 0, NULL);
	const char *reason = json_string_value(json_object_get(root, "error"));

	if (arguments->json && root != NULL)
		fputs(answer->body, stdout);
	(void)verb_fail("%s: %s", arguments->target,
		reason != NULL ? reason : "the daemon's answer makes no sense");
	json_decref(root);
	return ADMIN_FAILED;
}

enum admin_status verb_ask(const struct verb_arguments *arguments, const char *method,
	const char *path, const char *body, uint64_t timeout_ms, char **ret_body)
{
	struct client_request request = {
		.method = method, .path = path, .body = body, .timeout_ms = timeout_ms};
	CLEANUP_FREE char *socket_path = NULL;
	CLEANUP_FREE char *message = NULL;
	struct client_answer answer = {0};
	enum admin_status status = ADMIN_OK;

	if (find_daemon(arguments->target, &socket_path, &message) < 0)
		return verb_fail("%s", message != NULL ? message : "out of memory");
	if (client_ask(socket_path, &request, &answer, &message) < 0)
		return verb_fail("%s", message != NULL ? message : "out of memory");
	if (answer.http_status == 200)
		*ret_body = TAKE_PTR(answer.body);
	else
		status = report_refusal(arguments, &answer);
	free(answer.body);
	return status;
}

enum admin_status verb_take_json(const struct verb_arguments *arguments, char *body, json_t **ret)
{
	CLEANUP_FREE char *text = body;
	json_t *root = NULL;

	*ret = NULL;
	if (arguments->json) {
		fputs(text, stdout);
		return ADMIN_OK;
	}
	root = json_loads(text, 0, NULL);
	if (root == NULL)
		return verb_fail("%s: the daemon's answer makes no sense", arguments->target);
	*ret = root;
	return ADMIN_OK;
}

/* ---- for people */

const char *verb_size_text(uint64_t size_bytes, char *text)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double value = (double)size_bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	(void)snprintf(text, TEXT_BYTES, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return text;
}

const char *verb_duration_text(uint64_t ms, char *text)
{
	uint64_t minutes = ms / 60000;

	if (ms < 60000)
		(void)snprintf(text, TEXT_BYTES, "%.1f s", (double)ms / 1000);
	else if (minutes < 60)
		(void)snprintf(text, TEXT_BYTES, "%" PRIu64 " min", minutes);
	else if (minutes < 48 * 60)
		(void)snprintf(text, TEXT_BYTES, "%" PRIu64 " h %" PRIu64 " min", minutes / 60,
			minutes % 60);
	else
		(void)snprintf(text, TEXT_BYTES, "%" PRIu64 " d %" PRIu64 " h", minutes / 1440,
			minutes / 60 % 24);
	return text;
}
