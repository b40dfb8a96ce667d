/*
 * What an empty node makes of checkpoints that are damaged, or lack parts: the account as it was by
 * another way, or a refusal; never what it was some time before.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/fault_backend.h"
#include "backends/memory_backend.h"
#include "cache/node.h"
#include "journal_kit.h"
#include "journal_seal.h"
#include "replication/catalogue.h"
#include "replication/checkpoint.h"
#include "replication/keeper.h"
#include "replication/owner.h"
#include "replication/section.h"
#include "replication/segment.h"
#include "util/clock.h"

#define STORE "restore_checkpoints"
#define ACCOUNTS 3

static struct journal_kit kit;
static struct node_fixture reader;
static uint64_t tops[ACCOUNTS];

static void write_file(size_t account, const char *name, size_t n)
{
	uint64_t ino = node_fixture_create(kit.fixture.fs, tops[account], name);
	char *data = malloc(n);

	memset(data, name[0], n);
	ck_assert_int_eq(node_fixture_write(kit.fixture.fs, ino, 0, data, n), 0);
	free(data);
}

/* Segments 1 and 2, checkpoint 1 of all accounts. */
static void setup(void)
{
	char name[16];

	journal_kit_init(&kit, STORE);
	kit.uses_parts = true;
	for (int i = 0; i < ACCOUNTS; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		tops[i] = node_fixture_mkdir(kit.fixture.fs, FS_ROOT_INO, name);
	}
	(void)journal_kit_write(&kit, 0);
	write_file(0, "dovecot.index.cache", 3 * SECTION_FULL_BYTES);
	for (size_t i = 0; i < ACCOUNTS; i++)
		write_file(i, "u.1", 9000);
	(void)journal_kit_write(&kit, 0xe);
}

static void teardown(void)
{
	journal_kit_done(&kit);
}

/* A segment with changes of account 1, of which there is a checkpoint if wanted. */
static void change(const char *name, bool with_checkpoint)
{
	write_file(0, name, 9000);
	(void)journal_kit_write(&kit, with_checkpoint ? 1 << 1 : 0);
}

/* Segments of that journal, from the first one on. */
static void remove_below(struct position at, uint64_t end)
{
	char key[POSITION_SEGMENT_KEY_BYTES];

	for (at.sequence = 1; at.sequence < end; at.sequence++) {
		position_segment_key(&at, 0, key);
		ck_assert_int_eq(backend_remove_wait(kit.fixture.backend, key), 0);
	}
}

/* One of account 3 is the last that stays. */
static void remove_journal(void)
{
	write_file(2, "u.2", 9000);
	(void)journal_kit_write(&kit, 0);
	remove_below(kit.next, kit.next.sequence - 1);
}

static void put(const char *key)
{
	struct iovec part = {(char[]){"damaged"}, 7};
	struct backend_result result;

	ck_assert_int_eq(backend_put_wait(kit.fixture.backend, key, &part, 1, NULL, &result), 0);
	backend_result_done(&result);
}

/* Of account 1. */
static void damage_head(uint64_t number)
{
	char key[POSITION_CHECKPOINT_KEY_BYTES];

	position_checkpoint_key(1, number, key);
	put(key);
}

/* The header stays as it is. */
static void damage_directory(uint64_t number)
{
	char key[POSITION_CHECKPOINT_KEY_BYTES];
	struct backend_result object, put_result;
	struct iovec part;

	position_checkpoint_key(1, number, key);
	ck_assert_int_eq(backend_get_wait(kit.fixture.backend, key, 0, 1 << 20, &object), 0);
	ck_assert_uint_gt(object.data_size_bytes, CHECKPOINT_HEADER_BYTES);
	((uint8_t *)object.data)[CHECKPOINT_HEADER_BYTES] ^= 1;
	part = (struct iovec){object.data, object.data_size_bytes};
	ck_assert_int_eq(
		backend_put_wait(kit.fixture.backend, key, &part, 1, NULL, &put_result), 0);
	backend_result_done(&put_result);
	backend_result_done(&object);
}

/* Those from the first one on, or only that. */
static void lose_parts(uint64_t number, bool all)
{
	char key[POSITION_CHECKPOINT_KEY_BYTES];
	struct backend_result head;
	uint16_t part = 1;

	for (;; part++) {
		position_checkpoint_part_key(1, number, part, key);
		if (backend_head_wait(kit.fixture.backend, key, &head) == -ENOENT)
			break;
		backend_result_done(&head);
		if (part == 1 || all)
			ck_assert_int_eq(backend_remove_wait(kit.fixture.backend, key), 0);
	}
	ck_assert_uint_gt(part, 1);
}

/* Accounts 2 and 3 are whole always. The message of account 1 names that checkpoint. */
static void expect(int error, uint64_t number)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	char key[POSITION_CHECKPOINT_KEY_BYTES];
	struct fs_attributes a;

	position_checkpoint_key(1, number, key);
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore(&kit, &reader, 0xe, true, results);
	ck_assert_msg(results[1].error == error, "%d: %s", results[1].error, results[1].message);
	ck_assert_msg(
		error == 0 || strstr(results[1].message, key) != NULL, "%s", results[1].message);
	ck_assert_int_eq(fs_open(reader.node, &reader.fs), 0);
	for (int i = 0; i < ACCOUNTS; i++) {
		if (i > 0 || error == 0) {
			ck_assert_msg(results[i + 1].error == 0, "%s", results[i + 1].message);
			ck_assert(!results[i + 1].result.is_uncertain);
			journal_kit_compare_below(&kit.fixture, &reader, tops[i]);
		} else {
			ck_assert_int_eq(fs_getattr(reader.fs, tops[i], &a), -ENOENT);
		}
	}
	node_fixture_done(&reader);
}

/* As when the put of a checkpoint was given up, its parts were removed, and then it came; as the
 * last thing that happened, or before more changes. Parts that it does not name stand for none. */
START_TEST(test_a_late_checkpoint)
{
	char key[POSITION_CHECKPOINT_KEY_BYTES];

	change("u.2", true);
	if (_i == 1)
		change("u.3", false);
	lose_parts(2, true);
	for (uint16_t part = 100; part < 120; part++) {
		position_checkpoint_part_key(1, 2, part, key);
		put(key);
	}
	expect(0, 2);
}
END_TEST

/* It was whole once, and what it had replaced was removed. */
START_TEST(test_lost_parts)
{
	change("u.2", true);
	if (_i == 2)
		change("u.3", false);
	remove_journal();
	lose_parts(2, _i == 1);
	expect(-EBADMSG, 2);
}
END_TEST

/* Nothing was removed yet, so there is another way; whichever of the two it is. */
START_TEST(test_a_damaged_head)
{
	change("u.2", true);
	damage_head(_i == 0 ? 2 : 1);
	expect(0, 2);
}
END_TEST

/* Whoever accepts it gets what there is. */
START_TEST(test_a_damaged_head_and_no_segments)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	struct fs_attributes a;

	change("u.2", true);
	remove_journal();
	damage_head(2);
	expect(-EBADMSG, 2);
	kit.accepts_uncertain = true;
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore(&kit, &reader, 0xe, true, results);
	ck_assert_msg(results[1].error == 0, "%s", results[1].message);
	ck_assert(results[1].result.is_uncertain);
	ck_assert(!results[2].result.is_uncertain);
	ck_assert_int_eq(fs_open(reader.node, &reader.fs), 0);
	ck_assert_int_eq(fs_lookup(reader.fs, tops[0], "u.1", &a), 0);
	ck_assert_int_eq(fs_lookup(reader.fs, tops[0], "u.2", &a), -ENOENT);
	node_fixture_done(&reader);
}
END_TEST

/* ---- a damaged head, and segments in several journals */

/* That journal is the owner's of that epoch. */
static void record_owner(uint64_t epoch, const struct position *journal)
{
	struct owner owner = {.volume = kit.volume,
		.epoch = epoch,
		.node = journal->node,
		.incarnation = journal->incarnation};
	char *message = NULL;

	ck_assert_msg(owner_claim(kit.fixture.backend, &owner, false, &message) == 0, "%s",
		message != NULL ? message : "");
}

static void take_over(void)
{
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore_all(&kit, &reader);
	journal_kit_take_over(&kit, &reader);
}

/* Checkpoint 1, a segment, both in the first journal; then one in the second, of another epoch, and
 * perhaps in a third, where the damaged checkpoint is made. Each journal begins where it says. */
static const struct {
	unsigned int n_journals;
	unsigned int has_records;    /* bit n: of epoch n */
	uint64_t first[4], segments; /* of account 1 in the last journal, before the checkpoint */
	bool follows;                /* one more behind it */
	uint64_t epoch;              /* the checkpoint's, if it is not the last one's */
	int error;
	int error_with_header; /* if that is not damaged */
} cases[] = {
	/* It is all there. */
	{2, 0x6, {0, 1, 1}, 1, false, 0, 0, 0},
	{2, 0x0, {0, 1, 1}, 1, false, 0, 0, 0},
	{3, 0xe, {0, 1, 1, 1}, 1, false, 0, 0, 0},
	/* The last ones were removed with the beginning of the second journal; the first journal is
	 * there for other accounts. */
	{2, 0x6, {0, 1, 3}, 1, false, 0, -EBADMSG, -EBADMSG},
	{2, 0x0, {0, 1, 3}, 1, false, 0, -EBADMSG, -EBADMSG},
	{2, 0x4, {0, 1, 3}, 1, false, 0, -EBADMSG, -EBADMSG},
	{3, 0xe, {0, 1, 1, 3}, 1, false, 0, -EBADMSG, -EBADMSG},
	/* In the second journal some are left: so all behind them are. */
	{2, 0x6, {0, 3, 2}, 2, false, 0, 0, 0},
	{2, 0x6, {0, 3, 2}, 2, true, 0, 0, 0},
	/* But if nobody knows that it was the later one, and the first has lost something... */
	{2, 0x0, {0, 3, 2}, 2, false, 0, -EBADMSG, 0},
	{2, 0x2, {0, 3, 2}, 2, false, 0, -EBADMSG, 0},
	/* What was removed later was not removed for it. */
	{3, 0xe, {0, 1, 1, 3}, 0, false, 2, 0, 0},
	/* An epoch of which nobody knows. */
	{2, 0x6, {0, 1, 1}, 1, false, 3, -EBADMSG, 0},
};

static void several_journals(int i, bool keeps_header)
{
	struct position journals[4] = {{.incarnation = 0}};
	uint64_t epoch = cases[i].epoch != 0 ? cases[i].epoch : cases[i].n_journals;
	char name[16];

	change("u.2", false);
	journals[1] = kit.next;
	for (unsigned int n = 2; n <= cases[i].n_journals; n++) {
		take_over();
		journals[n] = kit.next;
		snprintf(name, sizeof(name), "u.j%u", n);
		if (n < cases[i].n_journals)
			change(name, false);
	}
	kit.n_checkpoints[1] = epoch << KEEPER_EPOCH_SHIFT;
	for (uint64_t n = 1; n <= cases[i].segments; n++) {
		snprintf(name, sizeof(name), "u.l%d", (int)n);
		change(name, n == cases[i].segments);
	}
	if (cases[i].segments == 0) { /* made before the last takeover */
		ck_assert_uint_lt(epoch, cases[i].n_journals);
		(void)journal_kit_write(&kit, 1 << 1);
	}
	if (cases[i].follows)
		change("u.f", false);
	write_file(2, "u.2", 9000); /* of account 3: the last one that stays */
	(void)journal_kit_write(&kit, 0);
	for (unsigned int n = 1; n <= cases[i].n_journals; n++) {
		if ((cases[i].has_records >> n & 1) != 0)
			record_owner(n, &journals[n]);
		remove_below(journals[n], cases[i].first[n]);
	}
	if (keeps_header)
		damage_directory(kit.n_checkpoints[1]);
	else
		damage_head(kit.n_checkpoints[1]);
	expect(keeps_header ? cases[i].error_with_header : cases[i].error, kit.n_checkpoints[1]);
}

START_TEST(test_a_damaged_head_of_several_journals)
{
	several_journals(_i, false);
}
END_TEST

/* The header says how far it went: then it is known in all cases. */
START_TEST(test_a_damaged_directory_of_several_journals)
{
	several_journals(_i, true);
}
END_TEST

/* The same with a damaged directory, and one journal. */
START_TEST(test_a_damaged_directory)
{
	change("u.2", true);
	if (_i > 0)
		remove_journal();
	damage_directory(_i == 2 ? 1 : 2);
	expect(_i == 1 ? -EBADMSG : 0, 2);
}
END_TEST

/* It is all that there was: the account is not unknown. */
START_TEST(test_the_only_checkpoint)
{
	remove_journal();
	if (_i == 0)
		lose_parts(1, false);
	else
		damage_head(1);
	expect(-EBADMSG, 1);
}
END_TEST

/* ---- a checkpoint that is removed while it is looked for */

/* Its owner has put a newer one before; or not, when it is gone however often it is listed. */
START_TEST(test_a_checkpoint_that_has_gone)
{
	struct fault_rules rules;
	struct catalogue_options options = {.priority = BACKEND_READER, .volume = kit.volume};
	struct catalogue *catalogue;
	struct catalogue_plan plan;
	struct backend *second;
	char *message = NULL, key[POSITION_CHECKPOINT_KEY_BYTES], text[256];

	change("u.2", true);
	remove_journal();
	position_checkpoint_key(1, 2, key);
	snprintf(text, sizeof(text), "get:key=%s%s:error=ENOENT", key, _i == 0 ? ":nth=1" : "");
	ck_assert_int_eq(memory_backend_open(STORE, &second), 0);
	ck_assert_int_eq(fault_rules_parse(text, &rules, &message), 0);
	ck_assert_int_eq(fault_backend_new(second, &rules, &options.backend), 0);
	ck_assert_int_eq(catalogue_load(&options, &catalogue, &message), 0);
	ck_assert_int_eq(catalogue_plan(catalogue, 1, BACKEND_READER, &plan, &message), 0);
	ck_assert_uint_eq(plan.checkpoint_number, _i == 0 ? 2 : 1);
	ck_assert_int_eq(plan.is_uncertain, _i == 1);
	ck_assert_uint_eq(plan.uncertain_checkpoint, _i == 0 ? 0 : 2);
	catalogue_plan_done(&plan);
	catalogue_free(catalogue);
	backend_free(options.backend);
}
END_TEST

/* ---- a seal */

/* A segment that a checkpoint has was lost, as one of the last few, and whoever took over then took
 * it for one that never came. What followed the checkpoint is gone too, and nobody knows of it. */
START_TEST(test_a_seal_before_the_checkpoint)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	uint64_t checksum = kit.previous_checksum;
	struct position lost = kit.next;
	char key[POSITION_SEGMENT_KEY_BYTES];

	change("u.2", true);
	position_segment_key(&lost, 0, key);
	if (_i == 0) {
		ck_assert_int_eq(backend_remove_wait(kit.fixture.backend, key), 0);
		kit.next = lost;
		kit.previous_checksum = checksum;
	}
	(void)journal_kit_seal(&kit);
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore(&kit, &reader, 0x6, true, results);
	ck_assert_int_eq(results[1].error, _i == 0 ? -EBADMSG : 0);
	ck_assert(_i == 1 || strstr(results[1].message, key) != NULL);
	ck_assert_int_eq(results[2].error, 0);
	node_fixture_done(&reader);
}
END_TEST

static void put_seal(uint64_t sequence)
{
	struct position at = kit.next;

	at.sequence = sequence;
	journal_seal_put(kit.fixture.backend, &at, &kit.volume);
}

/* As many segments behind it as cannot have been in flight. Where those before it were removed it
 * is of a taker that came too late, and ends nothing. Else it hides what was lost. */
START_TEST(test_a_seal_in_the_middle)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	struct position at = kit.next;
	char key[POSITION_SEGMENT_KEY_BYTES];
	uint64_t seal = at.sequence;

	position_segment_key(&at, 0, key);
	change("u.2", true);
	for (int i = 1; i <= JOURNAL_IN_FLIGHT; i++)
		change((char[]){'u', '.', (char)('a' + i), 0}, _i == 0 && i < JOURNAL_IN_FLIGHT);
	if (_i == 0)
		remove_below(at, kit.next.sequence - 1);
	put_seal(seal);
	if (_i == 0) {
		expect(0, 0);
		return;
	}
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore(&kit, &reader, 0x6, true, results);
	for (int i = 1; i <= 2; i++) {
		ck_assert_int_eq(results[i].error, -EBADMSG);
		ck_assert_msg(strstr(results[i].message, key) != NULL, "%s", results[i].message);
	}
	node_fixture_done(&reader);
}
END_TEST

/* ---- as of some time */

static struct catalogue *load(int64_t not_after_ms)
{
	struct catalogue_options options = {.backend = kit.fixture.backend,
		.priority = BACKEND_READER,
		.volume = kit.volume,
		.not_after_ms = not_after_ms};
	struct catalogue *catalogue;
	char *message;

	ck_assert_int_eq(catalogue_load(&options, &catalogue, &message), 0);
	return catalogue;
}

static int plan_at(int64_t not_after_ms, struct catalogue_plan *ret)
{
	struct catalogue *catalogue = load(not_after_ms);
	char *message;
	int r = catalogue_plan(catalogue, 1, BACKEND_READER, ret, &message);

	free(message);
	catalogue_free(catalogue);
	return r;
}

static int64_t now(void)
{
	int64_t now_ms = clock_realtime_ms();

	clock_sleep_ms(5);
	return now_ms;
}

/* What is wrong with later ones does not matter, however many they are. */
START_TEST(test_later_checkpoints)
{
	struct catalogue_plan plan;
	struct catalogue_times times;
	struct catalogue *catalogue;
	int64_t before_ms = now(), after_ms;
	char name[16], *message;

	for (uint64_t i = 2; i < CATALOGUE_CHECKPOINTS_TRIED + 4; i++) {
		snprintf(name, sizeof(name), "u.%d", (int)i);
		change(name, true);
		lose_parts(i, true);
	}
	after_ms = now();
	if (_i == 1)
		remove_journal();
	ck_assert_int_eq(plan_at(before_ms, &plan), 0);
	ck_assert(plan.has_checkpoint && plan.checkpoint_number == 1);
	ck_assert(!plan.is_early && !plan.is_uncertain);
	catalogue_plan_done(&plan);
	ck_assert_int_eq(plan_at(after_ms, &plan), _i == 0 ? 0 : -EBADMSG);
	if (_i == 0)
		catalogue_plan_done(&plan);
	catalogue = load(0);
	ck_assert_int_eq(catalogue_times(catalogue, 1, &times, &message), 0);
	ck_assert_uint_eq(times.n_checkpoints, 1);
	catalogue_times_done(&times);
	catalogue_free(catalogue);
}
END_TEST

/* The state is one of before what is asked for, and that is said. */
START_TEST(test_a_lost_checkpoint_as_of_some_time)
{
	struct catalogue_plan plan;
	int64_t first_ms = now(), second_ms;

	change("u.2", true);
	second_ms = now();
	remove_journal();
	lose_parts(2, false);
	ck_assert_int_eq(plan_at(second_ms, &plan), 0);
	ck_assert(plan.checkpoint_number == 1 && plan.is_early && plan.time_ms <= first_ms);
	catalogue_plan_done(&plan);
	ck_assert_int_eq(plan_at(0, &plan), -EBADMSG);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("restore_checkpoints");
	TCase *tc = tcase_create("restore_checkpoints");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_a_late_checkpoint, 0, 2);
	tcase_add_loop_test(tc, test_lost_parts, 0, 3);
	tcase_add_loop_test(tc, test_a_damaged_head, 0, 2);
	tcase_add_test(tc, test_a_damaged_head_and_no_segments);
	tcase_add_loop_test(tc, test_a_damaged_head_of_several_journals, 0,
		(int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_loop_test(tc, test_a_damaged_directory_of_several_journals, 0,
		(int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_loop_test(tc, test_a_damaged_directory, 0, 3);
	tcase_add_loop_test(tc, test_the_only_checkpoint, 0, 2);
	tcase_add_loop_test(tc, test_a_checkpoint_that_has_gone, 0, 2);
	tcase_add_loop_test(tc, test_a_seal_before_the_checkpoint, 0, 2);
	tcase_add_loop_test(tc, test_a_seal_in_the_middle, 0, 2);
	tcase_add_loop_test(tc, test_later_checkpoints, 0, 2);
	tcase_add_test(tc, test_a_lost_checkpoint_as_of_some_time);
	suite_add_tcase(suite, tc);
	return suite;
}
