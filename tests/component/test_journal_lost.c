/*
 * A journal that goes on where a segment is missing, of which its own store knows nothing: power
 * was lost.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/shipped.h"
#include "journal_seal.h"
#include "node_fixture.h"
#include "replication/journal.h"
#include "replication/segment.h"

#define FLUSH_MS 30000

static struct node_fixture f;
static struct journal_options options;
static struct journal *journal;
static char *message;
static uint64_t user;

static int open_journal(void)
{
	int r = journal_open(f.node, f.backend, &options, &journal, &message);

	if (r < 0)
		journal = NULL;
	return r;
}

static void set_up(void)
{
	node_fixture_init(&f);
	f.options.journal = true;
	f.options.commit_interval_ms = 3600000; /* no uploads */
	node_fixture_open(&f);
	user = node_fixture_mkdir(f.fs, FS_ROOT_INO, "user");
	options = (struct journal_options){
		.node = {{1, 2, 3}},
		.incarnation = 7,
		.commit_interval_ms = 3600000,
		.commit_timeout_ms = FLUSH_MS,
		.max_in_flight = JOURNAL_IN_FLIGHT,
	};
	ck_assert_int_eq(open_journal(), 0);
}

static void tear_down(void)
{
	(void)journal_close(journal, 0);
	journal = NULL;
	free(message);
	message = NULL;
	node_fixture_done(&f);
}

static uint64_t last_sequence(void)
{
	struct journal_figures figures;

	journal_get_figures(journal, &figures);
	return figures.last_sequence;
}

static void put_seal(uint64_t sequence)
{
	struct position at = {options.node, options.incarnation, sequence};

	journal_seal_put(f.backend, &at, &(struct uuid){{9}});
}

static void remove_segment(uint64_t sequence)
{
	struct position at = {options.node, options.incarnation, sequence};
	char key[POSITION_SEGMENT_KEY_BYTES];

	position_segment_key(&at, 0, key);
	ck_assert_int_eq(backend_remove_wait(f.backend, key), 0);
}

/* So many segments, of which that one is lost; and the store has lost its notes. */
static void lose(uint64_t n, uint64_t sequence)
{
	struct shipped note = {.incarnation = options.incarnation};

	while (last_sequence() < n) {
		(void)node_fixture_create(f.fs, user, "x");
		ck_assert_int_eq(journal_flush(journal, FLUSH_MS), 0);
		ck_assert_int_eq(fs_unlink(f.fs, user, "x"), 0);
	}
	ck_assert_int_eq(journal_flush(journal, FLUSH_MS), 0);
	note.sequence = last_sequence();
	ck_assert_uint_eq(note.sequence, n + 1);
	remove_segment(n + 1);
	ck_assert_int_eq(journal_close(journal, FLUSH_MS), 0);
	ck_assert_int_eq(shipped_forget(f.node, &note), 0);
	remove_segment(sequence);
	options.catches_up = true;
}

/* Behind one that is missing there is what was in flight with it, or more: then that one was
 * complete, and neither the journal nor the store has it any more. */
START_TEST(test_lost)
{
	static const struct {
		uint64_t n, lost;
		bool never_reuses;
		int error;
	} cases[] = {
		{3 + JOURNAL_IN_FLIGHT - 1, 3, true, -EALREADY},
		{3 + JOURNAL_IN_FLIGHT - 1, 3, false, 0},
		{3 + JOURNAL_IN_FLIGHT, 3, true, -EBADMSG},
		{3 + JOURNAL_IN_FLIGHT, 3, false, -EBADMSG},
		{JOURNAL_IN_FLIGHT, 1, true, -EALREADY},
		{JOURNAL_IN_FLIGHT + 1, 1, true, -ESTALE},
	};

	lose(cases[_i].n, cases[_i].lost);
	options.never_reuses = cases[_i].never_reuses;
	ck_assert_int_eq(open_journal(), cases[_i].error);
	if (cases[_i].error == -EBADMSG)
		ck_assert_ptr_nonnull(strstr(message, "/0000000000000003 is missing"));
}
END_TEST

/* The seal of another at the end says first that this node is superseded. */
START_TEST(test_lost_and_sealed)
{
	lose(3 + JOURNAL_IN_FLIGHT, 3);
	put_seal(4 + JOURNAL_IN_FLIGHT);
	ck_assert_int_eq(open_journal(), -ESTALE);
}
END_TEST

START_TEST(test_more_in_flight_than_may_be)
{
	(void)journal_close(journal, FLUSH_MS);
	options.max_in_flight = JOURNAL_IN_FLIGHT + 1;
	ck_assert_int_eq(open_journal(), -EINVAL);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("journal_lost");
	TCase *tc = tcase_create("journal_lost");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_lost, 0, 6);
	tcase_add_test(tc, test_lost_and_sealed);
	tcase_add_test(tc, test_more_in_flight_than_may_be);
	suite_add_tcase(suite, tc);
	return suite;
}
