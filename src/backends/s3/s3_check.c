/*
 * s3_check.c: the first request, and what to tell the user when it fails.
 */
#include <config.h>
#include "backends/s3/s3_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/lock.h"
#include "util/message.h"

#define CHECK_TIMEOUT_MS 20000
#define MAX_ATTEMPTS 5
#define FIRST_PAUSE_MS 100

struct s3_check {
	struct lock lock;
	struct lock_condition changed;
	bool is_done;
	int error;
	/* Of the answer. */
	CURLcode curl;
	long status;
	int64_t date_ms;
	struct s3_error meaning;
	struct s3_xml_error document;
	char region[S3_LOCATION_REGION_MAX_BYTES + 1];
};

static void note(struct s3_check *check, const struct s3_answer *a)
{
	const char *region = a->region[0] != '\0' ? a->region : a->document.region;

	check->curl = a->curl;
	check->status = a->status;
	check->date_ms = a->date_ms;
	check->meaning = a->meaning;
	check->document = a->document;
	snprintf(check->region, sizeof(check->region), "%.*s", (int)sizeof(check->region) - 1,
		region);
}

static void answered(struct s3_request *r)
{
	struct s3_call *call = r->owner;
	struct s3_answer *a = &r->answer;
	char *token = NULL;
	int error = a->error;

	note(call->check, a);
	if (error == 0)
		error = s3_xml_read_list(
			a->data, a->data_bytes, call->s3->location.prefix, &call->result, &token);
	free(token);
	s3_call_complete(call, error);
}

static void begin(struct s3_call *call)
{
	struct s3_request *r;

	if (!s3_call_ask(call, "GET", NULL, answered))
		return;
	r = call->request;
	s3_request_add_query(r, "encoding-type", "url");
	s3_request_add_query(r, "list-type", "2");
	s3_request_add_query(r, "max-keys", "1");
	s3_request_add_query(r, "prefix", call->s3->location.prefix);
	r->max_data_bytes = S3_MAX_DOCUMENT_BYTES;
	s3_loop_begin(r);
}

static void done(struct backend_result *result, void *arg)
{
	struct s3_check *check = arg;

	lock_acquire(&check->lock);
	check->error = result->error;
	check->is_done = true;
	lock_condition_signal(&check->changed);
	lock_release(&check->lock);
}

static int ask_once(struct s3_backend *s3, struct s3_check *check)
{
	struct backend_call call = {.priority = BACKEND_READER,
		.timeout_ms = CHECK_TIMEOUT_MS,
		.done = done,
		.arg = check};
	struct s3_call *c;

	*check = (struct s3_check){.is_done = false};
	lock_init(&check->lock);
	lock_condition_init(&check->changed);
	c = s3_call_new(s3, "", begin, &call);
	if (c != NULL) {
		c->check = check;
		s3_call_submit(c);
	}
	lock_acquire(&check->lock);
	while (!check->is_done)
		lock_condition_wait(&check->changed, &check->lock);
	lock_release(&check->lock);
	lock_condition_done(&check->changed);
	lock_done(&check->lock);
	return check->error;
}

/* A store that is busy, or a gateway that starts, is asked again. */
static int ask(struct s3_backend *s3, struct s3_check *check)
{
	uint32_t pause_ms = FIRST_PAUSE_MS;
	int r = ask_once(s3, check);

	for (int i = 1; i < MAX_ATTEMPTS && (r == -EBUSY || r == -EIO || r == -EAGAIN); i++) {
		(void)usleep(pause_ms * 1000);
		pause_ms *= 2;
		r = ask_once(s3, check);
	}
	return r;
}

static int tell_transport(
	const struct s3_backend *s3, const struct s3_check *check, int error, char **ret_message)
{
	const char *scheme = s3->location.is_tls ? "https" : "http";
	const char *host = s3->location.host;

	switch (check->curl) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return message_set(ret_message, error,
			"cannot resolve the name of %s://%s: check option endpoint%s", scheme, host,
			s3->location.base_path[0] == '\0'
				? " (or set path_style, if the store has no host for each bucket)"
				: "");
	case CURLE_COULDNT_RESOLVE_PROXY:
		return message_set(ret_message, error, "cannot resolve the name of the proxy %s",
			s3->options.proxy);
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
		return message_set(ret_message, error,
			"no answer from %s://%s (%s): check option endpoint, and whether the store "
			"runs and can be reached from here",
			scheme, host, curl_easy_strerror(check->curl));
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return message_set(ret_message, error,
			"the TLS certificate of https://%s is not trusted (%s): set option "
			"ca_file=FILE to the certificates of its issuer",
			host, curl_easy_strerror(check->curl));
	case CURLE_SSL_CONNECT_ERROR:
		return message_set(ret_message, error,
			"no TLS with https://%s (%s): is its endpoint=http://…?", host,
			curl_easy_strerror(check->curl));
	default:
		return message_set(ret_message, error, "no answer from %s://%s: %s", scheme, host,
			curl_easy_strerror(check->curl));
	}
}

static int tell_answer(
	const struct s3_backend *s3, const struct s3_check *check, int error, char **ret_message)
{
	const struct s3_location *l = &s3->location;
	const char *code = check->document.code;
	char extra[256] = "";

	if (check->meaning.is_region && check->region[0] != '\0')
		snprintf(extra, sizeof(extra), "; the bucket is in region=%s, asked was region=%s",
			check->region, l->region);
	if (strcmp(code, "RequestTimeTooSkewed") == 0 && check->date_ms != 0)
		snprintf(extra, sizeof(extra), "; they differ by %lld s",
			(long long)((clock_realtime_ms() - check->date_ms) / 1000));
	return message_set(ret_message, error, "s3://%s at %s://%s: %s%s(HTTP status %ld)%s%s%s",
		l->bucket, l->is_tls ? "https" : "http", l->host, code, code[0] != '\0' ? " " : "",
		check->status, check->document.message[0] != '\0' ? ", " : "",
		check->document.message, extra);
}

static int tell(
	const struct s3_backend *s3, const struct s3_check *check, int error, char **ret_message)
{
	char *said = NULL;

	if (strcmp(check->document.code, "NoSuchBucket") == 0 ||
		(check->status == 404 && error == -ENOENT))
		return message_set(ret_message, -ENOENT,
			"there is no bucket '%s' at %s://%s: create it, or correct the URL",
			s3->location.bucket, s3->location.is_tls ? "https" : "http",
			s3->location.host);
	if (check->curl != CURLE_OK || check->status == 0)
		return tell_transport(s3, check, error, ret_message);
	if (check->status >= 200 && check->status < 300)
		return message_set(ret_message, error,
			"%s://%s answered, but not as an S3 store: check option endpoint",
			s3->location.is_tls ? "https" : "http", s3->location.host);
	(void)tell_answer(s3, check, error, &said);
	error = message_set(ret_message, error, "%s%s%s", said != NULL ? said : "S3",
		check->meaning.hint != NULL ? ": " : "",
		check->meaning.hint != NULL ? check->meaning.hint : "");
	free(said);
	return error;
}

int s3_check(struct s3_backend *s3, bool is_region_given, char **ret_message)
{
	struct s3_check check;
	int r = ask(s3, &check);

	if (r < 0 && check.meaning.is_region && check.region[0] != '\0' && !is_region_given &&
		strcmp(check.region, s3->location.region) != 0) {
		r = s3_location_set_region(&s3->location, &s3->options, check.region, ret_message);
		if (r < 0)
			return r;
		r = ask(s3, &check);
	}
	return r < 0 ? tell(s3, &check, r, ret_message) : 0;
}
