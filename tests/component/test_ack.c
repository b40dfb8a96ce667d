/*
 * What is acknowledged when: ack=local and ack=remote over a replication that only says so, with
 * time limits, fencing, accounts that have a mode of their own, and a backend that falls behind.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "cache/backlog.h"
#include "cache/node_private.h"
#include "node_fixture.h"
#include "util/clock.h"

#define MAIL_NAME "1700000000.M123P45.host"

static struct node_fixture fixture;
static uint64_t user;

static _Atomic uint64_t objects_at_wait;

/* ---- a replication that says what it is told to say, a little later */
static _Atomic int answer;
static _Atomic unsigned int waits, answered;
static _Atomic uint64_t last_lsn, lag_ms;

struct call {
	void (*done)(void *arg, int error);
	void *arg;
	int error;
};

static void *answer_later(void *arg)
{
	struct call *call = arg;

	clock_sleep_ms(20);
	atomic_fetch_add(&answered, 1);
	call->done(call->arg, call->error);
	free(call);
	return NULL;
}

static void fake_wait(void *arg, uint64_t lsn, void (*done)(void *arg, int error), void *done_arg)
{
	struct call *call = malloc(sizeof(*call));
	pthread_t thread;

	(void)arg;
	*call = (struct call){.done = done, .arg = done_arg, .error = atomic_load(&answer)};
	atomic_fetch_add(&waits, 1);
	atomic_store(&last_lsn, lsn);
	if (fixture.node != NULL) {
		struct node_figures figures;

		node_get_figures(fixture.node, &figures);
		atomic_store(&objects_at_wait, figures.objects_put);
	}
	ck_assert_int_eq(pthread_create(&thread, NULL, answer_later, call), 0);
	pthread_detach(thread);
}

static uint64_t fake_lag(void *arg)
{
	(void)arg;
	return atomic_load(&lag_ms);
}

static void begin(enum node_ack ack)
{
	static const struct node_replication replication = {.wait = fake_wait, .lag = fake_lag};

	node_fixture_init(&fixture);
	fixture.options.commit_interval_ms = 600000; /* no uploads: they commit as well */
	fixture.options.ack = ack;
	fixture.options.journal = true;
	fixture.options.backlog_bytes = 1 << 20;
	fixture.options.backlog_age_ms = 100000;
	node_fixture_open(&fixture);
	node_set_replication(fixture.node, &replication);
	user = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
}

static void end(void)
{
	node_set_replication(fixture.node, NULL);
	node_fixture_done(&fixture);
}

static uint64_t commits(void)
{
	struct node_figures figures;

	node_get_figures(fixture.node, &figures);
	return figures.commits;
}

static void append(uint64_t ino)
{
	struct fs_attributes a;

	ck_assert_int_eq(fs_getattr(fixture.fs, ino, &a), 0);
	ck_assert_int_eq(node_fixture_write(fixture.fs, ino, a.size_bytes, "record", 6), 0);
}

/* ---- modes */
START_TEST(test_local)
{
	uint64_t file, before;

	begin(NODE_ACK_LOCAL);
	file = node_fixture_create(fixture.fs, user, "dovecot.index.log");
	before = commits();
	append(file);
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, file), 0);
	ck_assert_uint_eq(commits(), before + 1);
	ck_assert_uint_eq(atomic_load(&waits), 0);
	end();
}
END_TEST

START_TEST(test_remote)
{
	uint64_t file, before, lsn;

	begin(NODE_ACK_REMOTE);
	file = node_fixture_create(fixture.fs, user, "dovecot.index.log");
	before = commits();
	append(file);
	lsn = commit_last_lsn(fixture.node->commit);
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, file), 0);
	ck_assert_uint_eq(atomic_load(&answered), 1);
	ck_assert_uint_ge(atomic_load(&last_lsn), lsn);
	ck_assert_uint_eq(commits(), before); /* the local disk needs no sync */
	end();
}
END_TEST

/* What is large is an object before the journal is asked, so that the segment need not carry it;
 * what is small is none. */
START_TEST(test_large_first)
{
	static char content[300000];
	uint64_t mail, log;

	begin(NODE_ACK_REMOTE);
	memset(content, 'm', sizeof(content));
	mail = node_fixture_create(fixture.fs, user, "u.1");
	log = node_fixture_create(fixture.fs, user, "dovecot.index.log");
	ck_assert_int_eq(node_fixture_write(fixture.fs, mail, 0, content, 50000), 0);
	append(log);
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, log), 0);
	ck_assert_uint_eq(atomic_load(&objects_at_wait), 0);
	ck_assert_int_eq(node_fixture_write(fixture.fs, mail, 50000, content + 50000, 250000), 0);
	append(log);
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, log), 0);
	ck_assert_uint_ge(atomic_load(&objects_at_wait), 1);
	end();
}
END_TEST

/* A name that publishes waits, a sync that may be left to the next one does not, and is owed. */
START_TEST(test_remote_rules)
{
	uint64_t box, tmp, new, mail;
	struct fs_attributes a;

	begin(NODE_ACK_REMOTE);
	box = node_fixture_mkdir(fixture.fs, user, "Maildir");
	tmp = node_fixture_mkdir(fixture.fs, box, "tmp");
	new = node_fixture_mkdir(fixture.fs, box, "new");
	mail = node_fixture_create(fixture.fs, tmp, MAIL_NAME);
	append(mail);
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, mail), 0);
	ck_assert_uint_eq(atomic_load(&waits), 0);
	ck_assert_int_eq(node_fixture_rename(fixture.fs, tmp, MAIL_NAME, new, MAIL_NAME, 0), 0);
	ck_assert_uint_eq(atomic_load(&answered), 1);
	/* Not in time: the error is told, and the name is there all the same. */
	atomic_store(&answer, -ETIMEDOUT);
	(void)node_fixture_create(fixture.fs, tmp, "1700000001.M1P1.host");
	ck_assert_int_eq(node_fixture_rename(fixture.fs, tmp, "1700000001.M1P1.host", new,
				 "1700000001.M1P1.host", 0),
		-EIO);
	ck_assert_int_eq(fs_lookup(fixture.fs, new, "1700000001.M1P1.host", &a), 0);
	ck_assert_int_eq(node_fixture_link(fixture.fs, a.ino, new, "1700000002.M1P1.host"), -EIO);
	ck_assert_int_eq(fs_lookup(fixture.fs, new, "1700000002.M1P1.host", &a), 0);
	end();
}
END_TEST

/* ---- errors */

/* An error is told at each sync until the change is there: of this file, and of any other. */
START_TEST(test_timeout)
{
	uint64_t file, other;

	begin(NODE_ACK_REMOTE);
	file = node_fixture_create(fixture.fs, user, "dovecot.index.log");
	other = node_fixture_create(fixture.fs, user, "dovecot-uidlist");
	append(file);
	append(other);
	atomic_store(&answer, -ETIMEDOUT);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(node_fixture_fsync(fixture.fs, file), -EIO);
		ck_assert_int_eq(node_fixture_fsync(fixture.fs, other), -EIO);
	}
	ck_assert_uint_eq(atomic_load(&waits), 6);
	atomic_store(&answer, 0);
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, file), 0);
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, other), 0);
	atomic_store(&answer, -ENOBUFS);
	append(file);
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, file), -EIO);
	/* Nobody is there who could say that it is on the backend. */
	node_set_replication(fixture.node, NULL);
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, file), -EIO);
	end();
}
END_TEST

START_TEST(test_fenced)
{
	struct fs_caller caller = {0};
	struct fs_attributes a;
	uint64_t file;

	begin(_i == 0 ? NODE_ACK_REMOTE : NODE_ACK_LOCAL);
	file = node_fixture_create(fixture.fs, user, "dovecot.index.log");
	append(file);
	atomic_store(&answer, -ESTALE);
	if (_i == 0)
		ck_assert_int_eq(node_fixture_fsync(fixture.fs, file), -ESTALE);
	else
		node_fence(fixture.node);
	ck_assert(node_is_fenced(fixture.node));
	atomic_store(&answer, 0);
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, file), -ESTALE);
	ck_assert_int_eq(node_fixture_write(fixture.fs, file, 0, "x", 1), -ESTALE);
	ck_assert_int_eq(node_fixture_truncate(fixture.fs, file, 0), -ESTALE);
	ck_assert_int_eq(node_fixture_fallocate(fixture.fs, file, 0, 0, 10), -ESTALE);
	ck_assert_int_eq(fs_mkdir(fixture.fs, &caller, user, "d", 0755, &a), -ESTALE);
	ck_assert_int_eq(fs_unlink(fixture.fs, user, "dovecot.index.log"), -ESTALE);
	ck_assert_int_eq(
		node_fixture_rename(fixture.fs, user, "dovecot.index.log", user, "x", 0), -ESTALE);
	ck_assert_int_eq(node_fixture_link(fixture.fs, file, user, "x"), -ESTALE);
	ck_assert_int_eq(fs_setxattr(fixture.fs, file, "user.x", "1", 1, 0), -ESTALE);
	ck_assert_int_eq(fs_removexattr(fixture.fs, file, "user.x"), -ESTALE);
	ck_assert_int_eq(fs_enter(fixture.fs, file), -ESTALE); /* so nothing is read either */
	end();
}
END_TEST

/* ---- accounts with a mode of their own */
static bool is_remote(uint64_t file)
{
	unsigned int before = atomic_load(&waits);

	append(file);
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, file), 0);
	return atomic_load(&waits) > before;
}

START_TEST(test_overrides)
{
	static const struct fs_ack_override overrides[] = {{"later", true}, {"user", true}};
	uint64_t file, later;

	begin(NODE_ACK_LOCAL);
	file = node_fixture_create(fixture.fs, user, "dovecot.index.log");
	ck_assert(!is_remote(file));
	ck_assert_int_eq(fs_set_acks(fixture.fs, overrides, 2), 0);
	ck_assert(is_remote(file));
	later = node_fixture_create(
		fixture.fs, node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "later"), "a.log");
	ck_assert(is_remote(later));
	later = node_fixture_create(
		fixture.fs, node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "other"), "a.log");
	ck_assert(!is_remote(later));
	/* It is the name that counts. */
	ck_assert_int_eq(
		node_fixture_rename(fixture.fs, FS_ROOT_INO, "user", FS_ROOT_INO, "renamed", 0), 0);
	ck_assert(!is_remote(file));
	ck_assert_int_eq(fs_set_acks(fixture.fs, NULL, 0), 0);
	ck_assert(!is_remote(later));
	end();
}
END_TEST

/* ---- a backend that is behind */
static void look_again(void)
{
	clock_sleep_ms(BACKLOG_LOOK_MS + 20);
}

START_TEST(test_backlog)
{
	static char data[300000];
	struct node_figures figures;
	uint64_t file, read_back[1];

	begin(NODE_ACK_LOCAL);
	file = node_fixture_create(fixture.fs, user, "u.1");
	look_again();
	ck_assert_uint_eq(fs_delay_ms(fixture.fs), 0);
	/* By age. */
	atomic_store(&lag_ms, 75000);
	look_again();
	ck_assert_uint_gt(fs_delay_ms(fixture.fs), 0);
	ck_assert_uint_lt(fs_delay_ms(fixture.fs), BACKLOG_MAX_DELAY_MS);
	ck_assert_int_eq(node_fixture_write(fixture.fs, file, 0, "12345678", 8), 0);
	atomic_store(&lag_ms, 100000);
	look_again();
	ck_assert_int_eq(node_fixture_write(fixture.fs, file, 0, "x", 1), -ENOSPC);
	ck_assert_int_eq(node_fixture_read(fixture.fs, file, 0, read_back, 8), 8);
	ck_assert_int_eq(fs_unlink(fixture.fs, user, "u.1"), 0);
	node_get_figures(fixture.node, &figures);
	ck_assert(figures.backlog_is_full);
	ck_assert_uint_eq(figures.backlog_refused, 1);
	/* It recovers by itself. */
	atomic_store(&lag_ms, 0);
	look_again();
	file = node_fixture_create(fixture.fs, user, "u.2");
	/* By size: what was changed since. */
	atomic_store(&lag_ms, 2000);
	for (uint64_t i = 0; i < 4; i++) {
		look_again();
		ck_assert_int_eq(
			node_fixture_write(fixture.fs, file, i * sizeof(data), data, sizeof(data)),
			0);
	}
	look_again();
	ck_assert_int_eq(node_fixture_write(fixture.fs, file, 0, "x", 1), -ENOSPC);
	atomic_store(&lag_ms, 0);
	look_again();
	ck_assert_int_eq(node_fixture_write(fixture.fs, file, 0, "x", 1), 0);
	end();
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("ack");
	TCase *tc = tcase_create("ack");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_local);
	tcase_add_test(tc, test_remote);
	tcase_add_test(tc, test_large_first);
	tcase_add_test(tc, test_remote_rules);
	tcase_add_test(tc, test_timeout);
	tcase_add_loop_test(tc, test_fenced, 0, 2);
	tcase_add_test(tc, test_overrides);
	tcase_add_test(tc, test_backlog);
	suite_add_tcase(suite, tc);
	return suite;
}
