#include <config.h>
#include "check_main.h"

#include <errno.h>
#include "util/parse_number.h"

START_TEST(test_u64)
{
	uint64_t value = 77;

	ck_assert_int_eq(parse_number_u64("0", 10, &value), 0);
	ck_assert_uint_eq(value, 0);
	ck_assert_int_eq(parse_number_u64("18446744073709551615", UINT64_MAX, &value), 0);
	ck_assert_uint_eq(value, UINT64_MAX);
	value = 77;
	ck_assert_int_eq(parse_number_u64("11", 10, &value), -ERANGE);
	ck_assert_int_eq(parse_number_u64("18446744073709551616", UINT64_MAX, &value), -ERANGE);
	ck_assert_int_eq(parse_number_u64("99999999999999999999", UINT64_MAX, &value), -ERANGE);
	ck_assert_uint_eq(value, 77);
}
END_TEST

static const char *const not_numbers[] = {
	"", " ", " 1", "1 ", "-1", "+1", "0x10", "1e3", "1.0", "x"};

START_TEST(test_not_a_number)
{
	uint64_t value = 77;

	ck_assert_int_eq(parse_number_u64(not_numbers[_i], UINT64_MAX, &value), -EINVAL);
	ck_assert_uint_eq(value, 77);
}
END_TEST

START_TEST(test_hex)
{
	static const char *const bad[] = {"", "1", "12g4", "12G4", "12A4", " 123", "0x12", "-123"};
	uint64_t value = 77;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(parse_number_hex(bad[i], 4, &value), -EINVAL);
	ck_assert_uint_eq(value, 77);
	ck_assert_int_eq(parse_number_hex("12af/", 4, &value), 0);
	ck_assert_uint_eq(value, 0x12af);
	ck_assert_int_eq(parse_number_hex("fedcba9876543210", 16, &value), 0);
	ck_assert_uint_eq(value, 0xfedcba9876543210);
}
END_TEST

START_TEST(test_sizes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {{"512", 512}, {"0", 0}, {"64K", 65536}, {"64k", 65536}, {"10M", 10 << 20},
		{"10MiB", 10 << 20}, {"10MB", 10 << 20}, {"2G", 2ULL << 30}, {"1T", 1ULL << 40},
		{"1tib", 1ULL << 40}};
	static const char *const bad[] = {
		"", "K", "1X", "1KK", "1KiBs", "1.5G", "-1K", "1 K", "1Ki"};
	uint64_t bytes;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(parse_number_size_bytes(cases[i].text, &bytes), 0);
		ck_assert_uint_eq(bytes, cases[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(parse_number_size_bytes(bad[i], &bytes), -EINVAL);
	ck_assert_int_eq(parse_number_size_bytes("16777216T", &bytes), -ERANGE);
	ck_assert_int_eq(parse_number_size_bytes("16777215T", &bytes), 0);
}
END_TEST

START_TEST(test_durations)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} cases[] = {{"0", 0}, {"3", 3000}, {"250ms", 250}, {"1s", 1000}, {"1.5s", 1500},
		{"0.001s", 1}, {"0.0001s", 0}, {"2m", 120000}, {"2min", 120000}, {"1h", 3600000},
		{"1.25h", 4500000}, {"1d", 86400000}, {"1.5", 1500}};
	static const char *const bad[] = {
		"", "s", "1x", "1.s", ".5s", "-1s", "1 s", "1.2.3s", "1ss"};
	uint64_t ms;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(parse_number_duration_ms(cases[i].text, &ms), 0);
		ck_assert_uint_eq(ms, cases[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(parse_number_duration_ms(bad[i], &ms), -EINVAL);
	ck_assert_int_eq(parse_number_duration_ms("18446744073709551615s", &ms), -ERANGE);
	ck_assert_int_eq(parse_number_duration_ms("18446744073709551615.9ms", &ms), 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("parse_number");
	TCase *tc = tcase_create("parse_number");

	tcase_add_test(tc, test_u64);
	tcase_add_loop_test(tc, test_not_a_number, 0, sizeof(not_numbers) / sizeof(not_numbers[0]));
	tcase_add_test(tc, test_hex);
	tcase_add_test(tc, test_sizes);
	tcase_add_test(tc, test_durations);
	suite_add_tcase(suite, tc);
	return suite;
}
