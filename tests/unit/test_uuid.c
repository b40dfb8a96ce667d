#include <config.h>
#include "check_main.h"

#include <string.h>
#include "util/uuid.h"

START_TEST(test_generated_ones_differ_and_are_version_4)
{
	struct uuid a, b;
	char text[UUID_TEXT_BYTES];

	ck_assert_int_eq(uuid_generate(&a), 0);
	ck_assert_int_eq(uuid_generate(&b), 0);
	ck_assert_mem_ne(a.bytes, b.bytes, UUID_BYTES);
	uuid_format(&a, text);
	ck_assert_uint_eq(strlen(text), UUID_TEXT_BYTES - 1);
	ck_assert_int_eq(text[14], '4');
	ck_assert_ptr_nonnull(strchr("89ab", text[19]));
}
END_TEST

START_TEST(test_text_and_back)
{
	static const char *const text = "00112233-4455-6677-8899-aabbccddeeff";
	char again[UUID_TEXT_BYTES];
	struct uuid uuid;

	ck_assert(uuid_parse(text, &uuid));
	for (int i = 0; i < UUID_BYTES; i++)
		ck_assert_uint_eq(uuid.bytes[i], i * 0x11);
	uuid_format(&uuid, again);
	ck_assert_str_eq(again, text);
}
END_TEST

static const char *const bad[] = {
	"",
	"00112233-4455-6677-8899-aabbccddeef",
	"00112233-4455-6677-8899-aabbccddeefff",
	"00112233-4455-6677-8899-AABBCCDDEEFF",
	"00112233-4455-6677-8899-aabbccddeefg",
	"00112233_4455-6677-8899-aabbccddeeff",
	"001122334-455-6677-8899-aabbccddeeff",
	"{0112233-4455-6677-8899-aabbccddeef}",
	"00112233445566778899aabbccddeeff0000",
};

START_TEST(test_bad_text)
{
	struct uuid uuid = {.bytes = {7}};

	ck_assert(!uuid_parse(bad[_i], &uuid));
	ck_assert_uint_eq(uuid.bytes[0], 7);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("uuid");
	TCase *tc = tcase_create("uuid");

	tcase_add_test(tc, test_generated_ones_differ_and_are_version_4);
	tcase_add_test(tc, test_text_and_back);
	tcase_add_loop_test(tc, test_bad_text, 0, sizeof(bad) / sizeof(bad[0]));
	suite_add_tcase(suite, tc);
	return suite;
}
