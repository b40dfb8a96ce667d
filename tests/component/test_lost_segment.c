/*
 * A segment that was acknowledged is lost, and its node with it; another takes over. With more
 * behind it than can have been in flight nothing of that is passed over: accounts that need it are
 * refused, those of which nobody knows are uncertain, and all others are whole.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/key.h"
#include "replication/catalogue.h"
#include "replication/journal.h"
#include "test_machine.h"

#define INTERVAL_MS 3600000 /* a segment for each wait */

static struct test_machine *m;

static uint64_t make_account(const char *name)
{
	return node_fixture_mkdir(m->fixture.fs, FS_ROOT_INO, name);
}

static void deliver(uint64_t account, int i)
{
	char name[16];
	uint64_t ino;

	snprintf(name, sizeof(name), "u.%d", i);
	ino = node_fixture_create(m->fixture.fs, account, name);
	ck_assert_int_eq(node_fixture_write(m->fixture.fs, ino, 0, name, sizeof(name)), 0);
}

/* Of all journals, of which one has any. */
static uint64_t last_segment(struct backend *backend, char key[POSITION_SEGMENT_KEY_BYTES])
{
	struct position position = {.sequence = 0};
	struct backend_result page;
	uint16_t part;

	ck_assert_int_eq(backend_list_wait(backend, "journal/", NULL, 1000, &page), 0);
	ck_assert_uint_gt(page.n_entries, 0);
	snprintf(key, POSITION_SEGMENT_KEY_BYTES, "%s", page.entries[page.n_entries - 1].key);
	ck_assert(position_parse_segment_key(key, &position, &part) && part == 0);
	backend_result_done(&page);
	return position.sequence;
}

static int plan(struct test_machine *machine, uint64_t ino, bool *ret_is_uncertain)
{
	struct catalogue_options options = {.backend = machine->fixture.backend,
		.priority = BACKEND_READER,
		.volume = test_machine_volume};
	struct catalogue *catalogue;
	struct catalogue_plan plan;
	char *message;
	int r;

	ck_assert_int_eq(catalogue_load(&options, &catalogue, &message), 0);
	r = catalogue_plan(catalogue, key_ino_account(ino), BACKEND_READER, &plan, &message);
	if (r == 0) {
		*ret_is_uncertain = plan.is_uncertain;
		catalogue_plan_done(&plan);
	}
	free(message);
	catalogue_free(catalogue);
	return r;
}

/* With _i = 0 one less is behind it: then nothing on the backend tells it from one that never came,
 * and the account is what it was before. */
START_TEST(test_in_the_middle)
{
	uint64_t needing, unknown, whole, lost;
	char lost_key[POSITION_SEGMENT_KEY_BYTES], key[POSITION_SEGMENT_KEY_BYTES];
	struct test_machine *next;
	bool is_uncertain = false;

	ck_assert_int_eq(uuid_generate(&test_machine_volume), 0);
	snprintf(test_machine_store, sizeof(test_machine_store), "lost-segment");
	m = test_machine_new(INTERVAL_MS);
	needing = make_account("needing");
	unknown = make_account("unknown");
	deliver(needing, 0);
	deliver(unknown, 0);
	ck_assert_int_eq(test_machine_wait(m), 0);
	deliver(needing, 1);
	ck_assert_int_eq(test_machine_wait(m), 0);
	lost = last_segment(m->fixture.backend, lost_key);
	whole = make_account("whole"); /* the root, too, has something behind it */
	for (int i = 2; i < JOURNAL_IN_FLIGHT + 1 + _i; i++) {
		deliver(needing, i);
		deliver(whole, i);
		ck_assert_int_eq(test_machine_wait(m), 0);
	}
	ck_assert_uint_eq(
		last_segment(m->fixture.backend, key), lost + JOURNAL_IN_FLIGHT - 1 + (uint64_t)_i);
	ck_assert_int_eq(backend_remove_wait(m->fixture.backend, lost_key), 0);
	next = test_machine_new(INTERVAL_MS);
	ck_assert_int_eq(plan(next, needing, &is_uncertain), _i == 0 ? 0 : -EBADMSG);
	ck_assert(!is_uncertain);
	ck_assert_int_eq(plan(next, unknown, &is_uncertain), 0);
	ck_assert_int_eq(is_uncertain, _i == 1);
	ck_assert_int_eq(plan(next, whole, &is_uncertain), _i == 0 ? -ENOENT : 0);
	ck_assert(!is_uncertain);
	test_machine_remove(m);
	test_machine_remove(next);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("lost_segment");
	TCase *tc = tcase_create("lost_segment");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_in_the_middle, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
