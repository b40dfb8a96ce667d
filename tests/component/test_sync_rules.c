/*
 * Which operations commit: counts synced group commits for each row of the deferral table of
 * fs/file_class.c, for names that publish, for syncs that are covered or owed; and replays what
 * Dovecot calls for one delivery into each format.
 */
#include <config.h>
#include "check_main.h"

#include <string.h>
#include <sys/stat.h>
#include "node_fixture.h"

#define MAIL_NAME "1700000000.M123P45.host"
#define DBOX_TEMP ".temp.1700000000.P45Q1M123.host"
#define ATTACHMENT_TEMP ".temp.host.45.0123456789abcdef"

static struct node_fixture fixture;
static uint64_t user; /* an account */

static void begin(bool strict)
{
	node_fixture_init(&fixture);
	fixture.options.commit_interval_ms = 600000; /* no uploads: they commit as well */
	fixture.options.strict_sync = strict;
	node_fixture_open(&fixture);
	user = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, user), 0);
}

static void end(void)
{
	node_fixture_done(&fixture);
}

static uint64_t commits(void)
{
	struct node_figures figures;

	node_get_figures(fixture.node, &figures);
	return figures.commits;
}

static void append(uint64_t ino, size_t n)
{
	static const char bytes[8192];
	struct fs_attributes a;

	ck_assert_int_eq(fs_getattr(fixture.fs, ino, &a), 0);
	ck_assert_int_eq(node_fixture_write(fixture.fs, ino, a.size_bytes, bytes, n), 0);
}

static void sync_file(uint64_t ino)
{
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, ino), 0);
}

/* How many commits a sync of the file costs after a change. */
static uint64_t cost(uint64_t ino)
{
	uint64_t before = commits();

	append(ino, 100);
	sync_file(ino);
	return commits() - before;
}

static uint64_t cost_of_rename(uint64_t from, const char *name, uint64_t to, const char *new_name)
{
	uint64_t before = commits();

	ck_assert_int_eq(node_fixture_rename(fixture.fs, from, name, to, new_name, 0), 0);
	return commits() - before;
}

static uint64_t cost_of_link(uint64_t ino, uint64_t to, const char *name)
{
	uint64_t before = commits();

	ck_assert_int_eq(node_fixture_link(fixture.fs, ino, to, name), 0);
	return commits() - before;
}

static uint64_t make(uint64_t directory, const char *name)
{
	return node_fixture_create(fixture.fs, directory, name);
}

static uint64_t make_directory(uint64_t parent, const char *name)
{
	return node_fixture_mkdir(fixture.fs, parent, name);
}

static void remove_file(uint64_t directory, const char *name)
{
	ck_assert_int_eq(fs_unlink(fixture.fs, directory, name), 0);
}

/* ---- the table: _i is sync=strict */
static void expect_rows(uint64_t deferred)
{
	uint64_t storage = make_directory(user, "storage");
	uint64_t early = make(storage, "m.1"); /* before the map: its neighbour is missing */

	ck_assert_uint_eq(cost(early), 1);
	make(storage, "dovecot.map.index.log");
	ck_assert_uint_eq(cost(make(storage, "m.2")), deferred);
	ck_assert_uint_eq(cost(make(storage, "m.3.broken")), 1);
	ck_assert_uint_eq(cost(make(make_directory(user, "tmp"), MAIL_NAME)), deferred);
	ck_assert_uint_eq(cost(make(user, DBOX_TEMP)), deferred);
	ck_assert_uint_eq(
		cost(make(make_directory(user, "attachments"), ATTACHMENT_TEMP)), deferred);
}

START_TEST(test_deferral_table)
{
	static const char *const others[] = {"dovecot.index.log", "dovecot-uidlist", "u.1", "plain",
		".temp.plain", MAIL_NAME, "m.2", "dovecot.map.index.log"};

	begin(_i != 0);
	expect_rows(_i != 0 ? 1 : 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_msg(cost(make(user, others[i])) == 1, "%s", others[i]);
	end();
}
END_TEST

START_TEST(test_map_log_is_deferred)
{
	uint64_t log;

	begin(false);
	log = make(make_directory(user, "storage"), "dovecot.map.index.log");
	ck_assert_uint_eq(cost(log), 0);
	end();
}
END_TEST

START_TEST(test_deferral_ends_with_the_name)
{
	uint64_t temp;

	begin(false);
	temp = make(user, DBOX_TEMP);
	ck_assert_uint_eq(cost(temp), 0);
	ck_assert_uint_eq(cost_of_rename(user, DBOX_TEMP, user, "u.1"), 0);
	ck_assert_uint_eq(cost(temp), 1);
	/* and it survives a restart in the record */
	temp = make(user, DBOX_TEMP);
	node_fixture_reopen(&fixture);
	ck_assert_uint_eq(cost(temp), 0);
	end();
}
END_TEST

START_TEST(test_second_name_must_agree)
{
	uint64_t file;

	begin(false);
	file = make(user, DBOX_TEMP);
	ck_assert_uint_eq(cost_of_link(file, user, "plain"), 0);
	ck_assert_uint_eq(cost(file), 1);
	/* COPY links a published mail into tmp/: that defers nothing */
	file = make(make_directory(user, "cur"), MAIL_NAME ":2,S");
	ck_assert_uint_eq(cost(file), 1);
	ck_assert_uint_eq(cost_of_link(file, make_directory(user, "tmp"), MAIL_NAME), 0);
	ck_assert_uint_eq(cost(file), 1);
	end();
}
END_TEST

/* ---- covered and owed */
START_TEST(test_covered)
{
	uint64_t a, b, before;

	begin(false);
	a = make(user, "dovecot.index.log");
	b = make(user, "dovecot-uidlist");
	append(a, 100);
	append(b, 100);
	before = commits();
	sync_file(b);
	ck_assert_uint_eq(commits() - before, 1);
	sync_file(a); /* older than what b's sync has covered */
	sync_file(b);
	sync_file(user);
	ck_assert_uint_eq(commits() - before, 1);
	append(a, 1);
	sync_file(b); /* nothing new in it */
	ck_assert_uint_eq(commits() - before, 1);
	sync_file(a);
	ck_assert_uint_eq(commits() - before, 2);
	end();
}
END_TEST

START_TEST(test_owed)
{
	uint64_t storage, map, mails, before, other;

	begin(false);
	storage = make_directory(user, "storage");
	map = make(storage, "dovecot.map.index.log");
	mails = make(storage, "m.1");
	other = make_directory(FS_ROOT_INO, "other");
	sync_file(storage);
	sync_file(other);
	sync_file(user);
	before = commits();
	append(mails, 8192);
	sync_file(mails);
	append(map, 124);
	sync_file(map);
	ck_assert_uint_eq(commits(), before);
	sync_file(other); /* another account owes nothing */
	ck_assert_uint_eq(commits(), before);
	sync_file(user); /* unchanged, as in mdbox's COPY, but it pays */
	ck_assert_uint_eq(commits(), before + 1);
	sync_file(user);
	ck_assert_uint_eq(commits(), before + 1);
	end();
}
END_TEST

/* ---- publishing */
START_TEST(test_publishing)
{
	uint64_t tmp, new, cur, file;

	begin(false);
	tmp = make_directory(user, "tmp");
	new = make_directory(user, "new");
	cur = make_directory(user, "cur");
	file = make(tmp, MAIL_NAME);
	ck_assert_uint_eq(cost(file), 0);
	ck_assert_uint_eq(cost_of_rename(tmp, MAIL_NAME, new, MAIL_NAME), 1);
	ck_assert_uint_eq(cost_of_rename(new, MAIL_NAME, cur, MAIL_NAME ":2,"), 0);
	ck_assert_uint_eq(cost_of_rename(cur, MAIL_NAME ":2,", cur, MAIL_NAME ":2,S"), 0);
	ck_assert_uint_eq(cost_of_link(file, tmp, MAIL_NAME), 0);
	ck_assert_uint_eq(cost_of_link(file, new, "1700000001.M1P1.host"), 1);
	ck_assert_uint_eq(cost_of_link(file, cur, "1700000002.M1P1.host:2,"), 1);
	/* into a folder by another mailbox's tmp/, and an exchange */
	ck_assert_uint_eq(cost_of_rename(tmp, MAIL_NAME, cur, "1700000003.M1P1.host:2,"), 1);
	ck_assert_uint_eq(cost_of_rename(user, "tmp", user, "elsewhere"), 0);
	end();
}
END_TEST

/* ---- deliveries, call by call; the goals are in the last argument of each */
static void deliver_sdbox(uint64_t mailbox, uint64_t log, uint64_t cache, uint64_t goal)
{
	uint64_t before = commits();
	uint64_t mail = make(mailbox, DBOX_TEMP);

	append(mail, 4000);
	append(mail, 1200);
	ck_assert_int_eq(node_fixture_write(fixture.fs, mail, 16, "12345678", 8), 0);
	sync_file(mail);
	ck_assert_int_eq(node_fixture_rename(fixture.fs, mailbox, DBOX_TEMP, mailbox, "u.1", 0), 0);
	append(cache, 200);
	ck_assert_int_eq(node_fixture_write(fixture.fs, cache, 64, "12345678", 8), 0);
	append(log, 72);
	sync_file(log);
	sync_file(mailbox);
	ck_assert_uint_eq(commits() - before, goal);
	remove_file(mailbox, "u.1");
}

static void deliver_maildir(uint64_t mailbox, uint64_t log, uint64_t cache, uint64_t goal)
{
	static uint64_t tmp, new;
	uint64_t uidlist, before, mail;

	tmp = make_directory(mailbox, "tmp");
	new = make_directory(mailbox, "new");
	uidlist = make(mailbox, "dovecot-uidlist");
	sync_file(uidlist);
	before = commits();
	mail = make(tmp, MAIL_NAME);
	append(mail, 4000);
	append(mail, 1200);
	sync_file(mail);
	append(make(mailbox, "dovecot-uidlist.lock"), 8);
	ck_assert_int_eq(node_fixture_rename(fixture.fs, tmp, MAIL_NAME, new, MAIL_NAME, 0), 0);
	sync_file(new);
	append(uidlist, 46);
	sync_file(uidlist);
	append(log, 72);
	append(cache, 200);
	remove_file(mailbox, "dovecot-uidlist.lock");
	ck_assert_uint_eq(commits() - before, goal);
}

static void deliver_mdbox(uint64_t mailbox, uint64_t log, uint64_t cache, uint64_t goal)
{
	uint64_t storage = make_directory(mailbox, "storage");
	uint64_t map = make(storage, "dovecot.map.index.log"), mails = make(storage, "m.1"), before;

	sync_file(storage);
	sync_file(mailbox);
	before = commits();
	append(mails, 4000);
	append(mails, 1200);
	append(mails, 100);
	sync_file(mails);
	append(map, 124);
	sync_file(map);
	append(cache, 200);
	append(log, 176);
	sync_file(log);
	append(map, 16);
	sync_file(mailbox);
	ck_assert_uint_eq(commits() - before, goal);
}

/* ---- who syncs what he publishes: publisher.h */

#define PUBLISHER 77

static uint64_t cost_of_publishing(pid_t thread, const char *name)
{
	uint64_t maildir = user, before;
	struct fs_attributes tmp, new;

	ck_assert_int_eq(fs_lookup(fixture.fs, maildir, "tmp", &tmp), 0);
	ck_assert_int_eq(fs_lookup(fixture.fs, maildir, "new", &new), 0);
	append(make(tmp.ino, name), 100);
	before = commits();
	ck_assert_int_eq(
		node_fixture_rename_by(fixture.fs, thread, tmp.ino, name, new.ino, name, 0), 0);
	return commits() - before;
}

static void make_lock(pid_t thread)
{
	struct fs_caller caller = {.thread = thread};
	struct fs_attributes a;

	ck_assert_int_eq(
		fs_mknod(fixture.fs, &caller, user, "dovecot-uidlist.lock", S_IFREG | 0600, 0, &a),
		0);
}

/* _i is sync=strict */
START_TEST(test_publisher_syncs)
{
	uint64_t new_directory, list, before;

	begin(_i != 0);
	make_directory(user, "tmp");
	new_directory = make_directory(user, "new");
	list = make(user, "dovecot-uidlist");
	sync_file(list);
	ck_assert_uint_eq(cost_of_publishing(PUBLISHER, "1700000000.M1P1.host"), 1);
	make_lock(PUBLISHER);
	ck_assert_uint_eq(cost_of_publishing(PUBLISHER + 1, "1700000000.M2P1.host"), 1);
	ck_assert_uint_eq(cost_of_publishing(0, "1700000000.M3P1.host"), 1);
	ck_assert_uint_eq(cost_of_publishing(PUBLISHER, "1700000000.M4P1.host"), _i != 0);
	before = commits();
	sync_file(new_directory);
	ck_assert_uint_eq(commits() - before, _i == 0);
	ck_assert_uint_eq(cost_of_publishing(PUBLISHER, "1700000000.M5P1.host"), _i != 0);
	before = commits();
	sync_file(list); /* nothing new in it: the mail is owed */
	ck_assert_uint_eq(commits() - before, _i == 0);
	remove_file(user, "dovecot-uidlist.lock");
	ck_assert_uint_eq(cost_of_publishing(PUBLISHER, "1700000000.M6P1.host"), 1);
	ck_assert_uint_eq(
		cost_of_publishing(PUBLISHER, "1700000000.M8P77.host,S=100,W=103"), _i != 0);
	ck_assert_uint_eq(cost_of_publishing(PUBLISHER, "1700000000.M8P78.host,S=100,W=103"), 1);
	make_lock(PUBLISHER + 1);
	ck_assert_uint_eq(cost_of_publishing(PUBLISHER, "1700000000.M7P1.host"), 1);
	end();
}
END_TEST

START_TEST(test_deliveries)
{
	uint64_t mailbox, log, cache;

	begin(_i != 0);
	mailbox = make_directory(user, "mailbox");
	log = make(mailbox, "dovecot.index.log");
	cache = make(mailbox, "dovecot.index.cache");
	sync_file(mailbox);
	deliver_sdbox(mailbox, log, cache, _i == 0 ? 1 : 2);
	deliver_maildir(mailbox, log, cache, _i == 0 ? 2 : 3);
	deliver_mdbox(mailbox, log, cache, _i == 0 ? 1 : 3);
	end();
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("sync_rules");
	TCase *tc = tcase_create("sync_rules");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_deferral_table, 0, 2);
	tcase_add_test(tc, test_map_log_is_deferred);
	tcase_add_test(tc, test_deferral_ends_with_the_name);
	tcase_add_test(tc, test_second_name_must_agree);
	tcase_add_test(tc, test_covered);
	tcase_add_test(tc, test_owed);
	tcase_add_test(tc, test_publishing);
	tcase_add_loop_test(tc, test_publisher_syncs, 0, 2);
	tcase_add_loop_test(tc, test_deliveries, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
