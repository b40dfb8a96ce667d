#include <config.h>
#include "replication/put_window.h"

#include <errno.h>
#include <stdlib.h>
#include "util/list.h"
#include "util/lock.h"

struct put {
	struct list_node node; /* in `ended` */
	struct put_window *window;
	struct frame frame;
	void **contents;
	size_t n_contents;
	uint64_t bytes;
	int error;
	void *arg;
};

struct put_window {
	struct backend *backend;
	uint64_t max_bytes;
	unsigned int max_puts;
	struct backend_cancellation cancellation;
	struct lock lock;
	struct lock_condition changed;
	struct list_node ended;
	uint64_t bytes; /* in flight */
	unsigned int n_puts;
};

struct put_window *put_window_new(
	struct backend *backend, uint64_t max_bytes, unsigned int max_puts)
{
	struct put_window *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->backend = backend;
	w->max_bytes = max_bytes;
	w->max_puts = max_puts;
	lock_init(&w->lock);
	lock_condition_init(&w->changed);
	list_init(&w->ended);
	return w;
}

static void free_content(struct put *put)
{
	frame_done(&put->frame);
	for (size_t i = 0; i < put->n_contents; i++)
		free(put->contents[i]);
	free(put->contents);
	put->contents = NULL;
	put->n_contents = 0;
}

static void note_ended(struct backend_result *result, void *arg)
{
	struct put *put = arg;
	struct put_window *w = put->window;

	free_content(put);
	put->error = result->error;
	lock_acquire(&w->lock);
	list_append(&w->ended, &put->node);
	w->bytes -= put->bytes;
	w->n_puts--;
	lock_condition_broadcast(&w->changed);
	lock_release(&w->lock);
}

static void enter(struct put_window *w, uint64_t bytes)
{
	lock_acquire(&w->lock);
	while (w->n_puts > 0 && (w->n_puts >= w->max_puts || w->bytes + bytes > w->max_bytes))
		lock_condition_wait(&w->changed, &w->lock);
	w->n_puts++;
	w->bytes += bytes;
	lock_release(&w->lock);
}

int put_window_put(struct put_window *w, const char *key, enum backend_condition_type type,
	struct frame *frame, void **contents, size_t n_contents, void *arg)
{
	struct backend_condition condition = {.type = type};
	struct put *put = calloc(1, sizeof(*put));
	struct put dropped = {.frame = *frame, .contents = contents, .n_contents = n_contents};
	struct backend_call call = {.priority = BACKEND_BACKGROUND,
		.timeout_ms = PUT_WINDOW_TIMEOUT_MS,
		.done = note_ended,
		.arg = put,
		.cancellation = &w->cancellation};

	*frame = (struct frame){.head = NULL};
	if (put == NULL) {
		free_content(&dropped);
		return -ENOMEM;
	}
	*put = dropped;
	put->window = w;
	put->bytes = put->frame.size_bytes;
	put->arg = arg;
	enter(w, put->bytes);
	backend_put(w->backend, key, put->frame.parts, put->frame.n_parts, &condition, &call);
	return 0;
}

void *put_window_take(struct put_window *w, int *ret_error)
{
	struct list_node *node;
	struct put *put;
	void *arg;

	lock_acquire(&w->lock);
	node = list_take_first(&w->ended);
	lock_release(&w->lock);
	if (node == NULL)
		return NULL;
	put = LIST_ENTRY(node, struct put, node);
	arg = put->arg;
	*ret_error = put->error;
	free(put);
	return arg;
}

void put_window_drain(struct put_window *w)
{
	lock_acquire(&w->lock);
	while (w->n_puts > 0)
		lock_condition_wait(&w->changed, &w->lock);
	lock_release(&w->lock);
}

void put_window_cancel(struct put_window *w)
{
	backend_cancel(w->backend, &w->cancellation);
}

void put_window_free(struct put_window *w)
{
	int error;

	if (w == NULL)
		return;
	while (put_window_take(w, &error) != NULL)
		;
	lock_condition_done(&w->changed);
	lock_done(&w->lock);
	free(w);
}
