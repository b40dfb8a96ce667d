/*
 * rescue_thread.h: makes files, in the background, of what superseded nodes of the state directory
 * never shipped (state_superseded.h, transfer/rescue.h).
 */
#ifndef MAILFS_DAEMON_RESCUE_THREAD_H
#define MAILFS_DAEMON_RESCUE_THREAD_H

#include <stdint.h>
#include "backends/backend.h"
#include "cache/node.h"
#include "daemon/state_directory.h"
#include "fs/fs.h"
#include "fuse/session.h"
#include "replication/replicator.h"

struct rescue_thread;

struct rescue_thread_options {
	const struct state_directory *state;
	struct node *node;
	struct fs *fs;
	struct session *session;
	struct replicator *replicator;
	struct backend *backend;
	uint32_t account_depth;
};

/* Starts the thread (`mfs-rescue`), which ends when there is nothing left to do; what fails is
 * tried again every minute. All in options outlives it. -ENOMEM, -EAGAIN. */
int rescue_thread_start(const struct rescue_thread_options *options, struct rescue_thread **ret);

/* Ends it, soon; what was not done is begun anew after the next mount. NULL is allowed. */
void rescue_thread_stop(struct rescue_thread *thread);

#endif
