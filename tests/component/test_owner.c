/*
 * Who owns a volume: the format of the records, and claims at the same time.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "owner_kit.h"

/* ---- records */

static const struct owner example = {
	.volume = {{0x0f, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9, 10, 11, 12, 13, 14, 15}},
	.epoch = 3,
	.node = {{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x46, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
		0xee, 0xff}},
	.incarnation = 2,
	.nonce = {{1, 2, 3, 4, 5, 6, 0x47, 8, 0x89, 10, 11, 12, 13, 14, 15, 16}},
	.created_ms = INT64_C(0x19b76daa800),
};

static const char example_bytes[OWNER_BYTES + 1] =
	"\x4d\x46\x53\x4f\x57\x4e\x52\x00\x00\x01\x00\x00\x00\x00\x00\x60"
	"\x0f\x01\x02\x03\x04\x05\x46\x07\x88\x09\x0a\x0b\x0c\x0d\x0e\x0f"
	"\x00\x00\x00\x00\x00\x00\x00\x03\x00\x11\x22\x33\x44\x55\x46\x77"
	"\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x00\x00\x00\x00\x00\x00\x00\x02"
	"\x01\x02\x03\x04\x05\x06\x47\x08\x89\x0a\x0b\x0c\x0d\x0e\x0f\x10"
	"\x00\x00\x01\x9b\x76\xda\xa8\x00\x79\x4e\x8b\xdf\x84\x7b\xb9\x74";

START_TEST(test_format)
{
	uint8_t data[OWNER_BYTES];
	struct owner owner;
	char key[OWNER_KEY_BYTES];
	uint64_t epoch;

	owner_encode(&example, data);
	ck_assert_mem_eq(data, example_bytes, OWNER_BYTES);
	ck_assert_int_eq(owner_decode(data, OWNER_BYTES, 3, &owner, NULL), 0);
	ck_assert_mem_eq(&owner.node, &example.node, UUID_BYTES);
	ck_assert_mem_eq(&owner.nonce, &example.nonce, UUID_BYTES);
	ck_assert_uint_eq(owner.incarnation, 2);
	ck_assert_int_eq(owner.created_ms, example.created_ms);
	owner_key(0x1f, key);
	ck_assert_str_eq(key, "owner/000000000000001f");
	ck_assert(owner_parse_key(key, &epoch) && epoch == 0x1f);
	ck_assert(!owner_parse_key("owner/000000000000001F", &epoch));
	ck_assert(!owner_parse_key("owner/1f", &epoch));
	ck_assert(!owner_parse_key("owner/000000000000001f0", &epoch));
	ck_assert(!owner_parse_key("owners000000000000001f", &epoch));
}
END_TEST

START_TEST(test_damaged_records_are_refused)
{
	uint8_t data[OWNER_BYTES + 1] = {0};
	struct owner owner;

	memcpy(data, example_bytes, OWNER_BYTES);
	for (size_t size = 0; size < OWNER_BYTES; size++)
		ck_assert_int_eq(owner_decode(data, size, 3, &owner, NULL), -EBADMSG);
	ck_assert_int_eq(owner_decode(data, OWNER_BYTES + 1, 3, &owner, NULL), -EBADMSG);
	ck_assert_int_eq(owner_decode(data, OWNER_BYTES, 4, &owner, NULL), -EBADMSG);
	for (size_t i = 0; i < OWNER_BYTES; i++) {
		const char *problem = NULL;

		data[i] ^= 0x40;
		ck_assert_int_eq(owner_decode(data, OWNER_BYTES, 3, &owner, &problem), -EBADMSG);
		ck_assert_ptr_nonnull(problem);
		data[i] ^= 0x40;
	}
}
END_TEST

START_TEST(test_relations)
{
	struct uuid one = owner_kit_node(1), two = owner_kit_node(2);
	struct owner newest = {.node = one, .incarnation = 5, .epoch = 9};

	ck_assert_int_eq(owner_relate(NULL, &one, 5, 0), OWNER_CLAIMABLE);
	ck_assert_int_eq(owner_relate(NULL, &one, 5, 9), OWNER_CLAIMABLE);
	ck_assert_int_eq(owner_relate(&newest, &one, 5, 9), OWNER_MINE);
	ck_assert_int_eq(owner_relate(&newest, &one, 5, 0), OWNER_MINE); /* died before the note */
	ck_assert_int_eq(owner_relate(&newest, &one, 6, 9), OWNER_CLAIMABLE); /* before the claim */
	ck_assert_int_eq(owner_relate(&newest, &one, 4, 8), OWNER_SUPERSEDED);
	ck_assert_int_eq(owner_relate(&newest, &two, 1, 0), OWNER_CLAIMABLE);
	ck_assert_int_eq(owner_relate(&newest, &two, 1, 8), OWNER_SUPERSEDED);
}
END_TEST

START_TEST(test_the_newest_owns)
{
	struct owner owner, *owners;
	size_t n;

	ck_assert_int_eq(
		owner_find(owner_kit_backend, &owner_kit_volume, &owner, &owner_kit_message),
		-ENOENT);
	owner_kit_claim(1, 1, 1);
	owner_kit_claim(2, 1, 2);
	owner_kit_claim(1, 2, 0x10);
	ck_assert_int_eq(
		owner_find(owner_kit_backend, &owner_kit_volume, &owner, &owner_kit_message), 0);
	ck_assert_uint_eq(owner.epoch, 0x10);
	ck_assert_uint_eq(owner.node.bytes[0], 1);
	ck_assert_uint_eq(owner.incarnation, 2);
	ck_assert_int_eq(
		owner_list(owner_kit_backend, &owner_kit_volume, &owners, &n, &owner_kit_message),
		0);
	ck_assert_uint_eq(n, 3);
	ck_assert_uint_eq(owners[1].epoch, 2);
	free(owners);
	ck_assert_int_eq(
		owner_claim(owner_kit_backend, &owner, false, &owner_kit_message), -EEXIST);
}
END_TEST

START_TEST(test_a_record_of_another_volume)
{
	struct uuid other = {{9}};
	struct owner owner;

	owner_kit_claim(1, 1, 1);
	ck_assert_int_eq(
		owner_find(owner_kit_backend, &other, &owner, &owner_kit_message), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(owner_kit_message, "another volume"));
}
END_TEST

#define RACERS 8
#define ROUNDS 50

static _Atomic int winners[ROUNDS + 1];
static pthread_barrier_t line;

static void *race(void *arg)
{
	struct owner owner = {
		.volume = owner_kit_volume, .node = owner_kit_node(7), .incarnation = 1};

	(void)arg; /* all of one node: not even copies of one are taken for each other */
	for (uint64_t epoch = 1; epoch <= ROUNDS; epoch++) {
		char *text = NULL;
		int r;

		owner.epoch = epoch;
		(void)pthread_barrier_wait(&line);
		r = owner_claim(owner_kit_backend, &owner, false, &text);
		if (r == 0)
			winners[epoch]++;
		else if (r != -EEXIST)
			winners[epoch] += RACERS;
		free(text);
	}
	return NULL;
}

START_TEST(test_one_of_many_wins)
{
	pthread_t threads[RACERS];

	memset(winners, 0, sizeof(winners));
	ck_assert_int_eq(pthread_barrier_init(&line, NULL, RACERS), 0);
	for (int i = 0; i < RACERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, race, NULL), 0);
	for (int i = 0; i < RACERS; i++)
		(void)pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&line);
	for (int epoch = 1; epoch <= ROUNDS; epoch++)
		ck_assert_int_eq(winners[epoch], 1);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("owner");
	TCase *tc = tcase_create("records");

	tcase_add_checked_fixture(tc, owner_kit_set_up, owner_kit_tear_down);
	tcase_add_test(tc, test_format);
	tcase_add_test(tc, test_damaged_records_are_refused);
	tcase_add_test(tc, test_relations);
	tcase_add_test(tc, test_the_newest_owns);
	tcase_add_test(tc, test_a_record_of_another_volume);
	tcase_add_test(tc, test_one_of_many_wins);
	suite_add_tcase(suite, tc);
	return suite;
}
