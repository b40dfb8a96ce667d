/*
 * nfs_request.h: asks the server, until it answers or the task's time is up.
 *
 * A lost connection is made again and what was lost is asked again; an answer "later" (a JUKEBOX, a
 * server in its grace period) is waited for and asked again. So for what is not idempotent, the
 * answer to a repeated request may tell of the task's own first one: `is_repeated` says so.
 */
#ifndef MAILFS_BACKENDS_NFS_NFS_REQUEST_H
#define MAILFS_BACKENDS_NFS_NFS_REQUEST_H

#include "backends/nfs/nfs_loop.h"

#define NFS_LATER_MIN_MS 50
#define NFS_LATER_MAX_MS 1000
#define NFS_FAST_ATTEMPTS 4 /* to connect, for tasks that fail fast */

struct nfs_request {
	const struct nfs_procedure *procedure;
	void *args, *out;
	int error;        /* the server's answer: 0 or negative errno */
	bool is_repeated; /* an earlier answer was lost */
	/* nfs_request.c's */
	bool is_done;
	struct nfs_task *task;
	struct nfs_flight *flight;
};

/* Asks all at once. 0: each has its answer in `error`; -ETIMEDOUT, -ECANCELED, -ENOMEM, or when the
 * task fails fast -EHOSTUNREACH: nothing is known of those that are not done. */
int nfs_requests_run(
	struct nfs_task *task, struct nfs_connection *c, struct nfs_request *requests, size_t n);

/* One of them; the server's error is the result. ret_is_repeated may be NULL. */
int nfs_request_run(struct nfs_task *task, struct nfs_connection *c,
	const struct nfs_procedure *procedure, void *args, void *out, bool *ret_is_repeated);

#endif
