#include <config.h>
#include "backends/nfs/nfs_backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/nfs/nfs_internal.h"
#include "backends/nfs/nfs_open.h"
#include "backends/nfs/nfs_status.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/message.h"

/* ---- what the parts share */

void nfs_unique_name(struct nfs_backend *nb, char name[TREE_NAME_BYTES])
{
	tree_temporary_name(nb->token, nb->last_number++, name);
}

void nfs_describe(const struct nfs_attributes *attributes, struct backend_result *ret)
{
	ret->object_size_bytes = attributes->size_bytes;
	tree_object_version(attributes->fileid, attributes->modified_s, attributes->modified_ns,
		attributes->size_bytes, &ret->version);
}

bool nfs_is_stale(int error)
{
	return error == -NFS_STALE_HANDLE || error == -NFS_BAD_COOKIE || error == -ENOENT;
}

void nfs_call_complete(struct nfs_task *task, struct nfs_call *call, int error)
{
	if (error < 0) {
		backend_result_done(&call->result);
		call->result = (struct backend_result){.error = nfs_status_outward(error)};
	}
	nfs_task_complete(task);
}

void nfs_call_give_up(struct nfs_task *task, struct nfs_call *call, int error)
{
	if (error == -ETIMEDOUT || error == -ECANCELED)
		nfs_call_complete(task, call, error);
}

/* ---- calls */

static void run_call(struct nfs_task *task, struct queued_call *queued)
{
	struct nfs_call *call = (struct nfs_call *)(void *)queued;
	int r = call->run(task, call);

	if (task->call != NULL)
		nfs_call_complete(task, call, r);
}

static void complete_call(struct queued_call *queued, int error)
{
	struct nfs_call *call = (struct nfs_call *)(void *)queued;

	if (error < 0)
		call->result.error = error;
	backend_complete(&call->call, &call->result);
	free(call);
}

static const struct nfs_loop_hooks hooks = {.run = run_call, .complete = complete_call};

/* NULL: no memory, so nothing to carry the answer to the thread. */
static struct nfs_call *call_new(struct backend *b, const struct backend_call *call,
	nfs_call_fn *run, const char *key, const char *continuation)
{
	size_t key_size = strlen(key) + 1;
	size_t continuation_size = continuation == NULL ? 0 : strlen(continuation) + 1;
	struct nfs_call *c = calloc(1, sizeof(*c) + key_size + continuation_size);

	if (c == NULL)
		return NULL;
	c->nb = (struct nfs_backend *)(void *)b;
	c->call = *call;
	c->run = run;
	c->queued.priority = call->priority;
	c->queued.deadline_ms = backend_deadline_ms(call);
	c->queued.cancellation = call->cancellation;
	c->key = memcpy(c->text, key, key_size);
	if (continuation != NULL)
		c->continuation = memcpy(c->text + key_size, continuation, continuation_size);
	return c;
}

static void submit(struct nfs_call *call)
{
	if (!call_queue_submit(nfs_loop_queue(call->nb->loop), &call->queued))
		complete_call(&call->queued, -ECANCELED);
}

/* The work of a call that was answered with success. */
static int do_nothing(struct nfs_task *task, struct nfs_call *call)
{
	(void)task, (void)call;
	return 0;
}

static void nfs_answer(struct backend *b, int error, const struct backend_call *call)
{
	struct nfs_call *c = call_new(b, call, do_nothing, "", NULL);

	if (c == NULL)
		backend_complete_error(call, -ENOMEM);
	else if (!call_queue_fail(nfs_loop_queue(c->nb->loop), &c->queued, error))
		complete_call(&c->queued, -ECANCELED);
}

static void nfs_start_put(struct backend *b, const char *key, const struct iovec *parts,
	int n_parts, const struct backend_condition *condition, const struct backend_call *call)
{
	struct nfs_call *c = call_new(b, call, nfs_put, key, NULL);

	if (c == NULL) {
		backend_complete_error(call, -ENOMEM);
		return;
	}
	c->parts = parts;
	c->n_parts = n_parts;
	c->condition = *condition;
	submit(c);
}

/* The calls that have a key, and perhaps numbers. */
static void start(struct backend *b, const char *key, const char *continuation, uint64_t offset,
	size_t size_bytes, const struct backend_call *call, nfs_call_fn *run)
{
	struct nfs_call *c = call_new(b, call, run, key, continuation);

	if (c == NULL) {
		backend_complete_error(call, -ENOMEM);
		return;
	}
	c->offset = offset;
	c->size_bytes = size_bytes;
	submit(c);
}

static void nfs_start_get(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	const struct backend_call *call)
{
	start(b, key, NULL, offset, size_bytes, call, nfs_get);
}

static void nfs_start_head(struct backend *b, const char *key, const struct backend_call *call)
{
	start(b, key, NULL, 0, 0, call, nfs_head);
}

static void nfs_start_remove(struct backend *b, const char *key, const struct backend_call *call)
{
	start(b, key, NULL, 0, 0, call, nfs_remove);
}

static void nfs_start_list(struct backend *b, const char *prefix, const char *continuation,
	size_t max_entries, const struct backend_call *call)
{
	start(b, prefix, continuation, 0, max_entries, call, nfs_list);
}

/* ---- calls of the driver itself, for which the calling thread waits */

struct waiter {
	struct lock lock;
	struct lock_condition changed;
	bool is_done;
	int error;
};

static void wake_waiter(struct backend_result *result, void *arg)
{
	struct waiter *w = arg;

	lock_acquire(&w->lock);
	w->error = result->error;
	w->is_done = true;
	lock_condition_signal(&w->changed);
	lock_release(&w->lock);
}

/* Every call ends by its deadline, so this does. */
static int run_and_wait(struct nfs_backend *nb, nfs_call_fn *run, uint32_t timeout_ms, void *target)
{
	struct waiter w = {.is_done = false};
	struct backend_call call = {.priority = BACKEND_READER,
		.timeout_ms = timeout_ms,
		.done = wake_waiter,
		.arg = &w};
	struct nfs_call *c = call_new(&nb->base, &call, run, "", NULL);

	if (c == NULL)
		return -ENOMEM;
	c->target = target;
	lock_init(&w.lock);
	lock_condition_init(&w.changed);
	submit(c);
	lock_acquire(&w.lock);
	while (!w.is_done)
		lock_condition_wait(&w.changed, &w.lock);
	lock_release(&w.lock);
	lock_condition_done(&w.changed);
	lock_done(&w.lock);
	return w.error;
}

static int run_space(struct nfs_task *task, struct nfs_call *call)
{
	return nfs_rpc_space(task, &call->nb->export, call->target);
}

static int nfs_space(struct backend *b, struct backend_space *ret)
{
	struct backend_space space = {.total_bytes = 0};
	int r = run_and_wait(
		(struct nfs_backend *)(void *)b, run_space, NFS_BACKEND_SPACE_TIMEOUT_MS, &space);

	if (r == 0)
		*ret = space;
	return r;
}

/* ---- the backend */

static void nfs_get_capabilities(struct backend *b, struct backend_capabilities *ret)
{
	(void)b;
	*ret = (struct backend_capabilities){
		.put_if_absent = true,
		.compare_and_swap = true,
		.local = false,
		.max_object_bytes = NFS_BACKEND_MAX_OBJECT_BYTES,
		.max_delete_many = NFS_BACKEND_MAX_DELETE_MANY,
	};
}

static void nfs_cancel(struct backend *b)
{
	call_queue_look_for_cancelled(nfs_loop_queue(((struct nfs_backend *)(void *)b)->loop));
}

static void nfs_shutdown(struct backend *b)
{
	nfs_loop_shutdown(((struct nfs_backend *)(void *)b)->loop);
}

static void nfs_free(struct backend *b)
{
	struct nfs_backend *nb = (struct nfs_backend *)(void *)b;

	nfs_loop_free(nb->loop);
	nfs_directories_forget(&nb->directories);
	free(nb);
}

static const struct backend_ops nfs_ops = {
	.name = "nfs",
	.answer = nfs_answer,
	.put = nfs_start_put,
	.get = nfs_start_get,
	.head = nfs_start_head,
	.remove = nfs_start_remove,
	.list = nfs_start_list,
	.space = nfs_space,
	.get_capabilities = nfs_get_capabilities,
	.cancel = nfs_cancel,
	.shutdown = nfs_shutdown,
	.free = nfs_free,
};

bool nfs_backend_has_option(const char *option)
{
	return nfs_settings_has_option(option);
}

/* Connects and tries the directory. */
static int talk(struct nfs_backend *nb, char **ret_message)
{
	char *message = NULL;
	int r = nfs_open_resolve(nb, ret_message);

	if (r < 0)
		return r;
	r = nfs_loop_new(&hooks, &nb->loop);
	if (r < 0)
		return message_set(
			ret_message, r, "cannot start the NFS backend: %s", strerror(-r));
	r = run_and_wait(nb, nfs_open_run, NFS_OPEN_TIMEOUT_MS, &message);
	if (r < 0 && message == NULL)
		return message_set(ret_message, r, "cannot use nfs://%s%s: %s", nb->settings.server,
			nb->settings.path, strerror(-r));
	if (r < 0 && ret_message != NULL)
		*ret_message = message;
	else
		free(message);
	return r;
}

int nfs_backend_open(
	const char *rest, const char *const *options, struct backend **ret, char **ret_message)
{
	struct nfs_backend *nb;
	struct nfs_settings settings;
	int r = nfs_settings_read(rest, options, &settings, ret_message);

	if (r < 0)
		return r;
	nb = calloc(1, sizeof(*nb));
	if (nb == NULL || tree_token_make(nb->token) < 0) {
		free(nb);
		return message_set(ret_message, -ENOMEM, "out of memory or random numbers");
	}
	nb->base.ops = &nfs_ops;
	nb->settings = settings;
	r = talk(nb, ret_message);
	if (r < 0) {
		if (nb->loop != NULL)
			nfs_loop_shutdown(nb->loop);
		nfs_free(&nb->base);
		return r;
	}
	*ret = &nb->base;
	return 0;
}
