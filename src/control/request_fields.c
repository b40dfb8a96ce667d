#include <config.h>
#include "control/request_fields.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "util/message.h"

/* A new reference to the object in the body. */
static int parse(const struct control_request *request, json_t **ret, char **ret_message)
{
	json_error_t error;
	json_t *root = request->body_bytes == 0 ? json_object()
						: json_loadb(request->body, request->body_bytes,
							  JSON_REJECT_DUPLICATES, &error);

	if (root == NULL)
		return message_set(ret_message, -EINVAL, "the request is no JSON: %s",
			request->body_bytes > 0 ? error.text : "out of memory");
	if (!json_is_object(root)) {
		json_decref(root);
		return message_set(ret_message, -EINVAL, "the request is no JSON object");
	}
	*ret = root;
	return 0;
}

static int take_number(const struct request_field *field, const json_t *value, char **ret_message)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		(uint64_t)json_integer_value(value) > field->max)
		return message_set(ret_message, -EINVAL, "\"%s\" is no number of 0 to %" PRIu64,
			field->name, field->max);
	*field->number = (uint64_t)json_integer_value(value);
	return 0;
}

static int take(const struct request_field *field, json_t *value, char **ret_message)
{
	if (field->given != NULL)
		*field->given = true;
	if (field->number != NULL)
		return take_number(field, value, ret_message);
	if (field->flag != NULL) {
		if (!json_is_boolean(value))
			return message_set(ret_message, -EINVAL, "\"%s\" is neither true nor false",
				field->name);
		*field->flag = json_is_true(value);
		return 0;
	}
	if (!json_is_array(value))
		return message_set(ret_message, -EINVAL, "\"%s\" is no list", field->name);
	*field->list = json_incref(value);
	return 0;
}

static const struct request_field *find(const struct request_field *fields, const char *name)
{
	for (; fields->name != NULL; fields++) {
		if (strcmp(fields->name, name) == 0)
			return fields;
	}
	return NULL;
}

int request_fields_take(const struct control_request *request, const struct request_field *fields,
	char **ret_message)
{
	json_t *root = NULL, *value;
	const char *name;
	int r = parse(request, &root, ret_message);

	if (r < 0)
		return r;
	json_object_foreach (root, name, value) {
		const struct request_field *field = find(fields, name);

		r = field != NULL ? take(field, value, ret_message)
				  : message_set(ret_message, -EINVAL,
					    "there is no field \"%s\" in this request", name);
		if (r < 0)
			break;
	}
	json_decref(root);
	return r;
}
