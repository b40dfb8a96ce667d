#include <config.h>
#include "check_main.h"

#include <string.h>
#include "backends/backend.h"
#include "cache/key.h"
#include "replication/section.h"
#include "replication_kit.h"

#define NODE "00112233-4455-4677-8899-aabbccddeeff"
#define KEY "journal/" NODE "/0000000000000002/0000000000000007"

/* These say the same in two modules of which neither may include the other. */
_Static_assert(POSITION_MAX_ACCOUNT == KEY_ACCOUNT_MAX, "accounts");
_Static_assert(SECTION_MAX_KEY_BYTES + 4 == KEY_MAX_BYTES, "keys");

START_TEST(test_segment_keys)
{
	struct position position = kit_position(), parsed;
	char key[POSITION_SEGMENT_KEY_BYTES];
	uint16_t part = 77;

	position_segment_key(&position, 0, key);
	ck_assert_str_eq(key, KEY);
	ck_assert(backend_key_is_valid(key));
	ck_assert(position_parse_segment_key(key, &parsed, &part));
	ck_assert(position_equal(&position, &parsed));
	ck_assert_uint_eq(part, 0);
	position_segment_key(&position, 0x1f, key);
	ck_assert_str_eq(key, KEY ".001f");
	ck_assert(backend_key_is_valid(key));
	ck_assert(position_parse_segment_key(key, &parsed, &part));
	ck_assert(position_equal(&position, &parsed));
	ck_assert_uint_eq(part, 0x1f);
	position.incarnation = position.sequence = UINT64_MAX;
	position_segment_key(&position, UINT16_MAX, key);
	ck_assert_str_eq(key, "journal/" NODE "/ffffffffffffffff/ffffffffffffffff.ffff");
	ck_assert(position_parse_segment_key(key, &parsed, &part));
	ck_assert(position_equal(&position, &parsed));
	ck_assert_uint_eq(part, UINT16_MAX);
}
END_TEST

START_TEST(test_segment_keys_sort)
{
	struct position position = kit_position();
	char keys[4][POSITION_SEGMENT_KEY_BYTES], prefix[POSITION_SEGMENT_KEY_BYTES];

	position.sequence = 0xff;
	position_segment_key(&position, 0, keys[0]);
	position_segment_key(&position, 1, keys[1]);
	position_segment_key(&position, UINT16_MAX, keys[2]);
	position.sequence++;
	position_segment_key(&position, 0, keys[3]);
	position_journal_prefix(&position, prefix);
	for (int i = 0; i < 4; i++) {
		ck_assert(i == 3 || strcmp(keys[i], keys[i + 1]) < 0);
		ck_assert_int_eq(strncmp(keys[i], prefix, strlen(prefix)), 0);
	}
	ck_assert_str_eq(prefix, "journal/" NODE "/0000000000000002/");
}
END_TEST

static const char *const bad_segment_keys[] = {"", "journal/", "journal/" NODE,
	"journal/" NODE "/0000000000000002/", "/" KEY, KEY "/", KEY ".", KEY ".1", KEY ".0000",
	KEY ".00001", KEY ".001F", KEY ".0001x", KEY ".0001/x", KEY "0", KEY " ",
	"journal/00112233-4455-4677-8899-AABBCCDDEEFF/0000000000000002/0000000000000007",
	"journal/001122334455-4677-8899-aabbccddeeff00/0000000000000002/0000000000000007",
	"journal/" NODE "/2/7", "journal/" NODE "/0x00000000000002/0000000000000007",
	"journal/" NODE "/0000000000000002/000000000000000G", "Journal/" NODE "/0/0"};

START_TEST(test_bad_segment_keys)
{
	struct position parsed = {.sequence = 77};
	uint16_t part = 77;

	ck_assert(!position_parse_segment_key(bad_segment_keys[_i], &parsed, &part));
	ck_assert_uint_eq(parsed.sequence, 77);
	ck_assert_uint_eq(part, 77);
}
END_TEST

/* Every key that is shorter or in which one character is another. */
START_TEST(test_changed_keys)
{
	char keys[3][POSITION_SEGMENT_KEY_BYTES] = {KEY ".0001", "", ""};
	struct position parsed;
	uint32_t account;
	uint64_t number;
	uint16_t part;

	position_checkpoint_key(26, 5, keys[1]);
	position_checkpoint_part_key(26, 5, 0x1f, keys[2]);
	for (int k = 0; k < 3; k++) {
		for (size_t i = 0; i < strlen(keys[k]); i++) {
			char good = keys[k][i];

			keys[k][i] = '\0'; /* where the whole key of a segment ends is one */
			ck_assert_int_eq(position_parse_segment_key(keys[k], &parsed, &part),
				k == 0 && i == strlen(KEY));
			ck_assert_int_eq(position_parse_checkpoint_part_key(
						 keys[k], &account, &number, &part),
				k == 2 && i == strlen(keys[1]));
			ck_assert_int_eq(position_parse_checkpoint_key(keys[k], &account, &number),
				k == 2 && i == strlen(keys[1]));
			keys[k][i] = 'X';
			ck_assert(!position_parse_segment_key(keys[k], &parsed, &part));
			ck_assert(!position_parse_checkpoint_key(keys[k], &account, &number));
			ck_assert(!position_parse_checkpoint_part_key(
				keys[k], &account, &number, &part));
			keys[k][i] = good;
		}
	}
}
END_TEST

START_TEST(test_checkpoint_keys)
{
	static const uint32_t accounts[] = {0, 1, 26, POSITION_MAX_ACCOUNT};
	char key[POSITION_CHECKPOINT_KEY_BYTES + 8];
	uint32_t account;
	uint64_t number;

	for (size_t i = 0; i < sizeof(accounts) / sizeof(accounts[0]); i++) {
		position_checkpoint_key(accounts[i], 0x1234567890abcdef, key);
		ck_assert(backend_key_is_valid(key));
		ck_assert(position_parse_checkpoint_key(key, &account, &number));
		ck_assert_uint_eq(account, accounts[i]);
		ck_assert_uint_eq(number, 0x1234567890abcdef);
		strcat(key, "0");
		ck_assert(!position_parse_checkpoint_key(key, &account, &number));
	}
	position_checkpoint_key(26, 5, key);
	ck_assert_str_eq(key, "accounts/67/0000001a/checkpoint/0000000000000005");
	position_checkpoint_key(POSITION_MAX_ACCOUNT + 1, 5, key);
	ck_assert(!position_parse_checkpoint_key(key, &account, &number));
	/* the hash of another account */
	ck_assert(!position_parse_checkpoint_key(
		"accounts/68/0000001a/checkpoint/0000000000000005", &account, &number));
	ck_assert(!position_parse_checkpoint_key(
		"accounts/67/0000001a/body/0000000000000005", &account, &number));
}
END_TEST

START_TEST(test_checkpoint_part_keys)
{
	char key[POSITION_CHECKPOINT_KEY_BYTES];
	uint32_t account = 77;
	uint64_t number;
	uint16_t part = 77;

	position_checkpoint_part_key(26, 5, 0x1f, key);
	ck_assert_str_eq(key, "accounts/67/0000001a/checkpoint/0000000000000005.001f");
	ck_assert(backend_key_is_valid(key));
	ck_assert(!position_parse_checkpoint_key(key, &account, &number));
	ck_assert_uint_eq(account, 77);
	ck_assert(position_parse_checkpoint_part_key(key, &account, &number, &part));
	ck_assert_uint_eq(account, 26);
	ck_assert_uint_eq(number, 5);
	ck_assert_uint_eq(part, 0x1f);
	position_checkpoint_part_key(26, 5, 0, key);
	ck_assert_str_eq(key, "accounts/67/0000001a/checkpoint/0000000000000005");
	ck_assert(position_parse_checkpoint_part_key(key, &account, &number, &part));
	ck_assert_uint_eq(part, 0);
	ck_assert(!position_parse_checkpoint_part_key(
		"accounts/67/0000001a/checkpoint/0000000000000005.0000", &account, &number, &part));
}
END_TEST

START_TEST(test_compare)
{
	struct position a = kit_position(), b = a;

	ck_assert(position_equal(&a, &b) && position_same_journal(&a, &b));
	b.sequence++;
	ck_assert(!position_equal(&a, &b) && position_same_journal(&a, &b));
	b = a;
	b.incarnation++;
	ck_assert(!position_equal(&a, &b) && !position_same_journal(&a, &b));
	b = a;
	b.node.bytes[15] ^= 1;
	ck_assert(!position_equal(&a, &b) && !position_same_journal(&a, &b));
}
END_TEST

START_TEST(test_encoded)
{
	struct position position = kit_position(), again;
	uint8_t bytes[POSITION_BYTES];
	struct encoder e = encoder_over(bytes, sizeof(bytes));
	struct decoder d = decoder_over(bytes, sizeof(bytes));

	position_encode(&e, &position);
	ck_assert(encoder_ok(&e) && e.size_bytes == POSITION_BYTES);
	position_decode(&d, &again);
	ck_assert(decoder_ok(&d) && decoder_left_bytes(&d) == 0);
	ck_assert(position_equal(&position, &again));
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("position");
	TCase *tc = tcase_create("position");

	tcase_add_test(tc, test_segment_keys);
	tcase_add_test(tc, test_segment_keys_sort);
	tcase_add_loop_test(tc, test_bad_segment_keys, 0,
		(int)(sizeof(bad_segment_keys) / sizeof(bad_segment_keys[0])));
	tcase_add_test(tc, test_changed_keys);
	tcase_add_test(tc, test_checkpoint_keys);
	tcase_add_test(tc, test_checkpoint_part_keys);
	tcase_add_test(tc, test_compare);
	tcase_add_test(tc, test_encoded);
	suite_add_tcase(suite, tc);
	return suite;
}
