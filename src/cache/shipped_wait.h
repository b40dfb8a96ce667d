/*
 * shipped_wait.h: waiting for the journal in a thread that may have to end meanwhile.
 */
#ifndef MAILFS_CACHE_SHIPPED_WAIT_H
#define MAILFS_CACHE_SHIPPED_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/node.h"
#include "util/lock.h"

/* Blocks until all changes up to `lsn` (commit.h) are on the backend, or gives why not; -ECANCELED
 * within SHIPPED_WAIT_LOOK_MS after `is_stopping` (asked without locks) says so. The answer that
 * comes later is not missed: nothing of the caller is referred to any more. -ENOMEM. */
#define SHIPPED_WAIT_LOOK_MS 100
int shipped_wait(const struct node_replication *replication, struct lock *guard, uint64_t lsn,
	bool (*is_stopping)(void *arg), void *arg);

#endif
