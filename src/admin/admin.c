#include <config.h>
#include "admin/verb.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "util/log.h"

static enum admin_status refuse(const char *what, const char *word)
{
	fprintf(stderr, "mailfs-admin: %s%s%s%s; 'mailfs-admin help' lists the verbs\n", what,
		word != NULL ? " '" : "", word != NULL ? word : "", word != NULL ? "'" : "");
	return ADMIN_USAGE;
}

int main(int argc, char **argv)
{
	/* TLS writes to connections that the store may have closed. */
	(void)signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_WARNING);
	if (argc < 2)
		return refuse("no verb given", NULL);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("mailfs-admin " PACKAGE_VERSION);
		return ADMIN_OK;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return verb_help.run(&verb_help, 1, argv + 1);
	for (const struct admin_verb *const *verb = admin_verbs; *verb != NULL; verb++) {
		if (strcmp(argv[1], (*verb)->name) == 0)
			return (*verb)->run(*verb, argc - 1, argv + 1);
	}
	return refuse("there is no verb", argv[1]);
}
