#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "config/ack_file.h"

static struct ack_file file;
static char *message;

static int parse(const char *text)
{
	free(message);
	message = NULL;
	return ack_file_parse(strdup(text), "FILE", &file, &message);
}

START_TEST(test_good)
{
	ck_assert_int_eq(parse("# who\n\nbob\tremote\r\n  /example.org/alice/  local # why\n"), 0);
	ck_assert_uint_eq(file.n, 2);
	ck_assert_str_eq(file.lines[0].account, "bob");
	ck_assert(file.lines[0].remote);
	ck_assert_str_eq(file.lines[1].account, "example.org/alice");
	ck_assert(!file.lines[1].remote);
	ck_assert_uint_eq(file.lines[1].number, 4);
	ack_file_done(&file);
	ck_assert_int_eq(parse(""), 0);
	ck_assert_uint_eq(file.n, 0);
	ack_file_done(&file);
}
END_TEST

static const struct {
	const char *text, *message;
} bad[] = {
	{"bob\n", "FILE, line 1"},
	{"bob local\nalice remotely\n", "FILE, line 2"},
	{"bob local remote\n", "FILE, line 1"},
	{"/ local\n", "FILE, line 1"},
	{"bob local\n\n/bob remote\n", "line 3: account 'bob' is in line 1"},
};

START_TEST(test_bad)
{
	ck_assert_int_eq(parse(bad[_i].text), -EINVAL);
	ck_assert_ptr_nonnull(message);
	ck_assert_msg(strstr(message, bad[_i].message) != NULL, "%s", message);
	free(message);
	message = NULL;
}
END_TEST

START_TEST(test_no_file)
{
	ck_assert_int_eq(ack_file_load("/nowhere/acks", &file, &message), -ENOENT);
	ck_assert(strstr(message, "/nowhere/acks") != NULL);
	free(message);
	message = NULL;
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("ack_file");
	TCase *tc = tcase_create("ack_file");

	tcase_add_test(tc, test_good);
	tcase_add_loop_test(tc, test_bad, 0, (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_test(tc, test_no_file);
	suite_add_tcase(suite, tc);
	return suite;
}
