/*
 * keeper.h: the keeper of the journals: it gives accounts checkpoints, and removes what no account
 * needs any more: segments of all journals of the volume, and old checkpoints.
 *
 * One thread (`mfs-keeper`). It knows of each account which segments come behind its newest
 * checkpoint (its tail), and of each segment how many accounts need it: from a catalogue, which it
 * loads in the background after the start, and from then on from the journal (journal_watch()).
 *
 * An account gets a checkpoint when it has a tail and has not changed for quiet_ms; when its tail
 * is longer than KEEPER_TAIL_SEGMENTS or tail_max_bytes; when it needs the oldest segments of a
 * journal that is larger than journal_max_bytes or KEEPER_JOURNAL_SEGMENTS; or when somebody asks.
 * What is put for it is limited to background_bytes_per_s and has BACKEND_BACKGROUND, so it comes
 * after commits.
 *
 * Segments go in ascending order, the segment before its parts. Seals and the last segment of the
 * node's own journal stay: they say where a journal ends (doc/decisions/0006-journal.md).
 *
 * The node must be the owner of the volume: accounts and journals of all nodes are its own to
 * keep. One that is not any more, and does not know it yet, does no harm: its checkpoints have
 * lower numbers than those of the owner after it (the epoch is in them), and what it removes is in
 * its checkpoints. Thread-safe but for start and stop. Locks: doc/locking.md.
 */
#ifndef MAILFS_REPLICATION_KEEPER_H
#define MAILFS_REPLICATION_KEEPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/backend.h"
#include "cache/node.h"
#include "replication/journal.h"
#include "util/uuid.h"

#define KEEPER_QUIET_MS 300000
#define KEEPER_TAIL_BYTES (UINT64_C(64) << 20)
#define KEEPER_TAIL_SEGMENTS 1000
#define KEEPER_JOURNAL_BYTES (UINT64_C(1) << 30) /* of one journal, on the backend */
#define KEEPER_JOURNAL_SEGMENTS 10000
#define KEEPER_BYTES_PER_S (UINT64_C(32) << 20)
#define KEEPER_BATCH_ACCOUNTS 64      /* that share one snapshot of the store */
#define KEEPER_SNAPSHOT_WAIT_MS 30000 /* for its segment to be complete */
#define KEEPER_SNAPSHOT_MS 900000     /* so long it may be kept, while checkpoints are written */

/* A journal whose owner still writes keeps all its segments until it has had so many: one that
 * lacks its first segments and has none as late has lost them, or they never came. */
#define KEEPER_YOUNG_SEGMENTS 128

/* A checkpoint's number is the epoch of the owner who wrote it, and a count. */
#define KEEPER_EPOCH_SHIFT 32

struct keeper;

struct keeper_options {
	struct node *node;
	struct backend *backend;
	struct journal *journal;
	struct uuid volume;
	struct uuid node_uuid; /* with the incarnation: of the journal */
	uint64_t incarnation;
	uint32_t epoch; /* of ownership */
	bool plain_puts;

	uint64_t retention_ms; /* of checkpoints that were replaced; 0: none */
	uint64_t quiet_ms;     /* 0: the default, as for all below */
	uint64_t tail_max_bytes;
	uint64_t journal_max_bytes;
	uint64_t background_bytes_per_s;
	uint64_t part_bytes; /* of a checkpoint's objects; CHECKPOINT_WRITER_PART_BYTES */

	/* Called before an account's checkpoint, so that it has less to carry: the bodies that are
	 * in no object are put into packs. Its failure is not the checkpoint's. NULL: nothing. */
	int (*pack)(void *arg, uint32_t account);

	/* Whether the account is here. NULL: they all are. One that is not has no checkpoint made,
	 * whatever this says: the store has the last word. */
	bool (*is_here)(void *arg, uint32_t account);
	void *arg;
};

/* Starts the thread; does not wait for the backend. The journal is open and outlives the keeper. */
int keeper_start(const struct keeper_options *options, struct keeper **ret);

/* Ends what runs as soon as the backend lets it; jobs get -ECANCELED. Before journal_close(). NULL
 * is allowed. */
void keeper_stop(struct keeper *keeper);

struct keeper_progress {
	uint64_t accounts_done, accounts_total;
	uint64_t bytes_done;
};

struct keeper_job {
	const uint32_t *accounts; /* NULL: all that have changed since their checkpoint */
	size_t n_accounts;
	uint32_t timeout_ms;
	const _Atomic bool *stopping; /* NULL: never */
	bool unlimited;               /* not by background_bytes_per_s: somebody waits */

	/* Called now and then, and at the end, in the caller's thread. NULL: nobody wants it. */
	void (*progress)(void *arg, const struct keeper_progress *progress);
	void *arg;
};

/* All of these accounts' changes by the time of the call are in a checkpoint of each. Blocks: first
 * for the journal. Gives the first error: -ETIMEDOUT, -ECANCELED, -ENOENT (the account is not
 * here), errors of the journal, the store and the backend; the other accounts are done all the
 * same. */
int keeper_checkpoint(struct keeper *keeper, const struct keeper_job *job);

struct keeper_figures {
	bool is_loaded; /* the catalogue: before it nothing is known of what was there at the start
			 */
	uint64_t checkpoints, checkpoint_bytes; /* written since the start */
	uint64_t segments_removed, checkpoints_removed;
	uint64_t journal_segments, journal_bytes; /* on the backend, of all journals */
	uint64_t accounts_with_tail, tail_bytes;
	int error; /* 0, or why the last checkpoint or removal failed */
};
void keeper_get_figures(struct keeper *keeper, struct keeper_figures *ret);

struct keeper_account {
	uint64_t tail_bytes, tail_segments;
	uint64_t idle_ms; /* since its last change that was shipped, at most since the start */
	uint64_t checkpoint_number; /* 0: none is known of */
	int error;                  /* of the last attempt at a checkpoint */
};
/* False: nothing is known of it. */
bool keeper_get_account(struct keeper *keeper, uint32_t account, struct keeper_account *ret);

#endif
