/*
 * fsck.h: verifies a volume on its backend (mailfs-admin fsck).
 *
 * Verified are: every segment, part and checkpoint, with all sections; the chain of each journal;
 * every account, which is loaded as a node would load it and checked structurally
 * (cache/account_check.h); that each body that an account names is there with a size that is
 * possible, and with `deep` each of its bytes; and that nothing else is there.
 *
 * Orphans are objects that nothing names: neither an account as it is, nor any checkpoint or
 * segment that is still there. They are told when they are older by grace_ms than the newest cut
 * that is on the backend: what was put before that and is named by anybody is named there. Where
 * something is damaged that could have named them, nothing is called an orphan.
 *
 * Memory: 24 bytes for each body that segments name (at most FSCK_MAX_REFERENCES), 80 for each
 * object of the journals, and of FSCK_ACCOUNTS_AT_ONCE accounts 48 for each object.
 */
#ifndef MAILFS_FSCK_FSCK_H
#define MAILFS_FSCK_FSCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "backends/backend.h"
#include "util/uuid.h"

#define FSCK_IN_FLIGHT 32
#define FSCK_ACCOUNTS_AT_ONCE 8
#define FSCK_MAX_REFERENCES (1U << 24)
#define FSCK_MAX_ORPHANS (1U << 20) /* in one run */

enum fsck_severity {
	FSCK_ERROR,  /* something is damaged or missing */
	FSCK_ORPHAN, /* something is too much; `repair` removes it */
	FSCK_NOTE,   /* worth knowing */
};

struct fsck_problem {
	enum fsck_severity severity;
	const char *subject; /* a key, or what else it is about */
	const char *text;
	bool is_repaired;
};

struct fsck_figures {
	uint64_t segments, parts, checkpoints, bodies, accounts, files; /* looked at */
	uint64_t read_bytes;
	uint64_t young; /* objects that nothing names, not old enough to be orphans */
	uint64_t errors, orphans, repaired, notes;
};

struct fsck_options {
	struct backend *backend; /* of which only orphans are removed, and that with `repair` */
	struct uuid volume;
	uint32_t account_depth;
	const char *parent_directory; /* tree_node.h */
	char *const *accounts;        /* names, ends with NULL: only these. NULL or empty: all */
	bool deep, repair;
	bool is_online; /* a node may be writing: what comes and goes meanwhile is no error */
	uint64_t grace_ms;
	const atomic_bool *stopping;

	/* One call of either at a time. `phase` never changes its text. */
	void (*problem)(void *arg, const struct fsck_problem *problem);
	void (*progress)(void *arg, const char *phase, uint64_t done, uint64_t total);
	void *arg;
};

/* Blocks. 0: the figures say what was found. Else it could not be done to its end: errors of the
 * backend, -ECANCELED, -EBUSY (repair: somebody has written to the volume within grace_ms or since
 * the beginning, and it is not said to be online; nothing was removed); *ret_message: malloc()ed.
 */
int fsck_run(const struct fsck_options *options, struct fsck_figures *ret, char **ret_message);

#endif
