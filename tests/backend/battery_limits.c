/*
 * battery_limits.c: large objects, deadlines, shutdown, many calls at once.
 */
#include <config.h>
#include "battery_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"

#define LARGE_BYTES (16 << 20)
#define MANY_CALLS 500

static uint8_t *large_content(void)
{
	uint8_t *data = malloc(LARGE_BYTES);
	uint32_t state = 1;

	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < LARGE_BYTES; i++) {
		state = state * 1664525 + 1013904223;
		data[i] = (uint8_t)(state >> 24);
	}
	return data;
}

START_TEST(test_large_object)
{
	CLEANUP_FREE uint8_t *data = large_content();
	struct iovec parts[2] = {{data, 5}, {data + 5, LARGE_BYTES - 5}};
	struct backend_result result;

	ck_assert_int_eq(backend_put_wait(battery_backend, "large", parts, 2, NULL, &result), 0);
	ck_assert_int_eq(backend_get_wait(battery_backend, "large", 0, SIZE_MAX, &result), 0);
	ck_assert_uint_eq(result.data_size_bytes, LARGE_BYTES);
	ck_assert(memcmp(result.data, data, LARGE_BYTES) == 0);
	backend_result_done(&result);
	ck_assert_int_eq(
		backend_get_wait(battery_backend, "large", LARGE_BYTES - 7, 100, &result), 0);
	ck_assert_uint_eq(result.data_size_bytes, 7);
	ck_assert_mem_eq(result.data, data + LARGE_BYTES - 7, 7);
	backend_result_done(&result);
}
END_TEST

START_TEST(test_too_large_object)
{
	struct backend_capabilities capabilities;
	struct iovec part = {NULL, 0};
	struct backend_result result;

	backend_get_capabilities(battery_backend, &capabilities);
	ck_assert_uint_ge(capabilities.max_object_bytes, LARGE_BYTES);
	part.iov_len = capabilities.max_object_bytes + 1;
	ck_assert_int_eq(backend_put_wait(battery_backend, "k", &part, 1, NULL, &result), -EFBIG);
}
END_TEST

/* What became of many calls. */
struct outcomes {
	struct lock lock;
	struct lock_condition changed;
	size_t n_left, n_ok, n_cancelled, n_timed_out, n_other;
};

static void note_outcome(struct backend_result *result, void *arg)
{
	struct outcomes *o = arg;

	lock_acquire(&o->lock);
	o->n_ok += result->error == 0;
	o->n_cancelled += result->error == -ECANCELED;
	o->n_timed_out += result->error == -ETIMEDOUT;
	o->n_other +=
		result->error != 0 && result->error != -ECANCELED && result->error != -ETIMEDOUT;
	o->n_left--;
	lock_condition_signal(&o->changed);
	lock_release(&o->lock);
}

static void start_many(struct outcomes *o, const struct iovec *part, uint32_t timeout_ms)
{
	struct backend_call call = {.priority = BACKEND_COMMIT,
		.timeout_ms = timeout_ms,
		.done = note_outcome,
		.arg = o};

	*o = (struct outcomes){.n_left = MANY_CALLS};
	lock_init(&o->lock);
	lock_condition_init(&o->changed);
	for (int i = 0; i < MANY_CALLS; i++) {
		char key[16];

		snprintf(key, sizeof(key), "m/%d", i);
		backend_put(battery_backend, key, part, 1, NULL, &call);
	}
}

static void wait_for_all(struct outcomes *o)
{
	lock_acquire(&o->lock);
	while (o->n_left > 0)
		lock_condition_wait(&o->changed, &o->lock);
	lock_release(&o->lock);
}

START_TEST(test_shutdown_completes_every_call)
{
	CLEANUP_FREE uint8_t *data = large_content();
	struct iovec part = {data, 256 << 10};
	struct outcomes o;
	struct backend_result result;

	start_many(&o, &part, 0);
	backend_shutdown(battery_backend);
	ck_assert_uint_eq(o.n_left, 0);
	if (!battery_target->is_unsure)
		ck_assert_uint_eq(o.n_other, 0);
	ck_assert_uint_eq(o.n_ok + o.n_cancelled + o.n_other, MANY_CALLS);
	ck_assert_int_eq(backend_head_wait(battery_backend, "m/1", &result), -ECANCELED);
}
END_TEST

START_TEST(test_deadlines)
{
	CLEANUP_FREE uint8_t *data = large_content();
	struct iovec part = {data, 256 << 10};
	struct outcomes o;

	start_many(&o, &part, 1);
	wait_for_all(&o);
	ck_assert_uint_eq(o.n_cancelled, 0);
	if (!battery_target->is_unsure)
		ck_assert_uint_eq(o.n_other, 0);
	ck_assert_uint_gt(o.n_timed_out, 0);
	start_many(&o, &part, 600000);
	wait_for_all(&o);
	ck_assert_uint_eq(o.n_ok, MANY_CALLS);
}
END_TEST

START_TEST(test_space)
{
	struct backend_space space;
	int r = backend_space(battery_backend, &space);

	ck_assert(r == 0 || r == -EOPNOTSUPP);
	if (r == 0) {
		ck_assert_uint_gt(space.total_bytes, 0);
		ck_assert_uint_le(space.free_bytes, space.total_bytes);
	}
}
END_TEST

TCase *battery_limits_case(void)
{
	TCase *tc = battery_case("limits", 120);

	tcase_add_test(tc, test_large_object);
	tcase_add_test(tc, test_too_large_object);
	tcase_add_test(tc, test_shutdown_completes_every_call);
	tcase_add_test(tc, test_deadlines);
	tcase_add_test(tc, test_space);
	return tc;
}
