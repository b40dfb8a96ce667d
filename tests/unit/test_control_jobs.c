/*
 * Long work of the control server: flush, warm, and evict of accounts.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "control_kit.h"
#include "control/stream.h"
#include "util/clock.h"

START_TEST(test_flush)
{
	json_t *root = control_kit_result("/v1/flush", "");

	ck_assert_int_eq(control_kit_number(root, "dirty_files"), 3);
	ck_assert_int_eq(control_kit_number(root, "last_segment"), 4711);
	ck_assert(json_is_true(json_object_get(root, "all")));
	json_decref(root);
	ck_assert_int_eq(atomic_load(&control_kit_replicator.n_accounts), -1);
	ck_assert_int_eq(atomic_load(&control_kit_node.n_flushes), 1);
	ck_assert(!atomic_load(&control_kit_replicator.checkpoint));
	json_decref(control_kit_result("/v1/flush",
		"{\"timeout_ms\": 5000, \"accounts\": [\"u1\", \"/\", \"u1\"], "
		"\"checkpoint\": true}"));
	ck_assert_int_eq(atomic_load(&control_kit_replicator.n_accounts), 2);
	ck_assert_uint_le(atomic_load(&control_kit_replicator.timeout_ms), 5000);
	ck_assert_int_eq(
		atomic_load(&control_kit_node.n_flushes), 1); /* bodies wait on for their wave */
	ck_assert(atomic_load(&control_kit_replicator.checkpoint));
}
END_TEST

/* Which part of it fails does not matter; what is left is said. */
START_TEST(test_flush_fails)
{
	json_t *root;
	int beats;

	atomic_store(&control_kit_node.flush_result, -ETIMEDOUT);
	control_kit_check_fails("/v1/flush", "{\"timeout_ms\": 5}", "ETIMEDOUT");
	atomic_store(&control_kit_node.flush_result, -EHOSTUNREACH);
	control_kit_check_fails("/v1/flush", "", "EHOSTUNREACH");
	atomic_store(&control_kit_replicator.result, -ETIMEDOUT);
	root = control_kit_work("/v1/flush", "", &beats);
	ck_assert_ptr_nonnull(
		strstr(json_string_value(json_object_get(root, "error")), "5000 bytes"));
	ck_assert_ptr_nonnull(
		strstr(json_string_value(json_object_get(root, "error")), strerror(EHOSTUNREACH)));
	json_decref(root);
	atomic_store(&control_kit_replicator.result, -ESTALE);
	control_kit_check_fails("/v1/flush", "{\"accounts\": [\"u3\"]}", "ESTALE");
}
END_TEST

/* What is not about the whole: the account is named, the rest is done. */
START_TEST(test_one_account_fails)
{
	json_t *root, *failed;

	atomic_store(&control_kit_replicator.bad, 5);
	root = control_kit_result("/v1/warm", "{\"accounts\": [\"u4\", \"u5\", \"u6\"]}");
	failed = json_object_get(root, "failed");
	ck_assert_int_eq(control_kit_number(root, "failures"), 1);
	ck_assert_uint_eq(json_array_size(failed), 1);
	control_kit_check_text(json_array_get(failed, 0), "account", "u5");
	control_kit_check_text(json_array_get(failed, 0), "errno", "EBADMSG");
	json_decref(root);
	/* And if nobody named any. */
	root = control_kit_result("/v1/warm", "");
	control_kit_check_text(json_array_get(json_object_get(root, "failed"), 0), "account", "u5");
	json_decref(root);
}
END_TEST

START_TEST(test_evict_accounts)
{
	json_t *root = control_kit_result(
		"/v1/evict", "{\"accounts\": [\"u1\", \"u7\", \"/\", \"u40\", \"u3\", \"u5\"]}");
	json_t *failed = json_object_get(root, "failed");

	ck_assert_int_eq(control_kit_number(root, "evicted"), 3);
	ck_assert_int_eq(control_kit_number(root, "absent"), 1);
	ck_assert_uint_eq(json_array_size(failed), 2);
	control_kit_check_text(json_array_get(failed, 0), "account", "u7");
	control_kit_check_text(json_array_get(failed, 0), "errno", "EBUSY");
	ck_assert_ptr_nonnull(
		strstr(json_string_value(json_object_get(json_array_get(failed, 0), "error")),
			"(pid 4123123)"));
	control_kit_check_text(json_array_get(failed, 1), "account", "/");
	json_decref(root);
	ck_assert_uint_eq(atomic_load(&control_kit_replicator.evicted), 1 << 1 | 1 << 3 | 1 << 5);
	ck_assert_uint_eq(atomic_load(&control_kit_replicator.dropped), 1 << 1 | 1 << 3 | 1 << 5);
	/* One that fails stays; --force does not ask who has it open. */
	atomic_store(&control_kit_replicator.bad, 6);
	root = control_kit_result("/v1/evict", "{\"accounts\": [\"u6\", \"u7\"], \"force\": true}");
	ck_assert_int_eq(control_kit_number(root, "evicted"), 1);
	ck_assert_int_eq(control_kit_number(root, "failures"), 1);
	json_decref(root);
	ck_assert_uint_eq(atomic_load(&control_kit_replicator.evicted) >> 6, 2);
	ck_assert_uint_eq(atomic_load(&control_kit_replicator.dropped) >> 6, 3);
}
END_TEST

/* u3 to u39 have not changed for 3 s; u7 is in use, which is no failure. */
START_TEST(test_evict_idle)
{
	json_t *root = control_kit_result("/v1/evict", "{\"idle_ms\": 3000}");

	ck_assert_int_eq(control_kit_number(root, "evicted"), 36);
	ck_assert_int_eq(control_kit_number(root, "skipped"), 1);
	ck_assert_int_eq(control_kit_number(root, "failures"), 0);
	json_decref(root);
	ck_assert_uint_eq(atomic_load(&control_kit_replicator.evicted) & 0xff, 0x78);
	root = control_kit_result("/v1/evict", "{\"idle_ms\": 1000000}");
	ck_assert_int_eq(control_kit_number(root, "accounts"), 0);
	json_decref(root);
	atomic_store(&control_kit_replicator.result, -ETIMEDOUT);
	control_kit_check_fails("/v1/evict", "{\"accounts\": [\"u1\"]}", "ETIMEDOUT");
}
END_TEST

static void *flush_for_long(void *arg)
{
	json_t *root = control_kit_work("/v1/flush", "{\"timeout_ms\": 600000}", arg);

	json_decref(root);
	return NULL;
}

/* Long work holds up neither other requests nor the end, and says how far it is. */
START_TEST(test_long_work)
{
	static char answer[ANSWER_MAX_BYTES];
	uint64_t started_ms = clock_monotonic_ms();
	pthread_t threads[4];
	int beats[4];

	atomic_store(&control_kit_replicator.never, true);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, flush_for_long, &beats[i]), 0);
	while (atomic_load(&control_kit_replicator.n_running) < 4)
		(void)poll(NULL, 0, 1);
	ck_assert_int_eq(control_kit_request("GET", "/v1/status", "", answer), 200);
	(void)poll(NULL, 0, 3 * CONTROL_STREAM_BEAT_MS);
	atomic_store(&control_kit_replicator.never, false);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		ck_assert_int_gt(beats[i], 0);
	}
	ck_assert_uint_lt(clock_monotonic_ms() - started_ms, 30000);
}
END_TEST

static const char endless_work[] = "POST /v1/warm HTTP/1.1\r\nHost: x\r\n"
				   "Content-Length: 2\r\n\r\n{}";

static int begin_endless_work(void)
{
	int fd = control_kit_connect();

	atomic_store(&control_kit_replicator.never, true);
	ck_assert_int_gt(send(fd, endless_work, strlen(endless_work), MSG_NOSIGNAL), 0);
	while (atomic_load(&control_kit_replicator.n_running) == 0)
		(void)poll(NULL, 0, 1);
	return fd;
}

START_TEST(test_the_end_stops_work)
{
	int fd = begin_endless_work();

	control_server_stop(control_kit_server);
	control_kit_server = NULL;
	ck_assert_int_eq(atomic_load(&control_kit_replicator.n_stopped), 1);
	close(fd);
}
END_TEST

/* Who has gone does not want it any more. */
START_TEST(test_a_client_that_goes_stops_its_work)
{
	uint64_t deadline_ms = clock_monotonic_ms() + 30000;

	close(begin_endless_work());
	while (atomic_load(&control_kit_replicator.n_stopped) == 0 &&
		clock_monotonic_ms() < deadline_ms)
		(void)poll(NULL, 0, 10);
	ck_assert_int_eq(atomic_load(&control_kit_replicator.n_stopped), 1);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("control_jobs");
	TCase *tc = tcase_create("control_jobs");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, control_kit_set_up, control_kit_clean_up);
	tcase_add_test(tc, test_flush);
	tcase_add_test(tc, test_flush_fails);
	tcase_add_test(tc, test_one_account_fails);
	tcase_add_test(tc, test_evict_accounts);
	tcase_add_test(tc, test_evict_idle);
	tcase_add_test(tc, test_long_work);
	tcase_add_test(tc, test_the_end_stops_work);
	tcase_add_test(tc, test_a_client_that_goes_stops_its_work);
	suite_add_tcase(suite, tc);
	return suite;
}
