/*
 * verb_ask.c: what verbs ask the daemon, and what becomes of its answers.
 */
#include <config.h>
#include "admin/verb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "admin/client.h"
#include "admin/find_daemon.h"
#include "util/cleanup.h"

/* A daemon at work says something each second. */
#define SILENCE_MS 60000

/* ---- refusals */

/* Older and newer ones do not know each other's requests. */
static void note_version(const struct client_answer *answer)
{
	if (answer->server[0] == '\0')
		fprintf(stderr,
			"mailfs-admin: that mailfs is of an older version than this program "
			"(" PACKAGE_VERSION "); mount it again to have this one\n");
	else if (strcmp(answer->server, "mailfs/" PACKAGE_VERSION) != 0)
		fprintf(stderr,
			"mailfs-admin: that mailfs is %s and this program " PACKAGE_VERSION
			": use them of one version\n",
			answer->server);
}

/* The daemon said no: its reason, for people or as it is. */
static enum admin_status report_refusal(
	const struct verb_arguments *arguments, const struct client_answer *answer)
{
	json_t *root = json_loads(answer->body, 0, NULL);
	const char *reason = json_string_value(json_object_get(root, "error"));

	if (arguments->json && root != NULL)
		fputs(answer->body, stdout);
	(void)verb_fail("%s: %s", arguments->target,
		reason != NULL ? reason : "the daemon's answer makes no sense");
	note_version(answer);
	json_decref(root);
	return ADMIN_FAILED;
}

static enum admin_status ask(const struct verb_arguments *arguments,
	const struct client_request *request, struct client_answer *ret)
{
	CLEANUP_FREE char *socket_path = NULL;
	CLEANUP_FREE char *message = NULL;

	if (find_daemon(arguments->target, &socket_path, &message) < 0)
		return verb_fail("%s", message != NULL ? message : "out of memory");
	if (client_ask(socket_path, request, ret, &message) < 0)
		return verb_fail("%s", message != NULL ? message : "out of memory");
	if (ret->http_status == 200)
		return ADMIN_OK;
	(void)report_refusal(arguments, ret);
	free(ret->body);
	ret->body = NULL;
	return ADMIN_FAILED;
}

enum admin_status verb_ask(const struct verb_arguments *arguments, const char *method,
	const char *path, const char *body, uint64_t timeout_ms, char **ret_body)
{
	struct client_request request = {
		.method = method, .path = path, .body = body, .timeout_ms = timeout_ms};
	struct client_answer answer = {0};
	enum admin_status status = ask(arguments, &request, &answer);

	if (status == ADMIN_OK)
		*ret_body = answer.body;
	return status;
}

enum admin_status verb_take_json(const struct verb_arguments *arguments, char *body, json_t **ret)
{
	CLEANUP_FREE char *text = body;
	json_t *root = NULL;

	*ret = NULL;
	if (arguments->json) {
		fputs(text, stdout);
		return ADMIN_OK;
	}
	root = json_loads(text, 0, NULL);
	if (root == NULL)
		return verb_fail("%s: the daemon's answer makes no sense", arguments->target);
	*ret = root;
	return ADMIN_OK;
}

/* ---- long work */

struct work {
	const struct verb_arguments *arguments;
	bool shows; /* progress, on a terminal */
	bool shown;
	json_t *last; /* what ends it */
};

static void show_progress(struct work *work, const json_t *progress)
{
	char size[32], elapsed[32];
	uint64_t total = verb_number(progress, "accounts_total");

	if (!work->shows)
		return;
	fprintf(stderr, "\r%s: ", work->arguments->verb->name);
	if (total > 0)
		fprintf(stderr, "%" PRIu64 " of %" PRIu64 " accounts, ",
			verb_number(progress, "accounts_done"), total);
	fprintf(stderr, "%s, %s \033[K", verb_size_text(verb_number(progress, "bytes_done"), size),
		verb_duration_text(verb_number(progress, "elapsed_ms"), elapsed));
	fflush(stderr);
	work->shown = true;
}

static void take_line(void *arg, const char *line)
{
	struct work *work = arg;
	json_t *root = json_loads(line, 0, NULL);
	const json_t *progress = json_object_get(root, "progress");

	if (progress != NULL) {
		show_progress(work, progress);
		json_decref(root);
	} else if (root != NULL) {
		json_decref(work->last);
		work->last = root;
	}
}

static void print_json(const json_t *root)
{
	(void)json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
}

/* The last line: a result, or an error in the middle of it. */
static enum admin_status finish(const struct work *work, json_t **ret)
{
	const struct verb_arguments *arguments = work->arguments;
	json_t *result = json_object_get(work->last, "result");
	const char *reason = json_string_value(json_object_get(work->last, "error"));

	if (work->shown)
		fputs("\r\033[K", stderr);
	if (result != NULL) {
		*ret = json_incref(result);
		if (arguments->json)
			print_json(result);
		return ADMIN_OK;
	}
	if (work->last == NULL || reason == NULL)
		return verb_fail("%s: the mailfs ended in the middle of it; nothing that was "
				 "acknowledged is lost, but this was perhaps not done",
			arguments->target);
	if (arguments->json)
		print_json(work->last);
	(void)verb_report_failures(arguments, work->last);
	return verb_fail("%s: %s", arguments->target, reason);
}

enum admin_status verb_work(const struct verb_arguments *arguments, const char *path,
	const json_t *request, json_t **ret)
{
	struct work work = {.arguments = arguments, .shows = isatty(STDERR_FILENO) == 1};
	CLEANUP_FREE char *body = json_dumps(request, JSON_COMPACT);
	struct client_request r = {
		.method = "POST",
		.path = path,
		.body = body,
		.timeout_ms = SILENCE_MS,
		.take_line = take_line,
		.arg = &work,
	};
	struct client_answer answer = {0};
	enum admin_status status =
		body != NULL ? ask(arguments, &r, &answer) : verb_fail("out of memory");

	free(answer.body);
	if (status == ADMIN_OK)
		status = finish(&work, ret);
	json_decref(work.last);
	return status;
}

enum admin_status verb_report_failures(const struct verb_arguments *arguments, const json_t *result)
{
	const json_t *list = json_object_get(result, "failed"), *failure;
	uint64_t n = verb_number(result, "failures");
	size_t i;

	json_array_foreach(list, i, failure)(void) verb_fail("%s: account '%s': %s",
		arguments->target, verb_text(failure, "account"), verb_text(failure, "error"));
	if (n > json_array_size(list))
		(void)verb_fail("%s: and %" PRIu64 " more accounts", arguments->target,
			n - json_array_size(list));
	return n > 0 ? ADMIN_FAILED : ADMIN_OK;
}

json_t *verb_request(const struct verb_arguments *arguments)
{
	json_t *root = json_object(), *names;

	if (arguments->n_words == 0)
		return root;
	names = json_array();
	for (size_t i = 0; i < arguments->n_words; i++) {
		if (json_array_append_new(names, json_string(arguments->words[i])) == 0)
			continue;
		(void)verb_fail("the name '%s' is not UTF-8", arguments->words[i]);
		json_decref(names);
		json_decref(root);
		return NULL;
	}
	(void)json_object_set_new(root, "accounts", names);
	return root;
}

uint64_t verb_number(const json_t *root, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(root, name));
}

const char *verb_text(const json_t *root, const char *name)
{
	const char *value = json_string_value(json_object_get(root, name));

	return value != NULL ? value : "?";
}
