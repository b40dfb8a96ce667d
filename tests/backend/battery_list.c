/*
 * battery_list.c: listings by prefix and page.
 */
#include <config.h>
#include "battery_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"

static void put_key(const char *key)
{
	ck_assert_int_eq(battery_put(battery_backend, key, key, NULL, NULL), 0);
}

/* Lists everything in pages of `page` and compares with the expected keys. */
static void check_list(const char *prefix, size_t page, const char *const *expected, size_t n)
{
	CLEANUP_FREE char *continuation = NULL;
	size_t seen = 0;

	do {
		struct backend_result result;

		ck_assert_int_eq(
			backend_list_wait(battery_backend, prefix, continuation, page, &result), 0);
		ck_assert_uint_le(result.n_entries, page);
		for (size_t i = 0; i < result.n_entries; i++, seen++) {
			ck_assert_uint_lt(seen, n);
			ck_assert_str_eq(result.entries[i].key, expected[seen]);
			ck_assert_uint_eq(result.entries[i].size_bytes, strlen(expected[seen]));
		}
		free(continuation);
		continuation = TAKE_PTR(result.continuation);
		backend_result_done(&result);
	} while (continuation != NULL);
	ck_assert_uint_eq(seen, n);
}

/* In byte order: '-' and '.' sort before '/', digits and letters behind it. */
static const char *const odd_keys[] = {
	"-",
	".hidden",
	"...",
	"0",
	"A",
	"a-b",
	"a.b",
	"a/-",
	"a/b",
	"a/b-c/d",
	"a/b.c",
	"a0",
	"aa/b/c",
	"ab",
	"b-/x",
	"b.x/y",
	"b/x",
	"b0",
	"zz",
};
#define N_ODD (sizeof(odd_keys) / sizeof(odd_keys[0]))

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

START_TEST(test_order_and_pages)
{
	const char *sorted[N_ODD];

	memcpy(sorted, odd_keys, sizeof(odd_keys));
	qsort(sorted, N_ODD, sizeof(sorted[0]), compare_keys);
	for (size_t i = 0; i < N_ODD; i++)
		put_key(odd_keys[(i * 7) % N_ODD]);
	for (size_t page = 1; page <= N_ODD + 1; page++)
		check_list("", page, sorted, N_ODD);
}
END_TEST

START_TEST(test_prefixes)
{
	static const char *const a[] = {
		"a-b", "a.b", "a/-", "a/b", "a/b-c/d", "a/b.c", "a0", "aa/b/c", "ab"};
	static const char *const a_b[] = {"a/b", "a/b-c/d", "a/b.c"};
	static const char *const a_b_minus[] = {"a/b-c/d"};
	static const char *const zz[] = {"zz"};

	for (size_t i = 0; i < N_ODD; i++)
		put_key(odd_keys[i]);
	for (size_t page = 1; page < 10; page += 4) {
		check_list("a", page, a, 9);
		check_list("a/", page, a + 2, 4);
		check_list("a/b", page, a_b, 3);
		check_list("a/b-", page, a_b_minus, 1);
		check_list("a/b-c/", page, a_b_minus, 1);
		check_list("zz", page, zz, 1);
		check_list("zz/", page, NULL, 0);
		check_list("no/such/place", page, NULL, 0);
		check_list("zzz", page, NULL, 0);
	}
}
END_TEST

START_TEST(test_records_are_listed_as_objects)
{
	static const struct backend_condition record = {.type = BACKEND_IF_ABSENT, .record = true};
	static const char *const keys[] = {"r-x", "r.x", "r", "r0", "s/owner", "s/x"};
	const char *sorted[] = {"r", "r-x", "r.x", "r0", "s/owner", "s/x"};

	for (size_t i = 0; i < 6; i++)
		ck_assert_int_eq(battery_put(battery_backend, keys[i], keys[i],
					 i == 2 || i == 4 ? &record : NULL, NULL),
			0);
	for (size_t page = 1; page < 8; page++)
		check_list("", page, sorted, 6);
	check_list("r", 10, sorted, 4);
	ck_assert_int_eq(backend_remove_wait(battery_backend, "r"), 0);
	check_list("", 10, sorted + 1, 5);
	check_list("s/own", 10, sorted + 4, 1);
}
END_TEST

START_TEST(test_bad_arguments)
{
	static const char *const prefixes[] = {"/", "a//", "../", "a b", "a+"};
	struct backend_result result;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		ck_assert_int_eq(
			backend_list_wait(battery_backend, prefixes[i], NULL, 1, &result), -EINVAL);
	ck_assert_int_eq(backend_list_wait(battery_backend, "", NULL, 0, &result), -EINVAL);
	ck_assert_int_eq(backend_list_wait(battery_backend, "", NULL, 1, &result), 0);
	ck_assert_uint_eq(result.n_entries, 0);
	ck_assert_ptr_null(result.continuation);
}
END_TEST

static void fill_many(char (*keys)[32], size_t n)
{
	struct battery_gate gate;
	struct backend_call call = {
		.priority = BACKEND_BACKGROUND, .done = battery_gate_pass, .arg = &gate};

	battery_gate_init(&gate, n);
	for (size_t i = 0; i < n; i++) {
		snprintf(keys[i], sizeof(keys[i]), "many/%02zx/%05zu", i % 16, i);
		backend_put(battery_backend, keys[i], NULL, 0, NULL, &call);
	}
	battery_gate_wait(&gate);
	ck_assert_uint_eq(gate.n_ok, n);
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

START_TEST(test_many_keys)
{
	static char keys[BATTERY_LIST_KEYS][32];
	CLEANUP_FREE char *continuation = NULL;
	size_t seen = 0, pages = 0, n = battery_list_keys();

	fill_many(keys, n);
	qsort(keys, n, sizeof(keys[0]), compare_text);
	do {
		struct backend_result result;

		ck_assert_int_eq(
			backend_list_wait(battery_backend, "many/", continuation, 1000, &result),
			0);
		for (size_t i = 0; i < result.n_entries; i++, seen++)
			ck_assert_str_eq(result.entries[i].key, keys[seen]);
		free(continuation);
		continuation = TAKE_PTR(result.continuation);
		backend_result_done(&result);
		pages++;
	} while (continuation != NULL);
	ck_assert_uint_eq(seen, n);
	ck_assert_uint_eq(pages, (n + 999) / 1000);
}
END_TEST

TCase *battery_list_case(void)
{
	TCase *tc = battery_case("list", 240);

	tcase_add_test(tc, test_order_and_pages);
	tcase_add_test(tc, test_prefixes);
	tcase_add_test(tc, test_records_are_listed_as_objects);
	tcase_add_test(tc, test_bad_arguments);
	tcase_add_test(tc, test_many_keys);
	return tc;
}
