/*
 * replicator.h: replication of one running node: its journal, its checkpoints, and the accounts
 * that come from the backend and go back to it. What daemon/ opens, and control/ asks.
 *
 * Order: owner_find() and the state directory, node_open(), replicator_open(), fs and session;
 * backwards at the end. See doc/decisions/0006-journal.md.
 */
#ifndef MAILFS_REPLICATION_REPLICATOR_H
#define MAILFS_REPLICATION_REPLICATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/backend.h"
#include "cache/node.h"
#include "replication/journal.h"
#include "util/uuid.h"

struct replicator;

struct replicator_options {
	struct node *node; /* node_options.journal; outlives it, as does the backend */
	struct backend *backend;
	struct uuid volume;
	struct uuid node_uuid; /* with incarnation and epoch: of the state directory */
	uint64_t incarnation;
	uint64_t epoch; /* the newest that it has owned, with all journals before it ended; 0: none
			 */

	/* They have changed: on return they are durable in the state directory. NULL in tests. */
	int (*note)(void *arg, uint64_t incarnation, uint64_t epoch);
	void *note_arg;
	uint32_t commit_interval_ms, commit_window_ms, commit_timeout_ms;
	uint64_t retention_ms; /* how long what was replaced or removed is kept for restore --at */
	uint64_t quiet_ms;     /* an account that has not changed for so long gets a checkpoint */
	uint64_t tail_max_bytes;         /* and one with so much in the journal; 0: the default */
	uint64_t background_bytes_per_s; /* for checkpoints, packs and removals; 0: the default */
	bool syncs_notes; /* ack=local: what is noted of a segment is on this disk before its put */
	bool plain_puts;
};

/* Becomes the owner, ends the journals of those before, finds out what is where, and brings the
 * root account here; then accounts that are not here load when they are asked for. Blocks for the
 * backend. *ret_message: malloc()ed.
 *   -ESTALE  another node has become the owner: what is in the state directory is superseded;
 *            errors as journal_open()'s. */
int replicator_open(
	const struct replicator_options *options, struct replicator **ret, char **ret_message);

/* Everything goes to the journal, and with_checkpoints every account that changed gets one, as far
 * as that is possible until the timeout. Gives the first error. NULL is allowed. */
int replicator_close(struct replicator *r, uint32_t timeout_ms, bool with_checkpoints);

/* All changes so far are in the journal: blocks. -ETIMEDOUT: not yet; else as journal_flush(). */
int replicator_commit(struct replicator *r, uint32_t timeout_ms);

/* ---- what mailfs-admin asks for: each blocks, and gives -ECANCELED soon after *stopping is set */

/* Called now and then, and at the end; in the caller's thread. */
struct replicator_progress {
	uint64_t accounts_done, accounts_total;
	uint64_t bytes_done;
};
typedef void replicator_progress_fn(void *arg, const struct replicator_progress *progress);

struct replicator_job {
	const uint32_t *accounts; /* NULL: all; only for replicator_flush() */
	size_t n_accounts;
	uint32_t timeout_ms;
	const _Atomic bool *stopping;
	replicator_progress_fn *progress; /* NULL: nobody wants to know */

	/* Told of each account that it did not work for; the others go on, and the result is about
	 * the whole. In the caller's thread. NULL: the first such error is the result. */
	void (*failed)(void *arg, uint32_t account, int error);
	void *arg;
};

/* -ETIMEDOUT: not within the job's time; what was under way goes on. */

/* What the accounts are now is in the journal, or with_checkpoint in a checkpoint of each. Those
 * that are on the backend only are. */
int replicator_flush(struct replicator *r, const struct replicator_job *job, bool with_checkpoint);

/* Flushes the accounts with checkpoints, then drops all that is here of them: requests for one wait
 * from its last flush on, and then for it to be loaded again. One that is not here is done. For
 * `failed`: -EBUSY: requests of the account did not end in time (REPLICATOR_EVICT_WAIT_MS for all
 * of the job together, or half of what is left of its time), or it is the root account; errors of
 * its checkpoint. A failure leaves the account here. Once it is dropped that is durable like any
 * change. */
#define REPLICATOR_EVICT_WAIT_MS 10000
int replicator_evict(struct replicator *r, const struct replicator_job *job);

/* Loads accounts that are not here, in the background's priority, a few at a time. */
int replicator_warm(struct replicator *r, const struct replicator_job *job);

/* ---- figures */

struct replicator_figures {
	struct journal_figures journal;
	uint64_t epoch, incarnation; /* of ownership; of the journal */
	uint64_t accounts_here, accounts_absent, accounts_loading, accounts_failed;
	uint64_t checkpoints, checkpoint_bytes; /* written since the start */
	uint64_t segments_removed, checkpoints_removed;
	uint64_t journal_segments, journal_bytes; /* on the backend, of all journals */
	int background_error; /* 0, or why the last checkpoint or removal failed */
};
void replicator_get_figures(struct replicator *r, struct replicator_figures *ret);

/* Of one account. */
struct replicator_account {
	uint32_t account;
	enum { REPLICATOR_HERE, REPLICATOR_ABSENT, REPLICATOR_LOADING, REPLICATOR_FAILED } place;
	uint64_t pending_ms;    /* age of the oldest change that is not on the backend; 0: all is */
	uint64_t pending_bytes; /* about */
	uint64_t tail_bytes, tail_segments; /* in the journal since its newest checkpoint */
	uint64_t idle_ms;                   /* since its last change that this process has seen */
	uint64_t checkpoint_number;         /* 0: none is known of */
	int error;                          /* of the last attempt to load it */
};
/* False: nothing is known of it. */
bool replicator_get_account(struct replicator *r, uint32_t account, struct replicator_account *ret);

#endif
