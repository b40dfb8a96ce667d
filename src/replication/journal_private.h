/*
 * journal_private.h: what the files of the journal share: journal.c (waiting, figures),
 * journal_thread.c (when), journal_build.c (from a cut to objects), journal_put.c (to the backend),
 * journal_resume.c (where it ended).
 */
#ifndef MAILFS_REPLICATION_JOURNAL_PRIVATE_H
#define MAILFS_REPLICATION_JOURNAL_PRIVATE_H

#include <pthread.h>
#include "cache/cut.h"
#include "cache/shipped.h"
#include "replication/journal.h"
#include "replication/segment.h"
#include "util/list.h"
#include "util/lock.h"
#include "util/map64.h"

#define JOURNAL_PUT_TIMEOUT_MS 30000
#define JOURNAL_PAUSE_MIN_MS 50
#define JOURNAL_PAUSE_MAX_MS 5000

/* How the next cut gathers while a segment is on its way: journal_thread.c. */
#define JOURNAL_FEW_WAITERS 4
#define JOURNAL_MANY_WAITERS 12 /* less than a tenth of a put for each */
#define JOURNAL_LONGEST_PACE_MS 250

struct journal_segment;

/* One object: waits -> runs -> is done; or waits again, after a failure. Part 0 is the segment,
 * which waits for its parts. */
struct journal_put {
	struct journal_segment *segment;
	uint16_t part;
	char key[POSITION_SEGMENT_KEY_BYTES];
	struct frame frame;
	void **contents; /* of its sections; owned */
	size_t n_contents;
	enum { JOURNAL_PUT_WAITS, JOURNAL_PUT_RUNS, JOURNAL_PUT_DONE } state;
	bool looks; /* there is an object already: is it this one? */
	unsigned int failures;
	uint64_t not_before_ms;
	uint64_t started_ms;
};

struct journal_segment {
	struct journal *journal;
	struct list_node node;
	struct shipped note;
	uint64_t lsn, cut; /* its cut's LSN and number */
	uint64_t since_ms; /* of its oldest change, about */
	bool is_built;     /* all puts are there */
	bool is_dropped;   /* building failed: only waits for its running puts */
	struct segment segment;
	struct journal_put **puts; /* none: the cut had nothing for the backend */
	size_t n_puts, n_left;     /* n_left: not done */
	uint32_t *accounts;
	size_t n_accounts;
};

struct journal_waiter {
	struct list_node node;
	uint64_t lsn;
	uint64_t cut; /* not 0: the number of the cut that is waited for, instead of the LSN */
	uint64_t deadline_ms;
	int error;
	journal_done_fn *done;
	void *arg;
};

struct journal {
	struct node *node;
	struct backend *backend;
	struct journal_options options;
	pthread_t thread;
	struct backend_cancellation cancellation; /* of its calls, when it is closed */
	struct section_builder *builder;          /* the thread's, like the next three */
	struct map64 latest; /* account + 1 -> sequence of its latest segment of this incarnation */
	uint64_t next_sequence;
	uint64_t last_checksum; /* of the head of the segment before */
	struct shipped base;    /* as it was last noted: the last that is complete */

	struct lock lock; /* all below; a leaf, also taken under the change set's */
	struct lock_condition changed;
	struct list_node segments; /* in flight, in order */
	struct list_node waiters;
	size_t n_segments, n_waiters, n_running;
	uint64_t n_events; /* counts what the thread has to look at */
	uint64_t wakes_ms; /* when it looks by itself */
	uint64_t memory_bytes;
	uint64_t n_cuts, cut_lsn;            /* begun; of the last that was made */
	uint64_t complete_cut, complete_lsn; /* everything up to here is on the backend */
	uint64_t complete_sequence;
	bool is_behind;           /* there are changes from before the start that are not */
	uint64_t dirty_since_ms;  /* 0: nothing has changed since the last cut */
	uint64_t wanted_since_ms; /* 0: nobody waits for a new cut */
	size_t n_wanting;         /* about so many do */
	size_t most_waiters;      /* at once, of late */
	uint64_t last_cut_ms;     /* when the last segment was ready */
	uint64_t put_ms;          /* what the put of a segment takes, of late */
	uint64_t max_wait_lsn;
	uint64_t wanted_cut;    /* for flushes */
	uint64_t not_before_ms; /* after a failure to cut */
	unsigned int cut_failures;
	bool is_stopping;
	int error, last_error;
	uint64_t put_segments, put_parts, put_bytes, failures;
	struct journal_snapshot *wanted_snapshot; /* NULL: none, or it was taken */
	bool has_snapshot;                        /* somebody is in journal_snapshot() */
	bool snapshot_is_urgent, snapshot_is_filled;
	uint64_t snapshot_after; /* cuts with higher numbers will do */
	uint64_t snapshot_cut;   /* the number of the cut that it is; 0: not taken yet */
	int snapshot_error;

	struct lock watch_lock; /* all below; under it whatever is called */
	void (*completed)(void *arg, const struct journal_completed *segment);
	void *completed_arg;
};

/* ---- journal.c */

/* Takes whom there is an answer for off the list; journal_answer() gives it without the lock. */
void journal_collect_locked(struct journal *journal, struct list_node *ret) REQUIRES(journal->lock);
void journal_answer(struct list_node *waiters);

/* There is something for the thread to look at. */
void journal_tell_locked(struct journal *journal) REQUIRES(journal->lock);

/* Doubles with each failure. */
uint64_t journal_pause_ms(unsigned int failures);

/* ---- journal_thread.c */
void *journal_run(void *arg);

/* Enough of those who wait are in the next cut. */
bool journal_has_gathered_locked(const struct journal *journal) REQUIRES(journal->lock);

/* Does all that can be done now, then waits for an event, at most until then. */
void journal_step_locked(struct journal *journal, uint64_t until_ms) REQUIRES(journal->lock);

/* ---- journal_build.c */

/* Cuts, and makes a segment of it. Without the lock, by the thread. */
int journal_build(struct journal *journal);
void journal_segment_free(struct journal_segment *segment);

/* The latest segment with changes of the account, of those that were built. By the thread. */
int journal_find_latest(
	struct journal *journal, uint32_t account, struct position *ret, bool *ret_has);

/* ---- journal_put.c */

/* Begins what is due; *ret_next_ms becomes the time at which something is, if that is earlier.
 * Lets go of the lock meanwhile. */
void journal_put_start_locked(struct journal *journal, uint64_t *ret_next_ms)
	REQUIRES(journal->lock);
void journal_put_free(struct journal_put *put);

/* ---- journal_watch.c */

/* Tells of segments that are complete, in their order. By the thread, without the lock. */
void journal_tell_complete(struct journal *journal, const struct list_node *complete);

/* When a snapshot is wanted: UINT64_MAX not before there are changes to cut. */
uint64_t journal_snapshot_due_ms_locked(struct journal *journal) REQUIRES(journal->lock);

/* The cut has become a segment, or has none: whoever wants a snapshot gets it. */
void journal_give_snapshot(struct journal *journal, const struct cut *cut, uint64_t number);

/* ---- journal_resume.c */
int journal_resume(struct journal *journal, char **ret_message);

#endif
