/*
 * s3_loop.c: the thread that makes the requests.
 */
#include <config.h>
#include "backends/s3/s3_internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include "backends/s3/s3_answer.h"
#include "util/clock.h"

#define MAX_SLEEP_MS 60000

struct s3_request *s3_loop_take_request(struct s3_backend *s3, const char *method, const char *key)
{
	struct list_node *node = list_take_first(&s3->loop.idle);
	struct s3_request *r = NULL;

	if (node != NULL)
		r = LIST_ENTRY(node, struct s3_request, node);
	else if (s3_request_new(s3, &r) < 0)
		return NULL;
	s3_request_reset(r, method, key);
	return r;
}

void s3_loop_give_back(struct s3_request *r)
{
	s3_answer_reset(&r->answer);
	list_prepend(&r->s3->loop.idle, &r->node);
}

static void fail(struct s3_request *r, int error)
{
	s3_answer_reset(&r->answer);
	r->answer.error = error;
	list_append(&r->s3->loop.failed, &r->node);
}

void s3_loop_begin(struct s3_request *r)
{
	struct s3_loop *loop = &r->s3->loop;
	int error = loop->is_cancelled ? -ECANCELED : s3_request_prepare(r);

	if (error == 0 && curl_multi_add_handle(loop->multi, r->easy) != CURLM_OK)
		error = -ENOMEM;
	if (error < 0)
		fail(r, error);
	else
		list_append(&loop->active, &r->node);
}

/* Whether it was put aside until there are new credentials. If those are refused as well, or cannot
 * be had just now, somebody may try again later. */
static bool park(struct s3_request *r)
{
	if (!r->answer.meaning.is_expired ||
		!s3_keeper_refuse(r->s3->keeper, r->generation, &r->parked_attempts))
		return false;
	if (r->was_parked) {
		r->answer.error = -EAGAIN;
		return false;
	}
	r->was_parked = true;
	list_append(&r->s3->loop.parked, &r->node);
	return true;
}

static void note_answer(struct s3_loop *loop, const struct s3_answer *answer)
{
	if (answer->status == 0)
		return;
	if (s3_concurrency_note(
		    &loop->concurrency, answer->meaning.is_slow_down, clock_monotonic_ms()))
		call_queue_set_limit(loop->queue, loop->concurrency.limit);
}

static void finish(struct s3_request *r, CURLcode code)
{
	struct s3_loop *loop = &r->s3->loop;

	list_remove(&r->node);
	(void)curl_multi_remove_handle(loop->multi, r->easy);
	s3_request_judge(r, code);
	note_answer(loop, &r->answer);
	if (!park(r))
		r->done(r);
}

static void finish_transfers(struct s3_loop *loop)
{
	CURLMsg *message;
	int n_left;

	while ((message = curl_multi_info_read(loop->multi, &n_left)) != NULL) {
		struct s3_request *r = NULL;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&r);
		finish(r, code);
	}
}

/* What these begin anew and fails again is for the next time. */
static void finish_failed(struct s3_loop *loop)
{
	struct list_node failed;
	struct list_node *node;

	list_init(&failed);
	list_splice(&failed, &loop->failed);
	while ((node = list_take_first(&failed)) != NULL) {
		struct s3_request *r = LIST_ENTRY(node, struct s3_request, node);

		r->done(r);
	}
}

/* Requests that waited for credentials begin anew, or fail when their time is up. */
static void resume_parked(struct s3_loop *loop)
{
	uint64_t now_ms = clock_monotonic_ms();
	struct list_node *node = loop->parked.next;

	while (node != &loop->parked) {
		struct s3_request *r = LIST_ENTRY(node, struct s3_request, node);

		node = node->next;
		if (s3_keeper_attempts(r->s3->keeper) <= r->parked_attempts &&
			now_ms < r->deadline_ms && !loop->is_cancelled)
			continue;
		list_remove(&r->node);
		s3_loop_begin(r);
	}
}

static void take_calls(struct s3_loop *loop)
{
	struct queued_call *queued;

	while ((queued = call_queue_take(loop->queue)) != NULL) {
		struct s3_call *call = LIST_ENTRY(queued, struct s3_call, queued);

		loop->n_calls++;
		if (queued->error != 0)
			s3_call_complete(call, queued->error);
		else
			call->begin(call);
	}
}

static void cancel_all(struct s3_loop *loop)
{
	struct list_node *node;

	loop->is_cancelled = true;
	while ((node = list_take_first(&loop->active)) != NULL) {
		struct s3_request *r = LIST_ENTRY(node, struct s3_request, node);

		(void)curl_multi_remove_handle(loop->multi, r->easy);
		fail(r, -ECANCELED);
	}
	resume_parked(loop);
}

/* Begins the end when the queue is closed; whether it is. */
static bool watch_for_end(struct s3_loop *loop)
{
	uint64_t now_ms;

	if (!call_queue_is_closed(loop->queue))
		return false;
	now_ms = clock_monotonic_ms();
	if (loop->closed_ms == 0)
		loop->closed_ms = now_ms;
	if (now_ms >= loop->closed_ms + S3_SHUTDOWN_GRACE_MS && !loop->is_cancelled)
		cancel_all(loop);
	return true;
}

static void sleep_until(uint64_t *ms, uint64_t deadline_ms)
{
	if (deadline_ms < *ms)
		*ms = deadline_ms;
}

static void wait_for_something(struct s3_loop *loop)
{
	struct curl_waitfd queue = {.fd = call_queue_fd(loop->queue), .events = CURL_WAIT_POLLIN};
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t until_ms = now_ms + MAX_SLEEP_MS;

	sleep_until(&until_ms, call_queue_next_deadline_ms(loop->queue));
	for (struct list_node *node = loop->parked.next; node != &loop->parked; node = node->next)
		sleep_until(&until_ms, LIST_ENTRY(node, struct s3_request, node)->deadline_ms);
	if (loop->closed_ms != 0 && !loop->is_cancelled)
		sleep_until(&until_ms, loop->closed_ms + S3_SHUTDOWN_GRACE_MS);
	(void)curl_multi_poll(
		loop->multi, &queue, 1, until_ms > now_ms ? (int)(until_ms - now_ms) : 0, NULL);
}

static void *run(void *arg)
{
	struct s3_loop *loop = arg;

	(void)pthread_setname_np(pthread_self(), "s3-loop");
	for (;;) {
		bool is_ending;
		int n_running;

		(void)curl_multi_perform(loop->multi, &n_running);
		finish_transfers(loop);
		resume_parked(loop);
		finish_failed(loop);
		/* What is taken after the end began is the last. */
		is_ending = watch_for_end(loop);
		take_calls(loop);
		if (is_ending && loop->n_calls == 0)
			return NULL;
		/* Taking all also takes the signal that the end began. What was begun just now
		 * makes the wait end at once. */
		if (list_is_empty(&loop->failed) && call_queue_is_closed(loop->queue) == is_ending)
			wait_for_something(loop);
	}
}

/* For the keeper's thread. */
static void wake(void *arg)
{
	struct s3_loop *loop = arg;

	(void)curl_multi_wakeup(loop->multi);
}

int s3_loop_start(struct s3_backend *s3)
{
	struct s3_loop *loop = &s3->loop;
	unsigned int connections = s3->options.connections;
	int r;

	loop->multi = curl_multi_init();
	if (loop->multi == NULL)
		return -ENOMEM;
	curl_multi_setopt(
		loop->multi, CURLMOPT_MAXCONNECTS, (long)connections + S3_MULTIPART_IN_FLIGHT);
	s3_concurrency_init(&loop->concurrency, connections);
	r = call_queue_new(connections, &loop->queue);
	if (r == 0)
		r = -pthread_create(&loop->thread, NULL, run, loop);
	if (r < 0)
		return r;
	loop->has_thread = true;
	return s3_keeper_start(s3->keeper, wake, loop);
}

void s3_loop_stop(struct s3_backend *s3)
{
	struct s3_loop *loop = &s3->loop;

	if (!loop->has_thread)
		return;
	call_queue_close(loop->queue);
	pthread_join(loop->thread, NULL);
	loop->has_thread = false;
}

void s3_loop_free(struct s3_loop *loop)
{
	struct list_node *node;

	while ((node = list_take_first(&loop->idle)) != NULL)
		s3_request_free(LIST_ENTRY(node, struct s3_request, node));
	call_queue_free(loop->queue);
	(void)curl_multi_cleanup(loop->multi);
	explicit_bzero(&loop->credentials, sizeof(loop->credentials));
	explicit_bzero(loop->key, sizeof(loop->key));
}
