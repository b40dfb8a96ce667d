#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/fault_rules.h"

START_TEST(test_every_term)
{
	struct fault_rules rules;
	const struct fault_rule *r = rules.rules;

	ck_assert_int_eq(fault_rules_parse("put:key=a/*/b:nth=3:error=EIO:after;"
					   "any:p=0.25:seed=9:delay=1.5s:times=2;"
					   "get:from=5:corrupt:truncate=10;list:every=4:hang;",
				 &rules, NULL),
		0);
	ck_assert_uint_eq(rules.n, 4);
	ck_assert_int_eq(r[0].operation, WRAPPER_PUT);
	ck_assert_str_eq(r[0].pattern, "a/*/b");
	ck_assert(r[0].first == 3 && r[0].last == 3 && r[0].error == -EIO && r[0].after);
	ck_assert(r[1].any_operation && r[1].seed == 9 && r[1].delay_ms == 1500 && r[1].times == 2);
	ck_assert(r[1].probability > 0.2499 && r[1].probability < 0.2501);
	ck_assert(r[2].corrupt && r[2].truncate && r[2].truncate_bytes == 10 && r[2].first == 5);
	ck_assert(r[3].hang && r[3].every == 4 && r[3].operation == WRAPPER_LIST);
}
END_TEST

START_TEST(test_no_rules)
{
	struct fault_rules rules;

	ck_assert_int_eq(fault_rules_parse("", &rules, NULL), 0);
	ck_assert_uint_eq(rules.n, 0);
}
END_TEST

static const char *const bad[] = {
	";",
	":",
	"puts:error=EIO",
	"put",
	"put:",
	"put:error",
	"put:error=",
	"put:error=EWHAT",
	"put:error=0",
	"put:error=99999",
	"put:error=EIO:",
	"put:error=EIO:nth=0",
	"put:error=EIO:nth=x",
	"put:error=EIO:nth=-1",
	"put:error=EIO:p=2",
	"put:error=EIO:p=",
	"put:error=EIO:p=0.1.2",
	"put:error=EIO:p=1.5",
	"put:error=EIO:p=.5",
	"put:delay=5x",
	"put:delay=2h",
	"put:truncate=",
	"put:hang=1",
	"put:key=",
	"put:key=:error=EIO",
	"put:error=EIO;;put:error=EIO",
	"put:every=18446744073709551616:error=EIO",
	"put:after",
	"put,error=EIO",
};

START_TEST(test_bad_rules)
{
	struct fault_rules rules = {.n = 77};
	char *message = NULL;

	ck_assert_int_eq(fault_rules_parse(bad[_i], &rules, &message), -EINVAL);
	ck_assert_ptr_nonnull(message);
	ck_assert_ptr_nonnull(strstr(message, "fault rules"));
	ck_assert_uint_eq(rules.n, 77);
	free(message);
}
END_TEST

START_TEST(test_too_much)
{
	char text[FAULT_RULES_MAX_TEXT_BYTES + 2] = "";
	struct fault_rules rules;

	for (int i = 0; i <= FAULT_RULES_MAX; i++)
		strcat(text, "put:hang;");
	ck_assert_int_eq(fault_rules_parse(text, &rules, NULL), -EINVAL);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(fault_rules_parse(text, &rules, NULL), -EINVAL);
	memcpy(text, "put:key=", 8);
	text[8 + FAULT_RULES_PATTERN_BYTES] = '\0';
	ck_assert_int_eq(fault_rules_parse(text, &rules, NULL), -EINVAL);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fault_rules");
	TCase *tc = tcase_create("fault_rules");

	tcase_add_test(tc, test_every_term);
	tcase_add_test(tc, test_no_rules);
	tcase_add_loop_test(tc, test_bad_rules, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tc, test_too_much);
	suite_add_tcase(suite, tc);
	return suite;
}
