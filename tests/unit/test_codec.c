#include <config.h>
#include "check_main.h"

#include <string.h>
#include "util/codec.h"

START_TEST(test_numbers_are_big_endian)
{
	uint8_t buffer[15];
	struct encoder e = encoder_over(buffer, sizeof(buffer));

	encode_u8(&e, 0x01);
	encode_u16(&e, 0x0203);
	encode_u32(&e, 0x04050607);
	encode_u64(&e, 0x08090a0b0c0d0e0f);
	ck_assert(encoder_ok(&e));
	ck_assert_uint_eq(e.size_bytes, 15);
	for (unsigned int i = 0; i < 15; i++)
		ck_assert_uint_eq(buffer[i], i + 1);
}
END_TEST

START_TEST(test_numbers_come_back)
{
	uint8_t buffer[32];
	char text[4];
	struct encoder e = encoder_over(buffer, sizeof(buffer));
	struct decoder d;

	encode_u64(&e, UINT64_MAX - 1);
	encode_u32(&e, 7);
	encode_bytes(&e, "abc", 4);
	d = decoder_over(buffer, e.size_bytes);
	ck_assert_uint_eq(decode_u64(&d), UINT64_MAX - 1);
	ck_assert_uint_eq(decode_u32(&d), 7);
	decode_bytes(&d, text, 4);
	ck_assert_str_eq(text, "abc");
	ck_assert(decoder_ok(&d));
	ck_assert_uint_eq(decoder_left_bytes(&d), 0);
}
END_TEST

START_TEST(test_overflow_is_remembered)
{
	uint8_t buffer[3] = {9, 9, 9};
	struct encoder e = encoder_over(buffer, sizeof(buffer));

	encode_u16(&e, 1);
	encode_u16(&e, 1);
	ck_assert(!encoder_ok(&e));
	ck_assert_uint_eq(buffer[2], 9);
}
END_TEST

START_TEST(test_underrun_gives_zeros)
{
	uint8_t buffer[3] = {1, 2, 3};
	uint8_t copy[2] = {5, 5};
	struct decoder d = decoder_over(buffer, sizeof(buffer));

	ck_assert_uint_eq(decode_u16(&d), 0x0102);
	ck_assert_uint_eq(decode_u32(&d), 0);
	ck_assert(!decoder_ok(&d));
	decode_bytes(&d, copy, 2);
	ck_assert_uint_eq(copy[0] + copy[1], 0);
	ck_assert_uint_eq(decode_u8(&d), 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("codec");
	TCase *tc = tcase_create("codec");

	tcase_add_test(tc, test_numbers_are_big_endian);
	tcase_add_test(tc, test_numbers_come_back);
	tcase_add_test(tc, test_overflow_is_remembered);
	tcase_add_test(tc, test_underrun_gives_zeros);
	suite_add_tcase(suite, tc);
	return suite;
}
