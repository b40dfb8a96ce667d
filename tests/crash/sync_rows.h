/*
 * sync_rows.h: the table of doc/durability.md as small programs: what a program does, and which of
 * its steps must have made everything before them durable when they return.
 */
#ifndef MAILFS_TESTS_CRASH_SYNC_ROWS_H
#define MAILFS_TESTS_CRASH_SYNC_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#define SYNC_ROWS_THREAD 77 /* asks for everything; in the name of a mail */

enum sync_step_type {
	STEP_END,
	STEP_BASE, /* everything so far is on the backend: what follows is the row's own */

	/* Changes; nothing is durable when they return. */
	STEP_MAKE, /* a file with some content */
	STEP_MKDIR,
	STEP_SYMLINK,
	STEP_APPEND,
	STEP_LARGE, /* appends so much that it becomes an object of its own */
	STEP_TRUNCATE,
	STEP_ALLOCATE,
	STEP_PUNCH,
	STEP_CHMOD,
	STEP_TIMES,
	STEP_XATTR,
	STEP_RENAME,
	STEP_LINK,
	STEP_UNLINK,
	STEP_LOCK, /* made by the thread that STEP_PUBLISH_OWED renames with */

	/* All before them is durable when they return. */
	STEP_SYNC,
	STEP_PUBLISH,
	STEP_PUBLISH_LINK,

	/* The same only with sync=strict: else left to the next one. */
	STEP_SYNC_LATER,
	STEP_PUBLISH_OWED,

	/* A sync of what is durable already: nothing else becomes so. */
	STEP_SYNC_COVERED,
};

struct sync_step {
	enum sync_step_type type;
	const char *path; /* below the account; "": its directory */
	const char *to;
};

#define SYNC_STEP_BASE                \
	{                             \
		STEP_BASE, NULL, NULL \
	}
#define SYNC_STEP(type, path)           \
	{                               \
		STEP_##type, path, NULL \
	}
#define SYNC_STEP_TO(type, path, to)  \
	{                             \
		STEP_##type, path, to \
	}

#define SYNC_ROW_MAX_STEPS 20

struct sync_row {
	const char *name;
	struct sync_step steps[SYNC_ROW_MAX_STEPS];
};

extern const struct sync_row sync_rows[];
extern const size_t n_sync_rows;

/* Whether all before this step is durable when it has returned. */
bool sync_step_is_durable(const struct sync_step *step, bool strict);

#endif
