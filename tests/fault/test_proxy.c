/*
 * test_proxy.c: what the fault proxy makes of messages and rules; a proxy that does nothing would
 * let every fault test pass.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "proxy/proxy_protocol.h"

#define ANSWER_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
#define MARK "\x80\x00\x00\x18"
#define CALL_HEAD "\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x02"

static const struct proxy_request get = {.operation = "get", .id = 1};

static const uint8_t *bytes(const char *text)
{
	return (const uint8_t *)text;
}

static ssize_t http_size(const char *text, const struct proxy_request *request)
{
	return proxy_http.frame(bytes(text), strlen(text), request);
}

START_TEST(test_http_messages_end_where_they_end)
{
	static const struct proxy_request head = {.operation = "head", .is_bare = true};

	ck_assert_int_eq(http_size("GET / HTTP/1.1\r\nHost: x\r\n", NULL), 0);
	ck_assert_int_eq(http_size("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET", NULL), 27);
	ck_assert_int_eq(http_size("PUT / HTTP/1.1\r\ncontent-length: 4\r\n\r\nabc", NULL), 0);
	ck_assert_int_eq(http_size("PUT / HTTP/1.1\r\ncontent-length: 4\r\n\r\nabcdPUT", NULL), 41);
	ck_assert_int_eq(http_size(ANSWER_HEAD "0123456789", &get), 49);
	ck_assert_int_eq(http_size(ANSWER_HEAD "012345678", &get), 0);
	ck_assert_int_eq(http_size(ANSWER_HEAD, &head), 39);
	ck_assert_int_eq(http_size("HTTP/1.1 204 No Content\r\n\r\n", &get), 27);
	ck_assert_int_eq(http_size("HTTP/1.1 200 OK\r\n\r\nuntil the end", &get), 0);
	ck_assert_int_eq(http_size("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				   "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nHTTP",
				 &get),
		67);
	ck_assert_int_eq(http_size("nonsense\r\n\r\n", &get), -EPROTO);
}
END_TEST

START_TEST(test_http_operations)
{
	static const struct {
		const char *line, *operation;
	} cases[] = {
		{"GET /bucket/key HTTP/1.1\r\n", "get"},
		{"GET /bucket?list-type=2&prefix=a HTTP/1.1\r\n", "list"},
		{"PUT /bucket/key HTTP/1.1\r\n", "put"},
		{"HEAD /bucket/key HTTP/1.1\r\n", "head"},
		{"DELETE /bucket/key HTTP/1.1\r\n", "remove"},
		{"POST /bucket?delete= HTTP/1.1\r\n", "remove_many"},
	};
	struct proxy_request request;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(
			proxy_http.identify(bytes(cases[i].line), strlen(cases[i].line), &request),
			0);
		ck_assert_str_eq(request.operation, cases[i].operation);
		ck_assert_int_eq(request.is_bare, cases[i].line[0] == 'H');
	}
	ck_assert_int_eq(proxy_http.identify(bytes("BREW / HTTP/1.1\r\n"), 17, &request), -EPROTO);
}
END_TEST

/* What an action makes of an answer. */
static void assert_altered(
	const char *answer, enum proxy_action action, const char *expected, bool closes)
{
	struct proxy_buffer message = {0};

	proxy_buffer_append(&message, answer, strlen(answer));
	ck_assert_int_eq(proxy_http.alter(&get, action, &message), closes);
	ck_assert_uint_eq(message.size, strlen(expected));
	ck_assert_mem_eq(message.data, expected, message.size);
	proxy_buffer_clear(&message);
}

START_TEST(test_http_answers_are_altered)
{
	assert_altered(ANSWER_HEAD "0123456789", PROXY_CORRUPT, ANSWER_HEAD "0123446789", false);
	assert_altered(ANSWER_HEAD "0123456789", PROXY_SHORT_ANSWER,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n01234", false);
	assert_altered(ANSWER_HEAD "0123456789", PROXY_SHORT_LENGTH,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n0123456789", false);
	assert_altered(ANSWER_HEAD "0123456789", PROXY_LONG_LENGTH,
		"HTTP/1.1 200 OK\r\nContent-Length: 110\r\n\r\n0123456789", true);
	assert_altered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n"
		       "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
		PROXY_SHORT_ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: b\r\n\r\nabc",
		false);
}
END_TEST

START_TEST(test_http_refusal)
{
	struct proxy_buffer answer = {0};

	proxy_http.refuse(&get, 503, &answer);
	ck_assert_int_eq(proxy_http.frame(answer.data, answer.size, &get), (ssize_t)answer.size);
	ck_assert_ptr_nonnull(memmem(answer.data, answer.size, "SlowDown", 8));
	proxy_buffer_clear(&answer);
}
END_TEST

START_TEST(test_rpc_messages)
{
	/* xid 7, a call of NFS version 3, COMMIT */
	static const char call[] =
		MARK CALL_HEAD "\x00\x01\x86\xa3\x00\x00\x00\x03\x00\x00\x00\x15";
	static const char in_two[] = "\x00\x00\x00\x04"
				     "abcd"
				     "\x80\x00\x00\x04"
				     "efgh";
	struct proxy_buffer answer = {0};
	struct proxy_request request;
	uint64_t id;

	ck_assert_int_eq(proxy_rpc.frame(bytes(call), 28, NULL), 28);
	ck_assert_int_eq(proxy_rpc.frame(bytes(call), 27, NULL), 0);
	ck_assert_int_eq(proxy_rpc.frame(bytes(in_two), 16, NULL), 16);
	ck_assert_int_eq(proxy_rpc.identify(bytes(call), 28, &request), 0);
	ck_assert_str_eq(request.operation, "commit");
	ck_assert_uint_eq(request.id, 7);
	proxy_rpc.refuse(&request, 10008, &answer);
	ck_assert_uint_eq(answer.size, 4 + 7 * 4 + 2 * 4);
	ck_assert_int_eq(proxy_rpc.frame(answer.data, answer.size, &request), 40);
	ck_assert(proxy_rpc.identify_answer(answer.data, answer.size, &id));
	ck_assert_uint_eq(id, 7);
	ck_assert_mem_eq(answer.data + 28, "\x00\x00\x27\x18", 4);
	proxy_buffer_clear(&answer);
}
END_TEST

START_TEST(test_short_read)
{
	static const struct proxy_request read = {.operation = "read"};
	struct proxy_buffer answer = {0};
	uint8_t bytes_in[28 + 4 + 4 + 84 + 12 + 16] = {
		0x80, 0, 0, 144, [35] = 1, [123] = 16, [127] = 1, [131] = 16};

	proxy_buffer_append(&answer, bytes_in, sizeof(bytes_in));
	ck_assert(!proxy_rpc.alter(&read, PROXY_SHORT_ANSWER, &answer));
	ck_assert_uint_eq(answer.size, sizeof(bytes_in) - 8);
	ck_assert_int_eq(answer.data[123], 8);
	ck_assert_int_eq(answer.data[127], 1);
	ck_assert_int_eq(answer.data[131], 8);
	ck_assert_int_eq(proxy_rpc.frame(answer.data, answer.size, &read), (ssize_t)answer.size);
	proxy_buffer_clear(&answer);
}
END_TEST

START_TEST(test_rules)
{
	static const char *const bad[] = {"put", "put:", "put:nth=0:reset", "put:reset:every",
		"put:percent=101:reset", "put:delay=x", ":reset", "put:explode"};
	struct proxy_rules rules;
	char seen[13] = "";

	ck_assert_int_eq(proxy_rules_parse("put:nth=2:reset;put:every=3:times=2:hang:after;"
					   "any:status=503:nth=9",
				 &rules, NULL),
		0);
	for (int i = 0; i < 12; i++) {
		const struct proxy_rule *rule = proxy_rules_choose(&rules, "put");

		seen[i] = rule == NULL                         ? '.'
			  : rule->action == PROXY_RESET        ? 'r'
			  : rule->action == PROXY_HANG         ? 'h'
			  : rule->status == 503 && rule->after ? '!'
							       : 's';
	}
	/* A request that a rule took is not seen by those behind it. */
	ck_assert_str_eq(seen, ".r.h..h....s");
	ck_assert_ptr_null(proxy_rules_choose(&rules, "get"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *message = NULL;

		ck_assert_int_eq(proxy_rules_parse(bad[i], &rules, &message), -EINVAL);
		ck_assert_ptr_nonnull(message);
		free(message);
	}
}
END_TEST

START_TEST(test_percent)
{
	struct proxy_rules rules;
	int n = 0;

	ck_assert_int_eq(proxy_rules_parse("any:percent=30:reset", &rules, NULL), 0);
	for (int i = 0; i < 1000; i++)
		n += proxy_rules_choose(&rules, "put") != NULL;
	ck_assert_int_gt(n, 200);
	ck_assert_int_lt(n, 400);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("proxy");
	TCase *tc = tcase_create("proxy");

	tcase_add_test(tc, test_http_messages_end_where_they_end);
	tcase_add_test(tc, test_http_operations);
	tcase_add_test(tc, test_http_answers_are_altered);
	tcase_add_test(tc, test_http_refusal);
	tcase_add_test(tc, test_rpc_messages);
	tcase_add_test(tc, test_short_read);
	tcase_add_test(tc, test_rules);
	tcase_add_test(tc, test_percent);
	suite_add_tcase(suite, tc);
	return suite;
}
