/*
 * The writer of the journal: what was acknowledged is on the backend, in order, whatever the
 * backend does; replaying it gives the store.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "backends/fault_backend.h"
#include "cache/cut.h"
#include "cache/log_scan.h"
#include "cache/node_private.h"
#include "cache/shipped.h"
#include "journal_answer.h"
#include "journal_model.h"
#include "journal_seal.h"
#include "node_fixture.h"
#include "replication/journal.h"
#include "replication/segment.h"
#include "util/clock.h"

#define FLUSH_MS 30000
#define PATIENCE_MS 20000
#define FIRST "0000000000000001"

static struct node_fixture f;
static struct journal_options options;
static struct journal *journal;
static struct journal_model model;
static uint64_t user;

static int open_journal(void)
{
	char *message = NULL;
	int r = journal_open(f.node, f.backend, &options, &journal, &message);

	if (r < 0) {
		ck_assert_ptr_nonnull(message);
		journal = NULL;
	}
	free(message);
	return r;
}

static void set_up(void)
{
	struct fault_rules rules = {.n = 0};

	node_fixture_init(&f);
	ck_assert_int_eq(fault_backend_new(f.backend, &rules, &f.backend), 0);
	f.options.backend = f.backend;
	f.options.journal = true;
	f.options.commit_interval_ms = 3600000; /* no uploads */
	node_fixture_open(&f);
	user = node_fixture_mkdir(f.fs, FS_ROOT_INO, "user");
	options = (struct journal_options){
		.node = {{1, 2, 3}},
		.incarnation = 7,
		.commit_interval_ms = 3600000,
		.commit_timeout_ms = PATIENCE_MS,
		.max_in_flight = 4,
	};
	ck_assert_int_eq(open_journal(), 0);
}

static void tear_down(void)
{
	fault_backend_release(f.backend);
	(void)journal_close(journal, 0);
	journal = NULL;
	journal_model_done(&model);
	node_fixture_done(&f);
}

static void set_rules(const char *text)
{
	char *message = NULL;

	ck_assert_msg(fault_backend_set(f.backend, text, &message) == 0, "%s", message);
}

static struct journal_figures figures(void)
{
	struct journal_figures ret;

	journal_get_figures(journal, &ret);
	return ret;
}

static void check_all(void)
{
	set_rules("put:key=accounts*:error=EIO"); /* what is uploaded is missing in the store */
	ck_assert_int_eq(journal_flush(journal, FLUSH_MS), 0);
	ck_assert(journal_model_replay(&model, f.backend, &options.node, options.incarnation));
	ck_assert(journal_model_equals(&model, f.node));
	ck_assert_uint_eq(model.n_segments, figures().last_sequence);
}

static uint64_t write_file(const char *name, size_t size_bytes, uint8_t seed)
{
	uint64_t ino = node_fixture_create(f.fs, user, name);
	uint8_t *data = malloc(size_bytes);

	for (size_t i = 0; i < size_bytes; i++)
		data[i] = (uint8_t)(i * 131 + i / 97 * seed + (i * i) % 251);
	ck_assert_int_eq(node_fixture_write(f.fs, ino, 0, data, size_bytes), 0);
	free(data);
	return ino;
}

/* Something of everything, also large truncations. */
static void work(unsigned int seed, int steps)
{
	char a[32], b[32];

	for (int i = 0; i < steps; i++) {
		struct fs_attributes found;

		snprintf(a, sizeof(a), "f%d", rand_r(&seed) % 12);
		snprintf(b, sizeof(b), "f%d", rand_r(&seed) % 12);
		if (fs_lookup(f.fs, user, a, &found) < 0) {
			(void)write_file(a, 1 + (size_t)rand_r(&seed) % 60000, (uint8_t)seed);
			continue;
		}
		switch (rand_r(&seed) % 5) {
		case 0:
			(void)node_fixture_truncate(
				f.fs, found.ino, (uint64_t)rand_r(&seed) % 30000);
			break;
		case 1:
			(void)node_fixture_rename(f.fs, user, a, user, b, 0);
			break;
		case 2:
			(void)fs_unlink(f.fs, user, a);
			break;
		case 3:
			(void)fs_setxattr(f.fs, found.ino, "user.x", b, strlen(b), 0);
			break;
		default:
			(void)node_fixture_write(
				f.fs, found.ino, (uint64_t)rand_r(&seed) % 50000, b, strlen(b));
		}
		fs_forget(f.fs, found.ino, 1);
	}
}

/* ---- tests */

START_TEST(test_replay_gives_the_store)
{
	for (unsigned int round = 1; round < 12; round++) {
		work(round, 40);
		if (round % 3 == 0)
			ck_assert_int_eq(journal_answer_now(journal, f.node), 0);
		check_all();
	}
	ck_assert_uint_gt(model.n_segments, 10);
}
END_TEST

START_TEST(test_idle_puts_nothing)
{
	uint64_t segments;

	work(1, 10);
	check_all();
	segments = figures().segments;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(journal_flush(journal, FLUSH_MS), 0);
		ck_assert_int_eq(journal_answer_now(journal, f.node), 0);
	}
	ck_assert_uint_eq(figures().segments, segments);
	ck_assert_uint_eq(figures().lag_ms, 0);
	ck_assert_uint_eq(figures().in_flight, 0);
}
END_TEST

START_TEST(test_interval)
{
	uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

	check_all();
	ck_assert_int_eq(journal_close(journal, FLUSH_MS), 0);
	options.commit_interval_ms = 20;
	ck_assert_int_eq(open_journal(), 0);
	(void)write_file("x", 100, 1);
	while (figures().segments == 0 && clock_monotonic_ms() < end_ms)
		clock_sleep_ms(1);
	ck_assert_uint_eq(figures().segments, 1);
	ck_assert(journal_model_replay(&model, f.backend, &options.node, options.incarnation));
	ck_assert(journal_model_equals(&model, f.node));
}
END_TEST

static const char *const faults[] = {
	"put:key=journal*:every=2:error=EIO:after",
	"put:key=journal*:p=0.5:seed=3:error=EIO",
};

/* What was answered is there. */
START_TEST(test_lost_answers_and_failing_puts)
{
	set_rules(faults[_i]);
	for (unsigned int i = 0; i < 12; i++) {
		work(i + 50, 5);
		ck_assert_int_eq(journal_answer_now(journal, f.node), 0);
		ck_assert(journal_model_replay(
			&model, f.backend, &options.node, options.incarnation));
		ck_assert(journal_model_equals(&model, f.node));
	}
	ck_assert_uint_gt(figures().failures, 0);
	ck_assert_int_eq(figures().error, 0);
}
END_TEST

START_TEST(test_in_order)
{
	struct journal_answer waits[4];
	uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

	set_rules("put:key=journal*" FIRST ":hang");
	for (int i = 0; i < 4; i++) {
		work((unsigned int)i, 6);
		journal_answer_begin(&waits[i], journal, f.node);
		while (figures().in_flight < (uint64_t)i + 1 && clock_monotonic_ms() < end_ms)
			clock_sleep_ms(1);
	}
	while (figures().segments < 3 && clock_monotonic_ms() < end_ms)
		clock_sleep_ms(1);
	ck_assert_uint_eq(figures().in_flight, 4); /* no more than that */
	ck_assert_uint_eq(figures().segments, 3);
	ck_assert_uint_eq(figures().last_sequence, 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(waits[i].error, 1);
	fault_backend_release(f.backend);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(journal_answer_wait(&waits[i]), 0);
	for (int i = 1; i < 4; i++)
		ck_assert_uint_gt(waits[i].turn, waits[i - 1].turn);
	check_all();
	ck_assert_uint_eq(model.n_segments, 4);
}
END_TEST

START_TEST(test_timeout)
{
	check_all();
	ck_assert_int_eq(journal_close(journal, FLUSH_MS), 0);
	options.commit_timeout_ms = 30;
	ck_assert_int_eq(open_journal(), 0);
	set_rules("put:key=journal*:hang");
	work(1, 5);
	ck_assert_int_eq(journal_answer_now(journal, f.node), -ETIMEDOUT);
	ck_assert_uint_gt(figures().lag_bytes, 0);
	fault_backend_release(f.backend);
	check_all(); /* it went on being put */
	ck_assert_int_eq(journal_answer_now(journal, f.node), 0);
}
END_TEST

static void put_seal(uint64_t sequence)
{
	struct position at = {options.node, options.incarnation, sequence};

	journal_seal_put(f.backend, &at, &(struct uuid){{9}});
}

START_TEST(test_fenced)
{
	uint64_t covered;

	check_all();
	covered = cut_last_lsn(f.node);
	put_seal(figures().last_sequence + 1);
	work(1, 5);
	ck_assert_int_eq(journal_answer_now(journal, f.node), -ESTALE);
	ck_assert(node_is_fenced(f.node));
	ck_assert_int_eq(fs_unlink(f.fs, user, "nothing"), -ESTALE);
	ck_assert_int_eq(journal_answer_now(journal, f.node), -ESTALE);
	ck_assert_int_eq(figures().error, -ESTALE);
	{
		struct journal_answer w = {.error = 1};

		journal_wait(journal, covered, journal_answer_take, &w);
		ck_assert_int_eq(journal_answer_wait(&w), 0); /* that was a fact */
	}
	ck_assert_int_eq(journal_close(journal, FLUSH_MS), -ESTALE);
	ck_assert_int_eq(open_journal(), -ESTALE);
}
END_TEST

START_TEST(test_parts)
{
	check_all();
	ck_assert_int_eq(journal_close(journal, FLUSH_MS), 0);
	options.part_bytes = 64 << 10;
	options.memory_bytes = 256 << 10;
	ck_assert_int_eq(open_journal(), 0);
	/* Nothing of them is in objects of its own. */
	set_rules("put:key=journal*:p=0.2:seed=5:error=EIO;put:key=accounts*:error=EIO");
	for (int i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof(name), "big%d", i);
		(void)write_file(name, 12 << 20, (uint8_t)(i + 1));
	}
	ck_assert_int_eq(journal_answer_now(journal, f.node), 0);
	check_all();
	ck_assert_uint_gt(figures().parts, 2);
	ck_assert_uint_eq(model.n_parts, figures().parts);
	ck_assert_uint_eq(figures().memory_bytes, 0);
}
END_TEST

static void restart(void)
{
	ck_assert_int_eq(journal_close(journal, FLUSH_MS), 0);
	journal = NULL;
	node_fixture_reopen(&f);
	ck_assert_int_eq(open_journal(), 0);
}

START_TEST(test_restart_goes_on)
{
	struct fs_attributes a;

	work(1, 30);
	check_all();
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t before;

		restart(); /* which removes files without names: changes behind the journal's back
			    */
		check_all();
		restart();
		before = figures().last_sequence;
		ck_assert_uint_eq(before, model.n_segments);
		ck_assert_int_eq(fs_lookup(f.fs, FS_ROOT_INO, "user", &a), 0);
		user = a.ino;
		ck_assert_int_eq(journal_flush(journal, FLUSH_MS), 0);
		ck_assert_uint_eq(figures().segments, 0); /* nothing had changed */
		work(i + 5, 20);
		check_all();
		ck_assert_uint_eq(figures().last_sequence, before + 1);
		ck_assert_uint_eq(model.n_whole, 2); /* when it began */
	}
}
END_TEST

/* The end comes while the first of three is missing: the other two are nobody's, and what they had
 * comes again. */
START_TEST(test_hole)
{
	struct journal_answer waits[3];
	uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	struct fs_attributes a;

	set_rules("put:key=journal*" FIRST ":error=EIO");
	for (int i = 0; i < 3; i++) {
		work((unsigned int)i, 6);
		journal_answer_begin(&waits[i], journal, f.node);
		while (figures().in_flight < (uint64_t)i + 1 && clock_monotonic_ms() < end_ms)
			clock_sleep_ms(1);
	}
	while (figures().segments < 2 && clock_monotonic_ms() < end_ms)
		clock_sleep_ms(1);
	ck_assert_int_eq(journal_close(journal, 1), -ETIMEDOUT);
	journal = NULL;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(waits[i].error, -ECANCELED);
	set_rules("");
	node_fixture_reopen(&f);
	ck_assert_int_eq(open_journal(), 0);
	ck_assert_int_eq(fs_lookup(f.fs, FS_ROOT_INO, "user", &a), 0);
	user = a.ino;
	ck_assert_int_eq(journal_answer_now(journal, f.node),
		0); /* LSN 0: but there is something from before */
	ck_assert_uint_eq(figures().last_sequence, 1);
	check_all();
	work(9, 20);
	check_all();
}
END_TEST

/* The backend knows more than the store: the store has lost something. */
START_TEST(test_store_is_behind)
{
	struct shipped note = {.incarnation = options.incarnation};

	work(1, 5);
	check_all();
	note.sequence = figures().last_sequence;
	ck_assert_int_eq(journal_close(journal, FLUSH_MS), 0);
	ck_assert_int_eq(shipped_forget(f.node, &note), 0);
	ck_assert_int_eq(open_journal(), -EUCLEAN);
}
END_TEST

START_TEST(test_log_does_not_reach_back)
{
	bool is_whole = false;
	uint64_t n_whole;

	work(1, 20);
	check_all();
	n_whole = model.n_whole;
	ck_assert_int_eq(log_scan_note(f.node, UINT64_MAX / 2, &is_whole), 0);
	ck_assert(is_whole);
	check_all();
	ck_assert_uint_eq(model.n_whole, n_whole + 2); /* the root account and the user */
}
END_TEST

/* Copies that come and go are no changes, for the notes nor for the log. */
START_TEST(test_copies_are_no_changes)
{
	uint64_t ino = write_file(".temp.x", 50000, 1), evicted = 0, before, segments;
	uint8_t data[100];
	bool is_whole = false;

	ck_assert_int_eq(node_fixture_rename(f.fs, user, ".temp.x", user, "u.1", 0), 0);
	ck_assert_int_eq(node_flush(f.node, FLUSH_MS), 0);
	ck_assert_int_eq(journal_flush(journal, FLUSH_MS), 0);
	segments = figures().segments;
	before = store_last_sequence(f.node->store);
	ck_assert_int_eq(node_evict(f.node, 0, &evicted), 0);
	ck_assert_uint_ge(evicted, 50000);
	ck_assert_int_eq(node_fixture_read(f.fs, ino, 0, data, sizeof(data)), sizeof(data));
	ck_assert_uint_gt(store_last_sequence(f.node->store), before);
	ck_assert_int_eq(log_scan_note(f.node, before, &is_whole), 0);
	ck_assert(!is_whole);
	ck_assert(!cut_is_needed(f.node));
	ck_assert_int_eq(journal_flush(journal, FLUSH_MS), 0);
	ck_assert_uint_eq(figures().segments, segments);
}
END_TEST

/* ---- many threads */

#define WORKERS 6
#ifdef MAILFS_SANITIZED
#define ROUNDS 40
#else
#define ROUNDS 150
#endif

struct worker {
	pthread_t thread;
	uint64_t ino;
	_Atomic uint64_t acknowledged; /* the number in its file that is on the backend */
	int error;
};

static void *write_and_wait(void *arg)
{
	struct worker *w = arg;

	for (uint64_t i = 1; i <= ROUNDS && w->error == 0; i++) {
		w->error = node_fixture_write(f.fs, w->ino, 0, &i, sizeof(i));
		if (w->error == 0)
			w->error = journal_answer_now(journal, f.node);
		if (w->error == 0)
			w->acknowledged = i;
	}
	return NULL;
}

static uint64_t number_on_backend(const struct worker *w)
{
	struct key key = key_data(w->ino, 0);
	const struct model_record *r = journal_model_find(&model, STORE_DATA, &key);
	uint64_t number = 0;

	if (r != NULL && r->value_bytes >= sizeof(number))
		memcpy(&number, r->value, sizeof(number));
	return number;
}

/* What had been answered before the journal was read is in what was read. */
static bool check_acknowledged(struct worker *workers)
{
	uint64_t acknowledged[WORKERS];
	bool all_done = true;

	for (int i = 0; i < WORKERS; i++)
		acknowledged[i] = workers[i].acknowledged;
	ck_assert(journal_model_replay(&model, f.backend, &options.node, options.incarnation));
	for (int i = 0; i < WORKERS; i++) {
		ck_assert_uint_ge(number_on_backend(&workers[i]), acknowledged[i]);
		all_done = all_done && acknowledged[i] == ROUNDS;
	}
	return all_done;
}

START_TEST(test_many_threads)
{
	struct worker workers[WORKERS] = {{.ino = 0}};
	uint64_t end_ms = clock_monotonic_ms() + 2 * PATIENCE_MS;

	set_rules("put:key=journal*:p=0.1:seed=1:error=EIO:after;"
		  "put:key=journal*:p=0.1:seed=2:error=EIO;put:key=journal*:p=0.3:delay=2ms");
	for (int i = 0; i < WORKERS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "w%d", i);
		workers[i].ino = node_fixture_create(f.fs, user, name);
	}
	for (int i = 0; i < WORKERS; i++)
		ck_assert_int_eq(
			pthread_create(&workers[i].thread, NULL, write_and_wait, &workers[i]), 0);
	while (!check_acknowledged(workers) && clock_monotonic_ms() < end_ms)
		clock_sleep_ms(1);
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(workers[i].thread, NULL);
		ck_assert_int_eq(workers[i].error, 0);
	}
	ck_assert(check_acknowledged(workers));
	ck_assert_uint_lt(figures().segments, WORKERS * ROUNDS); /* they share */
	check_all();
}
END_TEST

/* Others have waited for the next cut, in vain, and the thread sleeps. */
START_TEST(test_timeout_behind_others)
{
	static struct journal_answer many[40], some[4];

	check_all();
	ck_assert_int_eq(journal_close(journal, FLUSH_MS), 0);
	options.commit_timeout_ms = 300;
	ck_assert_int_eq(open_journal(), 0);
	set_rules("put:key=journal*:hang");
	work(1, 5);
	for (size_t i = 0; i < 40; i++)
		journal_answer_begin(&many[i], journal, f.node);
	for (unsigned int i = 0; i < 4; i++) {
		work(i + 10, 6);
		journal_answer_begin(&some[i], journal, f.node);
		while (figures().in_flight < (uint64_t)i + 1)
			clock_sleep_ms(1);
	}
	for (size_t i = 0; i < 40; i++)
		ck_assert_int_eq(journal_answer_wait(&many[i]), -ETIMEDOUT);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(journal_answer_wait(&some[i]), -ETIMEDOUT);
	work(77, 6);
	for (int i = 0; i < 3; i++) {
		uint64_t begun_ms = clock_monotonic_ms();

		ck_assert_int_eq(journal_answer_now(journal, f.node), -ETIMEDOUT);
		ck_assert_uint_lt(clock_monotonic_ms() - begun_ms, PATIENCE_MS / 2);
	}
	fault_backend_release(f.backend);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("journal");
	TCase *tc = tcase_create("journal");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_replay_gives_the_store);
	tcase_add_test(tc, test_idle_puts_nothing);
	tcase_add_test(tc, test_interval);
	tcase_add_loop_test(tc, test_lost_answers_and_failing_puts, 0, 2);
	tcase_add_test(tc, test_in_order);
	tcase_add_test(tc, test_timeout);
	tcase_add_test(tc, test_timeout_behind_others);
	tcase_add_test(tc, test_fenced);
	tcase_add_test(tc, test_parts);
	tcase_add_test(tc, test_restart_goes_on);
	tcase_add_test(tc, test_hole);
	tcase_add_test(tc, test_store_is_behind);
	tcase_add_test(tc, test_log_does_not_reach_back);
	tcase_add_test(tc, test_copies_are_no_changes);
	tcase_add_test(tc, test_many_threads);
	suite_add_tcase(suite, tc);
	return suite;
}
