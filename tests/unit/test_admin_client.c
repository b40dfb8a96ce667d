/*
 * mailfs-admin's side of the control socket, against servers that say what they like.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "admin/client.h"
#include "admin/verb.h"
#include "util/clock.h"
#include "util/parse_number.h"
#include "util/text_list.h"

#define CHUNKED                                  \
	"HTTP/1.1 200 OK\r\n"                    \
	"Server: mailfs/" PACKAGE_VERSION "\r\n" \
	"Transfer-Encoding: chunked\r\n\r\n"

static char directory[64], socket_path[96];
static int listener;

static void set_up(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(directory, sizeof(directory), "/tmp/mailfs-client.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(socket_path, sizeof(socket_path), "%s/control.sock", directory);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 4), 0);
}

static void clean_up(void)
{
	close(listener);
	ck_assert_int_eq(unlink(socket_path), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}

/* One connection: what is asked is read and not looked at, then these bytes, then the end. */
struct answerer {
	pthread_t thread;
	const char *bytes;
	uint32_t pause_ms; /* before the end */
};

static void *answer(void *arg)
{
	const struct answerer *a = arg;
	char request[4096];
	int fd = accept(listener, NULL, NULL);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(recv(fd, request, sizeof(request), 0), 0);
	(void)!send(fd, a->bytes, strlen(a->bytes), MSG_NOSIGNAL);
	clock_sleep_ms(a->pause_ms);
	close(fd);
	return NULL;
}

static void begin(struct answerer *a)
{
	ck_assert_int_eq(pthread_create(&a->thread, NULL, answer, a), 0);
}

static void end(struct answerer *a)
{
	ck_assert_int_eq(pthread_join(a->thread, NULL), 0);
}

/* ---- the client */

struct lines {
	char text[1024];
	int n;
};

static void take_line(void *arg, const char *line)
{
	struct lines *lines = arg;

	strcat(lines->text, line);
	strcat(lines->text, "|");
	lines->n++;
}

static int ask(const char *bytes, struct lines *lines, struct client_answer *ret, char **message)
{
	struct answerer a = {.bytes = bytes};
	struct client_request request = {.method = "POST",
		.path = "/v1/flush",
		.body = "{}",
		.timeout_ms = 10000,
		.take_line = lines != NULL ? take_line : NULL,
		.arg = lines};
	int r;

	begin(&a);
	r = client_ask(socket_path, &request, ret, message);
	end(&a);
	return r;
}

START_TEST(test_lines)
{
	struct client_answer got = {0};
	struct lines lines = {.n = 0};
	char *message = NULL;

	ck_assert_int_eq(
		ask(CHUNKED "4\r\none\n\r\n3\r\ntwo\r\n8\r\n and\nall\r\n1\r\n\n\r\n0\r\n\r\n",
			&lines, &got, &message),
		0);
	ck_assert_str_eq(lines.text, "one|two and|all|");
	ck_assert_int_eq(got.http_status, 200);
	ck_assert_str_eq(got.server, "mailfs/" PACKAGE_VERSION);
	ck_assert_str_eq(got.body, "");
	free(got.body);
}
END_TEST

/* The daemon dies: the lines that came did, and there is no error of the transfer. */
START_TEST(test_an_answer_that_breaks_off)
{
	struct client_answer got = {0};
	struct lines lines = {.n = 0};
	char *message = NULL;

	ck_assert_int_eq(ask(CHUNKED "8\r\none\ntwo\n\r\n64\r\nthree", &lines, &got, &message), 0);
	ck_assert_str_eq(lines.text, "one|two|");
	free(got.body);
}
END_TEST

START_TEST(test_a_refusal_is_no_line)
{
	struct client_answer got = {0};
	struct lines lines = {.n = 0};
	char *message = NULL;

	ck_assert_int_eq(ask("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\n{}\n", &lines,
				 &got, &message),
		0);
	ck_assert_int_eq(got.http_status, 404);
	ck_assert_int_eq(lines.n, 0);
	ck_assert_str_eq(got.body, "{}\n");
	ck_assert_str_eq(got.server, "");
	free(got.body);
}
END_TEST

START_TEST(test_one_that_says_nothing)
{
	struct answerer a = {.bytes = CHUNKED "4\r\none\n\r\n", .pause_ms = 12000};
	struct lines lines = {.n = 0};
	struct client_request request = {.method = "POST",
		.path = "/v1/flush",
		.timeout_ms = 1000,
		.take_line = take_line,
		.arg = &lines};
	struct client_answer got = {0};
	char *message = NULL;

	begin(&a);
	ck_assert_int_eq(client_ask(socket_path, &request, &got, &message), -ETIMEDOUT);
	end(&a);
	ck_assert_str_eq(lines.text, "one|");
	ck_assert_ptr_nonnull(strstr(message, socket_path));
	free(message);
}
END_TEST

START_TEST(test_nobody_listens)
{
	struct client_request request = {.method = "GET", .path = "/", .timeout_ms = 1000};
	struct client_answer got = {0};
	char *message = NULL;

	close(listener);
	ck_assert_int_eq(client_ask(socket_path, &request, &got, &message), -ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(message, "no mailfs answers"));
	free(message);
	listener = -1;
}
END_TEST

/* ---- what verbs make of it */

static const struct admin_verb verb = {.name = "frob", .arguments = "MOUNTPOINT"};

/* Standard error of what verb_work() does with this answer. */
static enum admin_status work(const char *bytes, json_t **ret, char *complaint, size_t size)
{
	struct verb_arguments arguments = {.verb = &verb, .target = socket_path};
	struct answerer a = {.bytes = bytes};
	json_t *request = json_object();
	enum admin_status status;
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	ck_assert_ptr_nonnull(file);
	fflush(stderr);
	ck_assert_int_ge(dup2(fileno(file), STDERR_FILENO), 0);
	begin(&a);
	status = verb_work(&arguments, "/v1/frob", request, ret);
	end(&a);
	fflush(stderr);
	ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
	close(saved);
	rewind(file);
	n = fread(complaint, 1, size - 1, file);
	complaint[n] = '\0';
	fclose(file);
	json_decref(request);
	return status;
}

START_TEST(test_work)
{
	json_t *result = NULL;
	char complaint[1024];

	ck_assert_int_eq(
		work(CHUNKED "27\r\n{\"progress\": {\"accounts_total\": 5}}  \n\r\n"
			     "1a\r\n{\"result\": {\"evicted\": 5}}\r\n1\r\n\n\r\n0\r\n\r\n",
			&result, complaint, sizeof(complaint)),
		ADMIN_OK);
	ck_assert_uint_eq(verb_number(result, "evicted"), 5);
	ck_assert_str_eq(complaint, ""); /* no terminal, no progress */
	json_decref(result);
}
END_TEST

START_TEST(test_work_that_fails)
{
	json_t *result = NULL;
	char complaint[1024];

	ck_assert_int_eq(work(CHUNKED "19\r\n{\"error\": \"no more room\"}\r\n1\r\n\n\r\n0\r\n\r\n",
				 &result, complaint, sizeof(complaint)),
		ADMIN_FAILED);
	ck_assert_ptr_null(result);
	ck_assert_ptr_nonnull(strstr(complaint, "no more room"));
	ck_assert_int_eq(work(CHUNKED "17\r\n{\"progress\": {}}      \n\r\n64\r\n{\"res", &result,
				 complaint, sizeof(complaint)),
		ADMIN_FAILED);
	ck_assert_ptr_nonnull(strstr(complaint, "ended in the middle"));
}
END_TEST

START_TEST(test_another_version)
{
	json_t *result = NULL;
	char complaint[1024];

	ck_assert_int_eq(work("HTTP/1.1 404 Not Found\r\nServer: mailfs/99.1\r\n"
			      "Content-Length: 18\r\n\r\n{\"error\": \"what?\"}",
				 &result, complaint, sizeof(complaint)),
		ADMIN_FAILED);
	ck_assert_ptr_nonnull(strstr(complaint, "what?"));
	ck_assert_ptr_nonnull(strstr(complaint, "mailfs/99.1"));
	ck_assert_int_eq(work("HTTP/1.1 404 Not Found\r\nContent-Length: 18\r\n\r\n"
			      "{\"error\": \"what?\"}",
				 &result, complaint, sizeof(complaint)),
		ADMIN_FAILED);
	ck_assert_ptr_nonnull(strstr(complaint, "older version"));
	ck_assert_int_eq(work("HTTP/1.1 404 Not Found\r\nServer: mailfs/" PACKAGE_VERSION "\r\n"
			      "Content-Length: 18\r\n\r\n{\"error\": \"what?\"}",
				 &result, complaint, sizeof(complaint)),
		ADMIN_FAILED);
	ck_assert_ptr_null(strstr(complaint, "version"));
}
END_TEST

/* ---- command lines */

struct parsed {
	bool force;
	uint64_t limit;
	const char *room;
	struct verb_arguments arguments;
	enum admin_status status;
	bool done;
};

#define MAX_WORDS 8

static struct parsed parse_as(const struct verb_arguments *as, const char *const *words)
{
	static char texts[MAX_WORDS][32], *argv[MAX_WORDS + 1];
	static struct parsed p;
	static const struct verb_option options[] = {
		{.name = "force", .flag = &p.force},
		{.name = "limit", .take = parse_number_size_bytes, .value = &p.limit},
		{.name = "room", .text = &p.room},
		{.name = NULL},
	};
	int n = 0;

	for (; words[n] != NULL; n++) {
		ck_assert_int_lt(n, MAX_WORDS);
		snprintf(texts[n], sizeof(texts[n]), "%s", words[n]);
		argv[n] = texts[n];
	}
	argv[n] = NULL;
	p = (struct parsed){.limit = 7};
	p.arguments = *as;
	p.arguments.verb = &verb;
	p.arguments.options = options;
	p.status = verb_parse(&p.arguments, n, argv, &p.done);
	return p;
}

static struct parsed parse(const char *const *words, bool takes_words)
{
	struct verb_arguments as = {.takes_words = takes_words};

	return parse_as(&as, words);
}

#define WORDS(...) ((const char *const[]){"frob", __VA_ARGS__, NULL})

START_TEST(test_command_lines)
{
	struct parsed p = parse(WORDS("--force", "/mnt", "anna", "--limit", "4K", "bert"), true);
	json_t *request;

	ck_assert(!p.done && p.force && !p.arguments.json);
	ck_assert_uint_eq(p.limit, 4096);
	ck_assert_str_eq(p.arguments.target, "/mnt");
	ck_assert_uint_eq(p.arguments.n_words, 2);
	request = verb_request(&p.arguments);
	ck_assert_str_eq(
		json_string_value(json_array_get(json_object_get(request, "accounts"), 1)), "bert");
	json_decref(request);
	p = parse(WORDS("--json", "/mnt", "--", "--force"), true);
	ck_assert(!p.done && !p.force && p.arguments.json);
	ck_assert_str_eq(p.arguments.words[0], "--force");
	p = parse(WORDS("/mnt"), false);
	ck_assert(!p.done && p.limit == 7 && p.arguments.n_words == 0);
	request = verb_request(&p.arguments);
	ck_assert_ptr_null(json_object_get(request, "accounts"));
	json_decref(request);
	p = parse(WORDS("/mnt", "\xff\xfe"), true);
	ck_assert_ptr_null(verb_request(&p.arguments));
}
END_TEST

START_TEST(test_wrong_command_lines)
{
	ck_assert_int_eq(parse(WORDS("--force"), true).status, ADMIN_USAGE);
	ck_assert_int_eq(parse(WORDS("/mnt", "anna"), false).status, ADMIN_USAGE);
	ck_assert_int_eq(parse(WORDS("--limit", "many", "/mnt"), true).status, ADMIN_USAGE);
	ck_assert_int_eq(parse(WORDS("/mnt", "--limit"), true).status, ADMIN_USAGE);
	ck_assert_int_eq(parse(WORDS("--what", "/mnt"), true).status, ADMIN_USAGE);
	ck_assert_int_eq(parse(WORDS("--force=1", "/mnt"), true).status, ADMIN_USAGE);
	ck_assert(parse(WORDS("--what", "/mnt"), true).done);
	ck_assert_int_eq(parse(WORDS("-o", "a", "/mnt"), true).status, ADMIN_USAGE);
	ck_assert_int_eq(parse(WORDS("/mnt", "--room"), true).status, ADMIN_USAGE);
}
END_TEST

/* Of a verb that opens a backend itself. */
START_TEST(test_backend_command_lines)
{
	static const char *const wanted[] = {"URL", "KEY", NULL};
	const struct verb_arguments as = {.wanted = wanted, .takes_backend_options = true};
	struct parsed p =
		parse_as(&as, WORDS("-o", "a=1,b\\,c", "file:///x", "-od", "--room=/tmp/r", "key"));

	ck_assert(!p.done);
	ck_assert_str_eq(p.room, "/tmp/r");
	ck_assert_str_eq(p.arguments.target, "file:///x");
	ck_assert_uint_eq(p.arguments.n_words, 1);
	ck_assert_str_eq(p.arguments.words[0], "key");
	ck_assert_uint_eq(text_list_length(p.arguments.backend_options), 3);
	ck_assert_str_eq(p.arguments.backend_options[0], "a=1");
	ck_assert_str_eq(p.arguments.backend_options[1], "b,c");
	ck_assert_str_eq(p.arguments.backend_options[2], "d");
	text_list_free(p.arguments.backend_options);
	ck_assert_int_eq(parse_as(&as, WORDS("file:///x")).status, ADMIN_USAGE);
	ck_assert_int_eq(parse_as(&as, WORDS("file:///x", "key", "more")).status, ADMIN_USAGE);
	p = parse_as(&as, WORDS("-o", "a,b\\", "file:///x", "key"));
	ck_assert_int_eq(p.status, ADMIN_USAGE);
	text_list_free(p.arguments.backend_options);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("admin_client");
	TCase *tc = tcase_create("admin_client");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, clean_up);
	tcase_add_test(tc, test_lines);
	tcase_add_test(tc, test_an_answer_that_breaks_off);
	tcase_add_test(tc, test_a_refusal_is_no_line);
	tcase_add_test(tc, test_one_that_says_nothing);
	tcase_add_test(tc, test_nobody_listens);
	tcase_add_test(tc, test_work);
	tcase_add_test(tc, test_work_that_fails);
	tcase_add_test(tc, test_another_version);
	tcase_add_test(tc, test_command_lines);
	tcase_add_test(tc, test_wrong_command_lines);
	tcase_add_test(tc, test_backend_command_lines);
	suite_add_tcase(suite, tc);
	return suite;
}
