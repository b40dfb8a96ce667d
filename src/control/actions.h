/*
 * actions.h: what the control server can be asked to do. Blocking; called in the thread of the
 * request.
 */
#ifndef MAILFS_CONTROL_ACTIONS_H
#define MAILFS_CONTROL_ACTIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include "control/status.h"

/* An answer: an HTTP status and a malloc()ed body. */
struct control_answer {
	unsigned int http_status;
	const char *content_type;
	char *body; /* NULL: out of memory */
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
control_action_fn control_action_metrics;
control_action_fn control_action_flush;
control_action_fn control_action_evict;

/* {"error": "…", "errno": "…"}; `error` is a negative errno. */
struct control_answer control_error(unsigned int http_status, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
