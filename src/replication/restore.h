/*
 * restore.h: accounts of a catalogue become accounts of this node (cache/replay.h).
 *
 * A few threads, each with one account at a time: it fetches the sections, several in flight, and
 * applies them in order. So memory is bounded whatever the number of accounts that are asked for:
 * for each thread RESTORE_WINDOW_BYTES of what was fetched, one section decompressed (at most
 * SECTION_MAX_CONTENT_BYTES), REPLAY_BATCH_BYTES, what the check of the account takes
 * (cache/account_check.h), and about 200 bytes for each section of its plan.
 */
#ifndef MAILFS_REPLICATION_RESTORE_H
#define MAILFS_REPLICATION_RESTORE_H

#include "cache/node.h"
#include "replication/catalogue.h"

#define RESTORE_MAX_THREADS 16
#define RESTORE_DEFAULT_THREADS 4
#define RESTORE_WINDOW_BYTES (UINT64_C(16) << 20)
#define RESTORE_READS_IN_FLIGHT 32 /* of each thread */

struct restore;

struct restore_options {
	struct node *node;
	struct backend *backend;
	const struct catalogue *catalogue;
	struct backend_cancellation *cancellation; /* of its reads; NULL: none */
	unsigned int n_threads;                    /* 0: the default */
	bool accepts_uncertain; /* also accounts that may lack their last changes (catalogue.h) */
	bool ends_orphans;      /* this node owns the accounts now: replay_end_orphans() */
};

struct restore_result {
	uint32_t account;
	int error; /* 0 or negative errno */
	const char
		*message; /* with an error, if there is more to say; lives until `done` returns */
	struct position last; /* of the account's last change: what its next segment has to name */
	bool is_uncertain;
	uint64_t n_sections, stored_bytes;
	int64_t time_ms; /* of the cut that it ends with */
	bool is_early;   /* catalogue_plan.is_early */
};

typedef void restore_done_fn(void *arg, const struct restore_result *result);

/* All in options outlives it. Starts the threads. */
int restore_new(const struct restore_options *options, struct restore **ret);

/* `done` is called exactly once, from a thread of the restore or from within restore_stop(), and
 * must not block for long. Whoever asks for an account that is asked for already waits with the
 * others. Requests of BACKEND_READER come before others. Until `done`, nobody may use the account.
 *
 * -ENOENT: nothing is known of the account; -EBADMSG: it is damaged or broken, `message` says
 * where; -ECANCELED; errors of the backend and the store. Nothing is left of an account that
 * failed. Returns -ENOMEM, or -ECANCELED after restore_stop(); `done` is not called then. */
int restore_account(struct restore *restore, uint32_t account, enum backend_priority priority,
	restore_done_fn *done, void *arg);

/* What has not begun is not done any more, what runs is thrown away: all get -ECANCELED. Waits for
 * reads in flight; ends the threads. */
void restore_stop(struct restore *restore);

/* NULL is allowed; after restore_stop(). */
void restore_free(struct restore *restore);

#endif
