/*
 * status.h: the daemon's state as JSON and as Prometheus text.
 */
#ifndef MAILFS_CONTROL_STATUS_H
#define MAILFS_CONTROL_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include "backends/backend_chain.h"
#include "cache/node.h"
#include "fs/fs.h"
#include "replication/replicator.h"
#include "util/open_files.h"

/* Told each FUSE opcode that has been answered, and how often. */
typedef void control_take_count_fn(void *arg, const char *opcode, uint64_t count);

/* What the control server is about. Nothing changes while it runs. */
struct control_subject {
	struct node *node;
	struct fs *fs;
	struct replicator *replicator;       /* NULL: nothing is replicated */
	const struct backend_chain *backend; /* NULL: nothing is said of it */
	const char *url;
	const char *volume_uuid;
	const char *node_uuid;
	const char *mountpoint;
	const char *state_directory;
	enum node_ack ack;
	uint64_t started_ms; /* clock_monotonic_ms() */

	/* Calls `take` for each opcode; may be called from several threads. */
	void (*count_requests)(void *source, control_take_count_fn *take, void *arg);
	void *source;

	/* Which files of the mount are open now; NULL: nobody can tell. May be NULL. */
	struct open_files *(*list_open_files)(void *source);

	/* Tells the kernel to forget what it has of the account and is not in use. May be NULL. */
	void (*drop_kernel_caches)(void *source, const char *account_name);
};

/* The answer to GET /v1/status, malloc()ed:
 *   version, pid, url, volume_uuid, node_uuid, mountpoint, state_directory, ack, uptime_ms,
 *   commits, figures {all of struct node_figures; errors as names or null},
 *   fuse_requests {OPCODE: n}, backend (backend_status.h), replication (replication_status.h)
 * -ENOMEM. */
int control_status_json(
	const struct control_subject *subject, const struct node_figures *figures, char **ret);

/* The answer to GET /metrics (text format 0.0.4), malloc()ed. -ENOMEM. */
int control_status_metrics(
	const struct control_subject *subject, const struct node_figures *figures, char **ret);

#endif
