/*
 * Who owns a volume: the format of the records, claims at the same time, and the end of the
 * journals of all who owned it before.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "backends/fault_backend.h"
#include "backends/memory_backend.h"
#include "replication/journal.h"
#include "replication/owner.h"
#include "replication/segment.h"
#include "replication/takeover.h"
#include "util/clock.h"

static struct backend *backend;
static const struct uuid volume = {{0x0f, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9, 10, 11, 12, 13, 14, 15}};
static char *message;

static void set_up(void)
{
	ck_assert_int_eq(memory_backend_new(&backend), 0);
}

static void tear_down(void)
{
	backend_free(backend);
	free(message);
	message = NULL;
}

static struct uuid node_named(uint8_t name)
{
	return (struct uuid){{name, 1, 2, 3}};
}

static struct owner claimed(uint8_t node, uint64_t incarnation, uint64_t epoch)
{
	struct owner owner = {.volume = volume,
		.epoch = epoch,
		.node = node_named(node),
		.incarnation = incarnation};

	ck_assert_int_eq(owner_claim(backend, &owner, false, &message), 0);
	return owner;
}

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
	struct uuid one = node_named(1), two = node_named(2);
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

	ck_assert_int_eq(owner_find(backend, &volume, &owner, &message), -ENOENT);
	claimed(1, 1, 1);
	claimed(2, 1, 2);
	claimed(1, 2, 0x10);
	ck_assert_int_eq(owner_find(backend, &volume, &owner, &message), 0);
	ck_assert_uint_eq(owner.epoch, 0x10);
	ck_assert_uint_eq(owner.node.bytes[0], 1);
	ck_assert_uint_eq(owner.incarnation, 2);
	ck_assert_int_eq(owner_list(backend, &volume, &owners, &n, &message), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_uint_eq(owners[1].epoch, 2);
	free(owners);
	ck_assert_int_eq(owner_claim(backend, &owner, false, &message), -EEXIST);
}
END_TEST

START_TEST(test_a_record_of_another_volume)
{
	struct uuid other = {{9}};
	struct owner owner;

	claimed(1, 1, 1);
	ck_assert_int_eq(owner_find(backend, &other, &owner, &message), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(message, "another volume"));
}
END_TEST

#define RACERS 8
#define ROUNDS 50

static _Atomic int winners[ROUNDS + 1];
static pthread_barrier_t line;

static void *race(void *arg)
{
	struct owner owner = {.volume = volume, .node = node_named(7), .incarnation = 1};

	(void)arg; /* all of one node: not even copies of one are taken for each other */
	for (uint64_t epoch = 1; epoch <= ROUNDS; epoch++) {
		char *text = NULL;
		int r;

		owner.epoch = epoch;
		(void)pthread_barrier_wait(&line);
		r = owner_claim(backend, &owner, false, &text);
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

/* ---- journals */

static struct position place(uint8_t node, uint64_t incarnation, uint64_t sequence)
{
	return (struct position){node_named(node), incarnation, sequence};
}

static int put_this(struct segment *segment, uint64_t *ret_checksum)
{
	struct backend_condition condition = {.type = BACKEND_IF_ABSENT};
	char key[POSITION_SEGMENT_KEY_BYTES];
	struct backend_result result;
	struct frame frame;
	int r;

	ck_assert_int_eq(segment_encode(segment, &frame), 0);
	position_segment_key(&segment->position, 0, key);
	r = backend_put_wait(backend, key, frame.parts, frame.n_parts, &condition, &result);
	if (r == 0)
		backend_result_done(&result);
	*ret_checksum = frame.head_checksum;
	frame_done(&frame);
	return r;
}

/* A segment without sections; gives the result of the put. */
static int put_segment(const struct position *at, uint64_t previous, uint64_t *ret_checksum)
{
	struct segment segment = {
		.type = SEGMENT_CHANGES, .position = *at, .previous_checksum = previous};

	return put_this(&segment, ret_checksum);
}

static uint64_t plant(uint8_t node, uint64_t incarnation, uint64_t sequence, uint64_t previous)
{
	struct position at = place(node, incarnation, sequence);
	uint64_t checksum;

	ck_assert_int_eq(put_segment(&at, previous, &checksum), 0);
	return checksum;
}

static void plant_seal(uint8_t node, uint64_t incarnation, uint64_t sequence)
{
	struct segment seal = {.type = SEGMENT_SEAL,
		.position = place(node, incarnation, sequence),
		.taker = node_named(9)};

	ck_assert_int_eq(put_this(&seal, &(uint64_t){0}), 0);
}

/* What is there: 0 nothing, else the type; `previous` of it. */
static int type_at(uint8_t node, uint64_t incarnation, uint64_t sequence, uint64_t *ret_previous)
{
	struct position at = place(node, incarnation, sequence);
	char key[POSITION_SEGMENT_KEY_BYTES];
	struct backend_result result;
	struct segment segment;
	size_t needed;
	int type;

	position_segment_key(&at, 0, key);
	if (backend_get_wait(backend, key, 0, FRAME_FIRST_READ_BYTES, &result) < 0)
		return 0;
	ck_assert_int_eq(
		segment_decode(result.data, result.data_size_bytes, &at, &segment, &needed, NULL),
		0);
	type = segment.type;
	if (ret_previous != NULL)
		*ret_previous = segment.previous_checksum;
	if (type == SEGMENT_SEAL)
		ck_assert_uint_eq(segment.taker.bytes[0], 9);
	segment_done(&segment);
	backend_result_done(&result);
	return type;
}

static size_t count_objects(void)
{
	struct backend_result result;
	size_t n;

	ck_assert_int_eq(backend_list_wait(backend, "", NULL, 1000, &result), 0);
	n = result.n_entries;
	backend_result_done(&result);
	return n;
}

static int take_over(uint64_t epoch)
{
	static struct owner self;
	struct takeover_options options = {.backend = backend, .self = &self};

	self = claimed(9, 1, epoch);
	return takeover_seal_others(&options, &message);
}

START_TEST(test_every_journal_is_sealed_at_its_end)
{
	uint64_t checksum = 0, previous;

	for (uint64_t i = 104; i <= 106; i++) /* what was before was removed */
		checksum = plant(1, 1, i, checksum);
	plant(1, 2, 1, 0);
	claimed(1, 1, 1);
	claimed(1, 2, 2);
	claimed(3, 5, 3); /* has never written anything */
	ck_assert_int_eq(take_over(4), 0);
	ck_assert_int_eq(type_at(1, 1, 107, &previous), SEGMENT_SEAL);
	ck_assert_uint_eq(previous, checksum);
	ck_assert_int_eq(type_at(1, 2, 2, NULL), SEGMENT_SEAL);
	ck_assert_int_eq(type_at(3, 5, 1, &previous), SEGMENT_SEAL);
	ck_assert_uint_eq(previous, 0);
	ck_assert_int_eq(type_at(9, 1, 1, NULL), 0);
}
END_TEST

START_TEST(test_again_puts_nothing)
{
	struct owner self;
	struct takeover_options options = {.backend = backend, .self = &self};
	size_t n;

	plant(1, 1, 1, 0);
	claimed(1, 1, 1);
	ck_assert_int_eq(take_over(2), 0);
	n = count_objects();
	ck_assert_int_eq(owner_find(backend, &volume, &self, &message), 0);
	ck_assert_int_eq(takeover_seal_others(&options, &message), 0);
	ck_assert_uint_eq(count_objects(), n);
}
END_TEST

START_TEST(test_the_end_is_before_what_is_missing)
{
	plant(1, 1, 1, 0);
	plant(1, 1, 3, 0); /* overtook 2 */
	plant(1, 1, 5, 0);
	ck_assert_int_eq(take_over(1), 0);
	ck_assert_int_eq(type_at(1, 1, 2, NULL), SEGMENT_SEAL);
	ck_assert_int_eq(type_at(1, 1, 4, NULL), 0);
	ck_assert_int_eq(type_at(1, 1, 6, NULL), 0);
}
END_TEST

START_TEST(test_the_first_may_be_missing)
{
	plant(1, 1, 2, 0); /* both overtook 1 */
	plant(1, 1, JOURNAL_IN_FLIGHT, 0);
	ck_assert_int_eq(take_over(1), 0);
	ck_assert_int_eq(type_at(1, 1, 1, NULL), SEGMENT_SEAL);
	ck_assert_int_eq(type_at(1, 1, 3, NULL), 0);
	ck_assert_uint_eq(count_objects(), 4); /* with the owner record */
}
END_TEST

/* It was complete, or this one would not have been begun. */
START_TEST(test_the_first_may_be_lost)
{
	plant(1, 1, 2, 0);
	plant(1, 1, JOURNAL_IN_FLIGHT + 1, 0);
	ck_assert_int_eq(take_over(1), 0);
	ck_assert_int_eq(type_at(1, 1, 1, NULL), 0);
	ck_assert_int_eq(type_at(1, 1, 3, NULL), SEGMENT_SEAL);
}
END_TEST

/* Of a journal that was sealed the first segments were removed, whether the seal can be read or
 * not. */
START_TEST(test_removed_segments_are_not_missing)
{
	struct position at = place(1, 1, 3);
	struct iovec part = {(char[]){"damaged"}, 7};
	char key[POSITION_SEGMENT_KEY_BYTES];
	struct backend_result put;

	plant(1, 1, 2, 0);
	plant_seal(1, 1, 3);
	if (_i == 0) {
		plant(1, 1, 4, 0); /* was in flight */
	} else {
		position_segment_key(&at, 0, key);
		ck_assert_int_eq(backend_put_wait(backend, key, &part, 1, NULL, &put), 0);
		backend_result_done(&put);
	}
	ck_assert_int_eq(take_over(1), 0);
	ck_assert_int_eq(type_at(1, 1, 1, NULL), 0);
	if (_i == 0)
		ck_assert_int_eq(type_at(1, 1, 5, NULL), 0);
	else
		ck_assert_int_eq(type_at(1, 1, 4, NULL), SEGMENT_SEAL);
}
END_TEST

/* The writer goes on at the end, and there the seal has to meet it. */
START_TEST(test_a_lost_segment_is_not_the_end)
{
	for (uint64_t i = 1; i <= 3 + JOURNAL_MAX_IN_FLIGHT; i++) {
		if (i != 3)
			plant(1, 1, i, 0);
	}
	plant(2, 1, 1, 0);
	plant(2, 1, 1000000000, 0);
	ck_assert_int_eq(take_over(1), 0);
	ck_assert_int_eq(type_at(1, 1, 3, NULL), 0);
	ck_assert_int_eq(type_at(1, 1, 4 + JOURNAL_MAX_IN_FLIGHT, NULL), SEGMENT_SEAL);
	ck_assert_int_eq(type_at(2, 1, 1000000001, NULL), SEGMENT_SEAL);
}
END_TEST

START_TEST(test_a_newer_owner_ends_it)
{
	struct owner self = claimed(9, 1, 1);
	struct takeover_options options = {.backend = backend, .self = &self};

	plant(1, 1, 1, 0);
	claimed(2, 1, 2);
	plant(2, 1, 1, 0);
	ck_assert_int_eq(takeover_seal_others(&options, &message), -ESTALE);
	ck_assert_int_eq(type_at(2, 1, 2, NULL), 0);
}
END_TEST

START_TEST(test_old_records_go)
{
	struct owner *owners;
	size_t n;

	for (uint64_t epoch = 1; epoch <= 20; epoch++)
		claimed(1, epoch, epoch);
	ck_assert_int_eq(take_over(21), 0);
	ck_assert_int_eq(owner_list(backend, &volume, &owners, &n, &message), 0);
	ck_assert_uint_eq(n, OWNER_KEPT);
	ck_assert_uint_eq(owners[0].epoch, 21 - OWNER_KEPT + 1);
	free(owners);
	for (uint64_t i = 1; i <= 20; i++)
		ck_assert_int_eq(type_at(1, i, 1, NULL), SEGMENT_SEAL);
}
END_TEST

/* ---- a writer that does not know that it is over */

static _Atomic uint64_t refused_at, n_written;

static void *write_on(void *arg)
{
	uint64_t previous = 0;

	(void)arg;
	for (uint64_t i = 1; refused_at == 0; i++) {
		struct position at = place(1, 1, i);
		int r = put_segment(&at, previous, &previous);

		if (r == -EEXIST)
			refused_at = i;
		else if (r == 0)
			n_written = i;
		else
			break;
	}
	return NULL;
}

START_TEST(test_a_writer_is_stopped)
{
	pthread_t writer;

	for (uint64_t round = 1; round <= 20; round++) {
		backend_free(backend);
		ck_assert_int_eq(memory_backend_new(&backend), 0);
		refused_at = n_written = 0;
		claimed(1, 1, 1);
		ck_assert_int_eq(pthread_create(&writer, NULL, write_on, NULL), 0);
		while (n_written < round)
			clock_sleep_ms(0);
		ck_assert_int_eq(take_over(2), 0);
		(void)pthread_join(writer, NULL);
		ck_assert_uint_eq(refused_at, n_written + 1);
		ck_assert_int_eq(type_at(1, 1, refused_at, NULL), SEGMENT_SEAL);
		ck_assert_int_eq(type_at(1, 1, refused_at + 1, NULL), 0);
	}
}
END_TEST

/* ---- one that takes over, and is stopped between its look and its seal */

static struct backend *stalled;
static int stalled_result;

static void *take_over_slowly(void *arg)
{
	struct owner self = {.volume = volume, .node = node_named(9), .incarnation = 1, .epoch = 2};
	struct takeover_options options = {.backend = stalled, .self = &self};

	(void)arg;
	stalled_result = takeover_seal_others(&options, &message);
	return NULL;
}

static void begin_stalled(bool has_first, pthread_t *ret_thread)
{
	struct fault_rules none = {.n = 0};
	struct backend *second;

	backend_free(backend);
	ck_assert_int_eq(memory_backend_open("stalled", &backend), 0);
	ck_assert_int_eq(memory_backend_open("stalled", &second), 0);
	ck_assert_int_eq(fault_backend_new(second, &none, &stalled), 0);
	claimed(1, 1, 1);
	claimed(9, 1, 2);
	plant(1, 1, 2, 0);
	if (has_first)
		plant(1, 1, 1, 0);
	ck_assert_int_eq(fault_backend_set(stalled, "put:key=journal*:nth=1:hang", &message), 0);
	ck_assert_int_eq(pthread_create(ret_thread, NULL, take_over_slowly, NULL), 0);
	while (fault_backend_hanging(stalled) == 0)
		clock_sleep_ms(1);
}

/* The owner knows of nothing, goes on, and removes what it does not need any more: with that what
 * was listed, and the place of the seal is free. */
START_TEST(test_an_owner_that_is_further)
{
	enum { LAST = 200, KEPT = 150 };
	pthread_t thread;

	begin_stalled(_i == 0, &thread);
	for (uint64_t i = _i == 0 ? 3 : 1; i <= LAST; i++) {
		if (i != 2)
			plant(1, 1, i, 0);
	}
	for (uint64_t i = 1; i < KEPT; i++) {
		struct position at = place(1, 1, i);
		char key[POSITION_SEGMENT_KEY_BYTES];

		position_segment_key(&at, 0, key);
		ck_assert_int_eq(backend_remove_wait(backend, key), 0);
	}
	fault_backend_release(stalled);
	(void)pthread_join(thread, NULL);
	ck_assert_int_eq(stalled_result, 0);
	ck_assert_int_eq(type_at(1, 1, 1, NULL), 0);
	ck_assert_int_eq(type_at(1, 1, 3, NULL), 0);
	ck_assert_int_eq(type_at(1, 1, LAST + 1, NULL), SEGMENT_SEAL);
	backend_free(stalled);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("owner");
	TCase *tc = tcase_create("records");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_format);
	tcase_add_test(tc, test_damaged_records_are_refused);
	tcase_add_test(tc, test_relations);
	tcase_add_test(tc, test_the_newest_owns);
	tcase_add_test(tc, test_a_record_of_another_volume);
	tcase_add_test(tc, test_one_of_many_wins);
	suite_add_tcase(suite, tc);
	tc = tcase_create("takeover");
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_every_journal_is_sealed_at_its_end);
	tcase_add_test(tc, test_again_puts_nothing);
	tcase_add_test(tc, test_the_end_is_before_what_is_missing);
	tcase_add_test(tc, test_the_first_may_be_missing);
	tcase_add_test(tc, test_the_first_may_be_lost);
	tcase_add_loop_test(tc, test_removed_segments_are_not_missing, 0, 2);
	tcase_add_test(tc, test_a_lost_segment_is_not_the_end);
	tcase_add_test(tc, test_a_newer_owner_ends_it);
	tcase_add_test(tc, test_old_records_go);
	tcase_add_test(tc, test_a_writer_is_stopped);
	tcase_add_loop_test(tc, test_an_owner_that_is_further, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
