/*
 * nfs_loop.h: the driver's one thread, in which each call runs as a task.
 *
 * A task is a coroutine: it reads like blocking code, and where it waits for the server the others
 * go on. Nothing of this needs a lock. Tasks never call `done` of the backend's caller, they have
 * the loop do it, on the thread's own stack; a task may go on after that, to clean up.
 */
#ifndef MAILFS_BACKENDS_NFS_NFS_LOOP_H
#define MAILFS_BACKENDS_NFS_NFS_LOOP_H

#include "backends/call_queue.h"
#include "backends/nfs/nfs_connection.h"

#define NFS_MAX_CALLS 64
#define NFS_MAX_TASKS (2 * NFS_MAX_CALLS) /* with those that clean up */
#define NFS_MAX_CONNECTIONS 4
#define NFS_STACK_BYTES (1 << 20) /* a listing goes down one directory for each '/' */

/* After the shutdown has begun, running calls get this time, unless the server is away. */
#define NFS_SHUTDOWN_MS 5000

/* For a task that cleans up. */
#define NFS_CLEANUP_MS 5000

struct nfs_loop;
struct coroutine;

struct nfs_task {
	struct nfs_loop *loop;
	struct coroutine *coroutine;
	struct queued_call *call; /* NULL once it is complete */
	uint64_t deadline_ms;
	struct list_node node; /* the loop's */
	uint64_t wake_ms;      /* the loop's */
	int cancelled;         /* 0, or the error with which it is to end */
	bool is_ready;         /* the loop's */
	bool fails_fast;       /* a few attempts to connect that failed are an error */
	bool is_cleaning;
};

struct nfs_loop_hooks {
	/* Does a call, in a task. It must end with nfs_task_complete(), or call it in between. */
	void (*run)(struct nfs_task *task, struct queued_call *call);
	/* Calls `done` and frees the call; error 0: as its own result says. */
	void (*complete)(struct queued_call *call, int error);
};

/* Starts the thread. -ENOMEM, -EAGAIN. */
int nfs_loop_new(const struct nfs_loop_hooks *hooks, struct nfs_loop **ret);

/* Any thread. */
struct call_queue *nfs_loop_queue(struct nfs_loop *loop);

/* Ends waiting calls with -ECANCELED, lets running ones finish for NFS_SHUTDOWN_MS, joins. */
void nfs_loop_shutdown(struct nfs_loop *loop);

/* After the shutdown. NULL is allowed. */
void nfs_loop_free(struct nfs_loop *loop);

/* ---- in the loop's thread */

/* The connection belongs to the loop. -ENOMEM, -ENOBUFS. */
int nfs_loop_connect(
	struct nfs_loop *loop, const struct nfs_endpoint *endpoint, struct nfs_connection **ret);

void nfs_loop_disconnect(struct nfs_loop *loop, struct nfs_connection *c);

/* Has the loop complete the call; then the task has NFS_CLEANUP_MS. */
void nfs_task_complete(struct nfs_task *task);

/* Pauses until nfs_task_wake(): 0; until until_ms: -EAGAIN; until the deadline: -ETIMEDOUT; or
 * until the task is cancelled: -ECANCELED. */
int nfs_task_wait(struct nfs_task *task, uint64_t until_ms);

void nfs_task_wake(struct nfs_task *task);

/* 0, -ETIMEDOUT or -ECANCELED: between two steps. */
int nfs_task_check(const struct nfs_task *task);

#endif
