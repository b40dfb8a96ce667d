/*
 * Restoring that fails, is cancelled or killed, and accounts that do not fit together.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backends/fault_backend.h"
#include "backends/memory_backend.h"
#include "cache/account_check.h"
#include "cache/cut.h"
#include "cache/key.h"
#include "cache/node_private.h"
#include "cache/replay.h"
#include "journal_kit.h"
#include "replication/checkpoint_writer.h"
#include "util/clock.h"

#define STORE "replay"
#define MAILS 12

static struct journal_kit kit;
static struct node_fixture reader;
static uint64_t account_ino, boxes[2];

/* One account with bodies, some of them on the backend, in a few segments. */
static void begin(void)
{
	char name[16], data[9000];
	uint64_t evicted;

	journal_kit_init(&kit, STORE);
	account_ino = node_fixture_mkdir(kit.fixture.fs, FS_ROOT_INO, "user");
	boxes[0] = node_fixture_mkdir(kit.fixture.fs, account_ino, "one");
	boxes[1] = node_fixture_mkdir(kit.fixture.fs, account_ino, "two");
	for (int i = 0; i < MAILS; i++) {
		snprintf(name, sizeof(name), "u.%d", i + 1);
		memset(data, 'a' + i, sizeof(data));
		ck_assert_int_eq(node_fixture_write(kit.fixture.fs,
					 node_fixture_create(kit.fixture.fs, boxes[i % 2], name), 0,
					 data, sizeof(data)),
			0);
		(void)journal_kit_write(&kit, 0);
		if (i == MAILS / 2)
			ck_assert_int_eq(node_flush(kit.fixture.node, 10000), 0);
	}
	ck_assert_int_eq(node_evict(kit.fixture.node, 0, &evicted), 0);
	journal_kit_open_reader(STORE, &reader);
}

static void end(void)
{
	node_fixture_done(&reader);
	journal_kit_done(&kit);
}

/* The number of records of the account in both tables. */
static size_t count_records(struct node *node, uint32_t account)
{
	struct key from = key_account_begin(account), to = key_account_end(account);
	size_t n = 0;

	for (int table = 0; table < STORE_TABLES; table++) {
		struct store_iterator *it =
			store_iterator_new(node->store, (enum store_table)table, &from, &to);

		for (; store_iterator_valid(it); store_iterator_next(it))
			n++;
		store_iterator_free(it);
	}
	return n;
}

/* ---- an account by hand */

/* The records of account 1 that the writing node has, as one step. */
static int replay_record(void *arg, const struct cut_record *record)
{
	return replay_put(arg, record->table, record->key + 4, record->key_bytes - 4, record->value,
		record->value_bytes);
}

static struct replay *replay_all(void)
{
	struct replay *replay;
	struct cut *cut;

	ck_assert_int_eq(cut_take(kit.fixture.node, &cut), 0);
	ck_assert_int_eq(replay_begin(reader.node, 1, &replay), 0);
	ck_assert_int_eq(replay_step(replay), 0);
	ck_assert_int_eq(cut_each_of_account(cut, 1, replay_record, replay), 0);
	ck_assert_int_eq(replay_step(replay), 0);
	cut_done(cut);
	return replay;
}

static void expect_broken(struct replay *replay, const char *how)
{
	char *message;

	ck_assert_int_eq(replay_finish(replay, 0, &message), -EBADMSG);
	ck_assert_ptr_nonnull(message);
	ck_assert_msg(strstr(message, how) != NULL, "%s", message);
	free(message);
	ck_assert_uint_eq(count_records(reader.node, 1), 0);
	ck_assert_int_eq(replay_is_running(reader.node, 1), 0);
}

static int remove_key(struct replay *replay, enum store_table table, struct key key)
{
	return replay_remove(replay, table, key.bytes + 4, key.size_bytes - 4);
}

static void remove_record(struct replay *replay, enum store_table table, struct key key)
{
	ck_assert_int_eq(remove_key(replay, table, key), 0);
}

static uint64_t ino_of(const char *name, uint64_t box)
{
	struct fs_attributes a;

	ck_assert_int_eq(fs_lookup(kit.fixture.fs, box, name, &a), 0);
	fs_forget(kit.fixture.fs, a.ino, 1);
	return a.ino;
}

static void break_inode(struct replay *replay)
{
	remove_record(replay, STORE_META, key_inode(ino_of("u.1", boxes[0])));
}

static void break_name(struct replay *replay)
{
	remove_record(replay, STORE_META, key_name(boxes[0], "u.1"));
}

static void break_block(struct replay *replay)
{
	remove_record(replay, STORE_DATA, key_data(ino_of("u.12", boxes[1]), 0));
}

static void break_extent(struct replay *replay)
{
	remove_record(replay, STORE_META, key_extent(ino_of("u.1", boxes[0]), 0));
}

/* Both records of an entry: the count is wrong, and the inode has no name. */
static void break_entry(struct replay *replay)
{
	remove_record(replay, STORE_META, key_cookie(boxes[0], (UINT64_C(1) << 62) - 3));
	remove_record(replay, STORE_META, key_name(boxes[0], "u.1"));
}

static void break_directory(struct replay *replay)
{
	remove_record(replay, STORE_META, key_inode(boxes[1]));
}

static void put_inode(struct replay *replay, uint64_t ino, void (*change)(struct inode *inode))
{
	uint8_t data[RECORD_INODE_BYTES];
	struct key key = key_inode(ino);
	struct inode inode;

	ck_assert_int_eq(node_load_inode(kit.fixture.node, ino, &inode), 0);
	change(&inode);
	ck_assert_int_eq(replay_put(replay, STORE_META, key.bytes + 4, key.size_bytes - 4, data,
				 record_encode_inode(&inode, data)),
		0);
}

static void add_link(struct inode *inode)
{
	inode->nlink++;
}

static void shorten(struct inode *inode)
{
	inode->size_bytes = 10;
}

static void move_up(struct inode *inode)
{
	inode->parent = boxes[1];
}

static void break_links(struct replay *replay)
{
	put_inode(replay, ino_of("u.1", boxes[0]), add_link);
}

static void break_directory_links(struct replay *replay)
{
	put_inode(replay, account_ino, add_link);
}

static void break_size(struct replay *replay)
{
	put_inode(replay, ino_of("u.12", boxes[1]), shorten);
}

static void break_extent_size(struct replay *replay)
{
	put_inode(replay, ino_of("u.1", boxes[0]), shorten);
}

static void break_parent(struct replay *replay)
{
	put_inode(replay, boxes[0], move_up);
}

static void break_root(struct replay *replay)
{
	struct key from = key_account_begin(1), to = key_type(1, KEY_INODE);

	(void)from;
	ck_assert_int_eq(replay_remove_range(replay, STORE_META, to.bytes + 4, 1, "J", 1), 0);
}

static void break_record(struct replay *replay)
{
	struct key key = key_inode(boxes[1]);

	ck_assert_int_eq(
		replay_put(replay, STORE_META, key.bytes + 4, key.size_bytes - 4, "\1", 1), 0);
}

static const struct {
	void (*how)(struct replay *replay);
	const char *message;
} breaks[] = {
	{break_inode, "belongs to nothing"},
	{break_name, "differ"},
	{break_block, "blocks and has"},
	{break_extent, "blocks and has"},
	{break_entry, "entries and has"},
	{break_directory, "belongs to nothing"},
	{break_links, "names and has"},
	{break_directory_links, "link count"},
	{break_size, "within the file"},
	{break_extent_size, "within the file"},
	{break_parent, "another parent"},
	{break_root, "belongs to nothing"},
	{break_record, "malformed"},
};

START_TEST(test_broken)
{
	struct replay *replay;

	begin();
	replay = replay_all();
	breaks[_i].how(replay);
	expect_broken(replay, breaks[_i].message);
	end();
}
END_TEST

START_TEST(test_whole)
{
	char *message;

	begin();
	ck_assert_int_eq(replay_finish(replay_all(), 0, &message), 0);
	ck_assert_uint_gt(count_records(reader.node, 1), 3 * MAILS);
	/* Again, over what is there. */
	ck_assert_int_eq(replay_finish(replay_all(), 0, &message), 0);
	ck_assert_int_eq(replay_is_running(reader.node, 1), 0);
	end();
}
END_TEST

START_TEST(test_order)
{
	struct key inode = key_inode(key_ino_compose(1, 5)),
		   other = key_inode(key_ino_compose(1, 4));
	struct key block = key_data(key_ino_compose(1, 5), 0);
	struct replay *replay;

	begin();
	ck_assert_int_eq(replay_begin(reader.node, 1, &replay), 0);
	ck_assert_int_eq(remove_key(replay, STORE_META, inode), -EBADMSG); /* no step */
	ck_assert_int_eq(replay_step(replay), 0);
	ck_assert_int_eq(remove_key(replay, STORE_META, inode), 0);
	ck_assert_int_eq(remove_key(replay, STORE_META, inode), -EBADMSG);
	ck_assert_int_eq(remove_key(replay, STORE_META, other), -EBADMSG);
	ck_assert_int_eq(replay_remove_range(replay, STORE_META, "A", 1, "B", 1), -EBADMSG);
	ck_assert_int_eq(remove_key(replay, STORE_META, block), -EBADMSG); /* the other table's */
	ck_assert_int_eq(replay_step(replay), 0);
	ck_assert_int_eq(replay_remove_range(replay, STORE_META, "B", 1, "A", 1), -EBADMSG);
	ck_assert_int_eq(replay_remove_range(replay, STORE_META, "\0", 1, "\xff", 1), 0);
	ck_assert_int_eq(remove_key(replay, STORE_DATA, block), 0);
	ck_assert_int_eq(remove_key(replay, STORE_META, inode), -EBADMSG);
	replay_abort(replay);
	ck_assert_int_eq(replay_is_running(reader.node, 1), 0);
	end();
}
END_TEST

/* ---- killed */

/* The store's files as they are now are what the death of the process leaves. */
START_TEST(test_killed)
{
	char directory[64], command[256], *message;
	struct replay *replay;
	struct node_fixture killed;
	struct fs_attributes a;

	begin();
	if (_i == 1) /* there was a state before */
		ck_assert_int_eq(replay_finish(replay_all(), 0, &message), 0);
	replay = replay_all();
	ck_assert_int_eq(replay_is_running(reader.node, 1), 1);
	ck_assert_uint_gt(count_records(reader.node, 1), 0);
	journal_kit_open_reader(STORE, &killed);
	node_close(killed.node);
	snprintf(directory, sizeof(directory), "%s", killed.directory);
	snprintf(command, sizeof(command), "rm -rf '%s' && cp -a '%s' '%s'", directory,
		reader.directory, directory);
	ck_assert_int_eq(system(command), 0);
	replay_abort(replay);
	ck_assert_int_eq(node_open(&killed.options, &killed.node, &message), 0);
	ck_assert_int_eq(replay_is_running(killed.node, 1), 0);
	ck_assert_uint_eq(count_records(killed.node, 1), 0);
	journal_kit_restore_all(&kit, &killed);
	ck_assert_int_eq(fs_getattr(killed.fs, account_ino, &a), 0);
	journal_kit_compare(&kit.fixture, &killed);
	node_fixture_done(&killed);
	end();
}
END_TEST

/* ---- a backend that fails */

static void inject(const char *rules)
{
	char *message;
	struct fault_rules none = {0};

	node_close(reader.node);
	ck_assert_int_eq(fault_backend_new(reader.backend, &none, &reader.backend), 0);
	reader.options.backend = reader.backend;
	ck_assert_int_eq(node_open(&reader.options, &reader.node, &message), 0);
	ck_assert_int_eq(fault_backend_set(reader.backend, rules, &message), 0);
}

START_TEST(test_faults)
{
	static const struct {
		const char *rules;
		int error;
	} cases[] = {
		{"get:key=journal*:nth=16:error=EIO", -EIO},
		{"get:key=journal*:nth=20:corrupt", -EBADMSG},
		{"get:key=journal*:nth=20:truncate=5", -EBADMSG},
		{"get:key=journal*:nth=18:error=ENOENT", -EBADMSG},
		{"list:key=accounts*:error=EACCES", -EACCES},
	};
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	char *message;

	begin();
	inject(cases[_i].rules);
	journal_kit_restore(&kit, &reader, 1 << 1, true, results);
	ck_assert_msg(
		results[1].error == cases[_i].error, "%d %s", results[1].error, results[1].message);
	ck_assert_uint_gt(strlen(results[1].message), 0);
	ck_assert_uint_eq(count_records(reader.node, 1), 0);
	ck_assert_int_eq(fault_backend_set(reader.backend, "", &message), 0);
	journal_kit_restore_all(&kit, &reader);
	journal_kit_compare(&kit.fixture, &reader);
	end();
}
END_TEST

static int n_cancelled, n_others;

static void count_answer(void *arg, const struct restore_result *result)
{
	(void)arg;
	__atomic_add_fetch(
		result->error == -ECANCELED ? &n_cancelled : &n_others, 1, __ATOMIC_SEQ_CST);
}

static void wait_until_hanging(void)
{
	for (int i = 0; i < 2000 && fault_backend_hanging(reader.backend) == 0; i++)
		usleep(5000);
	ck_assert_uint_gt(fault_backend_hanging(reader.backend), 0);
}

/* Closing throws away what is half, and answers everybody: those who joined as well. */
START_TEST(test_stop)
{
	struct catalogue_options options = {.priority = BACKEND_READER, .volume = kit.volume};
	struct restore_options how = {.n_threads = 1};
	struct catalogue *catalogue;
	struct restore *restore;
	char *message;

	begin();
	inject("");
	options.backend = reader.backend;
	options.volume = kit.volume;
	ck_assert_int_eq(catalogue_load(&options, &catalogue, &message), 0);
	how.node = reader.node;
	how.backend = reader.backend;
	how.catalogue = catalogue;
	n_cancelled = n_others = 0;
	ck_assert_int_eq(
		fault_backend_set(reader.backend, "get:key=journal*:from=3:delay=300ms", &message),
		0);
	ck_assert_int_eq(restore_new(&how, &restore), 0);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(
			restore_account(restore, i % 2, BACKEND_READER, count_answer, NULL), 0);
	restore_stop(restore);
	ck_assert_int_eq(n_cancelled + n_others, 6);
	ck_assert_int_ge(n_cancelled, 3);
	ck_assert_int_eq(
		restore_account(restore, 1, BACKEND_READER, count_answer, NULL), -ECANCELED);
	restore_free(restore);
	catalogue_free(catalogue);
	ck_assert_uint_eq(count_records(reader.node, 1), 0);
	ck_assert_int_eq(replay_is_running(reader.node, 1), 0);
	end();
}
END_TEST

/* Shutting the backend down frees those that hang in it. */
START_TEST(test_shutdown)
{
	struct catalogue_options options = {.priority = BACKEND_READER};
	struct restore_options how = {.n_threads = 2};
	struct catalogue *catalogue;
	struct restore *restore;
	char *message;

	begin();
	inject("");
	options.backend = reader.backend;
	options.volume = kit.volume;
	ck_assert_int_eq(catalogue_load(&options, &catalogue, &message), 0);
	how.node = reader.node;
	how.backend = reader.backend;
	how.catalogue = catalogue;
	n_cancelled = n_others = 0;
	ck_assert_int_eq(
		fault_backend_set(reader.backend, "get:key=journal*:from=3:hang", &message), 0);
	ck_assert_int_eq(restore_new(&how, &restore), 0);
	ck_assert_int_eq(restore_account(restore, 1, BACKEND_READER, count_answer, NULL), 0);
	wait_until_hanging();
	backend_shutdown(reader.backend);
	restore_stop(restore);
	ck_assert_int_eq(n_cancelled, 1);
	restore_free(restore);
	catalogue_free(catalogue);
	ck_assert_uint_eq(count_records(reader.node, 1), 0);
	end();
}
END_TEST

/* ---- checkpoints */

/* Small files, which the checkpoint carries. */
static void write_noise(int n)
{
	static uint8_t data[1000000];
	unsigned int seed = 1;
	char name[16];

	for (int i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof(data); k++)
			data[k] = (uint8_t)rand_r(&seed);
		snprintf(name, sizeof(name), "noise.%d", i);
		ck_assert_int_eq(node_fixture_write(kit.fixture.fs,
					 node_fixture_create(kit.fixture.fs, account_ino, name), 0,
					 data, sizeof(data)),
			0);
	}
}

/* One object, then one with many parts, from which everything comes back. */
START_TEST(test_checkpoint_with_parts)
{
	struct checkpoint_writer_options options;
	struct checkpoint_writer_request request = {.account = 1, .number = 7, .arg = &request};
	struct checkpoint_writer_result result;
	struct cut *cut;

	begin();
	write_noise(18);
	(void)journal_kit_write(&kit, 0);
	ck_assert_int_eq(cut_take(kit.fixture.node, &cut), 0);
	options = (struct checkpoint_writer_options){
		.backend = kit.fixture.backend, .volume = kit.volume, .part_bytes = 64 << 20};
	request.cut = cut;
	request.cut_ms = clock_realtime_ms();
	request.position = kit.latest[1];
	ck_assert_int_eq(checkpoint_writer_write(&options, &request, &result), 0);
	ck_assert_uint_eq(result.n_parts, 0);
	ck_assert_int_eq(checkpoint_writer_write(&options, &request, &result), -EEXIST);
	options.part_bytes = 1000; /* then each section is an object of its own */
	request.number++;
	ck_assert_int_eq(checkpoint_writer_write(&options, &request, &result), 0);
	ck_assert_uint_gt(result.n_parts, 0);
	ck_assert_uint_gt(result.n_sections, result.n_parts);
	cut_done(cut);
	journal_kit_restore_all(&kit, &reader);
	journal_kit_compare(&kit.fixture, &reader);
	end();
}
END_TEST

/* Another volume's is not used, nor is an account made up. */
START_TEST(test_nothing_known)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];

	begin();
	journal_kit_restore(&kit, &reader, 1 << 9, true, results);
	ck_assert_int_eq(results[9].error, -ENOENT);
	ck_assert_int_eq(replay_is_running(reader.node, 9), 0);
	end();
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("replay");
	TCase *tc = tcase_create("replay");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_broken, 0, (int)(sizeof(breaks) / sizeof(breaks[0])));
	tcase_add_test(tc, test_whole);
	tcase_add_test(tc, test_order);
	tcase_add_loop_test(tc, test_killed, 0, 2);
	tcase_add_loop_test(tc, test_faults, 0, 5);
	tcase_add_test(tc, test_stop);
	tcase_add_test(tc, test_shutdown);
	tcase_add_test(tc, test_checkpoint_with_parts);
	tcase_add_test(tc, test_nothing_known);
	suite_add_tcase(suite, tc);
	return suite;
}
