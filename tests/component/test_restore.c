/*
 * What a node has, written as a journal and as checkpoints, is the same on an empty node.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/cut.h"
#include "cache/node_private.h"
#include "journal_kit.h"

#define STORE "restore"
#define ACCOUNTS 3
#define DIRECTORIES 3
#define NAMES 8
#define MAX_BYTES 200000
#define STEPS 900

static const struct fs_caller caller = {.uid = 1000, .gid = 1000};
static struct journal_kit kit;
static struct node_fixture reader;
static uint64_t directories[ACCOUNTS][DIRECTORIES];
static unsigned int seed;

static size_t random_below(size_t n)
{
	return n == 0 ? 0 : (size_t)rand_r(&seed) % n;
}

/* Bodies, index files, others. */
static const char *random_name(void)
{
	static const char *const names[NAMES] = {"u.1", "u.2", "u.3", "dovecot.index.log",
		"dovecot.index.cache", "plain", "other", "subscriptions"};

	return names[random_below(NAMES)];
}

static uint64_t random_directory(size_t account)
{
	return directories[account][random_below(DIRECTORIES)];
}

/* 0: there is none. Keeps no reference. */
static uint64_t find(uint64_t directory, const char *name)
{
	struct fs_attributes a;

	if (fs_lookup(kit.fixture.fs, directory, name, &a) < 0)
		return 0;
	fs_forget(kit.fixture.fs, a.ino, 1);
	return a.ino;
}

/* A reference that is kept makes an inode without a name when it is unlinked. */
static void make(uint64_t directory, const char *name)
{
	struct fs_attributes a;
	int r;

	if (random_below(6) == 0)
		r = fs_symlink(kit.fixture.fs, &caller, "../target", directory, name, &a);
	else
		r = fs_mknod(kit.fixture.fs, &caller, directory, name, S_IFREG | 0600, 0, &a);
	if (r == 0 && random_below(3) != 0)
		fs_forget(kit.fixture.fs, a.ino, 1);
}

static void write_some(uint64_t ino)
{
	static const size_t most[] = {300, 5000, 17000, 100000};
	size_t n = 1 + random_below(most[random_below(4)]), at = random_below(MAX_BYTES - n);
	uint8_t *data = malloc(n);

	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)rand_r(&seed);
	(void)node_fixture_write(kit.fixture.fs, ino, at, data, n);
	free(data);
}

static void change_content(uint64_t ino)
{
	size_t what = random_below(10);

	if (what < 7)
		write_some(ino);
	else if (what < 9)
		(void)node_fixture_truncate(kit.fixture.fs, ino, random_below(MAX_BYTES));
	else
		(void)node_fixture_fallocate(kit.fixture.fs, ino,
			FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, random_below(MAX_BYTES),
			1 + random_below(60000));
}

static void change_names(size_t account, uint64_t directory, const char *name, uint64_t ino)
{
	uint64_t to = random_directory(account);
	size_t what = random_below(10);

	if (what < 3)
		(void)node_fixture_rename(kit.fixture.fs, directory, name, to, random_name(), 0);
	else if (what < 5)
		(void)node_fixture_link(kit.fixture.fs, ino, to, random_name());
	else if (what < 8)
		(void)fs_unlink(kit.fixture.fs, directory, name);
	else
		(void)fs_setxattr(kit.fixture.fs, ino, what == 8 ? "user.a" : "user.b", name,
			strlen(name), 0);
}

static void store_bodies(void)
{
	uint64_t evicted;

	ck_assert_int_eq(node_flush(kit.fixture.node, 20000), 0);
	if (random_below(2) == 0)
		ck_assert_int_eq(node_evict(kit.fixture.node, 0, &evicted), 0);
}

static void one_step(void)
{
	size_t account = random_below(ACCOUNTS), what = random_below(100);
	uint64_t directory = random_directory(account);
	const char *name = random_name();
	uint64_t ino = find(directory, name);

	if (what < 3)
		store_bodies();
	else if (ino == 0)
		make(directory, name);
	else if (what < 70)
		change_content(ino);
	else
		change_names(account, directory, name, ino);
}

static void begin(void)
{
	char name[16];

	memset(directories, 0, sizeof(directories));
	journal_kit_init(&kit, STORE);
	for (int i = 0; i < ACCOUNTS; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		directories[i][0] = node_fixture_mkdir(kit.fixture.fs, FS_ROOT_INO, name);
		directories[i][1] = node_fixture_mkdir(kit.fixture.fs, directories[i][0], "box");
		directories[i][2] = node_fixture_mkdir(kit.fixture.fs, directories[i][1], "deep");
	}
}

static void end(void)
{
	node_fixture_done(&reader);
	journal_kit_done(&kit);
}

static void expect_no_inode_twice(void)
{
	struct fs_attributes a, old;

	ck_assert_int_eq(
		fs_mknod(reader.fs, &caller, directories[0][0], "fresh", S_IFREG, 0, &a), 0);
	ck_assert_int_eq(fs_getattr(kit.fixture.fs, a.ino, &old), -ENOENT);
	ck_assert_int_eq(fs_unlink(reader.fs, directories[0][0], "fresh"), 0);
	fs_forget(reader.fs, a.ino, 1);
	a.ino = node_fixture_mkdir(reader.fs, FS_ROOT_INO, "fresh");
	ck_assert_int_eq(fs_getattr(kit.fixture.fs, a.ino, &old), -ENOENT);
	ck_assert_int_eq(fs_rmdir(reader.fs, FS_ROOT_INO, "fresh"), 0);
	fs_forget(reader.fs, a.ino, 1);
}

/* Compares as restored, with all that is not on the backend put there, without local copies, and
 * after a restart. */
static void expect_equal(void)
{
	uint64_t evicted;

	journal_kit_compare(&kit.fixture, &reader);
	ck_assert_int_eq(node_flush(reader.node, 20000), 0);
	ck_assert_int_eq(node_evict(reader.node, 0, &evicted), 0);
	journal_kit_compare(&kit.fixture, &reader);
	node_fixture_reopen(&reader);
	journal_kit_compare(&kit.fixture, &reader);
	expect_no_inode_twice();
}

/* Which accounts get a checkpoint now. */
static uint32_t random_checkpoints(unsigned int one_in)
{
	uint32_t accounts = 0;

	for (uint32_t account = 0; one_in > 0 && account <= ACCOUNTS; account++)
		accounts |= (uint32_t)(random_below(one_in) == 0) << account;
	return accounts;
}

static void play(int steps, unsigned int checkpoint_in)
{
	for (int step = 0; step < steps; step++) {
		one_step();
		if (random_below(20) == 0)
			(void)journal_kit_write(&kit, random_checkpoints(checkpoint_in));
	}
	(void)journal_kit_write(&kit, random_checkpoints(checkpoint_in));
}

static void run(unsigned int first_seed, unsigned int checkpoint_in, bool parts)
{
	seed = first_seed;
	begin();
	kit.uses_parts = parts;
	play(STEPS, checkpoint_in);
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore_all(&kit, &reader);
	expect_equal();
	end();
}

START_TEST(test_journal)
{
	run((unsigned int)_i + 1, 0, _i % 2 == 1);
}
END_TEST

START_TEST(test_checkpoints)
{
	run((unsigned int)_i + 1000, 12, _i % 2 == 1);
}
END_TEST

/* From node to node: the segments of an account are in several journals, some of them sealed. */
START_TEST(test_take_over)
{
	seed = (unsigned int)_i + 2000;
	begin();
	for (int round = 0; round < 3; round++) {
		play(STEPS / 3, _i % 2 == 0 ? 0 : 20);
		journal_kit_open_reader(STORE, &reader);
		journal_kit_restore_all(&kit, &reader);
		journal_kit_compare(&kit.fixture, &reader);
		journal_kit_take_over(&kit, &reader);
	}
	play(STEPS / 3, 0);
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore_all(&kit, &reader);
	expect_equal();
	end();
}
END_TEST

/* ---- the rule of what is newer (cache/replay.h) */

static void fill(uint64_t ino, char with, uint64_t offset, size_t n)
{
	char *data = malloc(n);

	memset(data, with, n);
	ck_assert_int_eq(node_fixture_write(kit.fixture.fs, ino, offset, data, n), 0);
	free(data);
}

/* A block that was shipped, then changed and put on the backend between two cuts: its old content
 * must not come back. Beside it one that stays newer than its extent, which is cut. */
START_TEST(test_blocks_and_extents)
{
	uint64_t ino, other, evicted;

	begin();
	ino = node_fixture_create(kit.fixture.fs, directories[0][0], "u.1");
	other = node_fixture_create(kit.fixture.fs, directories[0][0], "u.2");
	fill(ino, 'a', 0, 50000);
	(void)journal_kit_write(&kit, 0);
	fill(ino, 'b', 0, 50000);
	fill(other, 'c', 0, 100000);
	ck_assert_int_eq(node_flush(kit.fixture.node, 20000), 0);
	ck_assert_int_eq(node_evict(kit.fixture.node, 0, &evicted), 0);
	(void)journal_kit_write(&kit, 0);
	fill(other, 'd', 0, 20000);
	(void)journal_kit_write(&kit, _i == 0 ? 0 : 1 << 1);
	ck_assert_int_eq(node_fixture_truncate(kit.fixture.fs, other, 60000), 0);
	(void)journal_kit_write(&kit, 0);
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore_all(&kit, &reader);
	expect_equal();
	end();
}
END_TEST

/* Ends what no name leads to, and nothing that is replayed is a change. */
START_TEST(test_orphans)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	struct fs_attributes a;
	uint64_t ino;

	begin();
	ino = node_fixture_create(kit.fixture.fs, directories[0][0], "u.1");
	fill(ino, 'a', 0, 50000);
	ck_assert_int_eq(fs_unlink(kit.fixture.fs, directories[0][0], "u.1"), 0);
	ck_assert_int_eq(fs_getattr(kit.fixture.fs, ino, &a), 0);
	(void)journal_kit_write(&kit, 0);
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore(&kit, &reader, 3, _i == 1, results);
	ck_assert_int_eq(results[0].error, 0);
	ck_assert_int_eq(results[1].error, 0);
	ck_assert(position_equal(&results[1].result.last, &kit.latest[1]));
	if (_i == 0)
		ck_assert_uint_eq(cut_pending_bytes(reader.node), 0);
	else
		ck_assert_uint_gt(cut_pending_bytes(reader.node), 0);
	if (_i == 0) /* the next start does it */
		node_close(reader.node);
	if (_i == 0)
		node_fixture_open(&reader);
	else
		ck_assert_int_eq(fs_open(reader.node, &reader.fs), 0);
	ck_assert_int_eq(fs_getattr(reader.fs, ino, &a), -ENOENT);
	ck_assert_int_eq(fs_getattr(reader.fs, directories[0][0], &a), 0);
	end();
}
END_TEST

/* ---- damage */

/* Segment i writes into account i % ACCOUNTS + 1 alone, so that 9 of them go round three times. */
static void write_rounds(void)
{
	char name[16];

	begin();
	(void)journal_kit_write(&kit, 0);
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "u.%d", i);
		fill(node_fixture_create(kit.fixture.fs, directories[i % ACCOUNTS][0], name), 'x',
			0, 9000);
		(void)journal_kit_write(&kit, 0);
	}
}

static void segment_key(uint64_t sequence, char key[POSITION_SEGMENT_KEY_BYTES])
{
	struct position position = kit.next;

	position.sequence = sequence;
	position_segment_key(&position, 0, key);
}

/* Flips a bit of the object, counted from its end if `at` is negative. */
static void damage(uint64_t sequence, long at)
{
	char key[POSITION_SEGMENT_KEY_BYTES];
	struct backend_result result, put;
	struct iovec part;
	uint8_t *data;

	segment_key(sequence, key);
	ck_assert_int_eq(backend_get_wait(kit.fixture.backend, key, 0, 16 << 20, &result), 0);
	data = result.data;
	data[at >= 0 ? (size_t)at : result.data_size_bytes - (size_t)-at] ^= 1;
	part = (struct iovec){data, result.data_size_bytes};
	ck_assert_int_eq(backend_put_wait(kit.fixture.backend, key, &part, 1, NULL, &put), 0);
	backend_result_done(&put);
	backend_result_done(&result);
}

static void remove_segment(uint64_t sequence)
{
	char key[POSITION_SEGMENT_KEY_BYTES];

	segment_key(sequence, key);
	ck_assert_int_eq(backend_remove_wait(kit.fixture.backend, key), 0);
}

/* What restoring accounts 1 to 3 gives; `damaged` names the segment in the message. */
static void expect_damage(const int errors[ACCOUNTS], uint64_t damaged)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	char key[POSITION_SEGMENT_KEY_BYTES];

	segment_key(damaged, key);
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore(&kit, &reader, 0xe, true, results);
	for (uint32_t i = 0; i < ACCOUNTS; i++) {
		const struct journal_kit_restored *result = &results[i + 1];

		ck_assert_msg(result->error == errors[i], "account %u: %d, not %d: %s", i + 1,
			result->error, errors[i], result->message);
		if (errors[i] == -EBADMSG)
			ck_assert_msg(strstr(result->message, key) != NULL, "%s", result->message);
	}
	ck_assert_int_eq(fs_open(reader.node, &reader.fs), 0);
	for (uint32_t i = 0; i < ACCOUNTS; i++) {
		struct fs_attributes a;

		if (errors[i] == 0)
			journal_kit_compare_below(&kit.fixture, &reader, directories[i][0]);
		else
			ck_assert_int_eq(fs_getattr(reader.fs, directories[i][0], &a), -ENOENT);
	}
	end();
}

/* Segment 1 has the directories, 2, 5, 8 are account 1's, and so on. */
START_TEST(test_damage)
{
	static const struct {
		uint64_t sequence;
		long at; /* of the bit; LONG_MAX: the segment is removed */
		int errors[ACCOUNTS];
	} cases[] = {
		{5, 100, {-EBADMSG, 0, 0}}, /* head */
		{5, 110, {-EBADMSG, 0, 0}}, /* directory */
		{5, -10, {-EBADMSG, 0, 0}}, /* section */
		{5, 1 << 30, {-EBADMSG, 0, 0}},
		{1, 1 << 30, {-EBADMSG, -EBADMSG, -EBADMSG}}, /* the prefix: but it was needed */
		{10, -10, {0, 0, -EBADMSG}},
		{9, 100, {-EBADMSG, -EBADMSG, 0}},         /* account 1 may have been in it */
		{10, 100, {-EBADMSG, -EBADMSG, -EBADMSG}}, /* and nobody comes later here */
	};

	write_rounds();
	if (cases[_i].at == 1 << 30)
		remove_segment(cases[_i].sequence);
	else
		damage(cases[_i].sequence, cases[_i].at);
	expect_damage(cases[_i].errors, cases[_i].sequence);
}
END_TEST

/* Segments that were in flight behind one that never came are over with the seal. */
START_TEST(test_behind_the_seal)
{
	struct catalogue_options options = {.priority = BACKEND_READER};
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	const struct catalogue_journal *journal;
	struct catalogue *catalogue;
	struct fs_attributes a;
	char *message;

	write_rounds();
	remove_segment(9);
	options.backend = kit.fixture.backend;
	options.volume = kit.volume;
	ck_assert_int_eq(catalogue_load(&options, &catalogue, &message), 0);
	ck_assert_uint_eq(catalogue_n_journals(catalogue), 1);
	journal = catalogue_journal(catalogue, 0);
	ck_assert_uint_eq(journal->end, 9);
	ck_assert(journal->has_holes && !journal->is_sealed);
	kit.next.sequence = journal->end;
	kit.previous_checksum = journal->end_checksum;
	catalogue_free(catalogue);
	journal_kit_seal(&kit);
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore(&kit, &reader, 0xe, true, results);
	ck_assert_int_eq(fs_open(reader.node, &reader.fs), 0);
	for (int i = 0; i < ACCOUNTS; i++) {
		ck_assert_msg(results[i + 1].error == 0, "%s", results[i + 1].message);
		ck_assert(!results[i + 1].result.is_uncertain);
	}
	journal_kit_compare_below(&kit.fixture, &reader, directories[0][0]);
	ck_assert_int_eq(fs_lookup(reader.fs, directories[1][0], "u.4", &a), 0);
	ck_assert_int_eq(fs_lookup(reader.fs, directories[1][0], "u.7", &a), -ENOENT);
	ck_assert_int_eq(fs_lookup(reader.fs, directories[2][0], "u.8", &a), -ENOENT);
	end();
}
END_TEST

/* Whoever accepts it gets what is certain. */
START_TEST(test_uncertain)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	struct fs_attributes a;

	write_rounds();
	damage(10, 100);
	kit.accepts_uncertain = true;
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore(&kit, &reader, 0xe, true, results);
	ck_assert_int_eq(fs_open(reader.node, &reader.fs), 0);
	for (int i = 0; i < ACCOUNTS; i++) {
		ck_assert_msg(results[i + 1].error == 0, "%s", results[i + 1].message);
		ck_assert(results[i + 1].result.is_uncertain);
		if (i < 2)
			journal_kit_compare_below(&kit.fixture, &reader, directories[i][0]);
	}
	ck_assert_int_eq(fs_lookup(reader.fs, directories[2][0], "u.5", &a), 0);
	ck_assert_int_eq(fs_lookup(reader.fs, directories[2][0], "u.8", &a), -ENOENT);
	end();
}
END_TEST

/* What a checkpoint includes may be gone, damaged or not. */
START_TEST(test_old_segments_are_not_needed)
{
	static const int none[ACCOUNTS];

	write_rounds();
	(void)journal_kit_write(&kit, 0xe);
	fill(find(directories[1][0], "u.1"), 'y', 100, 100);
	(void)journal_kit_write(&kit, 0);
	for (uint64_t sequence = 1; sequence <= 5; sequence++)
		remove_segment(sequence);
	damage(7, 20);
	damage(9, -5);
	expect_damage(none, 0);
}
END_TEST

/* What leads from the old journal to the checkpoint was removed with what it includes. What leads
 * from the checkpoint to the end was not. */
START_TEST(test_removed_segments)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	uint64_t ino, first;

	write_rounds();
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore_all(&kit, &reader);
	journal_kit_take_over(&kit, &reader);
	ino = find(directories[0][0], "u.0");
	first = kit.next.sequence;
	for (char with = 'a'; with < 'f'; with++) {
		fill(ino, with, 0, 3000);
		(void)journal_kit_write(&kit, with == 'b' ? 1 << 1 : 0);
	}
	for (uint64_t sequence = 1; sequence < first + (_i == 0 ? 2 : 3); sequence++)
		remove_segment(sequence);
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore(&kit, &reader, 1 << 1, true, results);
	ck_assert_msg(results[1].error == (_i == 0 ? 0 : -EBADMSG), "%d %s", results[1].error,
		results[1].message);
	ck_assert_int_eq(fs_open(reader.node, &reader.fs), 0);
	if (_i == 0)
		journal_kit_compare_below(&kit.fixture, &reader, directories[0][0]);
	end();
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("restore");
	TCase *tc = tcase_create("restore");
	const char *rounds = getenv("MAILFS_TEST_ROUNDS");
	int n = rounds != NULL ? atoi(rounds) : 4;

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_journal, 0, n);
	tcase_add_loop_test(tc, test_checkpoints, 0, n);
	tcase_add_loop_test(tc, test_take_over, 0, n);
	tcase_add_loop_test(tc, test_blocks_and_extents, 0, 2);
	tcase_add_loop_test(tc, test_orphans, 0, 2);
	tcase_add_loop_test(tc, test_damage, 0, 8);
	tcase_add_test(tc, test_uncertain);
	tcase_add_test(tc, test_behind_the_seal);
	tcase_add_test(tc, test_old_segments_are_not_needed);
	tcase_add_loop_test(tc, test_removed_segments, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
