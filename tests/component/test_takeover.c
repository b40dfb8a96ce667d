/*
 * The end of the journals of all who owned a volume before.
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
#include "owner_kit.h"
#include "replication/journal.h"
#include "replication/segment.h"
#include "replication/takeover.h"
#include "util/clock.h"

static struct position place(uint8_t node, uint64_t incarnation, uint64_t sequence)
{
	return (struct position){owner_kit_node(node), incarnation, sequence};
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
	r = backend_put_wait(
		owner_kit_backend, key, frame.parts, frame.n_parts, &condition, &result);
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

/* `previous` 0: its writer has not looked at what is before it. */
static void plant_seal_behind(
	uint8_t node, uint64_t incarnation, uint64_t sequence, uint64_t previous)
{
	struct segment seal = {.type = SEGMENT_SEAL,
		.position = place(node, incarnation, sequence),
		.previous_checksum = previous,
		.taker = owner_kit_node(9)};

	ck_assert_int_eq(put_this(&seal, &(uint64_t){0}), 0);
}

static void plant_seal(uint8_t node, uint64_t incarnation, uint64_t sequence)
{
	plant_seal_behind(node, incarnation, sequence, 0);
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
	if (backend_get_wait(owner_kit_backend, key, 0, FRAME_FIRST_READ_BYTES, &result) < 0)
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

	ck_assert_int_eq(backend_list_wait(owner_kit_backend, "", NULL, 1000, &result), 0);
	n = result.n_entries;
	backend_result_done(&result);
	return n;
}

static int take_over(uint64_t epoch)
{
	static struct owner self;
	struct takeover_options options = {.backend = owner_kit_backend, .self = &self};

	self = owner_kit_claim(9, 1, epoch);
	return takeover_seal_others(&options, &owner_kit_message);
}

START_TEST(test_every_journal_is_sealed_at_its_end)
{
	uint64_t checksum = 0, previous;

	for (uint64_t i = 104; i <= 106; i++) /* what was before was removed */
		checksum = plant(1, 1, i, checksum);
	plant(1, 2, 1, 0);
	owner_kit_claim(1, 1, 1);
	owner_kit_claim(1, 2, 2);
	owner_kit_claim(3, 5, 3); /* has never written anything */
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
	struct takeover_options options = {.backend = owner_kit_backend, .self = &self};
	size_t n;

	plant(1, 1, 1, 0);
	owner_kit_claim(1, 1, 1);
	ck_assert_int_eq(take_over(2), 0);
	n = count_objects();
	ck_assert_int_eq(
		owner_find(owner_kit_backend, &owner_kit_volume, &self, &owner_kit_message), 0);
	ck_assert_int_eq(takeover_seal_others(&options, &owner_kit_message), 0);
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
		ck_assert_int_eq(backend_put_wait(owner_kit_backend, key, &part, 1, NULL, &put), 0);
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

/* Segments `from` to `to`. */
static void plant_all(uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i <= to; i++)
		plant(1, 1, i, 0);
}

/* All that can be in flight with the one that is missing, and one more: then that one was complete,
 * and there must be no seal in its place, which would make nothing of what follows. The writer goes
 * on at the end, and there the seal has to meet it. */
START_TEST(test_a_lost_segment_is_not_the_end)
{
	uint64_t last = 3 + JOURNAL_IN_FLIGHT - 1 + (uint64_t)_i;

	plant_all(1, 2);
	plant_all(4, last);
	ck_assert_int_eq(take_over(1), 0);
	ck_assert_int_eq(type_at(1, 1, 3, NULL), _i == 0 ? SEGMENT_SEAL : 0);
	ck_assert_int_eq(type_at(1, 1, last + 1, NULL), _i == 0 ? 0 : SEGMENT_SEAL);
}
END_TEST

/* However many: the seal comes before what can be in flight with the last one. */
START_TEST(test_many_lost_segments)
{
	static const uint64_t lasts[] = {12, 40, 100, 1000000000};
	uint64_t last = lasts[_i], previous;

	plant_all(1, 2);
	plant(1, 1, last, 0);
	ck_assert_int_eq(take_over(1), 0);
	for (uint64_t i = last - JOURNAL_IN_FLIGHT; i <= last + 1; i++) {
		if (i != last)
			ck_assert_int_eq(type_at(1, 1, i, &previous),
				i == last - JOURNAL_IN_FLIGHT + 1 ? SEGMENT_SEAL : 0);
	}
	ck_assert_int_eq(type_at(1, 1, 3, NULL), 0);
	ck_assert_int_eq(type_at(1, 1, last - JOURNAL_IN_FLIGHT + 1, &previous), SEGMENT_SEAL);
	ck_assert_uint_eq(previous, 0); /* the one before it is lost */
}
END_TEST

/* Of two that follow each other the first was complete, the second perhaps not. */
START_TEST(test_a_lost_one_and_an_unfinished_one)
{
	plant_all(1, 2);
	plant_all(5, 3 + JOURNAL_IN_FLIGHT);
	ck_assert_int_eq(take_over(1), 0);
	ck_assert_int_eq(type_at(1, 1, 3, NULL), 0);
	ck_assert_int_eq(type_at(1, 1, 4, NULL), SEGMENT_SEAL);
	ck_assert_int_eq(type_at(1, 1, 4 + JOURNAL_IN_FLIGHT, NULL), 0);
}
END_TEST

/* Whoever sealed it had found all before his seal: what is missing now was lost since. */
START_TEST(test_a_lost_segment_before_the_seal)
{
	size_t n;

	plant_all(1, 2);
	plant_seal_behind(1, 1, 5, plant(1, 1, 4, 0));
	n = count_objects();
	ck_assert_int_eq(take_over(1), 0);
	ck_assert_int_eq(type_at(1, 1, 3, NULL), 0);
	ck_assert_int_eq(type_at(1, 1, 6, NULL), 0);
	ck_assert_uint_eq(count_objects(), n + 1); /* the owner record */
}
END_TEST

/* One who put many seals at once has died before the first of them was there, with some of the
 * writer's segments between. The place is free, so it must be taken; but not one that is before all
 * that he can have put. */
START_TEST(test_seals_of_one_who_died)
{
	enum { SEALS = 32 };
	uint64_t checksum = plant(1, 1, 1, 0), previous = 0;
	size_t n;

	checksum = plant(1, 1, 2, checksum);
	plant(1, 1, 4, 0);
	for (uint64_t i = 5; i < 3 + SEALS; i++)
		plant_seal(1, 1, i);
	if (_i == 1)
		plant_seal(1, 1, 3 + SEALS);
	n = count_objects();
	ck_assert_int_eq(take_over(1), 0);
	ck_assert_int_eq(type_at(1, 1, 3, &previous), _i == 0 ? SEGMENT_SEAL : 0);
	ck_assert_uint_eq(previous, _i == 0 ? checksum : 0);
	ck_assert_uint_eq(count_objects(), n + (_i == 0 ? 2 : 1));
}
END_TEST

START_TEST(test_a_newer_owner_ends_it)
{
	struct owner self = owner_kit_claim(9, 1, 1);
	struct takeover_options options = {.backend = owner_kit_backend, .self = &self};

	plant(1, 1, 1, 0);
	owner_kit_claim(2, 1, 2);
	plant(2, 1, 1, 0);
	ck_assert_int_eq(takeover_seal_others(&options, &owner_kit_message), -ESTALE);
	ck_assert_int_eq(type_at(2, 1, 2, NULL), 0);
}
END_TEST

START_TEST(test_old_records_go)
{
	struct owner *owners;
	size_t n;

	for (uint64_t epoch = 1; epoch <= 20; epoch++)
		owner_kit_claim(1, epoch, epoch);
	ck_assert_int_eq(take_over(21), 0);
	ck_assert_int_eq(
		owner_list(owner_kit_backend, &owner_kit_volume, &owners, &n, &owner_kit_message),
		0);
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
		backend_free(owner_kit_backend);
		ck_assert_int_eq(memory_backend_new(&owner_kit_backend), 0);
		refused_at = n_written = 0;
		owner_kit_claim(1, 1, 1);
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
	struct owner self = {.volume = owner_kit_volume,
		.node = owner_kit_node(9),
		.incarnation = 1,
		.epoch = 2};
	struct takeover_options options = {.backend = stalled, .self = &self};

	(void)arg;
	stalled_result = takeover_seal_others(&options, &owner_kit_message);
	return NULL;
}

static void begin_stalled(bool has_first, pthread_t *ret_thread)
{
	struct fault_rules none = {.n = 0};
	struct backend *second;

	backend_free(owner_kit_backend);
	ck_assert_int_eq(memory_backend_open("stalled", &owner_kit_backend), 0);
	ck_assert_int_eq(memory_backend_open("stalled", &second), 0);
	ck_assert_int_eq(fault_backend_new(second, &none, &stalled), 0);
	owner_kit_claim(1, 1, 1);
	owner_kit_claim(9, 1, 2);
	plant(1, 1, 2, 0);
	if (has_first)
		plant(1, 1, 1, 0);
	ck_assert_int_eq(
		fault_backend_set(stalled, "put:key=journal*:nth=1:hang", &owner_kit_message), 0);
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
		ck_assert_int_eq(backend_remove_wait(owner_kit_backend, key), 0);
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

/* Over a store of which calls fail, by the rules. */
static int take_over_with(const char *rules)
{
	struct owner self = owner_kit_claim(9, 1, 2);
	struct takeover_options options = {.self = &self};
	struct fault_rules parsed;
	struct backend *second, *faulty;
	int r;

	ck_assert_int_eq(memory_backend_open("faulty", &second), 0);
	ck_assert_int_eq(fault_rules_parse(rules, &parsed, &owner_kit_message), 0);
	ck_assert_int_eq(fault_backend_new(second, &parsed, &faulty), 0);
	options.backend = faulty;
	r = takeover_seal_others(&options, &owner_kit_message);
	backend_free(faulty);
	return r;
}

static void begin_faulty(void)
{
	backend_free(owner_kit_backend);
	ck_assert_int_eq(memory_backend_open("faulty", &owner_kit_backend), 0);
	owner_kit_claim(1, 1, 1);
	plant(1, 1, 1, 0);
}

/* What stands before the seal is gone, again and again. */
START_TEST(test_an_owner_that_is_always_further)
{
	begin_faulty();
	ck_assert_int_eq(take_over_with("head:key=journal*:error=ENOENT"), -EBUSY);
	ck_assert_ptr_nonnull(strstr(owner_kit_message, "stop it"));
	ck_assert_int_eq(type_at(1, 1, 2, NULL), 0);
}
END_TEST

/* Another had sealed it, and has taken that back. */
START_TEST(test_a_seal_that_has_gone)
{
	begin_faulty();
	ck_assert_int_eq(take_over_with("put:key=journal*:nth=1:error=EEXIST"), 0);
	ck_assert_int_eq(type_at(1, 1, 2, NULL), SEGMENT_SEAL);
}
END_TEST

/* Nobody knows then whether it ends anything. */
START_TEST(test_the_end_cannot_be_looked_at)
{
	begin_faulty();
	ck_assert_int_eq(take_over_with("head:key=journal*:error=EIO"), -EIO);
	ck_assert_ptr_nonnull(strstr(owner_kit_message, "cannot look behind"));
}
END_TEST

/* A seal that ends nothing would hide what follows: it must not be passed over that it stays. */
START_TEST(test_a_seal_that_cannot_be_taken_back)
{
	begin_faulty();
	ck_assert_int_eq(take_over_with("head:key=journal*:error=ENOENT;"
					"remove:key=journal*:error=EIO"),
		-EIO);
	ck_assert_ptr_nonnull(strstr(owner_kit_message, "cannot remove journal/"));
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("takeover");
	TCase *tc = tcase_create("takeover");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, owner_kit_set_up, owner_kit_tear_down);
	tcase_add_test(tc, test_every_journal_is_sealed_at_its_end);
	tcase_add_test(tc, test_again_puts_nothing);
	tcase_add_test(tc, test_the_end_is_before_what_is_missing);
	tcase_add_test(tc, test_the_first_may_be_missing);
	tcase_add_test(tc, test_the_first_may_be_lost);
	tcase_add_loop_test(tc, test_removed_segments_are_not_missing, 0, 2);
	tcase_add_loop_test(tc, test_a_lost_segment_is_not_the_end, 0, 2);
	tcase_add_loop_test(tc, test_many_lost_segments, 0, 4);
	tcase_add_test(tc, test_a_lost_one_and_an_unfinished_one);
	tcase_add_test(tc, test_a_lost_segment_before_the_seal);
	tcase_add_loop_test(tc, test_seals_of_one_who_died, 0, 2);
	tcase_add_test(tc, test_a_newer_owner_ends_it);
	tcase_add_test(tc, test_old_records_go);
	tcase_add_test(tc, test_a_writer_is_stopped);
	tcase_add_loop_test(tc, test_an_owner_that_is_further, 0, 2);
	tcase_add_test(tc, test_an_owner_that_is_always_further);
	tcase_add_test(tc, test_a_seal_that_has_gone);
	tcase_add_test(tc, test_the_end_cannot_be_looked_at);
	tcase_add_test(tc, test_a_seal_that_cannot_be_taken_back);
	suite_add_tcase(suite, tc);
	return suite;
}
