#include <config.h>
#include "control/actions.h"

#include <errno.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "control/account_set.h"
#include "control/json_text.h"
#include "control/replication_status.h"
#include "control/request_fields.h"
#include "control/server.h"
#include "util/cleanup.h"

static struct control_answer json_answer(unsigned int http_status, char *body)
{
	return (struct control_answer){http_status, "application/json", body, NULL};
}

struct control_answer control_json_answer(json_t *root)
{
	return json_answer(MHD_HTTP_OK, control_json_text(root));
}

unsigned int control_http_status(int error)
{
	switch (error) {
	case -EINVAL:
		return MHD_HTTP_BAD_REQUEST;
	case -ENOENT:
		return MHD_HTTP_NOT_FOUND;
	case -E2BIG:
		return MHD_HTTP_CONTENT_TOO_LARGE;
	default:
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	}
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
		MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", body, NULL};
}

/* ---- accounts */

/* {"accounts": [...], "more": false} */
static struct control_answer show_accounts(
	const struct control_request *request, const struct account_set *set, uint64_t limit)
{
	json_t *list = json_array();

	for (size_t i = 0; i < set->n && i < limit; i++)
		(void)json_array_append_new(list,
			control_account_json(request->subject, set->names[i], set->numbers[i]));
	return control_json_answer(json_pack("{s:o, s:I, s:b}", "accounts", list, "total",
		(json_int_t)set->n, "more", set->n > limit));
}

struct control_answer control_action_accounts(const struct control_request *request)
{
	uint64_t limit = CONTROL_DEFAULT_ACCOUNTS;
	json_t *names = NULL;
	const struct request_field fields[] = {
		{.name = "accounts", .list = &names},
		{.name = "limit", .number = &limit, .max = CONTROL_MAX_ACCOUNTS},
		{.name = NULL},
	};
	struct account_set set = {.n = 0};
	CLEANUP_FREE char *message = NULL;
	struct control_answer answer;
	int r = request_fields_take(request, fields, &message);

	if (r == 0 && names != NULL)
		r = account_set_resolve(request->subject->fs, names, &set, &message);
	else if (r == 0)
		r = account_set_all(request->subject->fs, &set);
	if (r == 0)
		answer = show_accounts(request, &set, names != NULL ? set.n : limit);
	else
		answer = control_error(
			control_http_status(r), r, "%s", message != NULL ? message : strerror(-r));
	account_set_done(&set);
	json_decref(names);
	return answer;
}
