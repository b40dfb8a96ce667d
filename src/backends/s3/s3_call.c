#include <config.h>
#include "backends/s3/s3_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct s3_call *s3_call_new(struct s3_backend *s3, const char *key, s3_call_begin_fn *begin,
	const struct backend_call *call)
{
	size_t size = strlen(key) + 1;
	struct s3_call *c = calloc(1, sizeof(*c) + size);

	if (c == NULL) {
		/* There is nothing to queue it with. */
		backend_complete_error(call, -ENOMEM);
		return NULL;
	}
	c->queued.priority = call->priority;
	c->queued.deadline_ms = backend_deadline_ms(call);
	c->queued.cancellation = call->cancellation;
	c->call = *call;
	c->s3 = s3;
	c->begin = begin;
	memcpy(c->text, key, size);
	c->key = c->text;
	return c;
}

static void free_call(struct s3_call *call)
{
	if (call->request != NULL)
		s3_loop_give_back(call->request);
	free(call->body);
	free(call->token);
	free(call);
}

void s3_call_submit(struct s3_call *call)
{
	struct backend_call ended = call->call;

	if (call_queue_submit(call->s3->loop.queue, &call->queued))
		return;
	free_call(call);
	backend_complete_error(&ended, -ECANCELED);
}

void s3_call_complete(struct s3_call *call, int error)
{
	struct s3_loop *loop = &call->s3->loop;
	struct backend_call ended = call->call;
	struct backend_result result = call->result;

	if (error < 0) {
		backend_result_done(&result);
		result = (struct backend_result){.error = error};
	}
	call_queue_end(loop->queue, &call->queued);
	loop->n_calls--;
	free_call(call);
	backend_complete(&ended, &result);
}

bool s3_call_ask(
	struct s3_call *call, const char *method, const char *key, s3_request_done_fn *done)
{
	struct s3_request *r = call->request;

	if (r == NULL)
		r = s3_loop_take_request(call->s3, method, key);
	else
		s3_request_reset(r, method, key);
	if (r == NULL) {
		s3_call_complete(call, -ENOMEM);
		return false;
	}
	call->request = r;
	r->deadline_ms = call->queued.deadline_ms;
	r->done = done;
	r->owner = call;
	r->cancellation = call->queued.cancellation;
	return true;
}
