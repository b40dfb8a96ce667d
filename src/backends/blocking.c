#include <config.h>
#include "backends/blocking.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void blocking_request_complete(struct blocking_request *request, struct backend_result *result)
{
	backend_complete(&request->call, result);
	free(request);
}

static void run(struct executor_job *job, int error)
{
	struct blocking_request *request = (struct blocking_request *)(void *)job;
	struct backend_result result = {.error = error};

	if (error != 0 || request->run == NULL || request->run(request, &result))
		blocking_request_complete(request, &result);
}

static struct blocking_request *request_new(struct backend *b, blocking_fn *fn, const char *key,
	const char *continuation, const struct backend_call *call)
{
	size_t key_size = strlen(key) + 1;
	size_t more_size = continuation == NULL ? 0 : strlen(continuation) + 1;
	struct blocking_request *request = calloc(1, sizeof(*request) + key_size + more_size);

	if (request == NULL)
		return NULL;
	request->job.run = run;
	request->job.priority = call->priority;
	request->job.deadline_ms = backend_deadline_ms(call);
	request->job.cancellation = call->cancellation;
	request->call = *call;
	request->backend = (struct blocking_backend *)(void *)b;
	request->run = fn;
	request->key = memcpy(request->text, key, key_size);
	if (continuation != NULL)
		request->continuation = memcpy(request->text + key_size, continuation, more_size);
	return request;
}

/* With no memory for a request there is nothing to carry the answer to a thread. */
static void submit(struct blocking_request *request, const struct backend_call *call)
{
	if (request == NULL)
		backend_complete_error(call, -ENOMEM);
	else
		executor_submit(request->backend->executor, &request->job);
}

void blocking_answer(struct backend *b, int error, const struct backend_call *call)
{
	struct blocking_request *request = request_new(b, NULL, "", NULL, call);

	if (request == NULL)
		backend_complete_error(call, -ENOMEM);
	else
		executor_fail(request->backend->executor, &request->job, error);
}

void blocking_put(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
	const struct backend_condition *condition, const struct backend_call *call)
{
	blocking_fn *fn = ((struct blocking_backend *)(void *)b)->work->put;
	struct blocking_request *request = request_new(b, fn, key, NULL, call);

	if (request != NULL) {
		request->parts = parts;
		request->n_parts = n_parts;
		request->condition = *condition;
	}
	submit(request, call);
}

void blocking_get(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	const struct backend_call *call)
{
	blocking_fn *fn = ((struct blocking_backend *)(void *)b)->work->get;
	struct blocking_request *request = request_new(b, fn, key, NULL, call);

	if (request != NULL) {
		request->offset = offset;
		request->size_bytes = size_bytes;
	}
	submit(request, call);
}

void blocking_head(struct backend *b, const char *key, const struct backend_call *call)
{
	blocking_fn *fn = ((struct blocking_backend *)(void *)b)->work->head;

	submit(request_new(b, fn, key, NULL, call), call);
}

void blocking_copy(
	struct backend *b, const char *from, const char *to, const struct backend_call *call)
{
	blocking_fn *fn = ((struct blocking_backend *)(void *)b)->work->copy;

	submit(request_new(b, fn, from, to, call), call);
}

void blocking_remove(struct backend *b, const char *key, const struct backend_call *call)
{
	blocking_fn *fn = ((struct blocking_backend *)(void *)b)->work->remove;

	submit(request_new(b, fn, key, NULL, call), call);
}

void blocking_list(struct backend *b, const char *prefix, const char *continuation,
	size_t max_entries, const struct backend_call *call)
{
	blocking_fn *fn = ((struct blocking_backend *)(void *)b)->work->list;
	struct blocking_request *request = request_new(b, fn, prefix, continuation, call);

	if (request != NULL)
		request->size_bytes = max_entries;
	submit(request, call);
}

void blocking_cancel(struct backend *b)
{
	executor_look_for_cancelled(((struct blocking_backend *)(void *)b)->executor);
}

void blocking_shutdown(struct backend *b)
{
	executor_shutdown(((struct blocking_backend *)(void *)b)->executor);
}
