#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "control_kit.h"

START_TEST(test_status)
{
	static char answer[ANSWER_MAX_BYTES];
	json_t *root, *figures;

	ck_assert_int_eq(control_kit_request("GET", "/v1/status", "", answer), 200);
	root = control_kit_body(answer);
	figures = json_object_get(root, "figures");
	control_kit_check_text(root, "version", PACKAGE_VERSION);
	control_kit_check_text(root, "url", control_kit_subject.url);
	control_kit_check_text(root, "mountpoint", "/srv/mail");
	control_kit_check_text(root, "ack", "local");
	ck_assert_int_eq(control_kit_number(root, "pid"), getpid());
	ck_assert_int_eq(control_kit_number(root, "commits"), 42);
	ck_assert_int_eq(control_kit_number(figures, "commits"), 42);
	ck_assert_int_eq(control_kit_number(figures, "dirty_files"), 3);
	ck_assert_int_eq(control_kit_number(figures, "body_cache_bytes"), INT64_C(5) << 40);
	ck_assert_int_eq(control_kit_number(json_object_get(root, "fuse_requests"), "LOOKUP"), 9);
	control_kit_check_text(figures, "backend_error", "ENOSPC");
	ck_assert(json_is_null(json_object_get(figures, "store_error")));
	json_decref(root);
}
END_TEST

/* A field added to the struct has to be added to the table: numbers, two errors and two flags,
 * which fill up to the size of a number. */
START_TEST(test_no_figure_is_forgotten)
{
	static char answer[ANSWER_MAX_BYTES];
	size_t n_numbers = sizeof(struct node_figures) / sizeof(uint64_t) - 2;
	json_t *root;

	ck_assert_int_eq(control_kit_request("GET", "/v1/status", "", answer), 200);
	root = control_kit_body(answer);
	ck_assert_uint_eq(json_object_size(json_object_get(root, "figures")), n_numbers + 4);
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

	ck_assert_int_eq(control_kit_request("GET", "/v1/status", "", answer), 200);
	root = control_kit_body(answer);
	ck_assert(
		json_is_false(json_object_get(json_object_get(root, "backend"), "put_if_absent")));
	json_decref(root);
	ck_assert_int_eq(backend_chain_prove(&control_kit_chain, &message), 0);
	ck_assert_int_eq(
		backend_put_wait(control_kit_chain.backend, "k", &part, 1, NULL, &result), 0);
	ck_assert_int_eq(
		backend_get_wait(control_kit_chain.backend, "none", 0, 1, &result), -ENOENT);
	ck_assert_int_eq(control_kit_request("GET", "/v1/status", "", answer), 200);
	root = control_kit_body(answer);
	store = json_object_get(root, "backend");
	puts = json_object_get(json_object_get(store, "operations"), "put");
	ck_assert(json_is_true(json_object_get(store, "put_if_absent")));
	ck_assert(json_is_true(json_object_get(store, "compare_and_swap")));
	ck_assert(json_is_null(json_object_get(store, "probe_message")));
	ck_assert_int_gt(control_kit_number(puts, "bytes"), 5);
	ck_assert_int_gt(control_kit_number(puts, "ok"), 1);
	ck_assert_int_gt(control_kit_number(puts, "refused"), 0); /* the losers of the probe */
	ck_assert_int_eq(control_kit_number(puts, "failed"), 0);
	json_decref(root);
	ck_assert_int_eq(control_kit_request("GET", "/metrics", "", answer), 200);
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

	ck_assert_int_eq(control_kit_request("GET", "/metrics", "", answer), 200);
	ck_assert_ptr_nonnull(strstr(answer, "text/plain; version=0.0.4"));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_commits_total 42\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_dirty_files 3\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\n# TYPE mailfs_dirty_files gauge\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_backend_failed 1\n"));
	ck_assert_ptr_nonnull(
		strstr(answer, "\nmailfs_fuse_requests_total{opcode=\"GETATTR\"} 7\n"));
}
END_TEST

START_TEST(test_accounts)
{
	static char answer[ANSWER_MAX_BYTES];
	json_t *root, *list;

	ck_assert_int_eq(control_kit_request("POST", "/v1/accounts",
				 "{\"accounts\": [\"u2\", \"/\", \"u40\"]}", answer),
		200);
	root = control_kit_body(answer);
	list = json_object_get(root, "accounts");
	ck_assert_uint_eq(json_array_size(list), 3);
	control_kit_check_text(json_array_get(list, 0), "name", "u2");
	control_kit_check_text(json_array_get(list, 0), "place", "here");
	ck_assert_int_eq(control_kit_number(json_array_get(list, 0), "account"), 2);
	ck_assert_int_eq(control_kit_number(json_array_get(list, 0), "pending_ms"), 300);
	ck_assert_int_eq(control_kit_number(json_array_get(list, 0), "local_bytes"), 2000);
	ck_assert_int_eq(control_kit_number(json_array_get(list, 0), "checkpoint"), 9);
	ck_assert_int_eq(control_kit_number(json_array_get(list, 1), "account"), 0);
	control_kit_check_text(json_array_get(list, 2), "place", "absent");
	json_decref(root);
	ck_assert_int_eq(
		control_kit_request("POST", "/v1/accounts", "{\"limit\": 3}", answer), 200);
	root = control_kit_body(answer);
	ck_assert_uint_eq(json_array_size(json_object_get(root, "accounts")), 3);
	ck_assert_int_eq(control_kit_number(root, "total"), N_ACCOUNTS);
	ck_assert(json_is_true(json_object_get(root, "more")));
	json_decref(root);
	control_kit_check_refused(
		"POST", "/v1/accounts", "{\"accounts\": [\"u2\", \"nobody\"]}", 404);
	control_kit_check_refused("POST", "/v1/accounts", "{\"accounts\": [\"d/u2\"]}", 400);
	control_kit_check_refused("POST", "/v1/accounts", "{\"accounts\": [2]}", 400);
}
END_TEST

START_TEST(test_replication)
{
	static char answer[ANSWER_MAX_BYTES];
	size_t n_numbers = (sizeof(struct replicator_figures) - 4 * sizeof(int)) / sizeof(uint64_t);
	json_t *root, *replication;

	ck_assert_int_eq(control_kit_request("GET", "/v1/status", "", answer), 200);
	root = control_kit_body(answer);
	replication = json_object_get(root, "replication");
	ck_assert_uint_eq(json_object_size(replication), n_numbers + 3);
	ck_assert_int_eq(control_kit_number(replication, "last_segment"), 4711);
	ck_assert_int_eq(control_kit_number(replication, "lag_ms"), 12000);
	ck_assert_int_eq(control_kit_number(replication, "epoch"), 3);
	ck_assert_int_eq(control_kit_number(replication, "accounts_absent"), 1);
	control_kit_check_text(replication, "last_error", "EHOSTUNREACH");
	ck_assert(json_is_null(json_object_get(replication, "error")));
	json_decref(root);
	ck_assert_int_eq(control_kit_request("GET", "/metrics", "", answer), 200);
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_replication_lag_ms 12000\n"));
	ck_assert_ptr_nonnull(
		strstr(answer, "\nmailfs_replication_checkpoints_written_total 17\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_replication_failing 1\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_replication_ended 0\n"));
}
END_TEST

START_TEST(test_evict)
{
	static char answer[ANSWER_MAX_BYTES];
	json_t *root;

	ck_assert_int_eq(
		control_kit_request("POST", "/v1/evict", "{\"keep_bytes\": 4096}", answer), 200);
	ck_assert_uint_eq(atomic_load(&control_kit_node.evict_keep_bytes), 4096);
	root = control_kit_body(answer);
	ck_assert_int_eq(control_kit_number(root, "evicted_bytes"), 77);
	json_decref(root);
}
END_TEST

START_TEST(test_wrong_requests)
{
	static char big[CONTROL_MAX_BODY_BYTES + 2];

	memset(big, ' ', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	control_kit_check_refused("GET", "/", "", 404);
	control_kit_check_refused("GET", "/v1/status/", "", 404);
	control_kit_check_refused("GET", "/v1/../v1/status", "", 404);
	control_kit_check_refused("POST", "/v1/status", "", 405);
	control_kit_check_refused("GET", "/v1/flush", "", 405);
	control_kit_check_refused("DELETE", "/v1/evict", "", 405);
	control_kit_check_refused("FROB", "/metrics", "", 405);
	control_kit_check_refused("POST", "/v1/flush", big, 413);
	control_kit_check_refused("POST", "/v1/flush", "{", 400);
	control_kit_check_refused("POST", "/v1/flush", "[]", 400);
	control_kit_check_refused("POST", "/v1/flush", "{\"timeout_ms\": -1}", 400);
	control_kit_check_refused("POST", "/v1/flush", "{\"timeout_ms\": \"1\"}", 400);
	control_kit_check_refused("POST", "/v1/flush", "{\"timeout_ms\": 1e3}", 400);
	control_kit_check_refused("POST", "/v1/flush", "{\"timeout_ms\": 99999999999999}", 400);
	control_kit_check_refused("POST", "/v1/flush", "{\"timeout\": 1}", 400);
	control_kit_check_refused("POST", "/v1/flush", "{\"accounts\": []}", 400);
	control_kit_check_refused("POST", "/v1/flush", "{\"accounts\": \"u1\"}", 400);
	control_kit_check_refused("POST", "/v1/flush", "{\"accounts\": [\"u1\", \"u41\"]}", 404);
	control_kit_check_refused("POST", "/v1/flush", "{\"checkpoint\": 1}", 400);
	control_kit_check_refused("POST", "/v1/flush", "{\"force\": true}", 400);
	control_kit_check_refused("POST", "/v1/warm", "{\"accounts\": [\"\\u0000\"]}", 400);
	control_kit_check_refused(
		"POST", "/v1/evict", "{\"accounts\": [\"u1\"], \"idle_ms\": 1}", 400);
	control_kit_check_refused("POST", "/v1/evict", "{\"force\": true}", 400);
	control_kit_check_refused("GET", "/v1/warm", "", 405);
	control_kit_check_refused(
		"POST", "/v1/flush", "{\"timeout_ms\": 1, \"timeout_ms\": 2}", 400);
	control_kit_check_refused("POST", "/v1/evict", "{\"keep_bytes\": 1, \"more\": 2}", 400);
	ck_assert_int_eq(atomic_load(&control_kit_node.n_flushes), 0);
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
		(void)control_kit_send(bytes, size, answer);
	}
	ck_assert_int_eq(control_kit_request("GET", "/v1/status", "", answer), 200);
}
END_TEST

START_TEST(test_endless_headers)
{
	static char bytes[1 << 20], answer[ANSWER_MAX_BYTES];
	int n = snprintf(bytes, sizeof(bytes), "GET /v1/status HTTP/1.1\r\nX: ");

	memset(bytes + n, 'x', sizeof(bytes) - (size_t)n);
	ck_assert_int_ne(control_kit_send(bytes, sizeof(bytes), answer), 200);
	ck_assert_int_eq(control_kit_request("GET", "/v1/status", "", answer), 200);
}
END_TEST

START_TEST(test_socket)
{
	char *message = NULL;
	struct stat st;

	ck_assert_int_eq(stat(control_kit_socket, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	/* What a killed daemon leaves is replaced. */
	control_server_stop(control_kit_server);
	ck_assert_int_eq(mknod(control_kit_socket, S_IFSOCK | 0600, 0), 0);
	ck_assert_int_eq(control_server_start(control_kit_socket, &control_kit_subject,
				 &control_kit_server, &message),
		0);
}
END_TEST

START_TEST(test_long_path)
{
	char deep[PATH_MAX], *message = NULL, *answer;
	struct control_server *other;
	int n = snprintf(deep, sizeof(deep), "%s/", control_kit_directory);

	memset(deep + n, 'd', 200);
	deep[n + 200] = '\0';
	ck_assert_int_eq(mkdir(deep, 0700), 0);
	answer = strdup(deep);
	strcat(deep, "/control.sock");
	ck_assert_int_eq(control_server_start(deep, &control_kit_subject, &other, &message), 0);
	ck_assert_int_eq(access(deep, F_OK), 0);
	control_server_stop(other);
	ck_assert_int_eq(rmdir(answer), 0);
	free(answer);
	ck_assert_int_lt(control_server_start("/no/such/dir/control.sock", &control_kit_subject,
				 &other, &message),
		0);
	ck_assert_ptr_nonnull(strstr(message, "/no/such/dir"));
	free(message);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("control");
	TCase *tc = tcase_create("control");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, control_kit_set_up, control_kit_clean_up);
	tcase_add_test(tc, test_status);
	tcase_add_test(tc, test_no_figure_is_forgotten);
	tcase_add_test(tc, test_backend);
	tcase_add_test(tc, test_metrics);
	tcase_add_test(tc, test_accounts);
	tcase_add_test(tc, test_replication);
	tcase_add_test(tc, test_evict);
	tcase_add_test(tc, test_wrong_requests);
	tcase_add_test(tc, test_damaged_requests);
	tcase_add_test(tc, test_endless_headers);
	tcase_add_test(tc, test_socket);
	tcase_add_test(tc, test_long_path);
	suite_add_tcase(suite, tc);
	return suite;
}
