#include <config.h>
#include "admin/verb.h"

#include <stdio.h>
#include <string.h>

const struct admin_verb *const admin_verbs[] = {
	&verb_format,
	&verb_status,
	&verb_flush,
	&verb_evict,
	&verb_warm,
	&verb_metrics,
	&verb_dump,
	&verb_export,
	&verb_restore,
	&verb_fsck,
	&verb_help,
	NULL,
};

static void print_overview(void)
{
	puts("usage: mailfs-admin VERB [OPTIONS] [ARGUMENT]\n");
	for (const struct admin_verb *const *verb = admin_verbs; *verb != NULL; verb++)
		printf("  %-8s %s\n", (*verb)->name, (*verb)->summary);
	puts("\n'mailfs-admin VERB --help' says more; see also mailfs-admin(8) and mailfs(8).");
}

static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--help") == 0) {
		print_overview();
		return ADMIN_OK;
	}
	for (const struct admin_verb *const *other = admin_verbs; *other != NULL; other++) {
		if (strcmp(argv[1], (*other)->name) == 0) {
			verb_print_help(*other);
			return ADMIN_OK;
		}
	}
	return verb_usage(verb, "there is no verb '%s'", argv[1]);
}

const struct admin_verb verb_help = {
	.name = "help",
	.arguments = "[VERB]",
	.summary = "Lists the verbs, or explains one.",
	.run = run,
};
