#include <config.h>
#include "admin/verb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static enum admin_status take_words(struct verb_arguments *arguments, int n, char **words)
{
	static const char *const mountpoint[] = {"MOUNTPOINT", NULL};
	const char *const *wanted = arguments->wanted != NULL ? arguments->wanted : mountpoint;
	int n_wanted = 0;

	while (wanted[n_wanted] != NULL)
		n_wanted++;
	if (n < n_wanted)
		return verb_usage(arguments->verb, "no %s given", wanted[n]);
	if (n > n_wanted && !arguments->takes_words)
		return verb_usage(arguments->verb, "one word too many: '%s'", words[n_wanted]);
	arguments->target = words[0];
	arguments->words = words + 1;
	arguments->n_words = (size_t)n - 1;
	return ADMIN_OK;
}

/* The list behind -o. */
static enum admin_status take_backend_options(struct verb_arguments *arguments, const char *list)
{
	for (;;) {
		CLEANUP_FREE char *option = NULL;
		int r = option_list_next(&list, &option);

		if (r < 0)
			return verb_usage(arguments->verb,
				"the list of options behind -o ends in a lone backslash");
		if (option == NULL)
			return ADMIN_OK;
		r = text_list_append(&arguments->backend_options, option);
		if (r < 0)
			return verb_fail("%s: %s", option, strerror(-r));
	}
}

static enum admin_status take_own_option(
	const struct verb_arguments *arguments, const struct verb_option *option, const char *text)
{
	if (option->flag != NULL)
		*option->flag = true;
	if (option->text != NULL)
		*option->text = text;
	if (option->take == NULL || option->take(text, option->value) == 0)
		return ADMIN_OK;
	if (option->complaint != NULL)
		return verb_usage(arguments->verb, "'%s' %s", text, option->complaint);
	return verb_usage(arguments->verb, "'%s' is no value for --%s", text, option->name);
}

/* For getopt_long(): the verb's own options give FIRST_OWN and up. */
#define FIRST_OWN 256

static void list_options(
	const struct verb_arguments *arguments, struct option options[VERB_MAX_OPTIONS + 3])
{
	const struct verb_option *own = arguments->options;
	size_t n = 0;

	options[n++] = (struct option){"help", no_argument, NULL, 'h'};
	options[n++] = (struct option){"json", no_argument, NULL, 'j'};
	for (int i = 0; own != NULL && own[i].name != NULL && i < VERB_MAX_OPTIONS; i++) {
		bool has_value = own[i].take != NULL || own[i].text != NULL;

		options[n++] = (struct option){own[i].name,
			has_value ? required_argument : no_argument, NULL, FIRST_OWN + i};
	}
	options[n] = (struct option){NULL, 0, NULL, 0};
}

static enum admin_status take_option(struct verb_arguments *arguments, int option, char **argv)
{
	if (option >= FIRST_OWN)
		return take_own_option(arguments, &arguments->options[option - FIRST_OWN], optarg);
	switch (option) {
	case 'j':
		arguments->json = true;
		return ADMIN_OK;
	case 'o':
		return take_backend_options(arguments, optarg);
	case ':':
		return verb_usage(arguments->verb, "no value behind '%s'", argv[optind - 1]);
	default:
		return verb_usage(arguments->verb, "unknown option '%s'", argv[optind - 1]);
	}
}

enum admin_status verb_parse(
	struct verb_arguments *arguments, int argc, char **argv, bool *ret_done)
{
	const char *letters = arguments->takes_backend_options ? ":ho:" : ":h";
	struct option options[VERB_MAX_OPTIONS + 3];
	enum admin_status status = ADMIN_OK;
	int option;

	list_options(arguments, options);
	*ret_done = true;
	optind = 0;
	opterr = 0;
	while (status == ADMIN_OK &&
		(option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
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
