/*
 * node.h: one running node's local state: the store, the inodes, the bodies, the commits.
 *
 * fs/ does its work on a struct node; control/ asks it for figures; daemon/ opens and closes it.
 */
#ifndef MAILFS_CACHE_NODE_H
#define MAILFS_CACHE_NODE_H

#include <stdbool.h>
#include <stdint.h>
#include "backends/backend.h"

struct node;

enum node_ack {
	NODE_ACK_LOCAL,
	NODE_ACK_REMOTE,
};

struct node_options {
	const char *directory;        /* <state>/db; made if missing */
	struct backend *backend;      /* stays the caller's, outlives the node */
	uint32_t account_depth;       /* the volume's */
	uint64_t cache_size_bytes;    /* local bodies above this are evicted; 0: the default */
	uint64_t memory_bytes;        /* for caches in memory; 0: the default */
	uint64_t commit_interval_ms;  /* how long a body may wait for its upload */
	uint64_t torn_settle_ms;      /* torn_write.h; 0: the default */
	enum node_ack ack;            /* of accounts without one of their own (fs_set_acks()) */
	uint64_t backlog_bytes;       /* backlog.h; 0: the default */
	uint64_t backlog_age_ms;      /* backlog.h; 0: the default */
	bool strict_sync;             /* sync=strict: no sync is left to the next one */
	bool journal;                 /* note what changes, for a journal (cut.h) */
	uint64_t changes_limit_bytes; /* the ceiling of these notes in memory; 0: the default */
	bool plain_puts;              /* the store does not keep the promise of put-if-absent */
};

struct node_figures {
	uint64_t commits;          /* synced group commits */
	uint64_t sync_requests;    /* fsyncs and publishes that programs asked for */
	uint64_t syncs_covered;    /* answered at once, nothing new since the last commit */
	uint64_t remote_waits;     /* of these, those that waited for the backend's */
	uint64_t syncs_elided;     /* left to the sync that follows (file_class.h) */
	uint64_t body_cache_bytes; /* local copies of bodies, clean and dirty */
	uint64_t body_cache_limit_bytes;
	uint64_t dirty_files;     /* bodies not yet on the backend */
	uint64_t oldest_dirty_ms; /* age of the oldest of them */
	uint64_t objects_put, objects_put_bytes;
	uint64_t objects_fetched, objects_fetched_bytes;
	uint64_t objects_removed;
	uint64_t bodies_evicted;
	uint64_t packs_put, packs_put_bytes; /* each of many bodies; not among objects_put */
	uint64_t bodies_packed, packs_rewritten;
	int backend_error; /* 0, or why the last put, get or removal failed */
	int store_error;   /* 0, or why the store takes no more changes */
	uint64_t free_disk_bytes;
	uint64_t backlog_bytes, backlog_age_ms; /* changed here and not on the backend */
	uint64_t backlog_refused;               /* changes that were refused because of it */
	bool backlog_is_full;
	bool is_fenced;
};

/* Opens, recovers (orphans, interrupted uploads) and starts the background threads.
 * *ret_message: malloc()ed sentence for the user on failure. */
int node_open(const struct node_options *options, struct node **ret, char **ret_message);

void node_get_figures(struct node *node, struct node_figures *ret);

/* Puts every dirty body on the backend and removes every dead object that may go; returns when that
 * is so and the store is synced, or at the deadline with -ETIMEDOUT or the backend's error. */
int node_flush(struct node *node, uint32_t timeout_ms);

/* About what is here of an account on the disk; changes of the last while are not counted. */
uint64_t node_account_bytes(struct node *node, uint32_t account);

/* Drops local copies of clean bodies until at most `keep_bytes` are left. The disk is given back
 * soon after. */
int node_evict(struct node *node, uint64_t keep_bytes, uint64_t *ret_evicted_bytes);

/* What replication does for the node; functions may be called from many threads. */
struct node_replication {
	/* As journal_wait(): calls `done` when all changes up to `lsn` (commit.h) are on the
	 * backend, or with why not. */
	void (*wait)(void *arg, uint64_t lsn, void (*done)(void *arg, int error), void *done_arg);

	/* Begins to load an account; adoption_finish() follows exactly once, from any thread. */
	void (*load)(void *arg, uint32_t account);

	/* Age of the oldest change that is not on the backend, in ms; 0: all is. Does not block.
	 * May be NULL. */
	uint64_t (*lag)(void *arg);
	void *arg;

	/* How long objects are kept after the journal has it that nothing refers to them. */
	uint64_t retention_ms;
};

/* The accounts are another node's now: changes and syncs give ESTALE from now on, and nothing is
 * served any more. Also happens by itself when node_replication.wait gives -ESTALE. */
void node_fence(struct node *node);
bool node_is_fenced(struct node *node);

/* Before anything is served; NULL when all is over. */
void node_set_replication(struct node *node, const struct node_replication *replication);

/* Stops the threads, syncs and closes. Dirty bodies stay queued for the next start. */
void node_close(struct node *node);

#endif
