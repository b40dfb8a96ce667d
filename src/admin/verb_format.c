#include <config.h>
#include "admin/verb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/backend_chain.h"
#include "backends/registry.h"
#include "util/cleanup.h"
#include "util/parse_number.h"
#include "util/text_list.h"
#include "volume/volume.h"

#define DEFAULT_ACCOUNT_DEPTH 1

static int take_depth(const char *text, uint64_t *ret)
{
	return parse_number_u64(text, VOLUME_MAX_ACCOUNT_DEPTH, ret);
}

static void print_volume(const struct verb_arguments *arguments, const struct volume *volume,
	const struct backend_chain *chain)
{
	json_t *root;

	if (chain->probe_message != NULL)
		fprintf(stderr,
			"mailfs-admin: warning: %s; use the volume from one node at a time only\n",
			chain->probe_message);
	if (!arguments->json) {
		printf("volume %s made at '%s' (account depth %u)\n"
		       "mount it with: mailfs '%s' MOUNTPOINT%s\n",
			volume->uuid, arguments->target, volume->account_depth, arguments->target,
			arguments->backend_options != NULL ? " -o …, with the same options" : "");
		return;
	}
	root = json_pack("{s:s, s:s, s:i, s:i, s:b, s:b}", "url", arguments->target, "volume_uuid",
		volume->uuid, "format_version", (int)volume->format_version, "account_depth",
		(int)volume->account_depth, "put_if_absent", chain->probe.put_if_absent,
		"compare_and_swap", chain->probe.compare_and_swap);
	(void)json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

/* The place is looked at before the probe writes anything there. */
static int make_volume(const struct verb_arguments *arguments, uint32_t account_depth,
	struct backend_chain *chain, struct volume *ret, char **ret_message)
{
	struct backend *driver;
	int r = backend_open_url(arguments->target, (const char *const *)arguments->backend_options,
		&driver, ret_message);

	if (r == 0)
		r = backend_chain_build(driver, NULL, chain, ret_message);
	if (r == 0)
		r = volume_check_absent(chain->backend, ret_message);
	if (r == 0)
		r = backend_chain_prove(chain, ret_message);
	if (r == 0)
		r = volume_format(chain->backend, account_depth, ret, ret_message);
	return r;
}

static enum admin_status format(const struct verb_arguments *arguments, uint32_t account_depth)
{
	struct backend_chain chain = {.backend = NULL};
	enum admin_status status = ADMIN_OK;
	CLEANUP_FREE char *message = NULL;
	struct volume volume;
	int r;

	if (arguments->n_words > 0)
		return verb_usage(arguments->verb, "more than one URL");
	r = make_volume(arguments, account_depth, &chain, &volume, &message);
	if (r < 0)
		status = verb_fail("%s", message != NULL ? message : strerror(-r));
	else
		print_volume(arguments, &volume, &chain);
	backend_chain_done(&chain);
	return status;
}

static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	static const char *const wanted[] = {"URL", NULL};
	uint64_t account_depth = DEFAULT_ACCOUNT_DEPTH;
	const struct verb_option options[] = {
		{.name = "account-depth",
			.take = take_depth,
			.value = &account_depth,
			.complaint = "is no account depth: 0, 1 or 2 expected"},
		{.name = NULL},
	};
	struct verb_arguments arguments = {.verb = verb,
		.options = options,
		.wanted = wanted,
		.takes_words = true, /* has a complaint of its own */
		.takes_backend_options = true};
	bool done;
	enum admin_status status = verb_parse(&arguments, argc, argv, &done);

	if (!done)
		status = format(&arguments, (uint32_t)account_depth);
	text_list_free(arguments.backend_options);
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
