/*
 * The keeper of the journals. Random work by many accounts over checkpoints, truncation, faults of
 * the store and restarts: an empty node is restored again and again, and is the same. Which seed is
 * the first and how many there are is in MAILFS_TEST_SEED and MAILFS_TEST_ROUNDS.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/fault_backend.h"
#include "cache/key.h"
#include "keeper_kit.h"
#include "replication/section.h"
#include "util/clock.h"

#define DEFAULT_ROUNDS 6
#define RETENTION_MS 4000

/* ---- tests */

/* An account that is quiet gets a checkpoint; an idle node then does nothing. */
START_TEST(test_quiet)
{
	uint64_t end_ms = clock_monotonic_ms() + KEEPER_KIT_PATIENCE_MS;
	unsigned int seed = 1;
	uint64_t before;

	keeper_stop(keeper_kit.keeper);
	keeper_kit.keeping.quiet_ms = 50;
	ck_assert_int_eq(keeper_start(&keeper_kit.keeping, &keeper_kit.keeper), 0);
	for (int i = 0; i < 20; i++)
		keeper_kit_one_change(&seed);
	keeper_kit_ship();
	while ((keeper_kit_figures().checkpoints == 0 ||
		       keeper_kit_figures().accounts_with_tail > 0) &&
		clock_monotonic_ms() < end_ms)
		clock_sleep_ms(5);
	ck_assert_uint_eq(keeper_kit_figures().accounts_with_tail, 0);
	ck_assert_uint_eq(keeper_kit_figures().tail_bytes, 0);
	keeper_kit_compare_with_restored();
	before = keeper_kit_figures().checkpoints;
	clock_sleep_ms(300);
	ck_assert_uint_eq(keeper_kit_figures().checkpoints, before);
}
END_TEST

/* A tail that is too long. */
START_TEST(test_long_tail)
{
	uint64_t end_ms = clock_monotonic_ms() + KEEPER_KIT_PATIENCE_MS;
	unsigned int seed = 1;

	keeper_stop(keeper_kit.keeper);
	keeper_kit.keeping.tail_max_bytes = 100000;
	ck_assert_int_eq(keeper_start(&keeper_kit.keeping, &keeper_kit.keeper), 0);
	while (keeper_kit_figures().checkpoints == 0 && clock_monotonic_ms() < end_ms) {
		keeper_kit_write_file(keeper_kit_account_inode(1), "f", &seed);
		keeper_kit_ship();
	}
	ck_assert_uint_gt(keeper_kit_figures().checkpoints, 0);
	keeper_kit_compare_with_restored();
}
END_TEST

START_TEST(test_truncation)
{
	struct keeper_account account;
	unsigned int seed = 3;

	keeper_kit_grow_old();
	ck_assert_uint_ge(keeper_kit_count_segments(), KEEPER_YOUNG_SEGMENTS);
	keeper_kit_compare_with_restored();
	ck_assert_int_eq(keeper_kit_checkpoint(NULL, 0), 0);
	keeper_kit_wait_for_segments(1); /* the last one says where the journal ends */
	ck_assert_uint_eq(keeper_kit_figures().journal_segments, 1);
	ck_assert_uint_eq(keeper_kit_count_checkpoints(), KEEPER_KIT_ACCOUNTS + 1);
	ck_assert(keeper_get_account(keeper_kit.keeper, 1, &account));
	ck_assert_uint_eq(account.tail_segments, 0);
	ck_assert_uint_eq(account.checkpoint_number, 1);
	keeper_kit_compare_with_restored();
	/* Goes on behind it, also after a restart. */
	keeper_kit_write_file(keeper_kit_account_inode(2), "more", &seed);
	keeper_kit_ship();
	keeper_kit_compare_with_restored();
	keeper_kit_restart();
	keeper_kit_write_file(keeper_kit_account_inode(3), "more", &seed);
	keeper_kit_ship();
	keeper_kit_compare_with_restored();
	ck_assert_int_eq(keeper_kit_checkpoint(NULL, 0), 0);
	keeper_kit_wait_for_segments(1);
	ck_assert_uint_eq(keeper_kit_count_checkpoints(),
		KEEPER_KIT_ACCOUNTS + 1); /* replaced ones are gone */
	keeper_kit_compare_with_restored();
}
END_TEST

/* One account keeps a segment and all behind it. */
START_TEST(test_pinned)
{
	uint64_t end_ms = clock_monotonic_ms() + KEEPER_KIT_PATIENCE_MS;
	uint32_t others[] = {0, 1, 2, 3, 4, 5};
	unsigned int seed = 1;
	size_t n;

	keeper_kit_grow_old();
	ck_assert_int_eq(keeper_kit_checkpoint(others, 6), 0);
	/* Where a replaced checkpoint has gone, segments have been looked at before. */
	keeper_kit_write_file(keeper_kit_account_inode(0), "more", &seed);
	ck_assert_int_eq(keeper_kit_checkpoint(others, 6), 0);
	while (keeper_kit_figures().checkpoints_removed == 0 && clock_monotonic_ms() < end_ms)
		clock_sleep_ms(5);
	ck_assert_uint_gt(keeper_kit_figures().checkpoints_removed, 0);
	n = keeper_kit_count_segments();
	ck_assert_uint_gt(n, KEEPER_YOUNG_SEGMENTS - 10);
	keeper_kit_compare_with_restored();
	others[0] = 6;
	ck_assert_int_eq(keeper_kit_checkpoint(others, 1), 0);
	keeper_kit_wait_for_segments(1);
	keeper_kit_compare_with_restored();
}
END_TEST

/* Although nothing is left that names the newest account. */
static void check_next_account(uint32_t newest)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	struct node_fixture reader;

	keeper_kit_remove_account(4);
	keeper_kit_restart();
	ck_assert_int_eq(keeper_kit_checkpoint(NULL, 0), 0);
	keeper_kit_wait_for_segments(1);
	journal_kit_open_reader(KEEPER_KIT_STORE, &reader);
	journal_kit_restore(&keeper_kit.restorer, &reader, 1, true, results);
	ck_assert_int_eq(results[0].error, 0);
	ck_assert_int_eq(fs_open(reader.node, &reader.fs), 0);
	ck_assert_uint_gt(
		key_ino_account(node_fixture_mkdir(reader.fs, FS_ROOT_INO, "new")), newest);
	node_fixture_done(&reader);
}

/* What was removed leaves nothing, in the end, and its number does not come again. */
START_TEST(test_removed_account)
{
	unsigned int seed = 5;
	struct fs_attributes a;

	keeper_kit_grow_old();
	ck_assert_int_eq(keeper_kit_checkpoint(NULL, 0), 0);
	keeper_kit_remove_account(4);
	keeper_kit_ship();
	keeper_kit_compare_with_restored();
	keeper_kit_restart(); /* the kernel has forgotten the files */
	ck_assert_int_eq(keeper_kit_checkpoint(NULL, 0), 0);
	keeper_kit_compare_with_restored();
	keeper_kit_write_file(
		keeper_kit_account_inode(1), "x", &seed); /* the last segment is another one */
	keeper_kit_ship();
	ck_assert_int_eq(keeper_kit_checkpoint(NULL, 0), 0);
	keeper_kit_wait_for_segments(1);
	for (int i = 0; i < 1000 && keeper_kit_count_checkpoints() != KEEPER_KIT_ACCOUNTS; i++)
		clock_sleep_ms(10);
	ck_assert_uint_eq(keeper_kit_count_checkpoints(), KEEPER_KIT_ACCOUNTS);
	keeper_kit_compare_with_restored();
	ck_assert_int_eq(fs_lookup(keeper_kit.fixture.fs, FS_ROOT_INO, "user5", &a), 0);
	ck_assert_uint_eq(key_ino_account(a.ino), 6);
	ck_assert_uint_gt(key_ino_account(keeper_kit_account_inode(4)), 6);
	check_next_account(key_ino_account(keeper_kit_account_inode(4)));
}
END_TEST

/* With retention what was replaced stays for a while. */
START_TEST(test_retention)
{
	unsigned int seed = 5;
	uint32_t one = 1;

	keeper_stop(keeper_kit.keeper);
	keeper_kit.keeping.retention_ms = 1500;
	ck_assert_int_eq(keeper_start(&keeper_kit.keeping, &keeper_kit.keeper), 0);
	for (int i = 0; i < 4; i++) {
		keeper_kit_write_file(keeper_kit_account_inode(0), "f", &seed);
		ck_assert_int_eq(keeper_kit_checkpoint(&one, 1), 0);
	}
	ck_assert_uint_eq(keeper_kit_count_checkpoints(), 4);
	for (int i = 0; i < 1000 && keeper_kit_count_checkpoints() > 1; i++)
		clock_sleep_ms(10);
	ck_assert_uint_eq(keeper_kit_count_checkpoints(), 1);
	keeper_kit_compare_with_restored();
}
END_TEST

/* Of more than one section. */
static void write_large(uint64_t directory)
{
	uint64_t ino = node_fixture_create(keeper_kit.fixture.fs, directory, "dovecot.index.cache");
	char *data = malloc(2 * SECTION_FULL_BYTES);

	memset(data, 'x', 2 * SECTION_FULL_BYTES);
	ck_assert_int_eq(
		node_fixture_write(keeper_kit.fixture.fs, ino, 0, data, 2 * SECTION_FULL_BYTES), 0);
	free(data);
}

/* Of account 1. */
static bool has_checkpoint(uint64_t number)
{
	char key[POSITION_CHECKPOINT_KEY_BYTES];
	struct backend_result head;
	int r;

	position_checkpoint_key(1, number, key);
	r = backend_head_wait(keeper_kit.fixture.backend, key, &head);
	if (r == 0)
		backend_result_done(&head);
	ck_assert(r == 0 || r == -ENOENT);
	return r == 0;
}

static uint64_t one_checkpoint(unsigned int *seed)
{
	struct keeper_account account;
	uint32_t one = 1;

	keeper_kit_write_file(keeper_kit_account_inode(0), "f", seed);
	ck_assert_int_eq(keeper_kit_checkpoint(&one, 1), 0);
	ck_assert(keeper_get_account(keeper_kit.keeper, 1, &account));
	return account.checkpoint_number;
}

/* A checkpoint that came when its parts had been removed has replaced nothing: what was there
 * before it stays until the next one is as old as the retention. It goes itself. */
START_TEST(test_a_late_checkpoint)
{
	uint64_t numbers[3], end_ms;
	char key[POSITION_CHECKPOINT_KEY_BYTES];
	unsigned int seed = 6;

	keeper_stop(keeper_kit.keeper);
	keeper_kit.keeping.retention_ms = RETENTION_MS;
	keeper_kit.keeping.part_bytes = 512;
	ck_assert_int_eq(keeper_start(&keeper_kit.keeping, &keeper_kit.keeper), 0);
	write_large(keeper_kit_account_inode(0));
	numbers[0] = one_checkpoint(&seed);
	numbers[1] = one_checkpoint(&seed);
	keeper_kit_stop_journal();
	position_checkpoint_part_key(1, numbers[1], 1, key);
	ck_assert_uint_eq(keeper_kit_count_keys("accounts/", key), 1);
	ck_assert_int_eq(backend_remove_wait(keeper_kit.fixture.backend, key), 0);
	clock_sleep_ms(RETENTION_MS + 100);
	keeper_kit_start_journal();
	numbers[2] = one_checkpoint(&seed);
	ck_assert(numbers[0] < numbers[1] && numbers[1] < numbers[2]);
	end_ms = clock_monotonic_ms() + KEEPER_KIT_PATIENCE_MS;
	while (has_checkpoint(numbers[1]) && clock_monotonic_ms() < end_ms)
		clock_sleep_ms(5);
	ck_assert(!has_checkpoint(numbers[1]));
	ck_assert(has_checkpoint(numbers[0]) && has_checkpoint(numbers[2]));
	keeper_kit_compare_with_restored();
	while (has_checkpoint(numbers[0]) && clock_monotonic_ms() < end_ms)
		clock_sleep_ms(5);
	ck_assert(!has_checkpoint(numbers[0]));
	keeper_kit_compare_with_restored();
}
END_TEST

static void seal(void)
{
	struct catalogue_options how = {.backend = keeper_kit.fixture.backend};
	struct catalogue *catalogue;
	char *message;

	ck_assert_int_eq(catalogue_load(&how, &catalogue, &message), 0);
	ck_assert_uint_eq(catalogue_n_journals(catalogue), 1);
	keeper_kit.restorer.next = (struct position){.node = keeper_kit.options.node,
		.incarnation = keeper_kit.options.incarnation,
		.sequence = catalogue_journal(catalogue, 0)->end};
	keeper_kit.restorer.previous_checksum = catalogue_journal(catalogue, 0)->end_checksum;
	catalogue_free(catalogue);
	keeper_kit.restorer.fixture.backend = keeper_kit.fixture.backend;
	(void)journal_kit_seal(&keeper_kit.restorer);
}

/* The journal of another node, that this one has taken over. */
START_TEST(test_journals_of_before)
{
	unsigned int seed = 9;

	keeper_kit_grow_old();
	keeper_kit_stop_journal();
	node_fixture_close(&keeper_kit.fixture);
	seal();
	node_fixture_open(&keeper_kit.fixture);
	keeper_kit.options.incarnation++;
	keeper_kit.keeping.incarnation++;
	keeper_kit_start_journal();
	keeper_kit_write_file(keeper_kit_account_inode(1), "new", &seed);
	keeper_kit_ship();
	keeper_kit_compare_with_restored();
	ck_assert_int_eq(keeper_kit_checkpoint(NULL, 0), 0);
	/* A seal, and what the new keeper_kit.journal has. */
	for (int i = 0; i < 1000 && keeper_kit_count_keys("journal/", "/0000000000000007/") != 1;
		i++)
		clock_sleep_ms(10);
	ck_assert_uint_eq(keeper_kit_count_keys("journal/", "/0000000000000007/"), 1);
	ck_assert_uint_ge(keeper_kit_count_keys("journal/", "/0000000000000008/"), 1);
	keeper_kit_compare_with_restored();
}
END_TEST

struct successor {
	struct node_fixture fixture;
	struct journal *journal;
	struct keeper *keeper;
};

/* Another node takes over, from what is on the backend, and writes checkpoints of its own. */
static void succeed(struct successor *s)
{
	struct journal_options journal = keeper_kit.options;
	struct keeper_options keeper = keeper_kit.keeping;
	struct keeper_job job = {.timeout_ms = KEEPER_KIT_FLUSH_MS};
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	char *message;

	seal();
	journal_kit_open_reader(KEEPER_KIT_STORE, &s->fixture);
	journal_kit_restore(&keeper_kit.restorer, &s->fixture, 0x7f, true, results);
	ck_assert_int_eq(fs_open(s->fixture.node, &s->fixture.fs), 0);
	journal.node = keeper.node_uuid = (struct uuid){{4, 4, 4}};
	ck_assert_int_eq(
		journal_open(s->fixture.node, s->fixture.backend, &journal, &s->journal, &message),
		0);
	keeper.node = s->fixture.node;
	keeper.backend = s->fixture.backend;
	keeper.journal = s->journal;
	keeper.epoch++;
	ck_assert_int_eq(keeper_start(&keeper, &s->keeper), 0);
	node_fixture_mkdir(s->fixture.fs, keeper_kit_account_inode(1), "new");
	ck_assert_int_eq(keeper_checkpoint(s->keeper, &job), 0);
}

/* Nothing has told the node of before: it goes on with checkpoints, as long as it changes nothing.
 * They do not count. */
START_TEST(test_owner_of_before)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	struct node_fixture reader;
	struct keeper_figures before;
	struct successor s;
	unsigned int seed = 6;

	keeper_kit_grow_old();
	ck_assert_int_eq(keeper_kit_checkpoint(NULL, 0), 0);
	for (unsigned int i = 0; i < 6; i++)
		keeper_kit_write_file(keeper_kit_account_inode(i), "f", &seed);
	keeper_kit_ship();
	succeed(&s);
	before = keeper_kit_figures();
	ck_assert_int_eq(keeper_kit_checkpoint(NULL, 0), 0);
	ck_assert_uint_gt(keeper_kit_figures().checkpoints, before.checkpoints);
	journal_kit_open_reader(KEEPER_KIT_STORE, &reader);
	journal_kit_restore(&keeper_kit.restorer, &reader, 0x7f, true, results);
	for (int i = 0; i < 7; i++)
		ck_assert_msg(results[i].error == 0, "%d: %s", i, results[i].message);
	ck_assert_int_eq(fs_open(reader.node, &reader.fs), 0);
	journal_kit_compare(&s.fixture, &reader);
	node_fixture_done(&reader);
	keeper_stop(s.keeper);
	ck_assert_int_eq(journal_close(s.journal, KEEPER_KIT_FLUSH_MS), 0);
	node_fixture_done(&s.fixture);
}
END_TEST

/* A copy of the disk from before what was removed since must not go on as if nothing were. */
START_TEST(test_old_copy_of_the_disk)
{
	char *message = NULL, command[256];
	unsigned int seed = 9;

	keeper_kit_grow_old();
	keeper_kit_stop_journal();
	node_fixture_close(&keeper_kit.fixture);
	snprintf(command, sizeof(command), "cp -r '%s' '%s.copy'", keeper_kit.fixture.directory,
		keeper_kit.fixture.directory);
	ck_assert_int_eq(system(command), 0);
	node_fixture_open(&keeper_kit.fixture);
	keeper_kit_start_journal();
	for (int i = 0; i < 3; i++) {
		keeper_kit_write_file(keeper_kit_account_inode(1), "x", &seed);
		keeper_kit_ship();
	}
	ck_assert_int_eq(keeper_kit_checkpoint(NULL, 0), 0);
	keeper_kit_wait_for_segments(1);
	keeper_kit_stop_journal();
	node_fixture_close(&keeper_kit.fixture);
	snprintf(command, sizeof(command), "rm -rf '%s' && mv '%s.copy' '%s'",
		keeper_kit.fixture.directory, keeper_kit.fixture.directory,
		keeper_kit.fixture.directory);
	ck_assert_int_eq(system(command), 0);
	node_fixture_open(&keeper_kit.fixture);
	ck_assert_int_eq(journal_open(keeper_kit.fixture.node, keeper_kit.fixture.backend,
				 &keeper_kit.options, &keeper_kit.journal, &message),
		-ESTALE);
	ck_assert_ptr_nonnull(message);
	ck_assert_ptr_nonnull(strstr(message, "removed"));
	keeper_kit.journal = NULL;
	free(message);
	ck_assert_uint_eq(keeper_kit_count_segments(), 1);
}
END_TEST

/* Puts and removals that fail now and then. */
static const char *const faults[] = {
	"put:key=accounts*:p=0.3:seed=3:error=EIO",
	"put:key=accounts*:every=3:error=EIO:after",
	"remove:p=0.3:seed=3:error=EIO",
	"remove:every=3:error=EIO:after",
	"list:p=0.3:seed=4:error=EIO;get:p=0.1:seed=5:error=EIO",
};

START_TEST(test_faults)
{
	unsigned int seed = (unsigned int)_i;

	keeper_stop(keeper_kit.keeper);
	keeper_kit.keeping.part_bytes = 20000;
	ck_assert_int_eq(keeper_start(&keeper_kit.keeping, &keeper_kit.keeper), 0);
	keeper_kit_grow_old();
	for (int round = 0; round < 6; round++) {
		keeper_kit_set_rules(faults[_i]);
		for (int i = 0; i < 10; i++)
			keeper_kit_one_change(&seed);
		(void)keeper_kit_checkpoint(NULL, 0);
		clock_sleep_ms(50);
		keeper_kit_set_rules("");
		keeper_kit_ship();
		keeper_kit_compare_with_restored();
		if (round == 3)
			keeper_kit_restart();
	}
	ck_assert_int_eq(keeper_kit_checkpoint(NULL, 0), 0);
	keeper_kit_wait_for_segments(1);
	keeper_kit_compare_with_restored();
}
END_TEST

/* Numbers come in chunks of 16 after each restart, and the restorer has 32. */
static uint32_t highest_account(void)
{
	uint32_t highest = 0;

	for (unsigned int i = 0; i < KEEPER_KIT_ACCOUNTS; i++) {
		uint32_t account = key_ino_account(keeper_kit_account_inode(i));

		highest = account > highest ? account : highest;
	}
	return highest;
}

static void random_round(unsigned int seed)
{
	keeper_kit_grow_old();
	for (int step = 0; step < 12; step++) {
		uint32_t account = (uint32_t)rand_r(&seed) % (KEEPER_KIT_ACCOUNTS + 1);

		for (int i = rand_r(&seed) % 25; i > 0; i--)
			keeper_kit_one_change(&seed);
		switch (rand_r(&seed) % 7) {
		case 0:
			keeper_kit_restart();
			break;
		case 1:
			ck_assert_int_eq(keeper_kit_checkpoint(NULL, 0), 0);
			break;
		case 2:
			if (highest_account() < 16)
				keeper_kit_remove_account(
					(unsigned int)rand_r(&seed) % KEEPER_KIT_ACCOUNTS);
			break;
		case 3:
			ck_assert_int_eq(
				node_flush(keeper_kit.fixture.node, KEEPER_KIT_FLUSH_MS), 0);
			break;
		default:
			ck_assert_int_eq(keeper_kit_checkpoint(&account, 1), 0);
		}
		keeper_kit_ship();
		keeper_kit_compare_with_restored();
	}
}

START_TEST(test_random)
{
	const char *text = getenv("MAILFS_TEST_ROUNDS"), *first = getenv("MAILFS_TEST_SEED");
	unsigned int rounds = text != NULL ? (unsigned int)atoi(text) : DEFAULT_ROUNDS;
	unsigned int seed = first != NULL ? (unsigned int)atoi(first) : 1;

	for (unsigned int i = 0; i < rounds; i++) {
		fprintf(stderr, "# seed %u\n", seed + i);
		random_round(seed + i);
		if (i + 1 == rounds)
			break;
		keeper_kit_tear_down();
		keeper_kit_set_up();
	}
}
END_TEST

/* Listed, and gone when it is read: so is what was before it. Nobody needs that. */
START_TEST(test_removed_while_a_catalogue_is_loaded)
{
	struct catalogue_options how = {.backend = keeper_kit.fixture.backend};
	struct catalogue *catalogue;
	unsigned int seed = 3;
	char *message;

	for (unsigned int i = 0; i < 6; i++) {
		keeper_kit_write_file(keeper_kit_account_inode(i), "f", &seed);
		keeper_kit_ship();
	}
	keeper_kit_set_rules("get:key=journal*0000000000000003:error=ENOENT");
	ck_assert_int_eq(catalogue_load(&how, &catalogue, &message), 0);
	ck_assert_uint_eq(catalogue_n_holes(catalogue), 0);
	ck_assert_uint_eq(catalogue_journal(catalogue, 0)->first, 4);
	catalogue_free(catalogue);
}
END_TEST

static void count_progress(void *arg, const struct keeper_progress *progress)
{
	*(uint64_t *)arg = progress->accounts_done;
}

START_TEST(test_jobs)
{
	_Atomic bool stopping = false;
	uint64_t done = 0;
	uint32_t accounts[] = {0, 1, 2, 99};
	struct keeper_job job = {.accounts = accounts,
		.n_accounts = 4,
		.timeout_ms = 300,
		.stopping = &stopping,
		.progress = count_progress,
		.arg = &done};
	unsigned int seed = 4;

	keeper_kit_write_file(keeper_kit_account_inode(0), "x", &seed);
	job.timeout_ms = KEEPER_KIT_FLUSH_MS;
	ck_assert_int_eq(
		keeper_checkpoint(keeper_kit.keeper, &job), 0); /* of 99 nothing is known: done */
	ck_assert_uint_eq(done, 4);
	keeper_kit_write_file(keeper_kit_account_inode(0), "y", &seed);
	keeper_kit_set_rules("put:key=accounts*:hang");
	job.timeout_ms = 300;
	ck_assert_int_eq(keeper_checkpoint(keeper_kit.keeper, &job), -ETIMEDOUT);
	keeper_kit_write_file(keeper_kit_account_inode(1), "y", &seed);
	stopping = true;
	job.timeout_ms = KEEPER_KIT_FLUSH_MS;
	ck_assert_int_eq(keeper_checkpoint(keeper_kit.keeper, &job), -ECANCELED);
	fault_backend_release(keeper_kit.fixture.backend);
	keeper_kit_set_rules("");
	stopping = false;
	ck_assert_int_eq(keeper_checkpoint(keeper_kit.keeper, &job), 0);
	keeper_kit_compare_with_restored();
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("keeper");
	TCase *tc = tcase_create("keeper");

	tcase_set_timeout(tc, getenv("MAILFS_TEST_ROUNDS") != NULL ? 36000 : 120);
	tcase_add_checked_fixture(tc, keeper_kit_set_up, keeper_kit_tear_down);
	tcase_add_test(tc, test_quiet);
	tcase_add_test(tc, test_long_tail);
	tcase_add_test(tc, test_truncation);
	tcase_add_test(tc, test_pinned);
	tcase_add_test(tc, test_removed_account);
	tcase_add_test(tc, test_retention);
	tcase_add_test(tc, test_a_late_checkpoint);
	tcase_add_test(tc, test_journals_of_before);
	tcase_add_test(tc, test_owner_of_before);
	tcase_add_test(tc, test_old_copy_of_the_disk);
	tcase_add_test(tc, test_jobs);
	tcase_add_test(tc, test_removed_while_a_catalogue_is_loaded);
	tcase_add_loop_test(tc, test_faults, 0, (int)(sizeof(faults) / sizeof(faults[0])));
	tcase_add_test(tc, test_random);
	suite_add_tcase(suite, tc);
	return suite;
}
