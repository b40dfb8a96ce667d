#include <config.h>
#include "control/actions.h"

#include <errno.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "control/json_text.h"
#include "control/server.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* A flush looks this often whether the daemon wants to end. */
#define FLUSH_SLICE_MS 1000

static struct control_answer json_answer(unsigned int http_status, char *body)
{
	return (struct control_answer){http_status, "application/json", body};
}

struct control_answer control_error(unsigned int http_status, int error, const char *format, ...)
{
	const char *name = strerrorname_np(-error);
	CLEANUP_FREE char *text = NULL;
	json_t *root;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (n < 0) {
		text = NULL;
		return json_answer(http_status, NULL);
	}
	root = json_pack("{s:s, s:s}", "error", text, "errno", name != NULL ? name : "EIO");
	return json_answer(http_status, control_json_text(root));
}

/* A new reference to the object in the body; an empty body is an empty object. NULL: not JSON. */
static json_t *parse_body(const struct control_request *request)
{
	json_t *root;

	if (request->body_bytes == 0)
		return json_object();
	root = json_loadb(request->body, request->body_bytes, JSON_REJECT_DUPLICATES, NULL);
	if (root != NULL && !json_is_object(root)) {
		json_decref(root);
		root = NULL;
	}
	return root;
}

/* Takes the only field the body may have, a number of 0 to `max`. *ret keeps its value when the
 * field is missing. -EINVAL. */
static int take_number(
	const struct control_request *request, const char *name, uint64_t max, uint64_t *ret)
{
	json_t *root = parse_body(request);
	const json_t *value;
	int r = 0;

	if (root == NULL)
		return -EINVAL;
	value = json_object_get(root, name);
	if (json_object_size(root) != (value != NULL ? 1 : 0))
		r = -EINVAL;
	else if (value != NULL && (!json_is_integer(value) || json_integer_value(value) < 0 ||
					  (uint64_t)json_integer_value(value) > max))
		r = -EINVAL;
	else if (value != NULL)
		*ret = (uint64_t)json_integer_value(value);
	json_decref(root);
	return r;
}

struct control_answer control_action_status(const struct control_request *request)
{
	struct node_figures figures = {0};
	char *body = NULL;

	node_get_figures(request->subject->node, &figures);
	(void)control_status_json(request->subject, &figures, &body);
	return json_answer(MHD_HTTP_OK, body);
}

struct control_answer control_action_metrics(const struct control_request *request)
{
	struct node_figures figures = {0};
	char *body = NULL;

	node_get_figures(request->subject->node, &figures);
	(void)control_status_metrics(request->subject, &figures, &body);
	return (struct control_answer){
		MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", body};
}

/* Flushes in slices, so that the end of the daemon does not wait for a patient client. */
static int flush_until(const struct control_request *request, uint64_t timeout_ms)
{
	uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;

	for (;;) {
		uint64_t now_ms = clock_monotonic_ms();
		uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
		int r = node_flush(request->subject->node,
			(uint32_t)(left_ms < FLUSH_SLICE_MS ? left_ms : FLUSH_SLICE_MS));

		if (r != -ETIMEDOUT || left_ms <= FLUSH_SLICE_MS)
			return r;
		if (atomic_load(request->stopping))
			return -ECANCELED;
	}
}

struct control_answer control_action_flush(const struct control_request *request)
{
	uint64_t timeout_ms = CONTROL_DEFAULT_FLUSH_TIMEOUT_MS;
	uint64_t started_ms = clock_monotonic_ms();
	struct node_figures figures = {0};
	json_t *root;
	int r = take_number(request, "timeout_ms", CONTROL_MAX_FLUSH_TIMEOUT_MS, &timeout_ms);

	if (r < 0)
		return control_error(MHD_HTTP_BAD_REQUEST, r, "expected {\"timeout_ms\": 0 to %d}",
			CONTROL_MAX_FLUSH_TIMEOUT_MS);
	r = flush_until(request, timeout_ms);
	node_get_figures(request->subject->node, &figures);
	if (r < 0)
		return control_error(
			r == -ETIMEDOUT ? MHD_HTTP_GATEWAY_TIMEOUT : MHD_HTTP_SERVICE_UNAVAILABLE,
			r, "not everything is on the backend (%llu bodies wait): %s",
			(unsigned long long)figures.dirty_files, strerror(-r));
	root = json_pack("{s:I, s:I}", "elapsed_ms",
		(json_int_t)(clock_monotonic_ms() - started_ms), "dirty_files",
		(json_int_t)figures.dirty_files);
	return json_answer(MHD_HTTP_OK, control_json_text(root));
}

struct control_answer control_action_evict(const struct control_request *request)
{
	uint64_t keep_bytes = 0, evicted_bytes = 0;
	struct node_figures figures = {0};
	json_t *root;
	int r = take_number(request, "keep_bytes", INT64_MAX, &keep_bytes);

	if (r < 0)
		return control_error(
			MHD_HTTP_BAD_REQUEST, r, "expected {\"keep_bytes\": a number of bytes}");
	r = node_evict(request->subject->node, keep_bytes, &evicted_bytes);
	if (r < 0)
		return control_error(MHD_HTTP_SERVICE_UNAVAILABLE, r,
			"cannot drop local copies: %s", strerror(-r));
	node_get_figures(request->subject->node, &figures);
	root = json_pack("{s:I, s:I}", "evicted_bytes", (json_int_t)evicted_bytes,
		"body_cache_bytes", (json_int_t)figures.body_cache_bytes);
	return json_answer(MHD_HTTP_OK, control_json_text(root));
}
