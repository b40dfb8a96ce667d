#include <config.h>
#include "admin/export.h"

static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	return export_run(verb, false, argc, argv);
}

const struct admin_verb verb_export = {
	.name = "export",
	.arguments = "[-o OPTIONS] [--state-dir DIRECTORY] [--json] URL|MOUNTPOINT ACCOUNT "
		     "DIRECTORY",
	.summary = "Copies an account, as it is on the backend, to a plain directory tree.",
	.help = "  ACCOUNT                the directory of the account, as below the mountpoint;\n"
		"                         / is all of the volume\n"
		"  DIRECTORY              where to: made, or empty\n"
		"  -o OPTIONS             options of the backend: mailfs-backends(7)\n"
		"  --state-dir DIRECTORY  room for what is fetched meanwhile (default: TMPDIR)\n"
		"  --json                 answer in JSON\n"
		"\n"
		"The volume need not be mounted, and is not changed. Of a MOUNTPOINT the daemon\n"
		"is asked to flush first.\n",
	.run = run,
};
