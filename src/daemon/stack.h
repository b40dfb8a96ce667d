/*
 * stack.h: the layers of a running mailfs, opened from the bottom up and closed from the top down.
 */
#ifndef MAILFS_DAEMON_STACK_H
#define MAILFS_DAEMON_STACK_H

#include "backends/backend_chain.h"
#include "cache/node.h"
#include "config/mount_options.h"
#include "control/server.h"
#include "daemon/rescue_thread.h"
#include "daemon/state_directory.h"
#include "fs/fs.h"
#include "fuse/session.h"
#include "replication/replicator.h"
#include "volume/volume.h"

struct stack {
	const struct mount_options *options;
	char *mountpoint; /* absolute */
	struct backend_chain backend;
	struct volume volume;
	struct state_directory *state;
	enum node_ack ack;
	struct node *node;
	struct replicator *replicator;
	struct fs *fs;
	struct session *session;
	struct control_subject subject;
	struct control_server *control;
	struct rescue_thread *rescue;
	uint64_t close_until_ms; /* monotonic: how long the end may wait for the backend */
};

/* What the session has to tell when it serves (session.h). */
struct stack_listener {
	void (*on_serving)(void *arg);
	void (*on_hangup)(void *arg);
	void *arg;
};

/* Opens everything up to the session, which is not mounted yet. Starts threads. On failure *ret is
 * half-built, *ret_message says why (NULL: the errno is all there is to say), and stack_close() is
 * still due. */
int stack_open(const struct mount_options *options, const struct stack_listener *listener,
	struct stack *ret, char **ret_message);

/* Gives bodies that still wait the chance to reach the backend. What does not within the time stays
 * queued in the state directory; that is logged, and no failure. From here on the time for the end
 * runs (umount_timeout). */
void stack_flush(struct stack *stack);

/* Closes what is open, after a last flush of the journal. The mount has to be gone. */
void stack_close(struct stack *stack);

#endif
