/*
 * actions.h: what the control server can be asked to do. Blocking; called in the thread of the
 * request. Flush, warm, and evict of accounts only check the request there: what they do is work
 * for a stream (stream.h).
 */
#ifndef MAILFS_CONTROL_ACTIONS_H
#define MAILFS_CONTROL_ACTIONS_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include "control/status.h"

struct control_work;

/* An answer: an HTTP status and a malloc()ed body, or work whose answer comes while it is done. */
struct control_answer {
	unsigned int http_status;
	const char *content_type;
	char *body; /* NULL: out of memory, or there is work */
	struct control_work *work;
};

/* One request, after its method, path and size were checked. */
struct control_request {
	const struct control_subject *subject;
	const _Atomic bool *stopping; /* the server ends: give up soon */
	const char *body;
	size_t body_bytes;
};

typedef struct control_answer control_action_fn(const struct control_request *request);

control_action_fn control_action_status;
control_action_fn control_action_accounts;
control_action_fn control_action_metrics;
control_action_fn control_action_flush;
control_action_fn control_action_evict;
control_action_fn control_action_warm;

/* Gives the reference back. */
struct control_answer control_json_answer(json_t *root);

/* What fits a negative errno. */
unsigned int control_http_status(int error);

/* {"error": "…", "errno": "…"}; `error` is a negative errno. */
struct control_answer control_error(unsigned int http_status, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
