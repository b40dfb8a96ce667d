#include <config.h>
#include "admin/export.h"

static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	return export_run(verb, true, argc, argv);
}

const struct admin_verb verb_restore = {
	.name = "restore",
	.arguments = "[-o OPTIONS] [--state-dir DIRECTORY] [--json] (--at TIME URL|MOUNTPOINT "
		     "ACCOUNT DIRECTORY | --list URL|MOUNTPOINT ACCOUNT)",
	.summary = "Copies an account, as it was at a time, to a plain directory tree.",
	.help = "  --at TIME              2026-01-31T12:00:00Z (without Z: local time), or -2h "
		"for\n"
		"                         two hours ago\n"
		"  --list                 says which times there are\n"
		"  ACCOUNT                the directory of the account, as below the mountpoint;\n"
		"                         / is all of the volume\n"
		"  DIRECTORY              where to: made, or empty\n"
		"  -o OPTIONS             options of the backend: mailfs-backends(7)\n"
		"  --state-dir DIRECTORY  room for what is fetched meanwhile (default: TMPDIR)\n"
		"  --json                 answer in JSON\n"
		"\n"
		"How far back that goes is the mount option 'retention'. The time that was found\n"
		"is part of the answer. The volume need not be mounted, and is not changed.\n",
	.run = run,
};
