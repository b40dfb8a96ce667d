#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/open_options.h"

struct target {
	char *text;
	uint32_t number;
	int n_flags;
};

static int set_text(void *target, const char *value)
{
	return open_options_set_text(&((struct target *)target)->text, value);
}

static int set_number(void *target, const char *value)
{
	return open_options_set_number(&((struct target *)target)->number, value, 2, 64);
}

static int set_flag(void *target, const char *value)
{
	ck_assert_ptr_null(value);
	((struct target *)target)->n_flags++;
	return 0;
}

static const struct open_option table[] = {
	{"text", "TEXT", set_text},
	{"number", "2 to 64", set_number},
	{"flag", NULL, set_flag},
};

static struct target target;

static int take(const char *a, const char *b, char **ret_message)
{
	const char *const options[] = {a, b, NULL};

	return open_options_take(table, 3, "test", options, &target, ret_message);
}

static void tear_down(void)
{
	free(target.text);
	target = (struct target){0};
}

START_TEST(test_values)
{
	char *message = NULL;

	ck_assert_int_eq(take("text=a=b", "number=64", &message), 0);
	ck_assert_str_eq(target.text, "a=b");
	ck_assert_uint_eq(target.number, 64);
	ck_assert_int_eq(take("flag", "text=again", &message), 0);
	ck_assert_int_eq(target.n_flags, 1);
	ck_assert_str_eq(target.text, "again");
	ck_assert_int_eq(open_options_take(table, 3, "test", NULL, &target, &message), 0);
	ck_assert_ptr_null(message);
}
END_TEST

static void check_refused(const char *option, const char *expected)
{
	char *message = NULL;

	ck_assert_int_eq(take(option, NULL, &message), -EINVAL);
	ck_assert_ptr_nonnull(message);
	ck_assert_msg(strstr(message, expected) != NULL, "%s", message);
	free(message);
}

START_TEST(test_refusals)
{
	check_refused("texts=x", "unknown option 'texts=x'; options of test:// URLs: text=TEXT, "
				 "number=2 to 64, flag");
	check_refused("text", "option 'text' needs a value: text=TEXT");
	check_refused("text=", "bad value in option 'text='");
	check_refused("number=1", "expected number=2 to 64");
	check_refused("number=65", "expected number=2 to 64");
	check_refused("number=x", "expected number=2 to 64");
	check_refused("flag=1", "option 'flag' takes no value");
	ck_assert_ptr_null(target.text);
	ck_assert_int_eq(target.n_flags, 0);
}
END_TEST

START_TEST(test_names)
{
	ck_assert(open_options_has(table, 3, "text"));
	ck_assert(open_options_has(table, 3, "text=1"));
	ck_assert(!open_options_has(table, 3, "tex"));
	ck_assert(!open_options_has(table, 3, "texts"));
	ck_assert(!open_options_has(table, 0, "text"));
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("open_options");
	TCase *tc = tcase_create("open_options");

	tcase_add_checked_fixture(tc, NULL, tear_down);
	tcase_add_test(tc, test_values);
	tcase_add_test(tc, test_refusals);
	tcase_add_test(tc, test_names);
	suite_add_tcase(suite, tc);
	return suite;
}
