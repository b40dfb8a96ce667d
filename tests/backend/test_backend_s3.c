/*
 * test_backend_s3.c: the battery against a real S3 store, skipped without one. As two
 * programs: as it is, and behind the retry wrapper.
 */
#include <config.h>
#include "battery_internal.h"
#include "check_main.h"
#include "s3_target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"
#include "util/clock.h"

#define PARTS_BYTES ((size_t)(80 << 20) + 12345)
#define PARTS_RUN_MS 60 /* so that parts are on their way; far less than they need */

static struct backend *backend;
static struct battery_target target;

static void set_up(void)
{
	backend = s3_target.open();
	ck_assert_ptr_nonnull(backend);
}

static void tear_down(void)
{
	backend_free(backend);
	s3_target.clean();
}

/* Large enough to go in parts, from buffers that end in the middle of a part. */
START_TEST(test_put_in_parts)
{
	CLEANUP_FREE uint8_t *data = malloc(PARTS_BYTES);
	struct iovec parts[] = {{data, 1}, {data + 1, 0}, {data + 1, 20 << 20},
		{data + 1 + (20 << 20), PARTS_BYTES - 1 - (20 << 20)}};
	struct backend_result result, head;
	uint32_t state = 1;

	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < PARTS_BYTES; i++) {
		state = state * 1664525 + 1013904223;
		data[i] = (uint8_t)(state >> 24);
	}
	ck_assert_int_eq(backend_put_wait(backend, "large", parts, 4, NULL, &result), 0);
	ck_assert_int_eq(backend_head_wait(backend, "large", &head), 0);
	ck_assert_uint_eq(head.object_size_bytes, PARTS_BYTES);
	ck_assert_str_eq(head.version.text, result.version.text);
	ck_assert_int_eq(backend_get_wait(backend, "large", 0, SIZE_MAX, &result), 0);
	ck_assert_uint_eq(result.data_size_bytes, PARTS_BYTES);
	ck_assert(memcmp(result.data, data, PARTS_BYTES) == 0);
	backend_result_done(&result);
}
END_TEST

/* Ended while its parts go over; what it replaces stays, and the next one succeeds. */
START_TEST(test_cancelled_put_in_parts)
{
	CLEANUP_FREE uint8_t *data = calloc(1, PARTS_BYTES);
	struct iovec part = {data, PARTS_BYTES};
	struct backend_cancellation cancellation = {.is_cancelled = false};
	struct battery_gate gate;
	struct backend_call call = {.priority = BACKEND_COMMIT,
		.done = battery_gate_pass,
		.arg = &gate,
		.cancellation = &cancellation};
	uint64_t begun_ms = clock_monotonic_ms();

	ck_assert_ptr_nonnull(data);
	ck_assert_int_eq(battery_put(backend, "large", "small", NULL, NULL), 0);
	battery_gate_init(&gate, 1);
	backend_put(backend, "large", &part, 1, NULL, &call);
	while (clock_monotonic_ms() - begun_ms < PARTS_RUN_MS)
		;
	backend_cancel(backend, &cancellation);
	battery_gate_wait(&gate);
	ck_assert_int_eq(gate.last_error, -ECANCELED);
	battery_assert_is(backend, "large", "small");
	ck_assert_int_eq(battery_put(backend, "large", "other", NULL, NULL), 0);
	battery_assert_is(backend, "large", "other");
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("backend_s3");
	TCase *tc = tcase_create("parts");

	if (!s3_target_is_there())
		exit(EXIT_SUCCESS);
	target = s3_target;
	target.is_another = S3_RETRIES;
	battery_target = &target;
	s3_target_retries = S3_RETRIES;
	battery_add_cases(suite);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_put_in_parts);
	tcase_add_test(tc, test_cancelled_put_in_parts);
	suite_add_tcase(suite, tc);
	return suite;
}
