/*
 * export.h: what `mailfs-admin export` and `restore` have in common.
 */
#ifndef MAILFS_ADMIN_EXPORT_H
#define MAILFS_ADMIN_EXPORT_H

#include "admin/verb.h"

struct export_arguments {
	const struct admin_verb *verb;
	bool needs_time; /* restore: --at or --list */
	bool json, list;
	const char *target, *account, *directory, *state_directory;
	int64_t not_after_ms; /* 0: as it is now */
	char **options;       /* of the backend; owned */
};

/* As verb_parse(); `verb` and `needs_time` are set. The caller frees the options in any case. */
enum admin_status export_parse(
	struct export_arguments *arguments, int argc, char **argv, bool *ret_done);

/* The whole verb. */
enum admin_status export_run(const struct admin_verb *verb, bool needs_time, int argc, char **argv);

#endif
