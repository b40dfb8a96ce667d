/*
 * test_s3_open.c: what opening an S3 backend says when it fails, and what it finds out; and
 * credentials that expire while it is in use.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backends/registry.h"
#include "canned_server.h"
#include "util/file_io.h"

#define EMPTY_LIST "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
#define ERROR(code) "<Error><Code>" code "</Code><Message>said so</Message></Error>"

/* One answer to everything. */
struct canned {
	const char *status, *headers, *body;
	const char *raw; /* instead of all of them */
	bool closes;
};

static struct canned_server *server;
static struct backend *backend;

static void start(canned_fn *serve, const void *arg)
{
	setenv("AWS_ACCESS_KEY_ID", "ID", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "top-secret", 1);
	unsetenv("AWS_SESSION_TOKEN");
	setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
	unsetenv("AWS_REGION");
	unsetenv("AWS_DEFAULT_REGION");
	server = canned_server_new(serve, (void *)(uintptr_t)arg);
}

static int open_with(const char *option, char **message)
{
	char endpoint[64];
	const char *const options[] = {endpoint, option, NULL};

	snprintf(endpoint, sizeof(endpoint), "endpoint=http://127.0.0.1:%u",
		canned_server_port(server));
	*message = NULL;
	return backend_open_url("s3://bucket/p", options, &backend, message);
}

static void serve(void *arg, const struct canned_request *request, struct canned_answer *answer)
{
	const struct canned *c = arg;

	(void)request;
	answer->closes = c->closes;
	if (c->raw == NULL) {
		canned_answer_set(answer, c->status, c->headers, c->body);
		return;
	}
	answer->size_bytes = strlen(c->raw);
	memcpy(answer->data, c->raw, answer->size_bytes);
}

static const struct {
	struct canned answer;
	int error;
	const char *expected;
} opens[] = {
	{{"404 No", NULL, ERROR("NoSuchBucket"), NULL, false}, -ENOENT,
		"there is no bucket 'bucket'"},
	{{"403 No", NULL, ERROR("AccessDenied"), NULL, false}, -EACCES, "lack the right"},
	{{"403 No", NULL, ERROR("SignatureDoesNotMatch"), NULL, false}, -EACCES, "secret key"},
	{{"403 No", NULL, ERROR("InvalidAccessKeyId"), NULL, false}, -EACCES, "access key"},
	{{"403 No", "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n", ERROR("RequestTimeTooSkewed"), NULL,
		 false},
		-EACCES, "differ by"},
	{{"301 Moved", "x-amz-bucket-region: there\r\n", "", NULL, false}, -ENXIO, "region=there"},
	{{"400 Bad", NULL,
		 "<Error><Code>AuthorizationHeaderMalformed</Code><Region>there</Region></Error>",
		 NULL, false},
		-ENXIO, "region=there"},
	{{"200 OK", NULL, "<html>It works!</html>", NULL, false}, -EPROTO, "not as an S3 store"},
	{{NULL, NULL, NULL, "SSH-2.0-OpenSSH\r\n", true}, -EPROTO, "no answer"},
	{{"503 Away", NULL, ERROR("SlowDown"), NULL, false}, -EBUSY, "SlowDown"},
};

START_TEST(test_open)
{
	char *message;

	start(serve, &opens[_i].answer);
	ck_assert_int_eq(open_with("region=here", &message), opens[_i].error);
	ck_assert_msg(strstr(message, opens[_i].expected) != NULL, "%s", message);
	ck_assert_msg(strstr(message, "top-secret") == NULL, "%s", message);
	free(message);
	canned_server_free(server);
}
END_TEST

START_TEST(test_open_without_a_server)
{
	const char *const options[] = {"endpoint=http://127.0.0.1:1", NULL};
	char *message = NULL;

	setenv("AWS_ACCESS_KEY_ID", "ID", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "top-secret", 1);
	ck_assert_int_eq(
		backend_open_url("s3://bucket", options, &backend, &message), -ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(message, "no answer from http://127.0.0.1:1"));
	free(message);
}
END_TEST

START_TEST(test_open_without_tls)
{
	char endpoint[64], *message = NULL;
	const char *const options[] = {endpoint, NULL};

	start(serve, &opens[0].answer);
	snprintf(endpoint, sizeof(endpoint), "endpoint=https://127.0.0.1:%u",
		canned_server_port(server));
	ck_assert_int_lt(backend_open_url("s3://bucket", options, &backend, &message), 0);
	ck_assert_msg(strstr(message, "TLS") != NULL, "%s", message);
	free(message);
	canned_server_free(server);
}
END_TEST

static void serve_region(
	void *arg, const struct canned_request *request, struct canned_answer *answer)
{
	(void)arg;
	if (strstr(request->head, "/there/s3/aws4_request") != NULL)
		canned_answer_set(answer, "200 OK", NULL, EMPTY_LIST);
	else
		canned_answer_set(answer, "301 Moved", "x-amz-bucket-region: there\r\n", "");
}

START_TEST(test_region_is_adopted)
{
	char *message;

	start(serve_region, NULL);
	ck_assert_msg(open_with(NULL, &message) == 0, "%s", message);
	backend_free(backend);
	canned_server_free(server);
}
END_TEST

/* ---- credentials that expire while they are in use */

static char credentials[] = "/tmp/test_s3_open.XXXXXX";

static void write_credentials(const char *token)
{
	char text[256];

	snprintf(text, sizeof(text),
		"[default]\naws_access_key_id=ID\naws_secret_access_key=s\naws_session_token=%s\n",
		token);
	ck_assert_int_eq(file_io_replace_file(credentials, text, strlen(text), 0600), 0);
}

static bool is_renewed = true;

/* Whoever comes with the old token is refused; and somebody writes the new one to the file. */
static void serve_expired(
	void *arg, const struct canned_request *request, struct canned_answer *answer)
{
	(void)arg;
	if (strstr(request->target, "list-type=2") != NULL) {
		canned_answer_set(answer, "200 OK", NULL, EMPTY_LIST);
	} else if (strcmp(canned_header(request, "x-amz-security-token"), "new") == 0) {
		canned_answer_set(answer, "200 OK", "ETag: \"abc\"\r\n", "abc");
	} else {
		if (is_renewed)
			write_credentials("new");
		canned_answer_set(answer, "400 Bad", NULL, ERROR("ExpiredToken"));
	}
}

static void open_with_token(void)
{
	char option[64], *message;
	int fd = mkstemp(credentials);

	ck_assert_int_ge(fd, 0);
	close(fd);
	write_credentials("old");
	start(serve_expired, NULL);
	snprintf(option, sizeof(option), "credentials_file=%s", credentials);
	ck_assert_msg(open_with(option, &message) == 0, "%s", message);
}

static void close_all(void)
{
	backend_free(backend);
	canned_server_free(server);
	unlink(credentials);
}

START_TEST(test_expired_token)
{
	open_with_token();
	for (int i = 0; i < 3; i++) {
		struct backend_result result;

		ck_assert_int_eq(backend_get_wait(backend, "k", 0, SIZE_MAX, &result), 0);
		backend_result_done(&result);
	}
	close_all();
}
END_TEST

START_TEST(test_token_that_stays_expired)
{
	struct backend_result result;

	is_renewed = false;
	open_with_token();
	ck_assert_int_eq(backend_get_wait(backend, "k", 0, SIZE_MAX, &result), -EAGAIN);
	close_all();
}
END_TEST

/* ---- what is asked for with each object */

/* An object below accounts/…/body must come with the class and the encryption, others without the
 * class. */
static void serve_storage(
	void *arg, const struct canned_request *request, struct canned_answer *answer)
{
	const char *wanted = strstr(request->target, "/body/") != NULL ? "STANDARD_IA" : "";
	bool is_right = strcmp(canned_header(request, "x-amz-storage-class"), wanted) == 0;

	(void)arg;
	is_right &= strcmp(canned_header(request, "x-amz-server-side-encryption"), "aws:kms") == 0;
	is_right &= strcmp(canned_header(request, "x-amz-server-side-encryption-aws-kms-key-id"),
			    "key-1") == 0;
	if (strstr(request->target, "list-type=2") != NULL)
		canned_answer_set(answer, "200 OK", NULL, EMPTY_LIST);
	else if (strcmp(request->method, "PUT") == 0 && is_right)
		canned_answer_set(answer, "200 OK",
			"ETag: \"abc\"\r\nx-amz-server-side-encryption: aws:kms\r\n", "");
	else
		canned_answer_set(answer, "400 Bad Request", NULL, ERROR("InvalidRequest"));
}

START_TEST(test_storage_headers)
{
	static const char *const keys[] = {"accounts/00/1/body/x", "accounts/00/1/owner", "a"};
	char endpoint[64], *message = NULL;
	const char *const options[] = {
		endpoint, "storage_class=STANDARD_IA", "sse=aws:kms", "sse_kms_key_id=key-1", NULL};

	start(serve_storage, NULL);
	snprintf(endpoint, sizeof(endpoint), "endpoint=http://127.0.0.1:%u",
		canned_server_port(server));
	ck_assert_int_eq(backend_open_url("s3://bucket/p", options, &backend, &message), 0);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct iovec part = {(char[]){"data"}, 4};
		struct backend_result result;

		ck_assert_int_eq(backend_put_wait(backend, keys[i], &part, 1, NULL, &result), 0);
	}
	backend_free(backend);
	canned_server_free(server);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("s3_open");
	TCase *tc = tcase_create("open");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_open, 0, (int)(sizeof(opens) / sizeof(opens[0])));
	tcase_add_test(tc, test_open_without_a_server);
	tcase_add_test(tc, test_open_without_tls);
	tcase_add_test(tc, test_region_is_adopted);
	tcase_add_test(tc, test_expired_token);
	tcase_add_test(tc, test_token_that_stays_expired);
	tcase_add_test(tc, test_storage_headers);
	suite_add_tcase(suite, tc);
	return suite;
}
