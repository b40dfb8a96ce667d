/*
 * test_s3_answers.c: the S3 driver against a store that lies, fails, or falls silent. No byte that
 * is not the object's may come back, and each call ends, in success or with the right error.
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
#include "util/clock.h"
#include "util/lock.h"

#define EMPTY_LIST "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
#define ETAG "ETag: \"abc\"\r\n"
#define ERROR(code) "<Error><Code>" code "</Code><Message>said so</Message></Error>"
#define N_CANNED 8

/* What the store answers, one after the other; the last one for ever. */
struct canned {
	const char *status, *headers, *body;
	const char *raw; /* instead of all of them; "": nothing, the connection is closed */
	bool closes;
};

static struct store {
	struct canned_server *server;
	struct canned list; /* to listings, unless lists is set */
	bool lists;         /* listings get the canned answers too */
	const struct canned *canned[N_CANNED];
	int n_canned, n_given;
	char last_head[4096];
	int n_puts;
} store;

static struct backend *backend;

static void give(const struct canned *c, struct canned_answer *answer)
{
	answer->closes = c->closes;
	if (c->raw == NULL) {
		canned_answer_set(answer, c->status, c->headers, c->body);
		return;
	}
	answer->size_bytes = strlen(c->raw);
	memcpy(answer->data, c->raw, answer->size_bytes);
}

static void serve(void *arg, const struct canned_request *request, struct canned_answer *answer)
{
	struct store *s = arg;

	snprintf(s->last_head, sizeof(s->last_head), "%.4095s", request->head);
	s->n_puts += strcmp(request->method, "PUT") == 0;
	if (!s->lists && strstr(request->target, "list-type=2") != NULL) {
		give(&s->list, answer);
		return;
	}
	ck_assert_int_gt(s->n_canned, 0);
	give(s->canned[s->n_given < s->n_canned ? s->n_given : s->n_canned - 1], answer);
	s->n_given++;
}

static int open_with(const char *option, struct backend **ret, char **message)
{
	char endpoint[64], url[64] = "s3://bucket/p";
	const char *const options[] = {endpoint, option, NULL};

	snprintf(endpoint, sizeof(endpoint), "endpoint=http://127.0.0.1:%u",
		canned_server_port(store.server));
	*message = NULL;
	return backend_open_url(url, options, ret, message);
}

static void start_store(void)
{
	setenv("AWS_ACCESS_KEY_ID", "ID", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "top-secret", 1);
	unsetenv("AWS_SESSION_TOKEN");
	setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
	unsetenv("AWS_REGION");
	unsetenv("AWS_DEFAULT_REGION");
	store = (struct store){.list = {"200 OK", NULL, EMPTY_LIST, NULL, false}};
	store.server = canned_server_new(serve, &store);
}

static void set_up(void)
{
	char *message;

	start_store();
	ck_assert_msg(open_with(NULL, &backend, &message) == 0, "%s", message);
}

static void tear_down(void)
{
	backend_free(backend);
	backend = NULL;
	canned_server_free(store.server);
}

static void will_answer(const struct canned *c)
{
	canned_server_hold(store.server);
	store.canned[store.n_canned++] = c;
	canned_server_go_on(store.server);
}

/* What was given counts from 0 again; with `forgets` there is nothing to be given any more. */
static void begin_anew(bool forgets)
{
	canned_server_hold(store.server);
	store.n_given = 0;
	if (forgets)
		store.n_canned = 0;
	canned_server_go_on(store.server);
}

static int count_of(const int *number)
{
	int n;

	canned_server_hold(store.server);
	n = *number;
	canned_server_go_on(store.server);
	return n;
}

/* Whether the last request had this in its head. */
static bool was_asked(const char *text)
{
	bool was;

	canned_server_hold(store.server);
	was = strstr(store.last_head, text) != NULL;
	canned_server_go_on(store.server);
	return was;
}

/* ---- gets */

static const struct get_case {
	uint64_t offset;
	size_t size_bytes;
	struct canned answer;
	int error;
	const char *data;
} gets[] = {
	{2, 3, {"206 P", ETAG "Content-Range: bytes 2-4/10\r\n", "cde", NULL, false}, 0, "cde"},
	{8, 5, {"206 P", ETAG "Content-Range: bytes 8-9/10\r\n", "ij", NULL, false}, 0, "ij"},
	{0, 20, {"200 OK", ETAG, "abcdefghij", NULL, false}, 0, "abcdefghij"},
	{0, SIZE_MAX, {"200 OK", ETAG, "abcdefghij", NULL, false}, 0, "abcdefghij"},
	{0, SIZE_MAX, {"200 OK", ETAG, "", NULL, false}, 0, ""},
	/* Another range than was asked for, or one that is not there. */
	{2, 3, {"206 P", ETAG "Content-Range: bytes 3-5/10\r\n", "def", NULL, false}, -EPROTO,
		NULL},
	{2, 3, {"206 P", ETAG "Content-Range: bytes 2-3/10\r\n", "cd", NULL, false}, -EPROTO, NULL},
	{2, 3, {"206 P", ETAG "Content-Range: bytes 2-4/10\r\n", "cd", NULL, false}, -EPROTO, NULL},
	{2, 3, {"206 P", ETAG "Content-Range: bytes 2-4/*\r\n", "cde", NULL, false}, -EPROTO, NULL},
	{2, 3, {"206 P", ETAG "Content-Range: bytes 2-4/2\r\n", "cde", NULL, false}, -EPROTO, NULL},
	{2, 3, {"206 P", ETAG "Content-Range: lines 2-4/10\r\n", "cde", NULL, false}, -EPROTO,
		NULL},
	{2, 3, {"206 P", ETAG, "cde", NULL, false}, -EPROTO, NULL},
	{2, 3, {"200 OK", ETAG, "abc", NULL, false}, -EPROTO, NULL},
	{2, 3, {"206 P", ETAG "Content-Range: bytes 2-4/10\r\n", "cdefgh", NULL, false}, -EPROTO,
		NULL},
	{0, 3, {"200 OK", ETAG, "abcdefghij", NULL, false}, -EPROTO, NULL},
	{0, SIZE_MAX, {"206 P", ETAG "Content-Range: bytes 0-1/10\r\n", "ab", NULL, false}, -EPROTO,
		NULL},
	{0, SIZE_MAX, {"204 No Content", ETAG, "", NULL, false}, -EPROTO, NULL},
	{0, SIZE_MAX, {"200 OK", NULL, "abc", NULL, false}, -EPROTO, NULL},
	{0, SIZE_MAX, {"200 OK", ETAG "Content-Encoding: gzip\r\n", "abc", NULL, false}, -EPROTO,
		NULL},
	/* Cut off. */
	{0, SIZE_MAX,
		{NULL, NULL, NULL, "HTTP/1.1 200 OK\r\n" ETAG "Content-Length: 10\r\n\r\nabc",
			true},
		-EIO, NULL},
	{0, SIZE_MAX, {NULL, NULL, NULL, "HTTP/1.1 200 OK\r\n" ETAG "\r\nabc", true}, -EPROTO,
		NULL},
	{0, SIZE_MAX,
		{NULL, NULL, NULL,
			"HTTP/1.1 200 OK\r\n" ETAG "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
			true},
		-EIO, NULL},
	{0, SIZE_MAX, {NULL, NULL, NULL, "HTTP/1.1 200", true}, -ECONNRESET, NULL},
	{0, SIZE_MAX, {NULL, NULL, NULL, "", true}, -ECONNRESET, NULL},
	{0, SIZE_MAX, {NULL, NULL, NULL, "good morning\r\n\r\n", true}, -EPROTO, NULL},
	/* Errors. */
	{0, 1, {"404 Not Found", NULL, ERROR("NoSuchKey"), NULL, false}, -ENOENT, NULL},
	{0, 1, {"404 Not Found", NULL, ERROR("NoSuchBucket"), NULL, false}, -ENXIO, NULL},
	{0, 1, {"403 Forbidden", NULL, ERROR("AccessDenied"), NULL, false}, -EACCES, NULL},
	{0, 1, {"500 Internal", NULL, ERROR("InternalError"), NULL, false}, -EIO, NULL},
	{0, 1, {"503 Slow", NULL, ERROR("SlowDown"), NULL, false}, -EBUSY, NULL},
	{0, 1, {"503 Away", NULL, "<html>", NULL, false}, -EIO, NULL},
	{0, 1, {"304 Not Modified", NULL, "", NULL, false}, -EPROTO, NULL},
};
#define N_GETS (sizeof(gets) / sizeof(gets[0]))

START_TEST(test_get)
{
	const struct get_case *g = &gets[_i];
	struct backend_result result;

	will_answer(&g->answer);
	ck_assert_int_eq(
		backend_get_wait(backend, "k", g->offset, g->size_bytes, &result), g->error);
	if (g->error == 0) {
		ck_assert_uint_eq(result.data_size_bytes, strlen(g->data));
		if (*g->data != '\0')
			ck_assert_mem_eq(result.data, g->data, strlen(g->data));
		ck_assert_str_eq(result.version.text, "abc");
	} else {
		ck_assert_ptr_null(result.data);
	}
	backend_result_done(&result);
}
END_TEST

START_TEST(test_get_at_the_end)
{
	static const struct canned refused = {
		"416 Range", NULL, ERROR("InvalidRange"), NULL, false};
	static const struct canned ten = {
		NULL, NULL, NULL, "HTTP/1.1 200 OK\r\n" ETAG "Content-Length: 10\r\n\r\n", false};
	static const struct {
		uint64_t offset;
		int error;
	} cases[] = {{10, 0}, {11, -ERANGE}, {9, -EIO}};

	for (int i = 0; i < 3; i++) {
		struct backend_result result;

		begin_anew(true);
		will_answer(&refused);
		will_answer(&ten);
		ck_assert_int_eq(backend_get_wait(backend, "k", cases[i].offset, 5, &result),
			cases[i].error);
		ck_assert_uint_eq(result.data_size_bytes, 0);
	}
}
END_TEST

struct outcome {
	struct lock lock;
	struct lock_condition changed;
	bool is_done;
	int error;
};

static void note_outcome(struct backend_result *result, void *arg)
{
	struct outcome *o = arg;

	lock_acquire(&o->lock);
	o->error = result->error;
	o->is_done = true;
	lock_condition_signal(&o->changed);
	lock_release(&o->lock);
}

static void begin_get(struct outcome *o, uint32_t timeout_ms)
{
	struct backend_call call = {.priority = BACKEND_READER,
		.timeout_ms = timeout_ms,
		.done = note_outcome,
		.arg = o};

	*o = (struct outcome){.is_done = false};
	lock_init(&o->lock);
	lock_condition_init(&o->changed);
	backend_get(backend, "k", 0, SIZE_MAX, &call);
}

static int wait_for(struct outcome *o)
{
	lock_acquire(&o->lock);
	while (!o->is_done)
		lock_condition_wait(&o->changed, &o->lock);
	lock_release(&o->lock);
	return o->error;
}

static const struct canned halves[] = {
	{NULL, NULL, NULL, "HTTP/1.1 200 OK\r\n" ETAG "Content-Length: 10\r\n\r\nabc", false},
	{NULL, NULL, NULL, "HTTP/1.1 200 OK\r\n" ETAG, false},
	{NULL, NULL, NULL, "H", false},
};

START_TEST(test_deadline)
{
	uint64_t began_ms = clock_monotonic_ms();
	struct outcome o;

	will_answer(&halves[_i]);
	begin_get(&o, 300);
	ck_assert_int_eq(wait_for(&o), -ETIMEDOUT);
	ck_assert_uint_ge(clock_monotonic_ms() - began_ms, 290);
	ck_assert_uint_lt(clock_monotonic_ms() - began_ms, 10000);
}
END_TEST

START_TEST(test_shutdown)
{
	uint64_t began_ms = clock_monotonic_ms();
	struct outcome o;

	will_answer(&halves[_i]);
	begin_get(&o, 0);
	while (count_of(&store.n_given) == 0 && clock_monotonic_ms() - began_ms < 5000)
		usleep(1000);
	backend_shutdown(backend);
	ck_assert(o.is_done);
	ck_assert_int_eq(o.error, -ECANCELED);
	ck_assert_uint_lt(clock_monotonic_ms() - began_ms, 20000);
}
END_TEST

/* ---- puts */

static int put(const char *text, const struct backend_condition *condition, const char *version)
{
	struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
	struct backend_condition c = {.type = BACKEND_ALWAYS};
	struct backend_result result;
	int r;

	if (condition != NULL)
		c = *condition;
	if (version != NULL) {
		c.type = BACKEND_IF_VERSION;
		strcpy(c.version.text, version);
	}
	r = backend_put_wait(backend, "k", &part, 1, &c, &result);
	backend_result_done(&result);
	return r;
}

static const struct backend_condition if_absent = {.type = BACKEND_IF_ABSENT};
static const struct canned refused = {"412 No", NULL, ERROR("PreconditionFailed"), NULL, false};
static const struct canned good = {"200 OK", ETAG, "", NULL, false};

START_TEST(test_put)
{
	static const struct canned nothing = {"200 OK", NULL, "", NULL, false};
	static const struct canned conflict = {
		"409 C", NULL, ERROR("ConditionalRequestConflict"), NULL, false};
	static const struct canned absent = {"404 No", NULL, ERROR("NoSuchKey"), NULL, false};
	static const struct {
		const struct canned *answer;
		const char *version;
		bool if_absent;
		int error;
	} cases[] = {
		{&good, NULL, false, 0},
		{&good, NULL, true, 0},
		{&good, "v", false, 0},
		{&nothing, NULL, false, -EPROTO},
		{&refused, NULL, true, -EEXIST},
		{&refused, NULL, false, -EIO},
		{&refused, "v", false, -ESTALE},
		{&absent, "v", false, -ESTALE},
		{&absent, NULL, false, -EIO},
		{&conflict, NULL, true, -EBUSY},
		{&conflict, "v", false, -EBUSY},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin_anew(true);
		will_answer(cases[i].answer);
		ck_assert_int_eq(put("x", cases[i].if_absent ? &if_absent : NULL, cases[i].version),
			cases[i].error);
		ck_assert(cases[i].if_absent == was_asked("if-none-match: *\r\n"));
		ck_assert((cases[i].version != NULL) == was_asked("if-match: \"v\"\r\n"));
	}
}
END_TEST

/* Text that cannot be a version of this store is none. */
START_TEST(test_versions_that_are_none)
{
	ck_assert_int_eq(put("x", NULL, "a\" , *"), -ESTALE);
	ck_assert_int_eq(put("x", NULL, "a\r\nX-Evil: 1"), -ESTALE);
	ck_assert_int_eq(put("x", NULL, ""), -ESTALE);
	ck_assert_int_eq(count_of(&store.n_puts), 0);
}
END_TEST

/* A store that wants If-Match without quotes is found out, and remembered. */
START_TEST(test_bare_if_match)
{
	static const struct canned head = {
		NULL, NULL, NULL, "HTTP/1.1 200 OK\r\n" ETAG "Content-Length: 1\r\n\r\n", false};

	will_answer(&refused); /* the quoted one */
	will_answer(&head);    /* although it is the version that is there */
	will_answer(&good);    /* the bare one */
	ck_assert_int_eq(put("x", NULL, "abc"), 0);
	ck_assert_int_eq(count_of(&store.n_given), 3);
	ck_assert(was_asked("if-match: abc\r\n"));
	ck_assert_int_eq(put("y", NULL, "abc"), 0);
	ck_assert_int_eq(count_of(&store.n_given), 4);
	ck_assert(was_asked("if-match: abc\r\n"));
}
END_TEST

/* libcurl repeats a request when a connection that is used again is closed without an answer. One
 * with a condition must not be: the first may have been done. */
START_TEST(test_no_hidden_repetition)
{
	static const struct canned closed = {NULL, NULL, NULL, "", true};

	will_answer(&good);
	ck_assert_int_eq(put("x", NULL, NULL), 0);
	will_answer(&closed);
	will_answer(&refused);
	ck_assert_int_eq(put("y", &if_absent, NULL), -ECONNRESET);
	ck_assert_int_eq(count_of(&store.n_puts), 2);
	begin_anew(false);
	ck_assert_int_eq(put("", NULL, NULL), 0);
	ck_assert_int_eq(put("", NULL, "v"), -ECONNRESET);
	ck_assert_int_eq(count_of(&store.n_puts), 4);
}
END_TEST

/* Once the store's ETags were seen to be MD5 sums, they are checked. */
START_TEST(test_corruption_on_the_way)
{
	/* Of "x" and "abc". */
	static const struct canned right_put = {
		"200 OK", "ETag: \"9dd4e461268c8034f5c8564e155c67a6\"\r\n", "", NULL, false};
	static const struct canned right_get = {
		"200 OK", "ETag: \"900150983cd24fb0d6963f7d28e17f72\"\r\n", "abc", NULL, false};
	static const struct canned wrong_get = {
		"200 OK", "ETag: \"900150983cd24fb0d6963f7d28e17f72\"\r\n", "abd", NULL, false};
	static const struct canned kms_get = {"200 OK",
		"ETag: \"900150983cd24fb0d6963f7d28e17f72\"\r\n"
		"x-amz-server-side-encryption: aws:kms\r\n",
		"abd", NULL, false};
	static const struct canned parts_get = {
		"200 OK", "ETag: \"900150983cd24fb0d6963f7d28e17f72-2\"\r\n", "abd", NULL, false};
	static const struct {
		const struct canned *answer;
		int error;
	} cases[] = {{&right_get, 0}, {&wrong_get, -EIO}, {&kms_get, 0}, {&parts_get, 0}};

	will_answer(&right_put);
	ck_assert_int_eq(put("x", NULL, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct backend_result result;

		begin_anew(true);
		will_answer(cases[i].answer);
		ck_assert_int_eq(
			backend_get_wait(backend, "k", 0, SIZE_MAX, &result), cases[i].error);
		backend_result_done(&result);
	}
}
END_TEST

/* ---- listings and removals */

#define LIST(text) "<ListBucketResult>" text "</ListBucketResult>"
#define KEY(key) "<Contents><Key>" key "</Key><Size>1</Size></Contents>"

static const struct {
	const char *body;
	int error;
} lists[] = {
	{LIST(KEY("p/a/1") KEY("p/a/2")), 0},
	{LIST(KEY("p/a/2") KEY("p/a/1")), -EPROTO},
	{LIST(KEY("p/a/1") KEY("p/a/1")), -EPROTO},
	{LIST(KEY("p/b/1")), -EPROTO},
	{LIST(KEY("p/a/1") KEY("p/a/2") KEY("p/a/3")), -EPROTO},
	{LIST("<IsTruncated>true</IsTruncated>" KEY("p/a/1")), -EPROTO},
	{"<html></html>", -EPROTO},
	{"", -EPROTO},
};

START_TEST(test_list)
{
	const struct canned answer = {"200 OK", NULL, lists[_i].body, NULL, false};
	struct backend_result result;

	will_answer(&answer);
	canned_server_hold(store.server);
	store.lists = true;
	canned_server_go_on(store.server);
	ck_assert_int_eq(backend_list_wait(backend, "a/", NULL, 2, &result), lists[_i].error);
	backend_result_done(&result);
}
END_TEST

static const struct {
	struct canned answer;
	int error;
} removals[] = {
	{{"200 OK", NULL, "<DeleteResult></DeleteResult>", NULL, false}, 0},
	{{"200 OK", NULL, "<DeleteResult><Error><Code>AccessDenied</Code></Error></DeleteResult>",
		 NULL, false},
		-EIO},
	{{"200 OK", NULL, "<html></html>", NULL, false}, -EPROTO},
	{{"404 No", NULL, ERROR("NoSuchBucket"), NULL, false}, -ENXIO},
};

START_TEST(test_remove_many)
{
	static const char *const keys[] = {"a", "b/c"};
	struct backend_call call = {.priority = BACKEND_BACKGROUND, .done = note_outcome};
	struct outcome o = {.is_done = false};

	lock_init(&o.lock);
	lock_condition_init(&o.changed);
	call.arg = &o;
	will_answer(&removals[_i].answer);
	backend_remove_many(backend, keys, 2, &call);
	ck_assert_int_eq(wait_for(&o), removals[_i].error);
	ck_assert(was_asked("POST /bucket/?delete= HTTP/1.1\r\n"));
	ck_assert(was_asked("content-md5: "));
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("s3_answers");
	TCase *tc = tcase_create("calls");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_get, 0, (int)N_GETS);
	tcase_add_test(tc, test_get_at_the_end);
	tcase_add_loop_test(tc, test_deadline, 0, 3);
	tcase_add_loop_test(tc, test_shutdown, 0, 3);
	tcase_add_test(tc, test_put);
	tcase_add_test(tc, test_versions_that_are_none);
	tcase_add_test(tc, test_bare_if_match);
	tcase_add_test(tc, test_no_hidden_repetition);
	tcase_add_test(tc, test_corruption_on_the_way);
	tcase_add_loop_test(tc, test_list, 0, (int)(sizeof(lists) / sizeof(lists[0])));
	tcase_add_loop_test(tc, test_remove_many, 0, (int)(sizeof(removals) / sizeof(removals[0])));
	suite_add_tcase(suite, tc);
	return suite;
}
