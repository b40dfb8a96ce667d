/*
 * journal.h: the writer of a node's journal: what changes in the node, as segments on the backend
 * (doc/decisions/0006-journal.md, doc/format-objects.md).
 *
 * A thread (`mfs-journal`) cuts the node's changes, at most commit_interval_ms after the first of
 * them, or commit_window_ms after somebody began to wait; makes a segment of each cut, and puts it
 * if it is absent. While others are in flight a cut for those who wait gathers more of them, at
 * most for as long as a put takes (journal_thread.c). They count in their order. A put that fails
 * is tried again for as long as it takes: no segment is given up, and nothing behind it completes
 * before it. While max_in_flight segments or JOURNAL_MEMORY_BYTES of content are on their way no
 * new cut is made, and the node gathers its changes. A journal without changes puts nothing.
 *
 * Where another has written the next segment (a seal), the journal is fenced: nothing is put any
 * more, and all who wait get -ESTALE, for ever.
 *
 * Locks: callers may hold none of the node's. `done` is called without any, by the journal's
 * thread, or before journal_wait() returns. Thread-safe but for open and close.
 */
#ifndef MAILFS_REPLICATION_JOURNAL_H
#define MAILFS_REPLICATION_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "backends/backend.h"
#include "cache/cut.h"
#include "cache/node.h"
#include "replication/position.h"
#include "util/uuid.h"

/* Segments that are on their way at a time, at most. Whoever finds a journal relies on it: see
 * journal_was_complete(). */
#define JOURNAL_IN_FLIGHT 4
#define JOURNAL_MAX_WAITERS 65536
#define JOURNAL_MEMORY_BYTES (UINT64_C(256) << 20) /* content of segments in flight */
#define JOURNAL_PART_BYTES (UINT64_C(32) << 20)    /* of a segment's object, and of each part */

struct journal;

/* Of a segment that is missing, by one behind it that is there: was it complete? A segment is begun
 * when the one JOURNAL_IN_FLIGHT before it is complete. So what a crash leaves behind the first
 * that never came is less than that above it; where there is more the missing one was there and
 * acknowledged, and it is lost, or was removed with all before it. (The converse does not hold: one
 * of the last few may be lost too, and nothing on the backend says so.) Not for seals: whoever
 * takes over has no such limit (takeover_chain.c). */
static inline bool journal_was_complete(uint64_t missing, uint64_t later)
{
	return later >= missing && later - missing >= JOURNAL_IN_FLIGHT;
}

struct journal_options {
	struct uuid node; /* with the incarnation: of the state directory */
	uint64_t incarnation;
	uint32_t commit_interval_ms;
	uint32_t commit_window_ms;
	uint32_t commit_timeout_ms; /* after which a waiter is told -ETIMEDOUT */
	uint32_t max_in_flight;     /* segments; 1 to JOURNAL_IN_FLIGHT */
	bool plain_puts;            /* the store does not keep the promise of put-if-absent */
	bool syncs_notes;           /* what is noted of a segment is on this disk before its put */
	bool catches_up;            /* -EUCLEAN does not come: see journal_open() */
	bool never_reuses;     /* -EALREADY instead of putting a number again: see journal_open() */
	uint64_t part_bytes;   /* 0: JOURNAL_PART_BYTES */
	uint64_t memory_bytes; /* 0: JOURNAL_MEMORY_BYTES */
};

/* Finds where the journal ends, on the backend, and what the node has changed since; then starts.
 * Node (node_options.journal) and backend stay the caller's and outlive the journal. Blocks for the
 * backend. *ret_message: malloc()ed sentence for the user.
 *   -ESTALE   the journal was sealed, or written by another: this state is superseded
 *   -EUCLEAN  the backend has segments that this store does not know of (power was lost): it has to
 *             catch up from the journal first. With catches_up the accounts in these segments
 *             become absent (cache/adoption.h), and the journal goes on behind them
 *   -EALREADY with never_reuses: puts of an earlier process may still land where this one would go
 *             on. That journal has to be sealed, and another incarnation opened, which takes up
 *             what the sealed one has
 *   -EBADMSG  a segment or a note is damaged; errors of the backend; -EINVAL, -ENOMEM. */
int journal_open(struct node *node, struct backend *backend, const struct journal_options *options,
	struct journal **ret, char **ret_message);

/* `error` is 0: the segment with the change and all before it are on the backend; -ETIMEDOUT: not
 * yet, it goes on being put; -ESTALE: fenced; -ECANCELED: closed; -ENOBUFS, -ENOMEM. */
typedef void journal_done_fn(void *arg, int error);

/* `lsn` as of commit.h. */
void journal_wait(struct journal *journal, uint64_t lsn, journal_done_fn *done, void *arg);

/* Everything noted so far, blocking. Errors as above. */
int journal_flush(struct journal *journal, uint32_t timeout_ms);

/* The same, but gives -ECANCELED soon after *stopping (NULL: never) is set, and calls look() (NULL:
 * nothing) now and then, in the caller's thread. */
int journal_flush_while(struct journal *journal, uint32_t timeout_ms, const _Atomic bool *stopping,
	void (*look)(void *arg), void *arg);

/* The same without blocking. */
void journal_flush_begin(
	struct journal *journal, uint32_t timeout_ms, journal_done_fn *done, void *arg);

/* Flushes; then ends all the same. Gives the result of the flush. What is not on the backend is
 * found again by the next open. Puts under way are ended as soon as the backend lets them. NULL is
 * allowed. */
int journal_close(struct journal *journal, uint32_t timeout_ms);

/* ---- for the keeper of what is on the backend (keeper.h) */

struct journal_account {
	uint32_t account;
	uint64_t stored_bytes;
};

/* A segment that is complete: it and all before it are on the backend. */
struct journal_completed {
	uint64_t sequence;
	int64_t created_ms;
	uint64_t bytes; /* of its objects */
	uint16_t n_parts;
	const struct journal_account *accounts; /* sorted */
	size_t n_accounts;
};

/* `completed` is called of every segment that becomes complete from now on, in order, from the
 * journal's thread and before anybody is told that it is; *ret_sequence (NULL: not wanted) is the
 * last that is complete already (of it and those before it there may come calls all the same).
 * NULL: none any more; waits for one under way. It must not call the journal. */
void journal_watch(struct journal *journal,
	void (*completed)(void *arg, const struct journal_completed *segment), void *arg,
	uint64_t *ret_sequence);

/* A moment of the node, of which the backend has everything. */
struct journal_snapshot {
	const uint32_t *accounts; /* the caller's: which positions are wanted */
	size_t n_accounts;
	struct cut *cut; /* the caller's: cut_done(), soon */
	int64_t cut_ms;
	uint64_t sequence; /* of the last segment that has changes from before it; 0: none */
	struct position
		*positions; /* of each account's latest segment by then; the caller's array */
	bool *has_position; /* false: nothing of the account was ever shipped; likewise */
};

/* Shares the next cut, and waits until it is complete. A cut that is not due anyway is made for it
 * only if nothing has changed since the last, or at once if `now`. One at a time: -EBUSY.
 * -ETIMEDOUT, -ESTALE, -ECANCELED (also soon after *stopping; NULL: never), errors of the store. */
int journal_snapshot(struct journal *journal, struct journal_snapshot *snapshot, bool now,
	uint32_t timeout_ms, const _Atomic bool *stopping);

struct journal_figures {
	uint64_t last_sequence; /* of the last segment that is complete; 0: there is none */
	uint64_t segments, parts, bytes; /* put since the start */
	uint64_t lag_ms;                 /* age of the oldest change that is not complete */
	uint64_t lag_bytes;              /* of segments in flight, and of the notes since */
	uint64_t in_flight;              /* segments */
	uint64_t puts_running;
	uint64_t failures; /* of puts, each attempt */
	uint64_t memory_bytes;
	int error;      /* the one that sticks: -ESTALE, or 0 */
	int last_error; /* of the last attempt of anything; 0 once one has worked */
};

void journal_get_figures(struct journal *journal, struct journal_figures *ret);

/* Changes of one account that are not on the backend: the age of the oldest, and their bytes, both
 * about. False: there are none. */
bool journal_get_pending(
	struct journal *journal, uint32_t account, uint64_t *ret_ms, uint64_t *ret_bytes);

#endif
