/*
 * One object that cannot be put, or cannot be removed, does not hold up the others.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "backends/fault_backend.h"
#include "cache/body_object.h"
#include "cache/key.h"
#include "node_fixture.h"
#include "util/clock.h"

#define BODY_BYTES 50000
#define BODIES 12

/* For what takes a moment, and for ever if it is wrong. */
#define LONG_MS 60000

static struct node_fixture fixture;
static uint64_t user, end_ms;

static void begin(void)
{
	struct fault_rules none = {0};

	node_fixture_init(&fixture);
	ck_assert_int_eq(fault_backend_new(fixture.backend, &none, &fixture.backend), 0);
	fixture.options.backend = fixture.backend;
	fixture.options.commit_interval_ms = 0;
	node_fixture_open(&fixture);
	user = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
	end_ms = clock_monotonic_ms() + LONG_MS;
}

static void set_faults(const char *rules)
{
	char *message = NULL;

	ck_assert_msg(fault_backend_set(fixture.backend, rules, &message) == 0, "%s", message);
}

static struct node_figures figures(void)
{
	struct node_figures f;

	node_get_figures(fixture.node, &f);
	return f;
}

static int flush(uint32_t timeout_ms)
{
	return node_flush(fixture.node, timeout_ms);
}

static size_t n_objects(void)
{
	struct backend_result result;
	size_t n;

	ck_assert_int_eq(backend_list_wait(fixture.backend, "accounts/", NULL, 100, &result), 0);
	n = result.n_entries;
	backend_result_done(&result);
	return n;
}

static uint64_t make_body(uint64_t directory, const char *name)
{
	uint64_t ino = node_fixture_create(fixture.fs, directory, name);
	uint8_t data[BODY_BYTES] = {1};

	ck_assert_int_eq(node_fixture_write(fixture.fs, ino, 0, data, sizeof(data)), 0);
	return ino;
}

static void unlink_body(const char *name, uint64_t ino)
{
	ck_assert_int_eq(fs_unlink(fixture.fs, user, name), 0);
	fs_forget(fixture.fs, ino, 1);
}

/* The first object in the order of removal never goes: the others do, at once, also those that come
 * later; and it goes as soon as it can. */
START_TEST(test_one_removal_fails)
{
	struct backend_result list;
	uint64_t inos[BODIES];
	char name[16], rules[160];

	begin();
	for (unsigned int i = 0; i < BODIES; i++) {
		snprintf(name, sizeof(name), "u.%u", i + 1);
		inos[i] = make_body(user, name);
	}
	ck_assert_int_eq(flush(10000), 0);
	ck_assert_int_eq(backend_list_wait(fixture.backend, "accounts/", NULL, 100, &list), 0);
	ck_assert_uint_eq(list.n_entries, BODIES);
	snprintf(rules, sizeof(rules), "remove:key=%s:error=EACCES", list.entries[0].key);
	backend_result_done(&list);
	set_faults(rules);
	for (unsigned int i = 0; i < BODIES - 1; i++) {
		snprintf(name, sizeof(name), "u.%u", i + 1);
		unlink_body(name, inos[i]);
	}
	while (n_objects() > 2 && clock_monotonic_ms() < end_ms)
		usleep(5000);
	snprintf(name, sizeof(name), "u.%u", BODIES);
	unlink_body(name, inos[BODIES - 1]);
	while (n_objects() > 1 && clock_monotonic_ms() < end_ms)
		usleep(5000);
	ck_assert_uint_eq(n_objects(), 1);
	/* The error is that of the last call, and the first object is tried again and again. */
	while ((figures().backend_error == 0 || figures().objects_removed < BODIES - 1) &&
		clock_monotonic_ms() < end_ms)
		usleep(5000);
	ck_assert_uint_eq(figures().objects_removed, BODIES - 1);
	ck_assert_int_eq(flush(100), -EACCES);
	set_faults("");
	ck_assert_int_eq(flush(10000), 0);
	ck_assert_uint_eq(n_objects(), 0);
	ck_assert_int_eq(figures().backend_error, 0);
	node_fixture_done(&fixture);
}
END_TEST

/* All bodies of one account are refused. When that one has failed often enough to be tried again
 * in four seconds only, a body of another account goes at once: before the next try of the first.
 */
START_TEST(test_one_put_fails)
{
	uint64_t other;
	struct uuid any = {{0}};
	char key[BODY_OBJECT_KEY_BYTES], rules[160];

	begin();
	other = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "other");
	body_object_key(key_ino_account(other), &any, key);
	strrchr(key, '/')[1] = '*';
	strrchr(key, '/')[2] = '\0';
	snprintf(rules, sizeof(rules), "put:key=%s:error=EACCES", key);
	set_faults(rules);
	make_body(other, "u.1");
	while (fault_backend_hits(fixture.backend, 0) < 4 && clock_monotonic_ms() < end_ms)
		usleep(1000);
	make_body(user, "u.1");
	while (n_objects() == 0 && clock_monotonic_ms() < end_ms)
		usleep(1000);
	ck_assert_uint_eq(fault_backend_hits(fixture.backend, 0), 4);
	ck_assert_uint_eq(n_objects(), 1);
	ck_assert_int_eq(flush(300), -EACCES);
	set_faults("");
	ck_assert_int_eq(flush(10000), 0);
	ck_assert_uint_eq(n_objects(), 2);
	node_fixture_done(&fixture);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("one_object");
	TCase *tc = tcase_create("one_object");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_one_removal_fails);
	tcase_add_test(tc, test_one_put_fails);
	suite_add_tcase(suite, tc);
	return suite;
}
