/*
 * What a node makes of a store that is not as it should be: of changes that were given up, of what
 * a crash left, and of records that are damaged. It opens, serves all the rest, and loses nothing.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_evictor.h"
#include "cache/node_private.h"
#include "cache/transaction.h"
#include "node_fixture.h"

#define BODY_BYTES 50000

static struct node_fixture fixture;
static uint64_t user;

static void begin(void)
{
	node_fixture_init(&fixture);
	fixture.options.commit_interval_ms = 0;
	node_fixture_open(&fixture);
	user = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
}

static struct node_figures figures(void)
{
	struct node_figures f;

	node_get_figures(fixture.node, &f);
	return f;
}

static uint64_t make_body(const char *name, int byte)
{
	uint64_t ino = node_fixture_create(fixture.fs, user, name);
	uint8_t data[BODY_BYTES];

	memset(data, byte, sizeof(data));
	ck_assert_int_eq(node_fixture_write(fixture.fs, ino, 0, data, sizeof(data)), 0);
	return ino;
}

static void flush(void)
{
	ck_assert_int_eq(node_flush(fixture.node, 20000), 0);
}

/* ---- the sum of what is local */

START_TEST(test_sum_changes_with_the_commit)
{
	struct transaction t;
	uint64_t ino;

	begin();
	ino = make_body("u.1", 1);
	flush();
	ck_assert_uint_eq(figures().body_cache_bytes, BODY_BYTES);
	ck_assert_int_eq(transaction_begin(fixture.node, &t), 0);
	ck_assert_int_eq(body_evictor_note(&t, ino, 1000), 0);
	ck_assert_uint_eq(figures().body_cache_bytes, BODY_BYTES);
	transaction_abort(&t);
	ck_assert_uint_eq(figures().body_cache_bytes, BODY_BYTES);
	ck_assert_int_eq(transaction_begin(fixture.node, &t), 0);
	ck_assert_int_eq(body_evictor_note(&t, ino, 1000), 0);
	ck_assert_int_eq(transaction_commit(&t), 0);
	ck_assert_uint_eq(figures().body_cache_bytes, 1000);
	node_fixture_reopen(&fixture);
	ck_assert_uint_eq(figures().body_cache_bytes, 1000);
	node_fixture_done(&fixture);
}
END_TEST

/* A body without a name that a crash left is removed before the others are added up. */
START_TEST(test_sum_after_a_crash)
{
	begin();
	make_body("u.1", 1);
	make_body("u.2", 2);
	flush();
	ck_assert_int_eq(fs_unlink(fixture.fs, user, "u.1"), 0);
	node_fixture_reopen(&fixture);
	ck_assert_uint_eq(figures().body_cache_bytes, BODY_BYTES);
	node_fixture_done(&fixture);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("node_recovery");
	TCase *tc = tcase_create("node_recovery");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_sum_changes_with_the_commit);
	tcase_add_test(tc, test_sum_after_a_crash);
	suite_add_tcase(suite, tc);
	return suite;
}
