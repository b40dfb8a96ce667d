/*
 * battery_race.c: many writers of one key; exactly one of them wins.
 */
#include <config.h>
#include "battery_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct racer {
	pthread_t thread;
	int number;
	unsigned int round;
	struct backend_condition condition;
	pthread_barrier_t *barrier;
	int error;
	struct backend_version version; /* the winner's */
};

static void key_of_round(char key[32], const char *prefix, unsigned int round)
{
	snprintf(key, 32, "%s/%u/key", prefix, round);
}

/* One round of one racer, between the barriers of the test's thread. */
static void race(struct racer *r)
{
	char key[32], text[32];

	key_of_round(key, "race", r->condition.type == BACKEND_IF_VERSION ? 0 : r->round);
	snprintf(text, sizeof(text), "round %u by %d", r->round, r->number);
	r->error = battery_put(battery_backend, key, text, &r->condition, &r->version);
}

static void *run_racer(void *arg)
{
	struct racer *r = arg;

	for (;;) {
		pthread_barrier_wait(r->barrier);
		if (r->round == UINT32_MAX)
			return NULL;
		race(r);
		pthread_barrier_wait(r->barrier);
	}
}

static void start(struct racer *racers, pthread_barrier_t *barrier)
{
	pthread_barrier_init(barrier, NULL, BATTERY_RACERS + 1);
	for (int i = 0; i < BATTERY_RACERS; i++) {
		racers[i] = (struct racer){.number = i, .barrier = barrier};
		ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, run_racer, &racers[i]), 0);
	}
}

static void stop(struct racer *racers, pthread_barrier_t *barrier)
{
	for (int i = 0; i < BATTERY_RACERS; i++)
		racers[i].round = UINT32_MAX;
	pthread_barrier_wait(barrier);
	for (int i = 0; i < BATTERY_RACERS; i++)
		pthread_join(racers[i].thread, NULL);
	pthread_barrier_destroy(barrier);
}

/* Runs a round; the winner's index. All others must fail with loser_error. */
static int run_round(struct racer *racers, pthread_barrier_t *barrier, unsigned int round,
	const struct backend_condition *condition, int loser_error)
{
	int winner = -1;

	for (int i = 0; i < BATTERY_RACERS; i++) {
		racers[i].round = round;
		racers[i].condition = *condition;
	}
	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	for (int i = 0; i < BATTERY_RACERS; i++) {
		if (racers[i].error == 0) {
			ck_assert_int_eq(winner, -1);
			winner = i;
		} else if (!battery_target->is_unsure || racers[i].error != -EIO) {
			ck_assert_int_eq(racers[i].error, loser_error);
		}
	}
	ck_assert_int_ge(winner, 0);
	return winner;
}

static void assert_won(unsigned int round, const char *key, int winner)
{
	char text[32];

	snprintf(text, sizeof(text), "round %u by %d", round, winner);
	battery_assert_is(battery_backend, key, text);
}

static void race_if_absent(bool record)
{
	struct backend_condition condition = {.type = BACKEND_IF_ABSENT, .record = record};
	struct racer racers[BATTERY_RACERS];
	pthread_barrier_t barrier;

	start(racers, &barrier);
	for (unsigned int round = 0; round < battery_rounds(); round++) {
		int winner = run_round(racers, &barrier, round, &condition, -EEXIST);
		char key[32];

		key_of_round(key, "race", round);
		assert_won(round, key, winner);
	}
	stop(racers, &barrier);
}

START_TEST(test_put_if_absent_race)
{
	race_if_absent(false);
}
END_TEST

START_TEST(test_new_record_race)
{
	race_if_absent(true);
}
END_TEST

START_TEST(test_compare_and_swap_race)
{
	static const struct backend_condition new_record = {
		.type = BACKEND_IF_ABSENT, .record = true};
	struct backend_condition condition = {.type = BACKEND_IF_VERSION};
	struct racer racers[BATTERY_RACERS];
	pthread_barrier_t barrier;

	ck_assert_int_eq(battery_put(battery_backend, "race/0/key", "start", &new_record,
				 &condition.version),
		0);
	start(racers, &barrier);
	for (unsigned int round = 0; round < battery_rounds(); round++) {
		int winner = run_round(racers, &barrier, round, &condition, -ESTALE);

		assert_won(round, "race/0/key", winner);
		condition.version = racers[winner].version;
	}
	stop(racers, &barrier);
}
END_TEST

/* Each thread adds to a counter by compare-and-swap; no addition may be lost or made twice. */
struct adder {
	pthread_t thread;
	int n_added, n_unsure;
};

static int add_one(void)
{
	struct backend_condition condition = {.type = BACKEND_IF_VERSION};
	struct backend_result result;
	char text[16] = "";
	unsigned int value;

	ck_assert_int_eq(battery_get(battery_backend, "counter", 0, 15, &result), 0);
	memcpy(text, result.data, result.data_size_bytes);
	condition.version = result.version;
	backend_result_done(&result);
	ck_assert_int_eq(sscanf(text, "%u", &value), 1);
	/* The thread makes the content its own, the number is what counts. */
	snprintf(text, sizeof(text), "%u %04x", value + 1,
		(unsigned int)pthread_self() >> 12 & 0xffff);
	return battery_put(battery_backend, "counter", text, &condition, NULL);
}

static void *count_up(void *arg)
{
	struct adder *adder = arg;

	while (adder->n_added < (int)battery_rounds() / 8) {
		int r = add_one();

		ck_assert(r == 0 || r == -ESTALE || (battery_target->is_unsure && r == -EIO));
		adder->n_added += r == 0;
		adder->n_unsure += r == -EIO;
	}
	return NULL;
}

START_TEST(test_counter)
{
	static const struct backend_condition new_record = {
		.type = BACKEND_IF_ABSENT, .record = true};
	struct adder adders[8] = {{.n_added = 0}};
	struct backend_result result;
	int n_added = 0, n_unsure = 0, sum;
	char text[16] = "";

	ck_assert_int_eq(battery_put(battery_backend, "counter", "0", &new_record, NULL), 0);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_create(&adders[i].thread, NULL, count_up, &adders[i]), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(adders[i].thread, NULL);
		n_added += adders[i].n_added;
		n_unsure += adders[i].n_unsure;
	}
	ck_assert_int_eq(battery_get(battery_backend, "counter", 0, 15, &result), 0);
	memcpy(text, result.data, result.data_size_bytes);
	backend_result_done(&result);
	sum = atoi(text);
	ck_assert_int_ge(sum, n_added);
	ck_assert_int_le(sum, n_added + n_unsure);
}
END_TEST

/* Readers see one whole state or the other while a key is replaced. */
static void *replace_often(void *arg)
{
	const char *const *texts = arg;

	for (unsigned int i = 0; i < battery_rounds(); i++)
		ck_assert_int_eq(battery_put(battery_backend, "flip", texts[i % 2], NULL, NULL), 0);
	return NULL;
}

START_TEST(test_readers_see_whole_objects)
{
	static const char *const texts[] = {"aaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbb"};
	pthread_t writer;
	struct backend_result result;

	ck_assert_int_eq(battery_put(battery_backend, "flip", texts[1], NULL, NULL), 0);
	ck_assert_int_eq(pthread_create(&writer, NULL, replace_often, (void *)(uintptr_t)texts), 0);
	for (unsigned int i = 0; i < battery_rounds(); i++) {
		const char *expected;

		ck_assert_int_eq(
			backend_get_wait(battery_backend, "flip", 0, SIZE_MAX, &result), 0);
		expected = result.data_size_bytes == 20 ? texts[0] : texts[1];
		ck_assert_uint_eq(result.data_size_bytes, strlen(expected));
		ck_assert_mem_eq(result.data, expected, result.data_size_bytes);
		backend_result_done(&result);
	}
	pthread_join(writer, NULL);
}
END_TEST

TCase *battery_race_case(void)
{
	TCase *tc = battery_case("race", 240);

	tcase_add_test(tc, test_put_if_absent_race);
	tcase_add_test(tc, test_new_record_race);
	tcase_add_test(tc, test_compare_and_swap_race);
	tcase_add_test(tc, test_counter);
	tcase_add_test(tc, test_readers_see_whole_objects);
	return tc;
}
