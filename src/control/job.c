#include <config.h>
#include "control/job.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "control/replication_status.h"
#include "control/request_fields.h"
#include "control/server.h"
#include "fs/account_names.h"
#include "util/cleanup.h"
#include "util/message.h"

/* ---- a job's life */

static void free_job(struct control_work *work)
{
	struct job *job = (struct job *)work;

	account_set_done(&job->accounts);
	account_set_done(&job->names);
	json_decref(job->failures);
	free(job);
}

static int take_fields(const struct control_request *request, const struct job_form *form,
	struct job *job, json_t **ret_names, char **ret_message)
{
	struct request_field fields[6] = {
		{.name = "accounts", .list = ret_names},
		{.name = "timeout_ms", .number = &job->timeout_ms, .max = CONTROL_MAX_TIMEOUT_MS},
	};
	size_t n = 2;

	if (form->takes_checkpoint)
		fields[n++] =
			(struct request_field){.name = "checkpoint", .flag = &job->with_checkpoint};
	if (form->takes_force)
		fields[n++] = (struct request_field){.name = "force", .flag = &job->force};
	if (form->takes_idle)
		fields[n++] = (struct request_field){.name = "idle_ms",
			.number = &job->idle_ms,
			.max = INT64_MAX,
			.given = &job->by_idle};
	return request_fields_take(request, fields, ret_message);
}

static int fill(const struct control_request *request, const struct job_form *form, struct job *job,
	char **ret_message)
{
	json_t *names = NULL;
	int r = take_fields(request, form, job, &names, ret_message);

	if (r == 0 && names != NULL && job->by_idle)
		r = message_set(ret_message, -EINVAL, "either \"accounts\" or \"idle_ms\"");
	if (r == 0 && ((names == NULL && !job->by_idle && form->needs_accounts) ||
			      (names != NULL && json_array_size(names) == 0)))
		r = message_set(ret_message, -EINVAL, "no accounts are named");
	if (r == 0 && names != NULL)
		r = account_set_resolve(request->subject->fs, names, &job->accounts, ret_message);
	job->all = names == NULL && !job->by_idle;
	json_decref(names);
	return r;
}

static json_t *run_job(struct control_work *work, struct control_stream *stream)
{
	struct job *job = (struct job *)work;

	job->stream = stream;
	return job->run(job);
}

struct control_answer job_start(const struct control_request *request, const struct job_form *form)
{
	struct job *job = calloc(1, sizeof(*job));
	CLEANUP_FREE char *message = NULL;
	int r;

	if (job == NULL)
		return (struct control_answer){.body = NULL};
	job->work = (struct control_work){run_job, free_job};
	job->run = form->run;
	job->verb = form->verb;
	job->subject = request->subject;
	job->timeout_ms = form->default_timeout_ms;
	job->failures = json_array();
	r = job->failures != NULL ? fill(request, form, job, &message) : -ENOMEM;
	if (r == 0)
		return (struct control_answer){
			MHD_HTTP_OK, CONTROL_STREAM_CONTENT_TYPE, NULL, &job->work};
	free_job(&job->work);
	return control_error(
		control_http_status(r), r, "%s", message != NULL ? message : strerror(-r));
}

/* ---- while it runs */

uint64_t job_left_ms(const struct job *job)
{
	uint64_t elapsed_ms = control_stream_elapsed_ms(job->stream);

	return elapsed_ms < job->timeout_ms ? job->timeout_ms - elapsed_ms : 0;
}

bool job_is_stopping(const struct job *job)
{
	return atomic_load(control_stream_stopping(job->stream));
}

static void take_progress(void *arg, const struct replicator_progress *progress)
{
	struct job *job = arg;
	struct replicator_progress all = *progress;

	all.accounts_done += job->accounts_before;
	if (!job->all)
		all.accounts_total = job->accounts.n;
	control_stream_progress(job->stream, &all);
}

static void take_failure(void *arg, uint32_t account, int error)
{
	job_fail(arg, account, error, NULL);
}

struct replicator_job job_for_replicator(struct job *job, const uint32_t *numbers, size_t n)
{
	return (struct replicator_job){
		.accounts = numbers,
		.n_accounts = n,
		.timeout_ms = (uint32_t)job_left_ms(job),
		.stopping = control_stream_stopping(job->stream),
		.progress = take_progress,
		.failed = take_failure,
		.arg = job,
	};
}

/* The job's own names, or for a job on all accounts those that the root account has. */
static const char *name_of(struct job *job, uint32_t account, char number[32])
{
	const char *name = account_set_name(&job->accounts, account);

	if (name == NULL && account == ACCOUNT_NAMES_ROOT_NUMBER)
		return ACCOUNT_NAMES_ROOT;
	if (name == NULL && !job->names_tried) {
		job->names_tried = true;
		(void)account_set_all(job->subject->fs, &job->names);
	}
	if (name == NULL)
		name = account_set_name(&job->names, account);
	if (name != NULL)
		return name;
	(void)snprintf(number, 32, "number %u", account);
	return number;
}

static const char *reason_of(int error)
{
	switch (error) {
	case -EBUSY:
		return "what is done in it does not end; try again";
	case -ENOENT:
		return "the backend knows nothing of it";
	case -EBADMSG:
		return "its state on the backend is damaged or not whole; the daemon's log says "
		       "where";
	case -ENOSPC:
		return "there is no room for it on the local disk; evict others first";
	default:
		return strerror(-error);
	}
}

void job_fail(struct job *job, uint32_t account, int error, const char *reason)
{
	char number[32];

	if (job->n_failures++ >= JOB_MAX_NAMED_FAILURES)
		return;
	(void)json_array_append_new(
		job->failures, json_pack("{s:o, s:s, s:o}", "account",
				       account_set_json_name(name_of(job, account, number)),
				       "error", reason != NULL ? reason : reason_of(error), "errno",
				       control_error_name(error)));
}

/* ---- the end */

json_t *job_result(struct job *job, json_t *result)
{
	if (result == NULL)
		return NULL;
	(void)json_object_set_new(result, "elapsed_ms",
		json_integer((json_int_t)control_stream_elapsed_ms(job->stream)));
	(void)json_object_set_new(result, "failures", json_integer((json_int_t)job->n_failures));
	(void)json_object_set(result, "failed", job->failures);
	return json_pack("{s:o}", "result", result);
}

json_t *job_error(struct job *job, int error, const char *format, ...)
{
	CLEANUP_FREE char *text = NULL;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (n < 0) {
		text = NULL;
		return NULL;
	}
	return json_pack("{s:s, s:o, s:I, s:O}", "error", text, "errno", control_error_name(error),
		"failures", (json_int_t)job->n_failures, "failed", job->failures);
}
