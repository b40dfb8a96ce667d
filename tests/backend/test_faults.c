/*
 * test_faults.c: the fault, retry and statistics wrappers and the probe, on what they are for.
 */
#include <config.h>
#include "battery.h"
#include "battery_internal.h"
#include "check_main.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/fault_backend.h"
#include "backends/memory_backend.h"
#include "backends/probe.h"
#include "backends/retry_backend.h"
#include "backends/stats_backend.h"
#include "util/clock.h"

#define CANCELLED_TIMEOUT_MS 60000 /* and it ends long before */

static const struct backend_condition if_absent = {.type = BACKEND_IF_ABSENT};
static const struct backend_condition new_record = {.type = BACKEND_IF_ABSENT, .record = true};
static struct backend *fault, *top; /* top is a retry wrapper over fault */

static void set_up(void)
{
	static const struct retry_backend_options quick = {
		.initial_pause_ms = 1, .max_pause_ms = 4};
	struct fault_rules rules = {.n = 0};
	struct backend *memory = NULL;

	ck_assert_int_eq(memory_backend_new(&memory), 0);
	ck_assert_int_eq(fault_backend_new(memory, &rules, &fault), 0);
	ck_assert_int_eq(retry_backend_new(fault, &quick, &top), 0);
}

static void tear_down(void)
{
	backend_free(top);
}

static void set_rules(const char *text)
{
	char *message = NULL;

	ck_assert_msg(fault_backend_set(fault, text, &message) == 0, "%s", message);
}

static int get_error(struct backend *b, const char *key)
{
	struct backend_result result;
	int r = backend_get_wait(b, key, 0, 100, &result);

	backend_result_done(&result);
	return r;
}

START_TEST(test_error_before_and_after)
{
	set_rules("put:key=a*:error=ENOSPC;put:key=b*:error=EIO:after");
	ck_assert_int_eq(battery_put(fault, "a/1", "x", NULL, NULL), -ENOSPC);
	ck_assert_int_eq(get_error(fault, "a/1"), -ENOENT);
	ck_assert_int_eq(battery_put(fault, "b/1", "x", NULL, NULL), -EIO);
	battery_assert_is(fault, "b/1", "x");
	ck_assert_int_eq(battery_put(fault, "c", "x", NULL, NULL), 0);
	ck_assert_uint_eq(fault_backend_hits(fault, 0), 1);
	ck_assert_uint_eq(fault_backend_hits(fault, 1), 1);
}
END_TEST

START_TEST(test_nth_every_times)
{
	static const int nth[] = {0, 0, -EIO, 0, 0, 0, 0, 0};
	static const int every[] = {0, 0, -EIO, 0, 0, -EIO, 0, 0};
	static const int times[] = {-EIO, -EIO, 0, 0, 0, 0, 0, 0};
	static const int from[] = {0, 0, 0, 0, 0, 0, -EIO, -EIO};
	static const struct {
		const char *text;
		const int *expected;
	} cases[] = {
		{"put:nth=3:error=EIO", nth},
		{"put:every=3:error=EIO", every},
		{"put:times=2:error=EIO", times},
		{"put:from=7:error=5", from},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_rules(cases[i].text);
		for (int call = 0; call < 8; call++)
			ck_assert_int_eq(
				battery_put(fault, "k", "x", NULL, NULL), cases[i].expected[call]);
	}
}
END_TEST

START_TEST(test_probability_follows_the_seed)
{
	char first[101] = "", again[101] = "";
	int n = 0;

	for (int round = 0; round < 2; round++) {
		set_rules("put:p=0.3:seed=7:error=EIO");
		for (int i = 0; i < 100; i++) {
			bool failed = battery_put(fault, "k", "x", NULL, NULL) < 0;

			(round == 0 ? first : again)[i] = failed ? 'x' : '.';
			n += failed;
		}
	}
	ck_assert_str_eq(first, again);
	ck_assert_int_gt(n, 2 * 12);
	ck_assert_int_lt(n, 2 * 50);
}
END_TEST

START_TEST(test_corrupt_and_truncate)
{
	struct backend_result result;

	ck_assert_int_eq(battery_put(fault, "k", "0123456789", NULL, NULL), 0);
	set_rules("get:nth=1:corrupt;get:truncate=4");
	ck_assert_int_eq(backend_get_wait(fault, "k", 0, 10, &result), 0);
	ck_assert_uint_eq(result.data_size_bytes, 10);
	ck_assert_mem_ne(result.data, "0123456789", 10);
	backend_result_done(&result);
	ck_assert_int_eq(backend_get_wait(fault, "k", 0, 10, &result), 0);
	ck_assert_uint_eq(result.data_size_bytes, 4);
	backend_result_done(&result);
}
END_TEST

/* A large put may take longer than a small one before it is begun anew. */
START_TEST(test_attempts_of_large_puts)
{
	static const struct retry_backend_options options = {
		.attempt_timeout_ms = 50, .attempt_bytes_per_s = 10};
	static const char large[] = "a hundred bytes or more, which at ten bytes in a second "
				    "may take ten seconds more than a small object does";
	struct retry_backend_figures figures;
	struct backend *memory = NULL, *retry = NULL;
	struct fault_rules rules;
	char *message = NULL;

	ck_assert_int_eq(fault_rules_parse("put:times=2:delay=300ms", &rules, &message), 0);
	ck_assert_int_eq(memory_backend_new(&memory), 0);
	ck_assert_int_eq(fault_backend_new(memory, &rules, &memory), 0);
	ck_assert_int_eq(retry_backend_new(memory, &options, &retry), 0);
	ck_assert_int_eq(battery_put(retry, "large", large, NULL, NULL), 0);
	retry_backend_read(retry, &figures);
	ck_assert_uint_eq(figures.retries, 0);
	ck_assert_int_eq(battery_put(retry, "small", "x", NULL, NULL), 0);
	retry_backend_read(retry, &figures);
	ck_assert_uint_eq(figures.retries, 1);
	backend_free(retry);
}
END_TEST

START_TEST(test_delay)
{
	uint64_t begun_ms = clock_monotonic_ms();

	set_rules("put:delay=40ms");
	ck_assert_int_eq(battery_put(fault, "k", "x", NULL, NULL), 0);
	ck_assert_uint_ge(clock_monotonic_ms() - begun_ms, 39);
}
END_TEST

static void head_later(struct battery_gate *gate, uint32_t timeout_ms)
{
	struct backend_call call = {
		.timeout_ms = timeout_ms, .done = battery_gate_pass, .arg = gate};

	battery_gate_init(gate, 1);
	backend_head(fault, "k", &call);
}

START_TEST(test_hang_until_released_or_the_deadline)
{
	struct battery_gate gate;

	ck_assert_int_eq(battery_put(fault, "k", "x", NULL, NULL), 0);
	set_rules("head:hang");
	head_later(&gate, 60000);
	ck_assert_uint_eq(fault_backend_hanging(fault), 1);
	fault_backend_release(fault);
	battery_gate_wait(&gate);
	ck_assert_uint_eq(gate.n_ok, 1);
	head_later(&gate, 30);
	battery_gate_wait(&gate);
	ck_assert_int_eq(gate.last_error, -ETIMEDOUT);
	head_later(&gate, 60000);
	backend_shutdown(top);
	battery_gate_wait(&gate);
	ck_assert_int_eq(gate.last_error, -ECANCELED);
}
END_TEST

/* Begins it, and cancels it when `count` says that it waits; its error. */
static int put_and_cancel(struct backend *b, uint64_t (*count)(struct backend *b))
{
	struct iovec part = {(void *)(uintptr_t) "x", 1};
	struct backend_cancellation cancellation = {.is_cancelled = false};
	struct battery_gate gate;
	struct backend_call call = {.priority = BACKEND_COMMIT,
		.timeout_ms = CANCELLED_TIMEOUT_MS,
		.done = battery_gate_pass,
		.arg = &gate,
		.cancellation = &cancellation};
	uint64_t begun_ms = clock_monotonic_ms();

	battery_gate_init(&gate, 1);
	backend_put(b, "k", &part, 1, NULL, &call);
	while (count(b) == 0)
		sched_yield();
	backend_cancel(b, &cancellation);
	battery_gate_wait(&gate);
	ck_assert_uint_lt(clock_monotonic_ms() - begun_ms, CANCELLED_TIMEOUT_MS / 4);
	return gate.last_error;
}

static uint64_t retries_of(struct backend *b)
{
	struct retry_backend_figures figures;

	retry_backend_read(b, &figures);
	return figures.retries;
}

static uint64_t first_rule_hits(struct backend *b)
{
	return fault_backend_hits(b, 0);
}

START_TEST(test_cancelled_while_it_hangs_or_is_delayed)
{
	struct backend_result result;

	set_rules("put:hang");
	ck_assert_int_eq(put_and_cancel(fault, fault_backend_hanging), -ECANCELED);
	ck_assert_uint_eq(fault_backend_hanging(fault), 0);
	set_rules("put:delay=50s");
	ck_assert_int_eq(put_and_cancel(fault, first_rule_hits), -ECANCELED);
	ck_assert_int_eq(backend_head_wait(fault, "k", &result), -ENOENT);
}
END_TEST

START_TEST(test_cancelled_between_attempts)
{
	static const struct retry_backend_options slow = {
		.initial_pause_ms = 50000, .max_pause_ms = 50000};
	struct fault_rules rules;
	struct backend *b = NULL;

	ck_assert_int_eq(fault_rules_parse("put:error=EBUSY", &rules, NULL), 0);
	ck_assert_int_eq(memory_backend_new(&b), 0);
	ck_assert_int_eq(fault_backend_new(b, &rules, &b), 0);
	ck_assert_int_eq(retry_backend_new(b, &slow, &b), 0);
	ck_assert_int_eq(put_and_cancel(b, retries_of), -ECANCELED);
	ck_assert_uint_eq(retries_of(b), 1);
	backend_free(b);
}
END_TEST

START_TEST(test_retry_hides_passing_failures)
{
	struct retry_backend_figures figures;

	set_rules("put:nth=1:error=EBUSY;put:nth=1:error=EHOSTUNREACH;get:times=3:error=EIO");
	ck_assert_int_eq(battery_put(top, "k", "x", NULL, NULL), 0);
	battery_assert_is(top, "k", "x");
	retry_backend_read(top, &figures);
	ck_assert_uint_eq(figures.retries, 5);
	ck_assert_uint_eq(figures.gave_up, 0);
}
END_TEST

START_TEST(test_retry_passes_final_errors_on)
{
	static const char *const names[] = {"EACCES", "ENOSPC", "EROFS", "EINVAL", "EOPNOTSUPP"};
	static const int errors[] = {-EACCES, -ENOSPC, -EROFS, -EINVAL, -EOPNOTSUPP};

	for (int i = 0; i < 5; i++) {
		char text[64];

		snprintf(text, sizeof(text), "put:error=%s", names[i]);
		set_rules(text);
		ck_assert_int_eq(battery_put(top, "k", "x", NULL, NULL), errors[i]);
		ck_assert_uint_eq(fault_backend_hits(fault, 0), 1);
	}
}
END_TEST

START_TEST(test_retry_ends_at_the_deadline)
{
	struct battery_gate gate;
	struct backend_call call = {.timeout_ms = 50, .done = battery_gate_pass, .arg = &gate};
	uint64_t begun_ms = clock_monotonic_ms();
	struct retry_backend_figures figures;

	set_rules("head:error=EHOSTUNREACH");
	battery_gate_init(&gate, 1);
	backend_head(top, "k", &call);
	battery_gate_wait(&gate);
	ck_assert_int_eq(gate.last_error, -EHOSTUNREACH);
	ck_assert_uint_lt(clock_monotonic_ms() - begun_ms, 5000);
	retry_backend_read(top, &figures);
	ck_assert_uint_eq(figures.gave_up, 1);
}
END_TEST

START_TEST(test_own_lost_creation_is_recognised)
{
	struct retry_backend_figures figures;
	struct backend_version version;

	set_rules("put:nth=1:error=EIO:after;get:nth=1:error=EIO");
	ck_assert_int_eq(battery_put(top, "r", "mine", &new_record, &version), 0);
	retry_backend_read(top, &figures);
	ck_assert_uint_eq(figures.resolved, 1);
	set_rules("put:nth=1:error=ETIMEDOUT:after");
	ck_assert_int_eq(
		battery_put(top, "r", "next",
			&(struct backend_condition){.type = BACKEND_IF_VERSION, .version = version},
			&version),
		0);
	battery_assert_is(top, "r", "next");
	set_rules("put:nth=1:error=EIO:after");
	ck_assert_int_eq(battery_put(top, "empty", "", &if_absent, NULL), 0);
	set_rules("put:nth=1:error=EBUSY:after");
	ck_assert_int_eq(battery_put(top, "busy", "mine", &if_absent, NULL), 0);
}
END_TEST

START_TEST(test_another_ones_object_is_not_taken_for_ours)
{
	struct backend_version version;

	ck_assert_int_eq(battery_put(top, "k", "theirs", &new_record, &version), 0);
	set_rules("put:nth=1:error=EIO");
	ck_assert_int_eq(battery_put(top, "k", "ours!!", &if_absent, NULL), -EEXIST);
	ck_assert_int_eq(battery_put(top, "k", "longer than theirs", &if_absent, NULL), -EEXIST);
	strcpy(version.text, "wrong");
	set_rules("put:nth=1:error=EIO");
	ck_assert_int_eq(
		battery_put(top, "k", "ours!!",
			&(struct backend_condition){.type = BACKEND_IF_VERSION, .version = version},
			NULL),
		-EIO); /* ours may have been there in between */
	battery_assert_is(top, "k", "theirs");
}
END_TEST

START_TEST(test_statistics)
{
	struct stats_backend_figures figures;
	struct backend *memory = NULL, *stats = NULL;

	ck_assert_int_eq(memory_backend_new(&memory), 0);
	ck_assert_int_eq(stats_backend_new(memory, &stats), 0);
	ck_assert_int_eq(battery_put(stats, "k", "12345", NULL, NULL), 0);
	ck_assert_int_eq(battery_put(stats, "k", "1234", &if_absent, NULL), -EEXIST);
	ck_assert_int_eq(battery_put(stats, "r", "x", NULL, NULL), 0);
	ck_assert_int_eq(get_error(stats, "k"), 0);
	ck_assert_int_eq(get_error(stats, "absent"), -ENOENT);
	stats_backend_read(stats, WRAPPER_PUT, &figures);
	ck_assert_uint_eq(figures.calls[STATS_OK], 2);
	ck_assert_uint_eq(figures.calls[STATS_REFUSED], 1);
	ck_assert_uint_eq(figures.calls[STATS_FAILED], 0);
	ck_assert_uint_eq(figures.bytes, 6);
	ck_assert_uint_eq(figures.in_flight, 0);
	ck_assert_uint_gt(stats_backend_quantile(&figures, 0.99), 0);
	stats_backend_read(stats, WRAPPER_GET, &figures);
	ck_assert_uint_eq(figures.bytes, 5);
	ck_assert_uint_eq(figures.calls[STATS_REFUSED], 1);
	stats_backend_read(stats, WRAPPER_LIST, &figures);
	ck_assert_uint_eq(stats_backend_quantile(&figures, 0.5), 0);
	backend_free(stats);
}
END_TEST

static void assert_empty(struct backend *b)
{
	struct backend_result result;

	ck_assert_int_eq(backend_list_wait(b, "", NULL, 10, &result), 0);
	ck_assert_uint_eq(result.n_entries, 0);
	backend_result_done(&result);
}

START_TEST(test_probe_of_a_good_store)
{
	struct probe_result result;
	char *message = NULL;

	ck_assert_int_eq(backend_probe(top, &result, &message), 0);
	ck_assert_ptr_null(message);
	ck_assert(result.put_if_absent && result.compare_and_swap);
	assert_empty(top);
}
END_TEST

START_TEST(test_probe_through_lost_answers)
{
	struct probe_result result;
	char *message = NULL;

	set_rules("put:p=0.3:seed=5:error=EIO:after");
	ck_assert_int_eq(backend_probe(top, &result, &message), 0);
	ck_assert(result.put_if_absent && result.compare_and_swap);
}
END_TEST

START_TEST(test_probe_of_a_store_that_fails)
{
	struct probe_result result;
	char *message = NULL;

	set_rules("put:error=EACCES");
	ck_assert_int_eq(backend_probe(fault, &result, &message), -EACCES);
	ck_assert_ptr_nonnull(message);
	free(message);
}
END_TEST

/* A store that ignores conditions: everything is BACKEND_ALWAYS. */
static void put_always(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
	const struct backend_condition *condition, const struct backend_call *call)
{
	static const struct backend_condition always = {.type = BACKEND_ALWAYS};

	(void)condition;
	wrapper_put(b, key, parts, n_parts, &always, call);
}

START_TEST(test_probe_finds_a_liar_out)
{
	struct backend_ops lying;
	struct probe_result result;
	char *message = NULL;
	struct backend *memory = NULL, *liar = NULL;

	ck_assert_int_eq(memory_backend_new(&memory), 0);
	ck_assert_int_eq(stats_backend_new(memory, &liar), 0);
	lying = *liar->ops;
	lying.put = put_always;
	liar->ops = &lying;
	ck_assert_int_eq(backend_probe(liar, &result, &message), 0);
	ck_assert(!result.put_if_absent && !result.compare_and_swap);
	ck_assert_ptr_nonnull(strstr(message, "put-if-absent"));
	free(message);
	assert_empty(liar);
	backend_free(liar);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("faults");
	TCase *tc = tcase_create("faults");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_error_before_and_after);
	tcase_add_test(tc, test_nth_every_times);
	tcase_add_test(tc, test_probability_follows_the_seed);
	tcase_add_test(tc, test_corrupt_and_truncate);
	tcase_add_test(tc, test_attempts_of_large_puts);
	tcase_add_test(tc, test_delay);
	tcase_add_test(tc, test_hang_until_released_or_the_deadline);
	tcase_add_test(tc, test_cancelled_while_it_hangs_or_is_delayed);
	tcase_add_test(tc, test_cancelled_between_attempts);
	tcase_add_test(tc, test_retry_hides_passing_failures);
	tcase_add_test(tc, test_retry_passes_final_errors_on);
	tcase_add_test(tc, test_retry_ends_at_the_deadline);
	tcase_add_test(tc, test_own_lost_creation_is_recognised);
	tcase_add_test(tc, test_another_ones_object_is_not_taken_for_ours);
	tcase_add_test(tc, test_statistics);
	tcase_add_test(tc, test_probe_of_a_good_store);
	tcase_add_test(tc, test_probe_through_lost_answers);
	tcase_add_test(tc, test_probe_of_a_store_that_fails);
	tcase_add_test(tc, test_probe_finds_a_liar_out);
	suite_add_tcase(suite, tc);
	return suite;
}
