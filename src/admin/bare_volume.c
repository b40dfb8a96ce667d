#include <config.h>
#include "admin/bare_volume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/read_only_backend.h"
#include "backends/registry.h"
#include "util/cleanup.h"

#define FLUSH_TIMEOUT_MS 120000
#define FLUSH_REQUEST "{\"timeout_ms\": 120000}"
#define STATUS_TIMEOUT_MS 30000
#define ANSWER_MARGIN_MS 10000

static enum admin_status take_url(const struct verb_arguments *arguments, char **ret)
{
	json_t *root = NULL;
	const char *url;
	char *body;
	enum admin_status status =
		verb_ask(arguments, "GET", "/v1/status", NULL, STATUS_TIMEOUT_MS, &body);

	if (status == ADMIN_OK)
		status = verb_take_json(arguments, body, &root);
	if (status != ADMIN_OK)
		return status;
	url = json_string_value(json_object_get(root, "url"));
	*ret = url != NULL ? strdup(url) : NULL;
	json_decref(root);
	if (*ret == NULL)
		return verb_fail("%s: the daemon does not tell its URL", arguments->target);
	return ADMIN_OK;
}

/* Long work answers in lines, of which one may say why it has failed. */
static enum admin_status check_answer(const char *target, char *body)
{
	enum admin_status status = ADMIN_OK;
	char *rest = NULL;

	for (char *line = strtok_r(body, "\n", &rest); line != NULL && status == ADMIN_OK;
		line = strtok_r(NULL, "\n", &rest)) {
		json_t *root = json_loads(line, 0, NULL);
		const char *reason = json_string_value(json_object_get(root, "error"));

		if (reason != NULL)
			status = verb_fail("%s cannot be flushed: %s", target, reason);
		json_decref(root);
	}
	return status;
}

static enum admin_status ask_daemon(
	const struct admin_verb *verb, const char *target, struct bare_volume *volume)
{
	struct verb_arguments arguments = {.verb = verb, .target = target};
	char *body = NULL;
	enum admin_status status = verb_ask(&arguments, "POST", "/v1/flush", FLUSH_REQUEST,
		FLUSH_TIMEOUT_MS + ANSWER_MARGIN_MS, &body);

	if (status == ADMIN_OK)
		status = check_answer(target, body);
	free(body);
	if (status != ADMIN_OK)
		return status;
	volume->is_mounted = true;
	return take_url(&arguments, &volume->url);
}

static int open_backend(
	struct bare_volume *volume, char *const *options, bool is_read_only, char **ret_message)
{
	struct backend *driver;
	int r = backend_open_url(volume->url, (const char *const *)options, &driver, ret_message);

	if (r == 0 && is_read_only)
		r = read_only_backend_new(driver, &driver);
	if (r == 0)
		r = backend_chain_build(driver, NULL, &volume->chain, ret_message);
	if (r == 0)
		r = volume_open(volume->chain.backend, &volume->volume, ret_message);
	if (r == 0 && !uuid_parse(volume->volume.uuid, &volume->uuid))
		r = -EBADMSG;
	return r;
}

enum admin_status bare_volume_open(const struct admin_verb *verb, const char *target,
	char *const *options, bool is_read_only, struct bare_volume *ret)
{
	CLEANUP_FREE char *message = NULL;
	enum admin_status status = ADMIN_OK;
	int r;

	*ret = (struct bare_volume){.url = NULL};
	if (strstr(target, "://") == NULL)
		status = ask_daemon(verb, target, ret);
	else
		ret->url = strdup(target);
	if (status != ADMIN_OK)
		return status;
	if (ret->url == NULL)
		return verb_fail("out of memory");
	r = open_backend(ret, options, is_read_only, &message);
	return r < 0 ? verb_fail("%s", message != NULL ? message : strerror(-r)) : ADMIN_OK;
}

void bare_volume_close(struct bare_volume *volume)
{
	backend_chain_done(&volume->chain);
	free(volume->url);
	*volume = (struct bare_volume){.url = NULL};
}
