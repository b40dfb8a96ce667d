/*
 * battery_copy.c: copies by the store, where it can.
 */
#include <config.h>
#include "battery_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LARGE_BYTES (3U << 20)

static bool can_copy(void)
{
	struct backend_capabilities capabilities;

	backend_get_capabilities(battery_backend, &capabilities);
	return capabilities.copy;
}

START_TEST(test_copy)
{
	struct backend_result result;

	ck_assert_int_eq(battery_put(battery_backend, "a/from", "content", NULL, NULL), 0);
	if (!can_copy()) {
		ck_assert_int_eq(backend_copy_wait(battery_backend, "a/from", "b/to"), -EOPNOTSUPP);
		return;
	}
	ck_assert_int_eq(backend_copy_wait(battery_backend, "a/from", "b/to"), 0);
	battery_assert_is(battery_backend, "b/to", "content");
	battery_assert_is(battery_backend, "a/from", "content");
	/* In the place of another, and apart from its source. */
	ck_assert_int_eq(battery_put(battery_backend, "a/from", "other", NULL, NULL), 0);
	battery_assert_is(battery_backend, "b/to", "content");
	ck_assert_int_eq(backend_copy_wait(battery_backend, "a/from", "b/to"), 0);
	battery_assert_is(battery_backend, "b/to", "other");
	ck_assert_int_eq(backend_remove_wait(battery_backend, "a/from"), 0);
	battery_assert_is(battery_backend, "b/to", "other");
	ck_assert_int_eq(backend_copy_wait(battery_backend, "a/from", "b/to"), -ENOENT);
	battery_assert_is(battery_backend, "b/to", "other");
	ck_assert_int_eq(backend_head_wait(battery_backend, "b/to", &result), 0);
	ck_assert_uint_eq(result.object_size_bytes, 5);
	ck_assert_int_eq(backend_copy_wait(battery_backend, "b/to", "not a key"), -EINVAL);
	ck_assert_int_eq(backend_copy_wait(battery_backend, "not a key", "b/to"), -EINVAL);
}
END_TEST

START_TEST(test_copy_empty_and_large)
{
	struct iovec part = {calloc(1, LARGE_BYTES), LARGE_BYTES};
	struct backend_result result;

	if (!can_copy()) {
		free(part.iov_base);
		return;
	}
	for (size_t i = 0; i < LARGE_BYTES; i++)
		((uint8_t *)part.iov_base)[i] = (uint8_t)(i * 7 + i / 251);
	ck_assert_int_eq(backend_put_wait(battery_backend, "large", &part, 1, NULL, &result), 0);
	ck_assert_int_eq(backend_put_wait(battery_backend, "empty", NULL, 0, NULL, &result), 0);
	ck_assert_int_eq(backend_copy_wait(battery_backend, "large", "copy"), 0);
	ck_assert_int_eq(backend_get_wait(battery_backend, "copy", 0, LARGE_BYTES + 1, &result), 0);
	ck_assert_uint_eq(result.data_size_bytes, LARGE_BYTES);
	ck_assert_int_eq(memcmp(result.data, part.iov_base, LARGE_BYTES), 0);
	backend_result_done(&result);
	ck_assert_int_eq(backend_copy_wait(battery_backend, "empty", "copy"), 0);
	ck_assert_int_eq(backend_head_wait(battery_backend, "copy", &result), 0);
	ck_assert_uint_eq(result.object_size_bytes, 0);
	free(part.iov_base);
}
END_TEST

TCase *battery_copy_case(void)
{
	TCase *tc = battery_case("copy", 60);

	tcase_add_test(tc, test_copy);
	tcase_add_test(tc, test_copy_empty_and_large);
	return tc;
}
