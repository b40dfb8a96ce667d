#include <config.h>
#include "admin/verb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/backend_chain.h"
#include "backends/registry.h"
#include "config/option_list.h"
#include "util/cleanup.h"
#include "util/parse_number.h"
#include "util/text_list.h"
#include "volume/volume.h"

#define DEFAULT_ACCOUNT_DEPTH 1

struct format_arguments {
	uint32_t account_depth;
	bool json;
	const char *url;
	char **options; /* of the backend */
};

static enum admin_status take_depth(const char *text, uint32_t *ret)
{
	uint64_t depth;

	if (parse_number_u64(text, VOLUME_MAX_ACCOUNT_DEPTH, &depth) < 0)
		return verb_usage(
			&verb_format, "'%s' is no account depth: 0, 1 or 2 expected", text);
	*ret = (uint32_t)depth;
	return ADMIN_OK;
}

/* One unescaped option of the backend. */
static enum admin_status take_one(struct format_arguments *arguments, const char *option)
{
	int r = text_list_append(&arguments->options, option);

	return r < 0 ? verb_fail("%s: %s", option, strerror(-r)) : ADMIN_OK;
}

static enum admin_status take_list(struct format_arguments *arguments, const char *list)
{
	enum admin_status status = ADMIN_OK;

	while (status == ADMIN_OK) {
		CLEANUP_FREE char *option = NULL;
		int r = option_list_next(&list, &option);

		if (r < 0)
			return verb_usage(&verb_format,
				"the list of options behind -o ends in a lone backslash");
		if (option == NULL)
			break;
		status = take_one(arguments, option);
	}
	return status;
}

static enum admin_status take_option(struct format_arguments *arguments, int option, char **argv)
{
	switch (option) {
	case 'a':
		return take_depth(optarg, &arguments->account_depth);
	case 'j':
		arguments->json = true;
		return ADMIN_OK;
	case 'o':
		return take_list(arguments, optarg);
	case ':':
		return verb_usage(&verb_format, "no value behind '%s'", argv[optind - 1]);
	default:
		return verb_usage(&verb_format, "unknown option '%s'", argv[optind - 1]);
	}
}

static enum admin_status parse(
	struct format_arguments *arguments, int argc, char **argv, bool *ret_done)
{
	static const struct option options[] = {
		{"account-depth", required_argument, NULL, 'a'},
		{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'},
		{NULL, 0, NULL, 0},
	};
	int option;

	*ret_done = true;
	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":ho:", options, NULL)) != -1) {
		enum admin_status status;

		if (option == 'h') {
			verb_print_help(&verb_format);
			return ADMIN_OK;
		}
		status = take_option(arguments, option, argv);
		if (status != ADMIN_OK)
			return status;
	}
	if (argc - optind != 1)
		return verb_usage(
			&verb_format, argc == optind ? "no URL given" : "more than one URL");
	arguments->url = argv[optind];
	*ret_done = false;
	return ADMIN_OK;
}

static void print_volume(const struct format_arguments *arguments, const struct volume *volume,
	const struct backend_chain *chain)
{
	json_t *root;

	if (chain->probe_message != NULL)
		fprintf(stderr,
			"mailfs-admin: warning: %s; use the volume from one node at a time only\n",
			chain->probe_message);
	if (!arguments->json) {
		printf("volume %s made at '%s' (account depth %u)\n"
		       "mount it with: mailfs '%s' MOUNTPOINT\n",
			volume->uuid, arguments->url, volume->account_depth, arguments->url);
		return;
	}
	root = json_pack("{s:s, s:s, s:i, s:i, s:b, s:b}", "url", arguments->url, "volume_uuid",
		volume->uuid, "format_version", (int)volume->format_version, "account_depth",
		(int)volume->account_depth, "put_if_absent", chain->probe.put_if_absent,
		"compare_and_swap", chain->probe.compare_and_swap);
	(void)json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

/* The place is looked at before the probe writes anything there. */
static int make_volume(const struct format_arguments *arguments, struct backend_chain *chain,
	struct volume *ret, char **ret_message)
{
	struct backend *driver;
	int r = backend_open_url(
		arguments->url, (const char *const *)arguments->options, &driver, ret_message);

	if (r == 0)
		r = backend_chain_build(driver, NULL, chain, ret_message);
	if (r == 0)
		r = volume_check_absent(chain->backend, ret_message);
	if (r == 0)
		r = backend_chain_prove(chain, ret_message);
	if (r == 0)
		r = volume_format(chain->backend, arguments->account_depth, ret, ret_message);
	return r;
}

static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	struct format_arguments arguments = {.account_depth = DEFAULT_ACCOUNT_DEPTH};
	struct backend_chain chain = {.backend = NULL};
	CLEANUP_FREE char *message = NULL;
	struct volume volume;
	bool done;
	enum admin_status status = parse(&arguments, argc, argv, &done);
	int r = 0;

	(void)verb;
	if (!done)
		r = make_volume(&arguments, &chain, &volume, &message);
	if (!done && r < 0)
		status = verb_fail("%s", message != NULL ? message : strerror(-r));
	else if (!done)
		print_volume(&arguments, &volume, &chain);
	backend_chain_done(&chain);
	text_list_free(arguments.options);
	return status;
}

const struct admin_verb verb_format = {
	.name = "format",
	.arguments = "[--account-depth N] [-o OPTIONS] [--json] URL",
	.summary = "Makes a new, empty volume at URL. Never touches one that is there.",
	.help = "  --account-depth N  where an account's directory is, and fixed for ever:\n"
		"                       1  /user          (the default)\n"
		"                       2  /domain/user\n"
		"                       0  the whole tree is one account\n"
		"                     Accounts are owned, replicated and restored one by one;\n"
		"                     rename() and link() between them give EXDEV.\n"
		"  -o OPTIONS         options of the backend: mailfs-backends(7)\n"
		"  --json             answer in JSON\n"
		"\n"
		"URL: file:///absolute/directory, which has to exist and be empty.\n",
	.run = run,
};
