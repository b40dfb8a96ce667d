/*
 * Group commit under load: everybody is answered once, and nobody leads for as long as others come.
 */
#include <config.h>
#include "check_main.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "cache/commit.h"
#include "util/clock.h"

#define SYNCERS 32
#define SYNCS 3000
#define MOST_MS 60000

/* A leader makes 64 rounds, and goes on until somebody comes. Without relief it made hundreds. */
#define MOST_ROUNDS 130

static struct store *store;
static struct commit *commit;
static atomic_bool stop;

struct syncer {
	pthread_t thread;
	sem_t answered;
	_Atomic int errors;
	uint64_t calls, most_rounds, longest_ms;
};

/* Of this thread's call: the rounds in which it answered anybody. */
static _Thread_local uint64_t rounds, last_round;

static uint64_t syncs(void)
{
	struct commit_figures f;

	commit_get_figures(commit, &f);
	return f.syncs;
}

static void answer(void *arg, int error)
{
	struct syncer *s = arg;
	uint64_t round = syncs();

	if (round != last_round)
		rounds++;
	last_round = round;
	if (error < 0)
		atomic_fetch_add(&s->errors, 1);
	sem_post(&s->answered);
}

static void change(void)
{
	struct key key = key_node(KEY_NODE_LRU);
	struct store_batch *batch = store_batch_new(store);

	store_batch_put(batch, STORE_META, &key, "x", 1);
	(void)store_write(store, batch);
	store_batch_free(batch);
}

static void *sync_often(void *arg)
{
	struct syncer *s = arg;

	while (!atomic_load(&stop)) {
		uint64_t before_ms, took_ms;

		change();
		rounds = 0;
		before_ms = clock_monotonic_ms();
		commit_wait(commit, commit_note_change(commit), answer, s);
		took_ms = clock_monotonic_ms() - before_ms;
		sem_wait(&s->answered);
		s->calls++;
		if (rounds > s->most_rounds)
			s->most_rounds = rounds;
		if (took_ms > s->longest_ms)
			s->longest_ms = took_ms;
	}
	return NULL;
}

static void open_store(char directory[64])
{
	struct store_options options = {.directory = directory, .memory_bytes = 16 << 20};
	char *message = NULL;

	snprintf(directory, 64, "/tmp/mailfs-component-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_msg(store_open(&options, &store, &message) == 0, "%s", message);
	commit = commit_new(store);
	ck_assert_ptr_nonnull(commit);
}

static void close_store(const char *directory)
{
	char command[96];

	commit_free(commit);
	store_close(store);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(test_leading_is_bounded)
{
	static struct syncer syncers[SYNCERS];
	uint64_t calls = 0, most_rounds = 0, longest_ms = 0, start_ms = clock_monotonic_ms();
	char directory[64];

	open_store(directory);
	for (int i = 0; i < SYNCERS; i++) {
		sem_init(&syncers[i].answered, 0, 0);
		ck_assert_int_eq(
			pthread_create(&syncers[i].thread, NULL, sync_often, &syncers[i]), 0);
	}
	while (syncs() < SYNCS && clock_monotonic_ms() - start_ms < MOST_MS)
		usleep(1000);
	atomic_store(&stop, true);
	for (int i = 0; i < SYNCERS; i++) {
		pthread_join(syncers[i].thread, NULL);
		ck_assert_int_eq(atomic_load(&syncers[i].errors), 0);
		calls += syncers[i].calls;
		if (syncers[i].most_rounds > most_rounds)
			most_rounds = syncers[i].most_rounds;
		if (syncers[i].longest_ms > longest_ms)
			longest_ms = syncers[i].longest_ms;
		sem_destroy(&syncers[i].answered);
	}
	printf("%d syncers: %ju commits in %ju syncs; one call made up to %ju of them, %ju ms\n",
		SYNCERS, (uintmax_t)calls, (uintmax_t)syncs(), (uintmax_t)most_rounds,
		(uintmax_t)longest_ms);
	ck_assert_uint_ge(syncs(), SYNCS); /* else nothing was shown */
	ck_assert_uint_le(most_rounds, MOST_ROUNDS);
	close_store(directory);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("commit");
	TCase *tc = tcase_create("commit");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_leading_is_bounded);
	suite_add_tcase(suite, tc);
	return suite;
}
