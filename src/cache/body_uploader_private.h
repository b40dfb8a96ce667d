/*
 * body_uploader_private.h: what the parts of the uploader share.
 */
#ifndef MAILFS_CACHE_BODY_UPLOADER_PRIVATE_H
#define MAILFS_CACHE_BODY_UPLOADER_PRIVATE_H

#include <pthread.h>
#include "cache/body_uploader.h"
#include "util/list.h"
#include "util/lock.h"
#include "util/map64.h"

struct uploader_entry {
	struct list_node node;
	uint64_t ino;
	uint64_t since_ms; /* monotonic: queued first */
	uint64_t due_ms;
	uint64_t pause_ms;        /* after its last failure; 0: it did not fail */
	bool is_busy;             /* in flight, or the packer is at it: in no list */
	bool is_claimed;          /* the latter */
	bool again, now;          /* enqueued meanwhile */
	bool is_dropped;          /* its account leaves: it is not queued again */
	struct list_node waiters; /* of struct uploader_waiter */
};

/* body_uploader_hurry() */
struct uploader_waiter {
	struct list_node node;
	uint64_t until_ms; /* monotonic */
	body_uploader_done_fn *done;
	void *arg;
};

struct body_uploader {
	struct node *node;
	uint64_t delay_ms;
	pthread_t thread;
	bool started;
	struct lock lock;
	struct lock_condition changed;
	struct list_node queue;   /* of struct uploader_entry, by due time; protected by lock */
	struct list_node retries; /* likewise: those that failed; protected by lock */
	struct map64 places;      /* inode -> its struct uploader_entry; protected by lock */
	uint64_t n_queued;        /* in a list or in flight; protected by lock */
	uint64_t n_failing;       /* of these, those that failed; protected by lock */
	unsigned int in_flight;   /* protected by lock */
	unsigned int flushing;    /* callers that wait; protected by lock */
	bool stopping;            /* protected by lock */
	uint64_t next_wave_ms;    /* protected by lock */
	uint64_t expire_ms;       /* no waiter's time is before it; UINT64_MAX; protected by lock */
	unsigned int failures_in_a_row;  /* protected by lock */
	uint64_t pause_until_ms;         /* when it is the backend that fails; protected by lock */
	uint64_t pause_ms;               /* protected by lock */
	int last_error;                  /* of those that fail; protected by lock */
	uint64_t objects, objects_bytes; /* protected by lock */
};

/* Into a list, by its time. */
void body_uploader_push_locked(struct body_uploader *u, struct list_node *list,
	struct uploader_entry *q, uint64_t due_ms) REQUIRES(u->lock);

/* It is in no list and nobody is at it: forgets it. */
void body_uploader_remove_locked(struct body_uploader *u, struct uploader_entry *q)
	REQUIRES(u->lock);

/* Moves the waiters whose time is over. */
void body_uploader_expire_locked(struct body_uploader *u, struct list_node *ret_waiters)
	REQUIRES(u->lock);

/* Calls and frees the waiters. Without a lock. */
void body_uploader_answer(struct list_node *waiters, int error);

#endif
