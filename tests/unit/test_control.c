#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <jansson.h>
#include "backends/memory_backend.h"
#include "control/server.h"
#include "util/clock.h"

#define ANSWER_MAX_BYTES 65536

/* ---- a node that does what the test says */

struct node {
	_Atomic int flush_result;
	_Atomic uint64_t evict_keep_bytes;
	_Atomic int n_flushes;
};

static struct node node;

void node_get_figures(struct node *n, struct node_figures *ret)
{
	(void)n;
	*ret = (struct node_figures){
		.commits = 42,
		.dirty_files = 3,
		.body_cache_bytes = UINT64_C(5) << 40,
		.backend_error = -ENOSPC,
	};
}

/* -ETIMEDOUT takes the time it was given, as a real one would. */
int node_flush(struct node *n, uint32_t timeout_ms)
{
	int r = atomic_load(&n->flush_result);

	atomic_fetch_add(&n->n_flushes, 1);
	if (r == -ETIMEDOUT)
		(void)poll(NULL, 0, (int)timeout_ms);
	return r;
}

int node_evict(struct node *n, uint64_t keep_bytes, uint64_t *ret_evicted_bytes)
{
	atomic_store(&n->evict_keep_bytes, keep_bytes);
	*ret_evicted_bytes = 77;
	return 0;
}

static void count_requests(void *source, control_take_count_fn *take, void *arg)
{
	(void)source;
	take(arg, "LOOKUP", 9);
	take(arg, "GETATTR", 7);
}

static struct backend_chain chain;

static const struct control_subject subject = {
	.backend = &chain,
	.node = &node,
	.url = "file:///v/\"quoted\"",
	.volume_uuid = "11111111-1111-4111-8111-111111111111",
	.node_uuid = "22222222-2222-4222-8222-222222222222",
	.mountpoint = "/srv/mail",
	.state_directory = "/var/lib/mailfs/x",
	.ack = NODE_ACK_LOCAL,
	.count_requests = count_requests,
};

/* ---- a server and a client without mercy */

static char directory[PATH_MAX / 2];
static char socket_path[PATH_MAX];
static struct control_server *server;

static void set_up(void)
{
	const char *base = getenv("TMPDIR");
	struct backend *driver;
	char *message = NULL;

	node = (struct node){0};
	ck_assert_int_eq(memory_backend_new(&driver), 0);
	ck_assert_int_eq(backend_chain_build(driver, NULL, &chain, &message), 0);
	snprintf(directory, sizeof(directory), "%s/mailfs-control.XXXXXX",
		base != NULL ? base : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(socket_path, sizeof(socket_path), "%s/control.sock", directory);
	ck_assert_int_eq(control_server_start(socket_path, &subject, &server, &message), 0);
}

static void clean_up(void)
{
	control_server_stop(server);
	server = NULL;
	ck_assert_int_ne(access(socket_path, F_OK), 0);
	ck_assert_int_eq(rmdir(directory), 0);
	backend_chain_done(&chain);
}

static int open_connection(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", socket_path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Everything the server says until it closes the connection. */
static size_t read_to_end(int fd, char *answer)
{
	size_t size = 0;
	ssize_t n;

	while ((n = read(fd, answer + size, ANSWER_MAX_BYTES - 1 - size)) > 0)
		size += (size_t)n;
	answer[size] = '\0';
	return size;
}

/* Sends the bytes and gives the status line's number, 0 when there was no answer. */
static int send_bytes(const void *bytes, size_t size_bytes, char *answer)
{
	int fd = open_connection();
	int status = 0;

	(void)!send(fd, bytes, size_bytes, MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	(void)read_to_end(fd, answer);
	close(fd);
	if (sscanf(answer, "HTTP/1.1 %d", &status) != 1)
		status = 0;
	return status;
}

static int request(const char *method, const char *path, const char *body, char *answer)
{
	char text[CONTROL_MAX_BODY_BYTES * 3];
	int n = snprintf(text, sizeof(text),
		"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
		method, path, strlen(body), body);

	ck_assert_int_lt(n, sizeof(text));
	return send_bytes(text, (size_t)n, answer);
}

static json_t *body_of(const char *answer)
{
	const char *body = strstr(answer, "\r\n\r\n");
	json_t *root;

	ck_assert_ptr_nonnull(body);
	root = json_loads(body, 0, NULL);
	ck_assert_msg(root != NULL, "not JSON: %s", body);
	return root;
}

static void check_refused(const char *method, const char *path, const char *body, int status)
{
	static char answer[ANSWER_MAX_BYTES];
	json_t *root;

	ck_assert_int_eq(request(method, path, body, answer), status);
	root = body_of(answer);
	ck_assert_ptr_nonnull(json_string_value(json_object_get(root, "error")));
	ck_assert_int_eq(*json_string_value(json_object_get(root, "errno")), 'E');
	json_decref(root);
}

/* ---- the tests */

static json_int_t number(const json_t *root, const char *name)
{
	ck_assert_msg(json_is_integer(json_object_get(root, name)), "no number %s", name);
	return json_integer_value(json_object_get(root, name));
}

static void check_text(const json_t *root, const char *name, const char *expected)
{
	ck_assert_str_eq(json_string_value(json_object_get(root, name)), expected);
}

START_TEST(test_status)
{
	static char answer[ANSWER_MAX_BYTES];
	json_t *root, *figures;

	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
	root = body_of(answer);
	figures = json_object_get(root, "figures");
	check_text(root, "version", PACKAGE_VERSION);
	check_text(root, "url", subject.url);
	check_text(root, "mountpoint", "/srv/mail");
	check_text(root, "ack", "local");
	ck_assert_int_eq(number(root, "pid"), getpid());
	ck_assert_int_eq(number(root, "commits"), 42);
	ck_assert_int_eq(number(figures, "commits"), 42);
	ck_assert_int_eq(number(figures, "dirty_files"), 3);
	ck_assert_int_eq(number(figures, "body_cache_bytes"), INT64_C(5) << 40);
	ck_assert_int_eq(number(json_object_get(root, "fuse_requests"), "LOOKUP"), 9);
	check_text(figures, "backend_error", "ENOSPC");
	ck_assert(json_is_null(json_object_get(figures, "store_error")));
	json_decref(root);
}
END_TEST

/* A field added to the struct has to be added to the table: 16 numbers and two errors. */
START_TEST(test_no_figure_is_forgotten)
{
	static char answer[ANSWER_MAX_BYTES];
	size_t n_numbers = (sizeof(struct node_figures) - 2 * sizeof(int)) / sizeof(uint64_t);
	json_t *root;

	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
	root = body_of(answer);
	ck_assert_uint_eq(json_object_size(json_object_get(root, "figures")), n_numbers + 2);
	json_decref(root);
}
END_TEST

START_TEST(test_backend)
{
	static char answer[ANSWER_MAX_BYTES];
	struct iovec part = {(char[]){"12345"}, 5};
	struct backend_result result;
	char *message = NULL;
	json_t *root, *store, *puts;

	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
	root = body_of(answer);
	ck_assert(
		json_is_false(json_object_get(json_object_get(root, "backend"), "put_if_absent")));
	json_decref(root);
	ck_assert_int_eq(backend_chain_prove(&chain, &message), 0);
	ck_assert_int_eq(backend_put_wait(chain.backend, "k", &part, 1, NULL, &result), 0);
	ck_assert_int_eq(backend_get_wait(chain.backend, "none", 0, 1, &result), -ENOENT);
	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
	root = body_of(answer);
	store = json_object_get(root, "backend");
	puts = json_object_get(json_object_get(store, "operations"), "put");
	ck_assert(json_is_true(json_object_get(store, "put_if_absent")));
	ck_assert(json_is_true(json_object_get(store, "compare_and_swap")));
	ck_assert(json_is_null(json_object_get(store, "probe_message")));
	ck_assert_int_gt(number(puts, "bytes"), 5);
	ck_assert_int_gt(number(puts, "ok"), 1);
	ck_assert_int_gt(number(puts, "refused"), 0); /* the losers of the probe */
	ck_assert_int_eq(number(puts, "failed"), 0);
	json_decref(root);
	ck_assert_int_eq(request("GET", "/metrics", "", answer), 200);
	ck_assert_ptr_nonnull(strstr(
		answer, "\nmailfs_backend_calls_total{operation=\"get\",outcome=\"refused\"} 1\n"));
	ck_assert_ptr_nonnull(
		strstr(answer, "\nmailfs_backend_seconds_bucket{operation=\"put\",le=\"+Inf\"} "));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_backend_compare_and_swap 1\n"));
}
END_TEST

START_TEST(test_metrics)
{
	static char answer[ANSWER_MAX_BYTES];

	ck_assert_int_eq(request("GET", "/metrics", "", answer), 200);
	ck_assert_ptr_nonnull(strstr(answer, "text/plain; version=0.0.4"));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_commits_total 42\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_dirty_files 3\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\n# TYPE mailfs_dirty_files gauge\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_backend_failed 1\n"));
	ck_assert_ptr_nonnull(
		strstr(answer, "\nmailfs_fuse_requests_total{opcode=\"GETATTR\"} 7\n"));
}
END_TEST

START_TEST(test_flush)
{
	static char answer[ANSWER_MAX_BYTES];
	json_t *root;

	ck_assert_int_eq(request("POST", "/v1/flush", "", answer), 200);
	ck_assert_int_eq(request("POST", "/v1/flush", "{\"timeout_ms\": 5}", answer), 200);
	root = body_of(answer);
	ck_assert_int_eq(number(root, "dirty_files"), 3);
	json_decref(root);
	atomic_store(&node.flush_result, -ETIMEDOUT);
	check_refused("POST", "/v1/flush", "{\"timeout_ms\": 5}", 504);
	atomic_store(&node.flush_result, -EHOSTUNREACH);
	check_refused("POST", "/v1/flush", "", 503);
}
END_TEST

START_TEST(test_evict)
{
	static char answer[ANSWER_MAX_BYTES];
	json_t *root;

	ck_assert_int_eq(request("POST", "/v1/evict", "{\"keep_bytes\": 4096}", answer), 200);
	ck_assert_uint_eq(atomic_load(&node.evict_keep_bytes), 4096);
	root = body_of(answer);
	ck_assert_int_eq(number(root, "evicted_bytes"), 77);
	json_decref(root);
}
END_TEST

START_TEST(test_wrong_requests)
{
	char big[CONTROL_MAX_BODY_BYTES + 2];

	memset(big, ' ', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	check_refused("GET", "/", "", 404);
	check_refused("GET", "/v1/status/", "", 404);
	check_refused("GET", "/v1/../v1/status", "", 404);
	check_refused("POST", "/v1/status", "", 405);
	check_refused("GET", "/v1/flush", "", 405);
	check_refused("DELETE", "/v1/evict", "", 405);
	check_refused("FROB", "/metrics", "", 405);
	check_refused("POST", "/v1/flush", big, 413);
	check_refused("POST", "/v1/flush", "{", 400);
	check_refused("POST", "/v1/flush", "[]", 400);
	check_refused("POST", "/v1/flush", "{\"timeout_ms\": -1}", 400);
	check_refused("POST", "/v1/flush", "{\"timeout_ms\": \"1\"}", 400);
	check_refused("POST", "/v1/flush", "{\"timeout_ms\": 1e3}", 400);
	check_refused("POST", "/v1/flush", "{\"timeout_ms\": 99999999999999}", 400);
	check_refused("POST", "/v1/flush", "{\"timeout\": 1}", 400);
	check_refused("POST", "/v1/flush", "{\"timeout_ms\": 1, \"timeout_ms\": 2}", 400);
	check_refused("POST", "/v1/evict", "{\"keep_bytes\": 1, \"more\": 2}", 400);
	ck_assert_int_eq(atomic_load(&node.n_flushes), 0);
}
END_TEST

/* A request that was damaged in every which way, from a fixed seed: any answer will do, the server
 * has to live. */
START_TEST(test_damaged_requests)
{
	static const char good[] = "POST /v1/evict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
				   "Content-Length: 17\r\n\r\n{\"keep_bytes\": 1}";
	static char answer[ANSWER_MAX_BYTES];
	char bytes[sizeof(good)];
	unsigned int seed = 1;

	for (int round = 0; round < 500; round++) {
		size_t size = sizeof(good) - 1;

		memcpy(bytes, good, sizeof(good));
		for (int i = rand_r(&seed) % 4; i >= 0; i--)
			bytes[(size_t)rand_r(&seed) % size] = (char)rand_r(&seed);
		if (round % 3 == 0)
			size = (size_t)rand_r(&seed) % size;
		(void)send_bytes(bytes, size, answer);
	}
	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
}
END_TEST

START_TEST(test_endless_headers)
{
	static char bytes[1 << 20], answer[ANSWER_MAX_BYTES];
	int n = snprintf(bytes, sizeof(bytes), "GET /v1/status HTTP/1.1\r\nX: ");

	memset(bytes + n, 'x', sizeof(bytes) - (size_t)n);
	ck_assert_int_ne(send_bytes(bytes, sizeof(bytes), answer), 200);
	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
}
END_TEST

static void *flush_for_long(void *arg)
{
	static _Thread_local char answer[ANSWER_MAX_BYTES];

	*(int *)arg = request("POST", "/v1/flush", "{\"timeout_ms\": 600000}", answer);
	return NULL;
}

/* Long work holds up neither other requests nor the end. */
START_TEST(test_long_work)
{
	static char answer[ANSWER_MAX_BYTES];
	uint64_t started_ms = clock_monotonic_ms();
	pthread_t threads[4];
	int results[4];

	atomic_store(&node.flush_result, -ETIMEDOUT);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, flush_for_long, &results[i]), 0);
	while (atomic_load(&node.n_flushes) < 4)
		(void)poll(NULL, 0, 1);
	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
	control_server_stop(server);
	server = NULL;
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_uint_lt(clock_monotonic_ms() - started_ms, 30000);
}
END_TEST

START_TEST(test_socket)
{
	char *message = NULL;
	struct stat st;

	ck_assert_int_eq(stat(socket_path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	/* What a killed daemon leaves is replaced. */
	control_server_stop(server);
	ck_assert_int_eq(mknod(socket_path, S_IFSOCK | 0600, 0), 0);
	ck_assert_int_eq(control_server_start(socket_path, &subject, &server, &message), 0);
}
END_TEST

START_TEST(test_long_path)
{
	char deep[PATH_MAX], *message = NULL, *answer;
	struct control_server *other;
	int n = snprintf(deep, sizeof(deep), "%s/", directory);

	memset(deep + n, 'd', 200);
	deep[n + 200] = '\0';
	ck_assert_int_eq(mkdir(deep, 0700), 0);
	answer = strdup(deep);
	strcat(deep, "/control.sock");
	ck_assert_int_eq(control_server_start(deep, &subject, &other, &message), 0);
	ck_assert_int_eq(access(deep, F_OK), 0);
	control_server_stop(other);
	ck_assert_int_eq(rmdir(answer), 0);
	free(answer);
	ck_assert_int_lt(
		control_server_start("/no/such/dir/control.sock", &subject, &other, &message), 0);
	ck_assert_ptr_nonnull(strstr(message, "/no/such/dir"));
	free(message);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("control");
	TCase *tc = tcase_create("control");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, clean_up);
	tcase_add_test(tc, test_status);
	tcase_add_test(tc, test_no_figure_is_forgotten);
	tcase_add_test(tc, test_backend);
	tcase_add_test(tc, test_metrics);
	tcase_add_test(tc, test_flush);
	tcase_add_test(tc, test_evict);
	tcase_add_test(tc, test_wrong_requests);
	tcase_add_test(tc, test_damaged_requests);
	tcase_add_test(tc, test_endless_headers);
	tcase_add_test(tc, test_long_work);
	tcase_add_test(tc, test_socket);
	tcase_add_test(tc, test_long_path);
	suite_add_tcase(suite, tc);
	return suite;
}
