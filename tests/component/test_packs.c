/*
 * Small bodies on a node with a journal: packed, evicted, fetched by ranges, rewritten, and gone.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cache/adoption.h"
#include "cache/body_map.h"
#include "cache/body_uploader.h"
#include "cache/node_private.h"
#include "packs_kit.h"
#include "util/clock.h"

START_TEST(test_one_pack)
{
	uint64_t inos[50];
	struct packer_figures figures;
	struct node_figures before, after;

	packs_kit_begin(0);
	for (unsigned int i = 0; i < 50; i++)
		inos[i] = packs_kit_make_body(i + 1, 3000);
	/* When a large one that came later is uploaded, their time has passed. */
	(void)packs_kit_make_body(51, 300000);
	packs_kit_wait_for_objects("/body/", 1);
	ck_assert_uint_eq(packs_kit_objects_like("/"), 1);
	figures = packs_kit_pack();
	ck_assert_uint_eq(figures.packs, 1);
	ck_assert_uint_eq(figures.bodies, 50);
	ck_assert_uint_eq(packs_kit_objects_like("/pack/"), 1);
	ck_assert_uint_eq(packs_kit_objects_like("/body/"), 1);
	ck_assert_uint_eq(packs_kit_live().live_bodies, 50);
	ck_assert_uint_eq(packs_kit_live().live_bytes, packs_kit_live().total_bytes);
	packs_kit_check_account("packed");
	ck_assert_uint_eq(packs_kit_pack().packs, 0); /* all is clean */
	packs_kit_evict();
	node_get_figures(packs_kit_fixture.node, &before);
	ck_assert_int_eq(packs_kit_body_is_right(inos[7], 8, 3000), 0);
	node_get_figures(packs_kit_fixture.node, &after);
	ck_assert_uint_eq(after.objects_fetched - before.objects_fetched, 1);
	/* Of one body only, compressed. */
	ck_assert_uint_lt(after.objects_fetched_bytes - before.objects_fetched_bytes, 1500);
	for (unsigned int i = 0; i < 50; i++)
		ck_assert_int_eq(packs_kit_body_is_right(inos[i], i + 1, 3000), 0);
	node_fixture_reopen(&packs_kit_fixture);
	for (unsigned int i = 0; i < 50; i++)
		ck_assert_int_eq(packs_kit_body_is_right(inos[i], i + 1, 3000), 0);
	packs_kit_check_account("opened again");
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

/* Runs from BODY_MAP_SMALL_BYTES on become objects by themselves; the rest of the same body waits.
 */
START_TEST(test_large_body)
{
	static uint8_t data[BODY_MAP_SMALL_BYTES + 4096];
	uint64_t ino, small;

	packs_kit_begin(0);
	memset(data, 'x', sizeof(data));
	ino = packs_kit_make_body(1, 0);
	small = packs_kit_make_body(2, 5000);
	ck_assert_int_eq(node_fixture_write(packs_kit_fixture.fs, ino, 0, data, sizeof(data)), 0);
	ck_assert_int_eq(node_fixture_write(packs_kit_fixture.fs, ino, 1 << 20, data, 8192), 0);
	packs_kit_wait_for_objects("/body/", 1);
	ck_assert_uint_eq(packs_kit_objects_like("/pack/"), 0);
	ck_assert_int_eq(node_flush(packs_kit_fixture.node, PACKS_KIT_PATIENCE_MS), 0);
	ck_assert_uint_eq(packs_kit_live().live_bodies, 2);
	packs_kit_evict();
	packs_kit_check_account("packed");
	ck_assert_int_eq(node_fixture_read(packs_kit_fixture.fs, ino, 1 << 20, data, 8192), 8192);
	for (size_t i = 0; i < 8192; i++)
		ck_assert_uint_eq(data[i], 'x');
	ck_assert_int_eq(packs_kit_body_is_right(small, 2, 5000), 0);
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

struct hurry {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool is_done;
	int error;
};

static void hurried(void *arg, int error)
{
	struct hurry *h = arg;

	pthread_mutex_lock(&h->mutex);
	h->is_done = true;
	h->error = error;
	pthread_cond_signal(&h->changed);
	pthread_mutex_unlock(&h->mutex);
}

static int hurry(uint64_t ino)
{
	struct hurry h = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

	body_uploader_hurry(packs_kit_fixture.node, ino, hurried, &h);
	pthread_mutex_lock(&h.mutex);
	while (!h.is_done)
		pthread_cond_wait(&h.changed, &h.mutex);
	pthread_mutex_unlock(&h.mutex);
	return h.error;
}

START_TEST(test_hurry)
{
	uint64_t small, large;

	packs_kit_begin_faulty();
	node_fixture_close(&packs_kit_fixture);
	packs_kit_fixture.options.commit_interval_ms = 3600000;
	node_fixture_open(&packs_kit_fixture);
	small = packs_kit_make_body(1, 5000);
	large = packs_kit_make_body(2, 300000);
	ck_assert_int_eq(hurry(small), 0);
	ck_assert_uint_eq(packs_kit_objects_like("/"), 0);
	ck_assert_int_eq(hurry(large), 0);
	ck_assert_uint_eq(packs_kit_objects_like("/body/"), 1);
	ck_assert_int_eq(hurry(large), 0); /* nothing to do */
	large = packs_kit_make_body(3, 300000);
	packs_kit_set_faults("put:error=EIO");
	ck_assert_int_eq(hurry(large), -EIO);
	packs_kit_set_faults("");
	packs_kit_wait_for_objects("/body/", 2); /* it went on */
	/* 4 MiB are full: no delay. */
	(void)packs_kit_make_body(4, BODY_MAP_OBJECT_MAX_BYTES + 5000);
	packs_kit_wait_for_objects("/body/", 3);
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

/* A store that takes very long is left to the journal. */
START_TEST(test_hurry_has_an_end)
{
	uint64_t began_ms, took_ms;
	uint64_t large;

	packs_kit_begin_faulty();
	packs_kit_set_faults("put:delay=15s");
	large = packs_kit_make_body(1, 300000);
	began_ms = clock_monotonic_ms();
	ck_assert_int_eq(hurry(large), -ETIMEDOUT);
	took_ms = clock_monotonic_ms() - began_ms;
	ck_assert_uint_ge(took_ms, BODY_UPLOADER_HURRY_MS);
	ck_assert_uint_lt(took_ms, 14000);
	packs_kit_set_faults("");
	packs_kit_wait_for_objects("/body/", 1); /* it went on */
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

/* What changes while its pack is being put stays dirty. */
START_TEST(test_changed_meanwhile)
{
	struct packer_options options = {.min_bytes_live = 0};
	struct packer_figures figures;
	uint64_t inos[4];

	packs_kit_begin_faulty();
	for (unsigned int i = 0; i < 4; i++)
		inos[i] = packs_kit_make_body(i + 1, 4000);
	packs_kit_set_faults("put:key=*pack*:error=EIO");
	ck_assert_int_eq(packs_kit_pack_with(&options, &figures), -EIO);
	ck_assert_uint_eq(packs_kit_live().packs, 0);
	packs_kit_check_account("the put failed");
	packs_kit_set_faults("put:key=*pack*:error=EIO:after"); /* it is there, but nobody knows */
	ck_assert_int_eq(packs_kit_pack_with(&options, &figures), -EIO);
	packs_kit_set_faults("");
	ck_assert_uint_eq(packs_kit_pack().bodies, 4);
	packs_kit_check_account("packed");
	/* Garbage that nothing ever referred to does not wait for the journal. */
	packs_kit_wait_for_objects("/pack/", 1);
	ck_assert_int_eq(node_fixture_write(packs_kit_fixture.fs, inos[0], 100, "changed", 7), 0);
	packs_kit_remove_body(2, inos[1]);
	packs_kit_check_account("changed");
	ck_assert_uint_eq(
		packs_kit_live().live_bodies, 3); /* the old content of the first has blocks left */
	ck_assert_uint_eq(packs_kit_pack().bodies, 1);
	ck_assert_uint_eq(packs_kit_live().live_bodies, 3);
	packs_kit_check_account("packed again");
	packs_kit_evict();
	ck_assert_int_eq(packs_kit_body_is_right(inos[2], 3, 4000), 0);
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

START_TEST(test_min_bytes)
{
	struct packer_options options = {.min_bytes_live = 20000};
	struct packer_figures figures;

	packs_kit_begin(0);
	(void)packs_kit_make_body(1, 5000);
	ck_assert_int_eq(packs_kit_pack_with(&options, &figures), 0);
	ck_assert_uint_eq(figures.packs, 0);
	(void)packs_kit_make_body(2, 20000);
	ck_assert_int_eq(packs_kit_pack_with(&options, &figures), 0);
	ck_assert_uint_eq(figures.bodies, 2);
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

START_TEST(test_rewriting)
{
	enum { N = 60 };
	uint64_t inos[N];
	struct packer_figures figures;

	packs_kit_begin(0);
	packs_kit_set_journal(false, 0);
	for (unsigned int i = 0; i < N; i++)
		inos[i] = packs_kit_make_body(i + 1, 2000 + i * 100);
	(void)packs_kit_pack();
	for (unsigned int i = 0; i < N; i++) {
		if (i % 3 != 0)
			packs_kit_remove_body(i + 1, inos[i]);
	}
	packs_kit_check_account("two thirds removed");
	ck_assert_uint_eq(packs_kit_live().live_bodies, N / 3);
	packs_kit_evict();
	figures = packs_kit_pack();
	ck_assert_uint_eq(figures.rewritten, 1);
	ck_assert_uint_eq(figures.bodies, 0);
	ck_assert_uint_eq(packs_kit_live().packs, 1);
	ck_assert_uint_eq(packs_kit_live().live_bytes, packs_kit_live().total_bytes);
	packs_kit_check_account("rewritten");
	ck_assert_int_eq(node_flush(packs_kit_fixture.node, PACKS_KIT_PATIENCE_MS), 0);
	packs_kit_wait_for_objects("/pack/", 1);
	for (unsigned int i = 0; i < N; i += 3)
		ck_assert_int_eq(packs_kit_body_is_right(inos[i], i + 1, 2000 + i * 100), 0);
	for (unsigned int i = 0; i < N; i += 3)
		packs_kit_remove_body(i + 1, inos[i]);
	ck_assert_uint_eq(packs_kit_live().packs, 0);
	ck_assert_int_eq(node_flush(packs_kit_fixture.node, PACKS_KIT_PATIENCE_MS), 0);
	packs_kit_wait_for_objects("/pack/", 0);
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

/* Many small packs become one. */
START_TEST(test_small_packs)
{
	uint64_t inos[PACKER_SMALL_PACKS];

	packs_kit_begin(0);
	packs_kit_set_journal(false, 0);
	for (unsigned int i = 0; i < PACKER_SMALL_PACKS; i++) {
		inos[i] = packs_kit_make_body(i + 1, 3000);
		(void)packs_kit_pack();
	}
	ck_assert_uint_eq(packs_kit_live().packs, 1);
	ck_assert_uint_eq(packs_kit_live().live_bodies, PACKER_SMALL_PACKS);
	packs_kit_evict();
	for (unsigned int i = 0; i < PACKER_SMALL_PACKS; i++)
		ck_assert_int_eq(packs_kit_body_is_right(inos[i], i + 1, 3000), 0);
	packs_kit_check_account("one pack");
	ck_assert_int_eq(node_flush(packs_kit_fixture.node, PACKS_KIT_PATIENCE_MS), 0);
	packs_kit_wait_for_objects("/pack/", 1);
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

/* What is dirty over an old content keeps it where it is: a replay could not tell what is newer. */
START_TEST(test_dirty_is_not_moved)
{
	uint64_t inos[4];
	struct packer_figures figures = {0};
	struct packer_options options = {.min_bytes_live = UINT64_MAX};

	packs_kit_begin(0);
	for (unsigned int i = 0; i < 4; i++)
		inos[i] = packs_kit_make_body(i + 1, 20000);
	(void)packs_kit_pack();
	for (unsigned int i = 1; i < 4; i++)
		packs_kit_remove_body(i + 1, inos[i]);
	ck_assert_int_eq(node_fixture_write(packs_kit_fixture.fs, inos[0], 10, "new", 3), 0);
	ck_assert_int_eq(packs_kit_pack_with(&options, &figures), 0); /* rewrites only */
	ck_assert_uint_eq(figures.packs, 0);
	ck_assert_uint_eq(packs_kit_live().packs, 1);
	ck_assert_uint_eq(packs_kit_live().live_bodies, 1);
	packs_kit_check_account("not moved");
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

/* ---- garbage */

static void wait_until_asked(unsigned int times)
{
	uint64_t until_ms = clock_monotonic_ms() + PACKS_KIT_PATIENCE_MS;

	while (packs_kit_journal_asked() < times && clock_monotonic_ms() < until_ms)
		usleep(10000);
	ck_assert_uint_ge(packs_kit_journal_asked(), times);
}

START_TEST(test_garbage_waits)
{
	uint64_t ino, large;

	packs_kit_begin(0);
	ino = packs_kit_make_body(1, 3000);
	large = packs_kit_make_body(2, 300000);
	(void)packs_kit_pack();
	packs_kit_wait_for_objects("/body/", 1);
	packs_kit_set_journal(true, 0);
	packs_kit_remove_body(1, ino);
	packs_kit_remove_body(2, large);
	wait_until_asked(1);
	ck_assert_uint_eq(packs_kit_objects_like("/"), 2);
	packs_kit_journal_answer(-ETIMEDOUT);
	wait_until_asked(2);
	ck_assert_uint_eq(packs_kit_objects_like("/"), 2);
	packs_kit_journal_answer(0);
	packs_kit_wait_for_objects("/", 0);
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

/* Without an answer, the next process waits anew; without replication nothing goes. */
START_TEST(test_garbage_over_restart)
{
	uint64_t ino;

	packs_kit_begin(0);
	ino = packs_kit_make_body(1, 3000);
	(void)packs_kit_pack();
	packs_kit_set_journal(true, 0);
	packs_kit_remove_body(1, ino);
	wait_until_asked(1);
	node_set_replication(packs_kit_fixture.node, NULL);
	packs_kit_journal_answer(-ECANCELED);
	node_fixture_reopen(&packs_kit_fixture);
	ck_assert_int_eq(node_flush(packs_kit_fixture.node, PACKS_KIT_PATIENCE_MS), 0);
	ck_assert_uint_eq(packs_kit_objects_like("/pack/"), 1);
	packs_kit_set_journal(false, 0);
	packs_kit_wait_for_objects("/pack/", 0);
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

START_TEST(test_retention)
{
	uint64_t ino, removed_ms;

	packs_kit_begin(0);
	ino = packs_kit_make_body(1, 3000);
	(void)packs_kit_pack();
	packs_kit_set_journal(false, 3000);
	removed_ms = clock_monotonic_ms();
	packs_kit_remove_body(1, ino);
	ck_assert_int_eq(node_flush(packs_kit_fixture.node, PACKS_KIT_PATIENCE_MS), 0);
	ck_assert_uint_eq(packs_kit_objects_like("/pack/"), 1);
	node_fixture_reopen(&packs_kit_fixture); /* the time is remembered */
	packs_kit_set_journal(false, 3000);
	packs_kit_wait_for_objects("/pack/", 0);
	ck_assert_uint_ge(clock_monotonic_ms() - removed_ms, 3000);
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

/* ---- the end of the node */

static void *pack_slowly(void *arg)
{
	struct packer_options options = {.rate_bytes_per_s = 100000};
	struct packer_figures figures;

	*(int *)arg = packs_kit_pack_with(&options, &figures);
	return NULL;
}

/* Who packs slowly is not waited for. */
START_TEST(test_stop)
{
	static uint8_t data[120000];
	uint64_t stopped_ms, state = 1;
	pthread_t thread;
	int r = 0;

	packs_kit_begin(0);
	for (unsigned int i = 0; i < 160; i++) { /* more than one pack: it cannot be compressed */
		uint64_t ino = packs_kit_make_body(i + 1, 0);

		for (size_t k = 0; k < sizeof(data); k++) {
			state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
			data[k] = (uint8_t)(state >> 56);
		}
		ck_assert_int_eq(
			node_fixture_write(packs_kit_fixture.fs, ino, 0, data, sizeof(data)), 0);
	}
	ck_assert_int_eq(pthread_create(&thread, NULL, pack_slowly, &r), 0);
	packs_kit_wait_for_objects("/pack/", 1); /* the next is to go much later */
	stopped_ms = clock_monotonic_ms();
	packer_stop(packs_kit_fixture.node->packer);
	ck_assert_uint_lt(clock_monotonic_ms() - stopped_ms, 10000);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(r, -ECANCELED);
	node_fixture_reopen(&packs_kit_fixture);
	packs_kit_check_account("stopped");
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

/* ---- when the cache is full */

START_TEST(test_pressure)
{
	enum { N = 100, BYTES = 20000 };
	uint64_t inos[N], until_ms = clock_monotonic_ms() + PACKS_KIT_PATIENCE_MS;
	struct node_figures figures;

	packs_kit_begin(N * BYTES / 4);
	for (unsigned int i = 0; i < N; i++)
		inos[i] = packs_kit_make_body(i + 1, BYTES);
	do {
		usleep(20000);
		node_get_figures(packs_kit_fixture.node, &figures);
	} while ((figures.bodies_evicted < N / 4 || figures.packs_put == 0) &&
		 clock_monotonic_ms() < until_ms);
	ck_assert_uint_ge(figures.bodies_evicted, N / 4);
	ck_assert_uint_gt(figures.packs_put, 0);
	ck_assert_uint_eq(packs_kit_objects_like("/body/"), 0);
	for (unsigned int i = 0; i < N; i++)
		ck_assert_int_eq(packs_kit_body_is_right(inos[i], i + 1, BYTES), 0);
	packs_kit_check_account("under pressure");
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

/* An account that leaves is not packed: nothing may be recorded behind its checkpoint. */
START_TEST(test_pressure_and_leaving)
{
	enum { N = 60, BYTES = 20000 };
	uint64_t until_ms = clock_monotonic_ms() + PACKS_KIT_PATIENCE_MS;
	struct node_figures figures;

	packs_kit_begin(N * BYTES / 4);
	ck_assert_int_eq(
		adoption_begin_eviction(packs_kit_fixture.node, PACKS_KIT_ACCOUNT, 5000), 0);
	for (unsigned int i = 0; i < N; i++)
		(void)packs_kit_make_body(i + 1, BYTES);
	usleep(1500000); /* it is looked at again, and passed over again */
	node_get_figures(packs_kit_fixture.node, &figures);
	ck_assert_uint_eq(figures.packs_put, 0);
	ck_assert_uint_eq(packs_kit_objects_like("/pack/"), 0);
	adoption_finish(packs_kit_fixture.node, PACKS_KIT_ACCOUNT, 0);
	do {
		usleep(20000);
		node_get_figures(packs_kit_fixture.node, &figures);
	} while (figures.packs_put == 0 && clock_monotonic_ms() < until_ms);
	ck_assert_uint_gt(figures.packs_put, 0);
	packs_kit_check_account("it stayed");
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

/* ---- damage */

START_TEST(test_damaged_pack)
{
	uint64_t inos[2];

	packs_kit_begin_faulty();
	inos[0] = packs_kit_make_body(1, 3000);
	inos[1] = packs_kit_make_body(2, 3000);
	(void)packs_kit_pack();
	packs_kit_evict();
	packs_kit_set_faults(
		"get:times=1:corrupt;get:times=1:truncate=10;get:times=1:error=ENOENT");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(packs_kit_body_is_right(inos[0], 1, 3000), -EIO);
	ck_assert_int_eq(packs_kit_body_is_right(inos[0], 1, 3000), 0);
	ck_assert_int_eq(packs_kit_body_is_right(inos[1], 2, 3000), 0);
	node_fixture_done(&packs_kit_fixture);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("packs");
	TCase *tc = tcase_create("packs");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_one_pack);
	tcase_add_test(tc, test_large_body);
	tcase_add_test(tc, test_hurry);
	tcase_add_test(tc, test_hurry_has_an_end);
	tcase_add_test(tc, test_changed_meanwhile);
	tcase_add_test(tc, test_min_bytes);
	tcase_add_test(tc, test_rewriting);
	tcase_add_test(tc, test_small_packs);
	tcase_add_test(tc, test_dirty_is_not_moved);
	tcase_add_test(tc, test_garbage_waits);
	tcase_add_test(tc, test_garbage_over_restart);
	tcase_add_test(tc, test_retention);
	tcase_add_test(tc, test_stop);
	tcase_add_test(tc, test_pressure);
	tcase_add_test(tc, test_pressure_and_leaving);
	tcase_add_test(tc, test_damaged_pack);
	suite_add_tcase(suite, tc);
	return suite;
}
