#include <config.h>
#include "replication/fetch_queue.h"

#include <errno.h>
#include <stdlib.h>
#include "util/list.h"
#include "util/lock.h"

struct fetch {
	struct list_node node;
	struct fetch_queue *queue;
	bool is_done; /* protected by the queue's lock */
	struct fetch_queue_result result;
};

struct fetch_queue {
	struct backend *backend;
	enum backend_priority priority;
	struct backend_cancellation *cancellation;
	size_t length;
	struct list_node fetches; /* in order; the owner's */
	struct lock lock;
	struct lock_condition done;
};

struct fetch_queue *fetch_queue_new(struct backend *backend, enum backend_priority priority,
	struct backend_cancellation *cancellation)
{
	struct fetch_queue *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->backend = backend;
	q->priority = priority;
	q->cancellation = cancellation;
	list_init(&q->fetches);
	lock_init(&q->lock);
	lock_condition_init(&q->done);
	return q;
}

static void note_done(struct backend_result *result, void *arg)
{
	struct fetch *fetch = arg;
	struct fetch_queue *q = fetch->queue;

	lock_acquire(&q->lock);
	fetch->result.error = result->error;
	fetch->result.data = result->data;
	fetch->result.size_bytes = result->data_size_bytes;
	fetch->result.object_size_bytes = result->object_size_bytes;
	result->data = NULL;
	fetch->is_done = true;
	lock_condition_signal(&q->done);
	lock_release(&q->lock);
}

int fetch_queue_get(
	struct fetch_queue *q, const char *key, uint64_t offset, size_t size_bytes, void *arg)
{
	struct fetch *fetch = calloc(1, sizeof(*fetch));
	struct backend_call call = {
		.priority = q->priority,
		.timeout_ms = FETCH_QUEUE_TIMEOUT_MS,
		.done = note_done,
		.arg = fetch,
		.cancellation = q->cancellation,
	};

	if (fetch == NULL)
		return -ENOMEM;
	fetch->queue = q;
	fetch->result.arg = arg;
	list_append(&q->fetches, &fetch->node);
	q->length++;
	backend_get(q->backend, key, offset, size_bytes, &call);
	return 0;
}

int fetch_queue_take(struct fetch_queue *q, struct fetch_queue_result *ret)
{
	struct list_node *first = list_take_first(&q->fetches);
	struct fetch *fetch;

	if (first == NULL)
		return -ENOENT;
	fetch = LIST_ENTRY(first, struct fetch, node);
	lock_acquire(&q->lock);
	while (!fetch->is_done)
		lock_condition_wait(&q->done, &q->lock);
	lock_release(&q->lock);
	q->length--;
	*ret = fetch->result;
	free(fetch);
	return 0;
}

size_t fetch_queue_length(const struct fetch_queue *q)
{
	return q->length;
}

void fetch_queue_free(struct fetch_queue *q)
{
	struct fetch_queue_result result;

	if (q == NULL)
		return;
	while (fetch_queue_take(q, &result) == 0)
		free(result.data);
	lock_condition_done(&q->done);
	lock_done(&q->lock);
	free(q);
}

int fetch_queue_read(struct backend *backend, enum backend_priority priority,
	struct backend_cancellation *cancellation, const char *key, uint64_t offset,
	size_t size_bytes, struct fetch_queue_result *ret)
{
	struct fetch_queue *q = fetch_queue_new(backend, priority, cancellation);
	struct fetch_queue_result result;
	int r = q == NULL ? -ENOMEM : fetch_queue_get(q, key, offset, size_bytes, NULL);

	if (r == 0)
		r = fetch_queue_take(q, &result);
	fetch_queue_free(q);
	if (r == 0 && result.error < 0)
		r = result.error;
	if (r == 0)
		*ret = result;
	return r;
}
