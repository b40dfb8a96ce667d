/*
 * battery_basic.c: one call after the other.
 */
#include <config.h>
#include "battery_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/clock.h"

static const struct backend_condition if_absent = {.type = BACKEND_IF_ABSENT};
static const struct backend_condition new_record = {.type = BACKEND_IF_ABSENT, .record = true};

static int head(const char *key)
{
	struct backend_result result;
	int r = backend_head_wait(battery_backend, key, &result);

	backend_result_done(&result);
	return r;
}

START_TEST(test_put_is_visible)
{
	struct backend_result result;
	int64_t now_ms = clock_realtime_ms();

	ck_assert_int_eq(battery_put(battery_backend, "a/b/c", "hello", NULL, NULL), 0);
	battery_assert_is(battery_backend, "a/b/c", "hello");
	ck_assert_int_eq(backend_head_wait(battery_backend, "a/b/c", &result), 0);
	ck_assert_uint_eq(result.object_size_bytes, 5);
	ck_assert_int_lt(llabs(result.modified_ms - now_ms), 60000);
	ck_assert_str_ne(result.version.text, "");
	backend_result_done(&result);
}
END_TEST

START_TEST(test_put_gathers_parts)
{
	struct iovec parts[] = {
		{(void *)(uintptr_t) "one ", 4}, {NULL, 0}, {(void *)(uintptr_t) "two", 3}};
	struct backend_result result;

	ck_assert_int_eq(backend_put_wait(battery_backend, "k", parts, 3, NULL, &result), 0);
	backend_result_done(&result);
	battery_assert_is(battery_backend, "k", "one two");
}
END_TEST

START_TEST(test_overwrite)
{
	struct backend_version first, second;

	ck_assert_int_eq(battery_put(battery_backend, "k", "first", NULL, &first), 0);
	ck_assert_int_eq(battery_put(battery_backend, "k", "and second", NULL, &second), 0);
	battery_assert_is(battery_backend, "k", "and second");
	ck_assert_str_ne(first.text, second.text);
}
END_TEST

START_TEST(test_versions_agree)
{
	struct backend_version version;
	struct backend_result result;

	ck_assert_int_eq(battery_put(battery_backend, "r", "x", &new_record, &version), 0);
	ck_assert_int_eq(backend_head_wait(battery_backend, "r", &result), 0);
	ck_assert_str_eq(result.version.text, version.text);
	backend_result_done(&result);
	ck_assert_int_eq(backend_get_wait(battery_backend, "r", 0, 1, &result), 0);
	ck_assert_str_eq(result.version.text, version.text);
	backend_result_done(&result);
}
END_TEST

START_TEST(test_empty_object)
{
	struct backend_result result;

	ck_assert_int_eq(backend_put_wait(battery_backend, "empty", NULL, 0, NULL, &result), 0);
	backend_result_done(&result);
	battery_assert_is(battery_backend, "empty", "");
	ck_assert_int_eq(backend_get_wait(battery_backend, "empty", 0, 0, &result), 0);
	ck_assert_uint_eq(result.data_size_bytes, 0);
	backend_result_done(&result);
	ck_assert_int_eq(backend_get_wait(battery_backend, "empty", 1, 1, &result), -ERANGE);
	backend_result_done(&result);
}
END_TEST

static void check_range(uint64_t offset, size_t size, const char *expected)
{
	struct backend_result result;

	ck_assert_int_eq(backend_get_wait(battery_backend, "digits", offset, size, &result), 0);
	ck_assert_uint_eq(result.data_size_bytes, strlen(expected));
	ck_assert_uint_eq(result.object_size_bytes, 10);
	if (*expected != '\0')
		ck_assert_mem_eq(result.data, expected, strlen(expected));
	backend_result_done(&result);
}

START_TEST(test_ranges)
{
	struct backend_result result;

	ck_assert_int_eq(battery_put(battery_backend, "digits", "0123456789", NULL, NULL), 0);
	check_range(0, 10, "0123456789");
	check_range(0, 1, "0");
	check_range(3, 4, "3456");
	check_range(9, 1, "9");
	check_range(8, 100, "89");
	check_range(4, SIZE_MAX, "456789");
	check_range(5, 0, "");
	check_range(10, 5, "");
	ck_assert_int_eq(backend_get_wait(battery_backend, "digits", 11, 1, &result), -ERANGE);
	ck_assert_ptr_null(result.data);
	backend_result_done(&result);
}
END_TEST

START_TEST(test_absent)
{
	struct backend_result result;

	ck_assert_int_eq(backend_get_wait(battery_backend, "no/such", 0, 1, &result), -ENOENT);
	backend_result_done(&result);
	ck_assert_int_eq(head("no/such"), -ENOENT);
	ck_assert_int_eq(backend_remove_wait(battery_backend, "no/such"), 0);
	ck_assert_int_eq(battery_put(battery_backend, "dir/key", "x", NULL, NULL), 0);
	ck_assert_int_eq(head("dir"), -ENOENT);
	ck_assert_int_eq(backend_remove_wait(battery_backend, "dir"), 0);
	ck_assert_int_eq(backend_remove_wait(battery_backend, "dir/key/below"), 0);
	battery_assert_is(battery_backend, "dir/key", "x");
}
END_TEST

START_TEST(test_remove)
{
	ck_assert_int_eq(battery_put(battery_backend, "a/k", "x", NULL, NULL), 0);
	ck_assert_int_eq(backend_remove_wait(battery_backend, "a/k"), 0);
	ck_assert_int_eq(head("a/k"), -ENOENT);
	ck_assert_int_eq(backend_remove_wait(battery_backend, "a/k"), 0);
	ck_assert_int_eq(battery_put(battery_backend, "a/k", "again", &if_absent, NULL), 0);
	battery_assert_is(battery_backend, "a/k", "again");
}
END_TEST

START_TEST(test_remove_many)
{
	const char *keys[] = {"m/1", "m/2", "m/absent", "m/3"};
	struct battery_gate gate;
	struct backend_call call = {.done = battery_gate_pass, .arg = &gate};

	for (int i = 0; i < 4; i++) {
		if (i != 2)
			ck_assert_int_eq(battery_put(battery_backend, keys[i], "x", NULL, NULL), 0);
	}
	ck_assert_int_eq(battery_put(battery_backend, "m/4", "stays", NULL, NULL), 0);
	battery_gate_init(&gate, 1);
	backend_remove_many(battery_backend, keys, 4, &call);
	battery_gate_wait(&gate);
	ck_assert_uint_eq(gate.n_ok, 1);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(head(keys[i]), -ENOENT);
	battery_assert_is(battery_backend, "m/4", "stays");
	battery_gate_init(&gate, 1);
	backend_remove_many(battery_backend, keys, 0, &call);
	battery_gate_wait(&gate);
	ck_assert_uint_eq(gate.n_ok, 1);
}
END_TEST

START_TEST(test_put_if_absent)
{
	ck_assert_int_eq(battery_put(battery_backend, "p/k", "one", &if_absent, NULL), 0);
	ck_assert_int_eq(battery_put(battery_backend, "p/k", "two", &if_absent, NULL), -EEXIST);
	ck_assert_int_eq(battery_put(battery_backend, "p/k", "rec", &new_record, NULL), -EEXIST);
	battery_assert_is(battery_backend, "p/k", "one");
}
END_TEST

static int swap(const char *key, const char *text, struct backend_version *version)
{
	struct backend_condition condition = {.type = BACKEND_IF_VERSION, .version = *version};

	return battery_put(battery_backend, key, text, &condition, version);
}

static void assert_refused(const char *key, const char *text, const struct backend_version *version)
{
	struct backend_version copy = *version;
	int r = swap(key, text, &copy);

	ck_assert_msg(r == -ESTALE || (battery_target->is_unsure && r == -EIO), "%d", r);
}

START_TEST(test_compare_and_swap)
{
	struct backend_version old, version, nonsense = {.text = "nonsense"};

	ck_assert_int_eq(battery_put(battery_backend, "owner", "0", &new_record, &version), 0);
	for (int i = 1; i < 30; i++) {
		char text[8];

		old = version;
		snprintf(text, sizeof(text), "%d", i);
		ck_assert_int_eq(swap("owner", text, &version), 0);
		assert_refused("owner", "late", &old);
		battery_assert_is(battery_backend, "owner", text);
	}
	assert_refused("owner", "x", &nonsense);
	assert_refused("nobody", "x", &version);
	ck_assert_int_eq(head("nobody"), -ENOENT);
	battery_assert_is(battery_backend, "owner", "29");
}
END_TEST

START_TEST(test_version_of_a_removed_record_is_never_right_again)
{
	struct backend_version first, second;

	ck_assert_int_eq(battery_put(battery_backend, "o/r", "a", &new_record, &first), 0);
	ck_assert_int_eq(backend_remove_wait(battery_backend, "o/r"), 0);
	ck_assert_int_eq(head("o/r"), -ENOENT);
	ck_assert_int_eq(backend_remove_wait(battery_backend, "o/r"), 0);
	assert_refused("o/r", "x", &first);
	ck_assert_int_eq(battery_put(battery_backend, "o/r", "b", &new_record, &second), 0);
	assert_refused("o/r", "x", &first);
	ck_assert_int_eq(swap("o/r", "c", &second), 0);
	battery_assert_is(battery_backend, "o/r", "c");
}
END_TEST

START_TEST(test_unconditional_put_of_a_record)
{
	struct backend_version first, second;
	struct backend_condition record = {.type = BACKEND_ALWAYS, .record = true};

	ck_assert_int_eq(battery_put(battery_backend, "o/r", "a", &record, &first), 0);
	ck_assert_int_eq(battery_put(battery_backend, "o/r", "b", &record, &second), 0);
	assert_refused("o/r", "x", &first);
	ck_assert_int_eq(swap("o/r", "c", &second), 0);
	first = second;
	ck_assert_int_eq(battery_put(battery_backend, "o/r", "d", NULL, &second), 0);
	battery_assert_is(battery_backend, "o/r", "d");
	assert_refused("o/r", "x", &first);
	ck_assert_int_eq(swap("o/r", "e", &second), 0);
	ck_assert_int_eq(battery_put(battery_backend, "o/r", "f", &if_absent, NULL), -EEXIST);
	battery_assert_is(battery_backend, "o/r", "e");
}
END_TEST

START_TEST(test_keys_that_are_allowed)
{
	char longest[BACKEND_KEY_MAX_BYTES + 1];
	const char *keys[] = {
		"A.b_c-9", ".hidden", "...", "a/.b", "-", "_", ".tmp/x", "a.b/..c", longest};

	memset(longest, 'k', sizeof(longest));
	longest[BACKEND_KEY_COMPONENT_MAX_BYTES] = '/';
	longest[2 * BACKEND_KEY_COMPONENT_MAX_BYTES] = '/';
	longest[BACKEND_KEY_MAX_BYTES] = '\0';
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		ck_assert_int_eq(battery_put(battery_backend, keys[i], keys[i], NULL, NULL), 0);
		battery_assert_is(battery_backend, keys[i], keys[i]);
	}
}
END_TEST

START_TEST(test_keys_that_are_refused)
{
	char too_long[BACKEND_KEY_MAX_BYTES + 2], component[BACKEND_KEY_COMPONENT_MAX_BYTES + 2];
	const char *keys[] = {"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a b", "a+b",
		"a\nb", "\xc3\xa4", "a:b", too_long, component};
	struct backend_result result;

	memset(too_long, 'k', sizeof(too_long));
	for (size_t i = 100; i < sizeof(too_long); i += 100)
		too_long[i] = '/';
	too_long[sizeof(too_long) - 1] = '\0';
	memset(component, 'k', sizeof(component));
	component[sizeof(component) - 1] = '\0';
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		ck_assert_int_eq(battery_put(battery_backend, keys[i], "x", NULL, NULL), -EINVAL);
		ck_assert_int_eq(
			backend_get_wait(battery_backend, keys[i], 0, 1, &result), -EINVAL);
		ck_assert_int_eq(head(keys[i]), -EINVAL);
		ck_assert_int_eq(backend_remove_wait(battery_backend, keys[i]), -EINVAL);
	}
}
END_TEST

/* `done` must come from another thread, also for a call that is refused. */
struct other_thread {
	struct battery_gate gate;
	pthread_t caller;
	bool was_caller;
};

static void note_thread(struct backend_result *result, void *arg)
{
	struct other_thread *t = arg;

	t->was_caller = pthread_equal(t->caller, pthread_self()) != 0;
	battery_gate_pass(result, &t->gate);
}

START_TEST(test_done_comes_from_another_thread)
{
	const char *keys[] = {"absent", "not a key"};

	for (int i = 0; i < 2; i++) {
		struct other_thread t = {.caller = pthread_self()};
		struct backend_call call = {.done = note_thread, .arg = &t};

		battery_gate_init(&t.gate, 1);
		backend_head(battery_backend, keys[i], &call);
		battery_gate_wait(&t.gate);
		ck_assert(!t.was_caller);
	}
}
END_TEST

TCase *battery_basic_case(void)
{
	TCase *tc = battery_case("basic", 60);

	tcase_add_test(tc, test_put_is_visible);
	tcase_add_test(tc, test_put_gathers_parts);
	tcase_add_test(tc, test_overwrite);
	tcase_add_test(tc, test_versions_agree);
	tcase_add_test(tc, test_empty_object);
	tcase_add_test(tc, test_ranges);
	tcase_add_test(tc, test_absent);
	tcase_add_test(tc, test_remove);
	tcase_add_test(tc, test_remove_many);
	tcase_add_test(tc, test_put_if_absent);
	tcase_add_test(tc, test_compare_and_swap);
	tcase_add_test(tc, test_version_of_a_removed_record_is_never_right_again);
	tcase_add_test(tc, test_unconditional_put_of_a_record);
	tcase_add_test(tc, test_keys_that_are_allowed);
	tcase_add_test(tc, test_keys_that_are_refused);
	tcase_add_test(tc, test_done_comes_from_another_thread);
	return tc;
}
