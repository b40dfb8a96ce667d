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
#include "backends/memory_backend.h"
#include "cache/cut.h"
#include "cache/key.h"
#include "journal_kit.h"
#include "replication/keeper.h"
#include "util/clock.h"

#define STORE "keeper"
#define ACCOUNTS 6
#define DEFAULT_ROUNDS 6
#define FLUSH_MS 60000
#define PATIENCE_MS 60000
#define QUIET_MS 3600000

static struct node_fixture f;
static struct journal *journal;
static struct keeper *keeper;
static struct journal_options options;
static struct keeper_options keeping;
static struct journal_kit kit; /* for restoring only: its own node is not open */

static void start_journal(void)
{
	char *message = NULL;

	ck_assert_msg(
		journal_open(f.node, f.backend, &options, &journal, &message) == 0, "%s", message);
	keeping.node = f.node;
	keeping.backend = f.backend;
	keeping.journal = journal;
	ck_assert_int_eq(keeper_start(&keeping, &keeper), 0);
}

static void set_up(void)
{
	struct fault_rules rules = {.n = 0};
	struct backend *memory;

	node_fixture_init(&f);
	backend_free(f.backend);
	ck_assert_int_eq(memory_backend_open(STORE, &memory), 0);
	ck_assert_int_eq(fault_backend_new(memory, &rules, &f.backend), 0);
	f.options.backend = f.backend;
	f.options.journal = true;
	f.options.commit_interval_ms = 3600000;
	node_fixture_open(&f);
	options = (struct journal_options){.node = {{1, 2, 3}},
		.incarnation = 7,
		.commit_interval_ms = 20,
		.commit_timeout_ms = PATIENCE_MS,
		.max_in_flight = 4};
	keeping = (struct keeper_options){.volume = {{9, 8, 7}},
		.node_uuid = options.node,
		.incarnation = options.incarnation,
		.quiet_ms = QUIET_MS};
	kit = (struct journal_kit){.volume = keeping.volume};
	start_journal();
}

static void stop_journal(void)
{
	keeper_stop(keeper);
	keeper = NULL;
	ck_assert_int_eq(journal_close(journal, FLUSH_MS), 0);
	journal = NULL;
}

static void tear_down(void)
{
	fault_backend_release(f.backend);
	keeper_stop(keeper);
	keeper = NULL;
	(void)journal_close(journal, 0);
	journal = NULL;
	node_fixture_done(&f);
}

static void restart(void)
{
	stop_journal();
	node_fixture_reopen(&f);
	start_journal();
}

static void set_rules(const char *text)
{
	char *message = NULL;

	ck_assert_msg(fault_backend_set(f.backend, text, &message) == 0, "%s", message);
}

static struct keeper_figures figures(void)
{
	struct keeper_figures ret;

	keeper_get_figures(keeper, &ret);
	return ret;
}

/* ---- what is on the backend */

static size_t count_keys(const char *prefix, const char *infix)
{
	struct backend_result page;
	size_t n = 0;

	ck_assert_int_eq(
		backend_list_wait(f.backend, prefix, NULL, BACKEND_LIST_MAX_ENTRIES, &page), 0);
	for (size_t i = 0; i < page.n_entries; i++)
		n += strstr(page.entries[i].key, infix) != NULL;
	backend_result_done(&page);
	return n;
}

static size_t count_segments(void)
{
	return count_keys("journal/", "/");
}

static size_t count_checkpoints(void)
{
	return count_keys("accounts/", "/checkpoint/");
}

static void wait_for_segments(size_t n)
{
	uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

	while (count_segments() != n && clock_monotonic_ms() < end_ms)
		clock_sleep_ms(5);
	ck_assert_uint_eq(count_segments(), n);
}

/* ---- work */

static uint64_t account_inode(unsigned int account)
{
	struct fs_attributes found;
	char name[16];

	snprintf(name, sizeof(name), "user%u", account);
	if (fs_lookup(f.fs, FS_ROOT_INO, name, &found) == 0)
		return found.ino;
	return node_fixture_mkdir(f.fs, FS_ROOT_INO, name);
}

static void write_file(uint64_t directory, const char *name, unsigned int *seed)
{
	static uint8_t data[30000];
	struct fs_attributes found;
	size_t n = 1 + (size_t)rand_r(seed) % sizeof(data);

	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)rand_r(seed);
	if (fs_lookup(f.fs, directory, name, &found) < 0)
		found.ino = node_fixture_create(f.fs, directory, name);
	ck_assert_int_eq(
		node_fixture_write(f.fs, found.ino, (uint64_t)rand_r(seed) % 9000, data, n), 0);
}

static bool forget_name(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	char(*names)[64] = arg;

	(void)ino;
	(void)mode;
	(void)next;
	(void)attributes;
	for (int i = 0; i < 16 && name[0] != '.'; i++) {
		if (names[i][0] != '\0')
			continue;
		snprintf(names[i], sizeof(names[i]), "%s", name);
		break;
	}
	return true;
}

/* The whole account goes; its number never comes again. */
static void remove_account(unsigned int account)
{
	char names[16][64] = {{0}}, name[16];
	uint64_t ino = account_inode(account);

	ck_assert_int_eq(fs_readdir(f.fs, ino, 0, false, forget_name, names), 0);
	for (int i = 0; i < 16 && names[i][0] != '\0'; i++)
		ck_assert_int_eq(fs_unlink(f.fs, ino, names[i]), 0);
	snprintf(name, sizeof(name), "user%u", account);
	ck_assert_int_eq(fs_rmdir(f.fs, FS_ROOT_INO, name), 0);
}

static void one_change(unsigned int *seed)
{
	uint64_t directory = account_inode((unsigned int)rand_r(seed) % ACCOUNTS);
	struct fs_attributes found;
	char name[16], other[16];

	snprintf(name, sizeof(name), "f%d", rand_r(seed) % 6);
	snprintf(other, sizeof(other), "f%d", rand_r(seed) % 6);
	switch (rand_r(seed) % 6) {
	case 0:
		(void)fs_unlink(f.fs, directory, name);
		break;
	case 1:
		(void)node_fixture_rename(f.fs, directory, name, directory, other, 0);
		break;
	case 2:
		if (fs_lookup(f.fs, directory, name, &found) == 0)
			(void)node_fixture_truncate(
				f.fs, found.ino, (uint64_t)rand_r(seed) % 20000);
		break;
	case 3:
		if (fs_lookup(f.fs, directory, name, &found) == 0)
			(void)fs_setxattr(f.fs, found.ino, "user.x", other, strlen(other), 0);
		break;
	default:
		write_file(directory, name, seed);
	}
}

static void ship(void)
{
	ck_assert_int_eq(journal_flush(journal, FLUSH_MS), 0);
}

static int checkpoint(const uint32_t *accounts, size_t n)
{
	struct keeper_job job = {.accounts = accounts, .n_accounts = n, .timeout_ms = FLUSH_MS};

	return keeper_checkpoint(keeper, &job);
}

/* Many segments, so that the journal is no young one any more. */
static void grow_old(void)
{
	unsigned int seed = 77;

	for (int i = 0; i < 2 * JOURNAL_MAX_IN_FLIGHT; i++) {
		write_file(account_inode((unsigned int)i % ACCOUNTS), "old", &seed);
		ship();
	}
}

/* ---- restoring */

static uint32_t known_accounts(void)
{
	uint32_t accounts = 1;

	for (unsigned int i = 0; i < ACCOUNTS; i++) {
		struct fs_attributes found;
		char name[16];

		snprintf(name, sizeof(name), "user%u", i);
		if (fs_lookup(f.fs, FS_ROOT_INO, name, &found) < 0)
			continue;
		ck_assert_uint_lt(key_ino_account(found.ino), JOURNAL_KIT_ACCOUNTS);
		accounts |= UINT32_C(1) << key_ino_account(found.ino);
	}
	return accounts;
}

static void compare_with_restored(void)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	uint32_t accounts = known_accounts();
	struct node_fixture reader;

	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore(&kit, &reader, accounts, true, results);
	for (uint32_t account = 0; account < JOURNAL_KIT_ACCOUNTS; account++) {
		if (accounts >> account & 1)
			ck_assert_msg(results[account].error == 0, "account %u: %d %s", account,
				results[account].error, results[account].message);
	}
	ck_assert_int_eq(fs_open(reader.node, &reader.fs), 0);
	journal_kit_compare(&f, &reader);
	node_fixture_done(&reader);
}

/* ---- tests */

/* An account that is quiet gets a checkpoint; an idle node then does nothing. */
START_TEST(test_quiet)
{
	uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	unsigned int seed = 1;
	uint64_t before;

	keeper_stop(keeper);
	keeping.quiet_ms = 50;
	ck_assert_int_eq(keeper_start(&keeping, &keeper), 0);
	for (int i = 0; i < 20; i++)
		one_change(&seed);
	ship();
	while ((figures().checkpoints == 0 || figures().accounts_with_tail > 0) &&
		clock_monotonic_ms() < end_ms)
		clock_sleep_ms(5);
	ck_assert_uint_eq(figures().accounts_with_tail, 0);
	ck_assert_uint_eq(figures().tail_bytes, 0);
	compare_with_restored();
	before = figures().checkpoints;
	clock_sleep_ms(300);
	ck_assert_uint_eq(figures().checkpoints, before);
}
END_TEST

/* A tail that is too long. */
START_TEST(test_long_tail)
{
	uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	unsigned int seed = 1;

	keeper_stop(keeper);
	keeping.tail_max_bytes = 100000;
	ck_assert_int_eq(keeper_start(&keeping, &keeper), 0);
	while (figures().checkpoints == 0 && clock_monotonic_ms() < end_ms) {
		write_file(account_inode(1), "f", &seed);
		ship();
	}
	ck_assert_uint_gt(figures().checkpoints, 0);
	compare_with_restored();
}
END_TEST

START_TEST(test_truncation)
{
	struct keeper_account account;
	unsigned int seed = 3;

	grow_old();
	ck_assert_uint_ge(count_segments(), 2 * JOURNAL_MAX_IN_FLIGHT);
	compare_with_restored();
	ck_assert_int_eq(checkpoint(NULL, 0), 0);
	wait_for_segments(1); /* the last one says where the journal ends */
	ck_assert_uint_eq(figures().journal_segments, 1);
	ck_assert_uint_eq(count_checkpoints(), ACCOUNTS + 1);
	ck_assert(keeper_get_account(keeper, 1, &account));
	ck_assert_uint_eq(account.tail_segments, 0);
	ck_assert_uint_eq(account.checkpoint_number, 1);
	compare_with_restored();
	/* Goes on behind it, also after a restart. */
	write_file(account_inode(2), "more", &seed);
	ship();
	compare_with_restored();
	restart();
	write_file(account_inode(3), "more", &seed);
	ship();
	compare_with_restored();
	ck_assert_int_eq(checkpoint(NULL, 0), 0);
	wait_for_segments(1);
	ck_assert_uint_eq(count_checkpoints(), ACCOUNTS + 1); /* replaced ones are gone */
	compare_with_restored();
}
END_TEST

/* One account keeps a segment and all behind it. */
START_TEST(test_pinned)
{
	uint32_t others[] = {0, 1, 2, 3, 4, 5};
	size_t n;

	grow_old();
	ck_assert_int_eq(checkpoint(others, 6), 0);
	clock_sleep_ms(200);
	n = count_segments();
	ck_assert_uint_gt(n, 2 * JOURNAL_MAX_IN_FLIGHT - 10);
	compare_with_restored();
	others[0] = 6;
	ck_assert_int_eq(checkpoint(others, 1), 0);
	wait_for_segments(1);
	compare_with_restored();
}
END_TEST

/* What was removed leaves nothing, in the end, and its number does not come again. */
START_TEST(test_removed_account)
{
	unsigned int seed = 5;
	struct fs_attributes a;

	grow_old();
	ck_assert_int_eq(checkpoint(NULL, 0), 0);
	remove_account(4);
	ship();
	compare_with_restored();
	restart(); /* the kernel has forgotten the files */
	ck_assert_int_eq(checkpoint(NULL, 0), 0);
	compare_with_restored();
	write_file(account_inode(1), "x", &seed); /* the last segment is another one */
	ship();
	ck_assert_int_eq(checkpoint(NULL, 0), 0);
	wait_for_segments(1);
	for (int i = 0; i < 1000 && count_checkpoints() != ACCOUNTS; i++)
		clock_sleep_ms(10);
	ck_assert_uint_eq(count_checkpoints(), ACCOUNTS);
	compare_with_restored();
	ck_assert_int_eq(fs_lookup(f.fs, FS_ROOT_INO, "user5", &a), 0);
	ck_assert_uint_eq(key_ino_account(a.ino), 6);
	ck_assert_uint_eq(key_ino_account(account_inode(4)), 7);
}
END_TEST

/* With retention what was replaced stays for a while. */
START_TEST(test_retention)
{
	unsigned int seed = 5;
	uint32_t one = 1;

	keeper_stop(keeper);
	keeping.retention_ms = 1500;
	ck_assert_int_eq(keeper_start(&keeping, &keeper), 0);
	for (int i = 0; i < 4; i++) {
		write_file(account_inode(0), "f", &seed);
		ck_assert_int_eq(checkpoint(&one, 1), 0);
	}
	ck_assert_uint_eq(count_checkpoints(), 4);
	for (int i = 0; i < 1000 && count_checkpoints() > 1; i++)
		clock_sleep_ms(10);
	ck_assert_uint_eq(count_checkpoints(), 1);
	compare_with_restored();
}
END_TEST

static void seal(void)
{
	struct catalogue_options how = {.backend = f.backend};
	struct catalogue *catalogue;
	char *message;

	ck_assert_int_eq(catalogue_load(&how, &catalogue, &message), 0);
	ck_assert_uint_eq(catalogue_n_journals(catalogue), 1);
	kit.next = (struct position){.node = options.node,
		.incarnation = options.incarnation,
		.sequence = catalogue_journal(catalogue, 0)->end};
	kit.previous_checksum = catalogue_journal(catalogue, 0)->end_checksum;
	catalogue_free(catalogue);
	kit.fixture.backend = f.backend;
	(void)journal_kit_seal(&kit);
}

/* The journal of another node, that this one has taken over. */
START_TEST(test_journals_of_before)
{
	unsigned int seed = 9;

	grow_old();
	stop_journal();
	node_fixture_close(&f);
	seal();
	node_fixture_open(&f);
	options.incarnation++;
	keeping.incarnation++;
	start_journal();
	write_file(account_inode(1), "new", &seed);
	ship();
	compare_with_restored();
	ck_assert_int_eq(checkpoint(NULL, 0), 0);
	/* A seal, and what the new journal has. */
	for (int i = 0; i < 1000 && count_keys("journal/", "/0000000000000007/") != 1; i++)
		clock_sleep_ms(10);
	ck_assert_uint_eq(count_keys("journal/", "/0000000000000007/"), 1);
	ck_assert_uint_ge(count_keys("journal/", "/0000000000000008/"), 1);
	compare_with_restored();
}
END_TEST

/* A copy of the disk from before what was removed since must not go on as if nothing were. */
START_TEST(test_old_copy_of_the_disk)
{
	char *message = NULL, command[256];
	unsigned int seed = 9;

	grow_old();
	stop_journal();
	node_fixture_close(&f);
	snprintf(command, sizeof(command), "cp -r '%s' '%s.copy'", f.directory, f.directory);
	ck_assert_int_eq(system(command), 0);
	node_fixture_open(&f);
	start_journal();
	for (int i = 0; i < 3; i++) {
		write_file(account_inode(1), "x", &seed);
		ship();
	}
	ck_assert_int_eq(checkpoint(NULL, 0), 0);
	wait_for_segments(1);
	stop_journal();
	node_fixture_close(&f);
	snprintf(command, sizeof(command), "rm -rf '%s' && mv '%s.copy' '%s'", f.directory,
		f.directory, f.directory);
	ck_assert_int_eq(system(command), 0);
	node_fixture_open(&f);
	ck_assert_int_eq(journal_open(f.node, f.backend, &options, &journal, &message), -ESTALE);
	ck_assert_ptr_nonnull(message);
	ck_assert_ptr_nonnull(strstr(message, "removed"));
	journal = NULL;
	free(message);
	ck_assert_uint_eq(count_segments(), 1);
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

	keeper_stop(keeper);
	keeping.part_bytes = 20000;
	ck_assert_int_eq(keeper_start(&keeping, &keeper), 0);
	grow_old();
	for (int round = 0; round < 6; round++) {
		set_rules(faults[_i]);
		for (int i = 0; i < 10; i++)
			one_change(&seed);
		(void)checkpoint(NULL, 0);
		clock_sleep_ms(50);
		set_rules("");
		ship();
		compare_with_restored();
		if (round == 3)
			restart();
	}
	ck_assert_int_eq(checkpoint(NULL, 0), 0);
	wait_for_segments(1);
	compare_with_restored();
}
END_TEST

static void random_round(unsigned int seed)
{
	grow_old();
	for (int step = 0; step < 12; step++) {
		uint32_t account = (uint32_t)rand_r(&seed) % (ACCOUNTS + 1);

		for (int i = rand_r(&seed) % 25; i > 0; i--)
			one_change(&seed);
		switch (rand_r(&seed) % 7) {
		case 0:
			restart();
			break;
		case 1:
			ck_assert_int_eq(checkpoint(NULL, 0), 0);
			break;
		case 2:
			remove_account((unsigned int)rand_r(&seed) % ACCOUNTS);
			break;
		case 3:
			ck_assert_int_eq(node_flush(f.node, FLUSH_MS), 0);
			break;
		default:
			ck_assert_int_eq(checkpoint(&account, 1), 0);
		}
		ship();
		compare_with_restored();
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
		tear_down();
		set_up();
	}
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

	write_file(account_inode(0), "x", &seed);
	job.timeout_ms = FLUSH_MS;
	ck_assert_int_eq(keeper_checkpoint(keeper, &job), 0); /* of 99 nothing is known: done */
	ck_assert_uint_eq(done, 4);
	write_file(account_inode(0), "y", &seed);
	set_rules("put:key=accounts*:hang");
	job.timeout_ms = 300;
	ck_assert_int_eq(keeper_checkpoint(keeper, &job), -ETIMEDOUT);
	write_file(account_inode(1), "y", &seed);
	stopping = true;
	job.timeout_ms = FLUSH_MS;
	ck_assert_int_eq(keeper_checkpoint(keeper, &job), -ECANCELED);
	fault_backend_release(f.backend);
	set_rules("");
	stopping = false;
	ck_assert_int_eq(keeper_checkpoint(keeper, &job), 0);
	compare_with_restored();
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("keeper");
	TCase *tc = tcase_create("keeper");

	tcase_set_timeout(tc, getenv("MAILFS_TEST_ROUNDS") != NULL ? 36000 : 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_quiet);
	tcase_add_test(tc, test_long_tail);
	tcase_add_test(tc, test_truncation);
	tcase_add_test(tc, test_pinned);
	tcase_add_test(tc, test_removed_account);
	tcase_add_test(tc, test_retention);
	tcase_add_test(tc, test_journals_of_before);
	tcase_add_test(tc, test_old_copy_of_the_disk);
	tcase_add_test(tc, test_jobs);
	tcase_add_loop_test(tc, test_faults, 0, (int)(sizeof(faults) / sizeof(faults[0])));
	tcase_add_test(tc, test_random);
	suite_add_tcase(suite, tc);
	return suite;
}
