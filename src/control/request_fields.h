/*
 * request_fields.h: the fields of a request's JSON object.
 */
#ifndef MAILFS_CONTROL_REQUEST_FIELDS_H
#define MAILFS_CONTROL_REQUEST_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "control/actions.h"

struct request_field {
	const char *name;
	/* One of these: what is not in the request keeps its value. */
	uint64_t *number; /* of 0 to max */
	uint64_t max;
	bool *flag;
	json_t **list; /* a new reference to an array */
	bool *given;   /* may be NULL */
};

/* An empty body is an empty object. `fields` ends with one without a name. -EINVAL: not JSON, no
 * object, a field that is not in `fields` or has a value of the wrong kind; *ret_message says
 * which. Lists that were taken by then are the caller's all the same. */
int request_fields_take(const struct control_request *request, const struct request_field *fields,
	char **ret_message);

#endif
