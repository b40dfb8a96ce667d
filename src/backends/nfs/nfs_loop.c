#include <config.h>
#include "backends/nfs/nfs_loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include "util/clock.h"
#include "util/coroutine.h"

/* All but hooks, queue and thread is the thread's own. */
struct nfs_loop {
	struct nfs_loop_hooks hooks;
	struct call_queue *queue;
	pthread_t thread;
	bool has_thread;
	struct list_node ready, waiting, unused; /* tasks; unused: with their stacks */
	struct list_node completed;              /* calls */
	unsigned int n_tasks;                    /* ready, waiting, or running */
	struct nfs_connection *connections[NFS_MAX_CONNECTIONS];
	unsigned int n_connections;
	uint64_t end_ms; /* 0: no shutdown yet */
};

/* ---- tasks */

static struct nfs_task *task_of(struct list_node *node)
{
	return LIST_ENTRY(node, struct nfs_task, node);
}

static void task_free(struct nfs_task *task)
{
	coroutine_free(task->coroutine);
	free(task);
}

/* An unused task or a new one. */
static struct nfs_task *task_get(struct nfs_loop *loop)
{
	struct list_node *node = list_take_first(&loop->unused);
	struct nfs_task *task;

	if (node != NULL)
		return task_of(node);
	task = calloc(1, sizeof(*task));
	if (task != NULL && coroutine_new(NFS_STACK_BYTES, &task->coroutine) < 0) {
		free(task);
		return NULL;
	}
	if (task != NULL)
		list_init(&task->node);
	return task;
}

static void run_task(void *arg)
{
	struct nfs_task *task = arg;

	task->loop->hooks.run(task, task->call);
}

/* The coroutine has paused or is finished. */
static void after_run(struct nfs_task *task)
{
	struct nfs_loop *loop = task->loop;

	if (coroutine_is_busy(task->coroutine))
		return;
	loop->n_tasks--;
	list_append(&loop->unused, &task->node);
}

static void begin(struct nfs_loop *loop, struct queued_call *call)
{
	struct nfs_task *task = call->error == 0 ? task_get(loop) : NULL;

	if (task == NULL) {
		int error = call->error == 0 ? -ENOMEM : call->error;

		call_queue_end(loop->queue, call);
		loop->hooks.complete(call, error);
		return;
	}
	*task = (struct nfs_task){.loop = loop,
		.coroutine = task->coroutine,
		.call = call,
		.deadline_ms = call->deadline_ms};
	list_init(&task->node);
	loop->n_tasks++;
	coroutine_start(task->coroutine, run_task, task);
	after_run(task);
}

void nfs_task_complete(struct nfs_task *task)
{
	/* So that it can clean up; the shutdown ends that too. */
	if (backend_is_cancelled(task->call->cancellation))
		task->cancelled = 0;
	list_append(&task->loop->completed, &task->call->node);
	task->call = NULL;
	task->is_cleaning = true;
	task->deadline_ms = clock_monotonic_ms() + NFS_CLEANUP_MS;
}

int nfs_task_check(const struct nfs_task *task)
{
	if (task->cancelled < 0)
		return task->cancelled;
	return clock_monotonic_ms() >= task->deadline_ms ? -ETIMEDOUT : 0;
}

int nfs_task_wait(struct nfs_task *task, uint64_t until_ms)
{
	int r = nfs_task_check(task);

	if (r < 0)
		return r;
	task->wake_ms = until_ms < task->deadline_ms ? until_ms : task->deadline_ms;
	task->is_ready = false;
	list_append(&task->loop->waiting, &task->node);
	coroutine_pause(task->coroutine);
	if (task->cancelled < 0)
		return task->cancelled;
	if (task->is_ready)
		return 0;
	return until_ms < task->deadline_ms ? -EAGAIN : -ETIMEDOUT;
}

static void make_ready(struct nfs_task *task)
{
	list_remove(&task->node);
	list_append(&task->loop->ready, &task->node);
}

void nfs_task_wake(struct nfs_task *task)
{
	if (task->is_ready)
		return;
	task->is_ready = true;
	make_ready(task);
}

/* ---- connections */

/* All that wait look anew whether they can send. */
static void connection_changed(struct nfs_connection *c, void *arg)
{
	struct nfs_loop *loop = arg;
	struct list_node *node = loop->waiting.next;

	(void)c;
	while (node != &loop->waiting) {
		struct list_node *next = node->next;

		nfs_task_wake(task_of(node));
		node = next;
	}
}

int nfs_loop_connect(
	struct nfs_loop *loop, const struct nfs_endpoint *endpoint, struct nfs_connection **ret)
{
	struct nfs_connection *c;
	int r;

	if (loop->n_connections == NFS_MAX_CONNECTIONS)
		return -ENOBUFS;
	r = nfs_connection_new(endpoint, connection_changed, loop, &c);
	if (r < 0)
		return r;
	loop->connections[loop->n_connections++] = c;
	*ret = c;
	return 0;
}

void nfs_loop_disconnect(struct nfs_loop *loop, struct nfs_connection *c)
{
	for (unsigned int i = 0; i < loop->n_connections; i++) {
		if (loop->connections[i] != c)
			continue;
		loop->connections[i] = loop->connections[--loop->n_connections];
		nfs_connection_free(c);
		return;
	}
}

/* ---- the thread */

/* The next call to begin; one that has failed needs no task. */
static struct queued_call *next_call(struct nfs_loop *loop)
{
	if (loop->n_tasks < NFS_MAX_TASKS)
		return call_queue_take(loop->queue);
	return call_queue_take_failed(loop->queue);
}

static void take_calls(struct nfs_loop *loop)
{
	struct queued_call *call;

	while ((call = next_call(loop)) != NULL)
		begin(loop, call);
}

static bool run_ready(struct nfs_loop *loop)
{
	struct list_node *node = list_take_first(&loop->ready);

	if (node == NULL)
		return false;
	coroutine_resume(task_of(node)->coroutine);
	after_run(task_of(node));
	return true;
}

static bool complete_one(struct nfs_loop *loop)
{
	struct list_node *node = list_take_first(&loop->completed);
	struct queued_call *call;

	if (node == NULL)
		return false;
	call = LIST_ENTRY(node, struct queued_call, node);
	call_queue_end(loop->queue, call);
	loop->hooks.complete(call, 0);
	return true;
}

/* Does everything that can be done without waiting. */
static void do_work(struct nfs_loop *loop)
{
	do {
		take_calls(loop);
	} while (run_ready(loop) || complete_one(loop));
}

static bool any_is_up(const struct nfs_loop *loop)
{
	for (unsigned int i = 0; i < loop->n_connections; i++) {
		if (nfs_connection_is_up(loop->connections[i]))
			return true;
	}
	return false;
}

/* Ends those whose time is up; all, when the shutdown's is. */
static void wake_late(struct nfs_loop *loop, uint64_t now_ms)
{
	struct list_node *node = loop->waiting.next;
	bool cancels = loop->end_ms != 0 && (now_ms >= loop->end_ms || !any_is_up(loop));

	while (node != &loop->waiting) {
		struct nfs_task *task = task_of(node);

		node = node->next;
		if (cancels)
			task->cancelled = -ECANCELED;
		if (cancels || now_ms >= task->wake_ms)
			make_ready(task);
	}
}

static void cancel_task(struct nfs_task *task)
{
	if (task->call != NULL && backend_is_cancelled(task->call->cancellation))
		task->cancelled = -ECANCELED;
}

/* Ends the calls that their callers have cancelled. */
static void end_cancelled(struct nfs_loop *loop)
{
	struct list_node *node;

	for (node = loop->ready.next; node != &loop->ready; node = node->next)
		cancel_task(task_of(node));
	node = loop->waiting.next;
	while (node != &loop->waiting) {
		struct nfs_task *task = task_of(node);

		node = node->next;
		cancel_task(task);
		if (task->cancelled < 0)
			make_ready(task);
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int timeout_ms(struct nfs_loop *loop)
{
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t next_ms = call_queue_next_deadline_ms(loop->queue);

	for (struct list_node *n = loop->waiting.next; n != &loop->waiting; n = n->next)
		next_ms = earlier(next_ms, task_of(n)->wake_ms);
	for (unsigned int i = 0; i < loop->n_connections; i++)
		next_ms = earlier(next_ms, nfs_connection_next_ms(loop->connections[i]));
	if (loop->end_ms != 0)
		next_ms = earlier(next_ms, loop->end_ms);
	if (next_ms <= now_ms)
		return 0;
	return next_ms - now_ms > 60000 ? 60000 : (int)(next_ms - now_ms);
}

/* Waits, then hears the connections. */
static void poll_once(struct nfs_loop *loop)
{
	struct pollfd fds[1 + NFS_MAX_CONNECTIONS];
	struct nfs_connection *polled[NFS_MAX_CONNECTIONS];
	unsigned int n = loop->n_connections;

	fds[0] = (struct pollfd){.fd = call_queue_fd(loop->queue), .events = POLLIN};
	for (unsigned int i = 0; i < n; i++) {
		polled[i] = loop->connections[i];
		fds[i + 1] = (struct pollfd){.fd = nfs_connection_fd(polled[i]),
			.events = (short)nfs_connection_events(polled[i])};
	}
	if (poll(fds, n + 1, timeout_ms(loop)) <= 0)
		return;
	for (unsigned int i = 0; i < n; i++) {
		if (fds[i + 1].revents != 0)
			nfs_connection_service(polled[i], fds[i + 1].revents);
	}
}

static void check_all(struct nfs_loop *loop)
{
	uint64_t now_ms = clock_monotonic_ms();

	for (unsigned int i = 0; i < loop->n_connections; i++)
		nfs_connection_check(loop->connections[i], now_ms);
	if (call_queue_take_look(loop->queue))
		end_cancelled(loop);
	wake_late(loop, now_ms);
}

/* Whether the shutdown has begun since we looked last. */
static bool notes_shutdown(struct nfs_loop *loop)
{
	if (loop->end_ms != 0 || !call_queue_is_closed(loop->queue))
		return false;
	loop->end_ms = clock_monotonic_ms() + NFS_SHUTDOWN_MS;
	return true;
}

static void *run(void *arg)
{
	struct nfs_loop *loop = arg;
	struct list_node *node;

	for (;;) {
		do_work(loop);
		if (notes_shutdown(loop))
			continue; /* what was queued until then is still to be taken */
		if (loop->end_ms != 0 && loop->n_tasks == 0)
			break;
		poll_once(loop);
		check_all(loop);
	}
	while ((node = list_take_first(&loop->unused)) != NULL)
		task_free(task_of(node));
	while (loop->n_connections > 0)
		nfs_connection_free(loop->connections[--loop->n_connections]);
	return NULL;
}

/* Signals are not this thread's; libnfs may write to a connection that is gone (SIGPIPE). */
static int start_thread(struct nfs_loop *loop)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&loop->thread, NULL, run, loop);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error != 0)
		return -error;
	loop->has_thread = true;
	(void)pthread_setname_np(loop->thread, "mfs-nfs");
	return 0;
}

int nfs_loop_new(const struct nfs_loop_hooks *hooks, struct nfs_loop **ret)
{
	struct nfs_loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (loop == NULL)
		return -ENOMEM;
	loop->hooks = *hooks;
	list_init(&loop->ready);
	list_init(&loop->waiting);
	list_init(&loop->unused);
	list_init(&loop->completed);
	r = call_queue_new(NFS_MAX_CALLS, &loop->queue);
	if (r == 0)
		r = start_thread(loop);
	if (r < 0)
		nfs_loop_free(loop);
	else
		*ret = loop;
	return r;
}

struct call_queue *nfs_loop_queue(struct nfs_loop *loop)
{
	return loop->queue;
}

void nfs_loop_shutdown(struct nfs_loop *loop)
{
	call_queue_close(loop->queue);
	if (loop->has_thread)
		pthread_join(loop->thread, NULL);
	loop->has_thread = false;
}

void nfs_loop_free(struct nfs_loop *loop)
{
	if (loop == NULL)
		return;
	call_queue_free(loop->queue);
	free(loop);
}
