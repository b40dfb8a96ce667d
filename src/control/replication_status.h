/*
 * replication_status.h: how replication is doing, as JSON and as Prometheus text, and what is known
 * of single accounts.
 */
#ifndef MAILFS_CONTROL_REPLICATION_STATUS_H
#define MAILFS_CONTROL_REPLICATION_STATUS_H

#include <jansson.h>
#include <stdio.h>
#include "control/status.h"
#include "replication/replicator.h"

/* {all figures of struct replicator_figures; error, last_error, background_error as names or null}.
 * A new reference; NULL without memory. */
json_t *control_replication_json(const struct replicator_figures *figures);

/* mailfs_replication_<name>. */
void control_replication_metrics(FILE *out, const struct replicator_figures *figures);

/* {name, account, place, pending_ms, pending_bytes, tail_bytes, tail_segments, idle_ms,
 *  checkpoint, local_bytes, error}; place is "here", "absent", "loading", "failed" or, when
 * replication knows nothing of it, "unknown". */
json_t *control_account_json(
	const struct control_subject *subject, const char *name, uint32_t account);

/* NULL for 0, else the name of the errno. */
json_t *control_error_name(int error);

#endif
