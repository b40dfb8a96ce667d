/*
 * Accounts that are on the backend only: the wait for them, loads that fail, evictions while others
 * work, and crashes between the steps.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cache/adoption.h"
#include "cache/body_uploader.h"
#include "cache/node_private.h"
#include "cache/replay.h"
#include "cache/transaction.h"
#include "journal_kit.h"
#include "util/clock.h"
#include "util/failpoint.h"

#define ACCOUNTS 4
#define USERS 6
#define WORK_MS 1500
#define USES_LEAST 100 /* however busy the machine is */

/* ---- a loader that only says so */
static struct node_fixture fixture;
static _Atomic bool present[ACCOUNTS + 1];
static _Atomic unsigned int loads, loading, users_in, failures_left;

struct loading {
	uint32_t account;
};

static void *load_later(void *arg)
{
	struct loading *l = arg;
	uint32_t account = l->account;
	bool fails = atomic_load(&failures_left) > 0;

	free(l);
	clock_sleep_ms(2);
	if (fails)
		atomic_fetch_sub(&failures_left, 1);
	else
		atomic_store(&present[account], true);
	atomic_fetch_add(&loads, 1);
	adoption_finish(fixture.node, account, fails ? -EIO : 0);
	atomic_fetch_sub(&loading, 1);
	return NULL;
}

static void fake_load(void *arg, uint32_t account)
{
	struct loading *l = malloc(sizeof(*l));
	pthread_t thread;

	(void)arg;
	ck_assert_msg(!atomic_load(&present[account]), "it is here");
	l->account = account;
	atomic_fetch_add(&loading, 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, load_later, l), 0);
	pthread_detach(thread);
}

static void begin(void)
{
	static const struct node_replication replication = {.load = fake_load};

	node_fixture_init(&fixture);
	node_fixture_open(&fixture);
	node_set_replication(fixture.node, &replication);
}

static void end(void)
{
	while (atomic_load(&loading) > 0)
		clock_sleep_ms(1);
	node_fixture_done(&fixture);
}

struct result {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	bool done;
	int error;
};

static void take_result(void *arg, int error)
{
	struct result *r = arg;

	pthread_mutex_lock(&r->mutex);
	r->done = true;
	r->error = error;
	pthread_cond_signal(&r->condition);
	pthread_mutex_unlock(&r->mutex);
}

static int wait_for_account(struct node *node, uint32_t account)
{
	struct result r = {
		.mutex = PTHREAD_MUTEX_INITIALIZER, .condition = PTHREAD_COND_INITIALIZER};

	adoption_wait(node, account, take_result, &r);
	pthread_mutex_lock(&r.mutex);
	while (!r.done)
		pthread_cond_wait(&r.condition, &r.mutex);
	pthread_mutex_unlock(&r.mutex);
	return r.error;
}

/* ---- many threads */
static _Atomic bool stopping;

static void *use(void *arg)
{
	struct node *node = fixture.node;
	uint32_t account = (uint32_t)(uintptr_t)arg % ACCOUNTS + 1;

	while (!atomic_load(&stopping)) {
		int r = adoption_enter(node, account);

		if (r == 0) {
			ck_assert_msg(atomic_load(&present[account]), "account %u", account);
			atomic_fetch_add(&users_in, 1);
			if (atomic_load(&users_in) % 64 == 0)
				clock_sleep_ms(1);
			ck_assert_msg(atomic_load(&present[account]), "account %u went", account);
			adoption_leave(node, account);
		} else {
			ck_assert_int_eq(r, -EINPROGRESS);
			ck_assert_int_eq(wait_for_account(node, account), 0);
		}
		account = account % ACCOUNTS + 1;
	}
	return NULL;
}

START_TEST(test_threads)
{
	pthread_t threads[USERS];
	uint32_t all[ACCOUNTS], n_evicted = 0, n_kept = 0;
	uint64_t end_ms = clock_monotonic_ms() + WORK_MS;

	begin();
	for (uint32_t i = 0; i < ACCOUNTS; i++)
		all[i] = i + 1;
	ck_assert_int_eq(adoption_expect(fixture.node, all, ACCOUNTS), 0);
	for (uintptr_t i = 0; i < USERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, use, (void *)i), 0);
	for (uint32_t i = 0; clock_monotonic_ms() < end_ms || n_evicted < 20 ||
			     atomic_load(&users_in) <= USES_LEAST;
		i++) {
		uint32_t account = all[i % ACCOUNTS];
		int r = adoption_begin_eviction(fixture.node, account, 5000);

		if (r < 0) {
			ck_assert_msg(r == -EBUSY || r == -ENOENT, "%d", r);
			clock_sleep_ms(1);
		} else if (i % 5 == 0) {
			n_kept++;
			adoption_finish(fixture.node, account, 0);
		} else {
			atomic_store(&present[account], false);
			n_evicted++;
			ck_assert_int_eq(adoption_expect(fixture.node, &account, 1), 0);
		}
	}
	atomic_store(&stopping, true);
	for (int i = 0; i < USERS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_gt(atomic_load(&loads), n_evicted / 2);
	end();
}
END_TEST

/* ---- failures */
START_TEST(test_failures)
{
	uint32_t account = 2;
	struct adoption_figures figures;
	uint64_t began_ms;
	int error;

	begin();
	atomic_store(&failures_left, 1);
	ck_assert_int_eq(adoption_check(fixture.node, account), 0);
	ck_assert_int_eq(adoption_expect(fixture.node, &account, 1), 0);
	ck_assert_int_eq(adoption_check(fixture.node, account), -EINPROGRESS);
	ck_assert_int_eq(adoption_check(fixture.node, 3), 0);
	ck_assert_int_eq(adoption_place(fixture.node, account, &error), ADOPTION_ABSENT);
	ck_assert_int_eq(wait_for_account(fixture.node, account), -EIO);
	ck_assert_int_eq(adoption_place(fixture.node, account, &error), ADOPTION_FAILED);
	ck_assert_int_eq(error, -EIO);
	adoption_get_figures(fixture.node, &figures);
	ck_assert_uint_eq(figures.failed, 1);
	/* At once, until the pause is over; then it is tried again. */
	ck_assert_int_eq(wait_for_account(fixture.node, account), -EIO);
	ck_assert_uint_eq(atomic_load(&loads), 1);
	for (began_ms = clock_monotonic_ms(); wait_for_account(fixture.node, account) < 0;) {
		ck_assert_uint_lt(clock_monotonic_ms() - began_ms, 20000);
		clock_sleep_ms(50);
	}
	ck_assert_uint_eq(atomic_load(&loads), 2);
	ck_assert_int_eq(adoption_enter(fixture.node, account), 0);
	/* While somebody is in, it does not go; and then it is as before. */
	ck_assert_int_eq(adoption_begin_eviction(fixture.node, account, 50), -EBUSY);
	ck_assert_int_eq(adoption_check(fixture.node, account), 0);
	adoption_leave(fixture.node, account);
	ck_assert_int_eq(adoption_begin_eviction(fixture.node, account, 50), 0);
	ck_assert_int_eq(adoption_begin_eviction(fixture.node, account, 50), -EBUSY);
	ck_assert_int_eq(adoption_place(fixture.node, account, NULL), ADOPTION_HERE);
	adoption_end_waits(fixture.node);
	ck_assert_int_eq(wait_for_account(fixture.node, account), -ECANCELED);
	end();
}
END_TEST

/* An eviction that is given up puts the uploads back into the queue. */
START_TEST(test_given_up)
{
	struct body_uploader_figures figures;
	uint64_t user, file;

	begin();
	user = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
	file = node_fixture_create(fixture.fs, user, "u.1");
	ck_assert_int_eq(node_fixture_write(fixture.fs, file, 0, "content", 7), 0);
	ck_assert_int_eq(adoption_begin_eviction(fixture.node, (uint32_t)(user >> 40), 5000), 0);
	body_uploader_get_figures(fixture.node->uploader, &figures);
	ck_assert_uint_eq(figures.queued, 0);
	adoption_finish(fixture.node, (uint32_t)(user >> 40), 0);
	ck_assert_int_eq(adoption_check(fixture.node, (uint32_t)(user >> 40)), 0);
	ck_assert_int_eq(node_flush(fixture.node, 10000), 0);
	body_uploader_get_figures(fixture.node->uploader, &figures);
	ck_assert_uint_eq(figures.queued, 0);
	ck_assert_uint_ge(figures.objects, 1);
	end();
}
END_TEST

/* ---- crashes. All work on a node is done in children. */
static struct {
	char directory[64];
	size_t n_records;
	struct uuid object; /* of a put whose end could not be noted */
} * shared;

static size_t count_records(struct node *node)
{
	struct key from = key_account_begin(1), to = key_account_end(1);
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

static void note_pending(struct node *node)
{
	struct transaction t;

	ck_assert_int_eq(uuid_generate(&shared->object), 0);
	ck_assert_int_eq(transaction_begin(node, &t), 0);
	transaction_put_pending(&t, 1, OBJECT_BODY, &shared->object);
	ck_assert_int_eq(transaction_commit(&t), 0);
}

static bool has_object(struct node *node, enum key_type type)
{
	struct key key = key_node_uuid(type, &shared->object);
	struct store_value value;

	if (store_get(node->store, STORE_META, &key, &value) < 0)
		return false;
	store_value_done(&value);
	return true;
}

/* Makes an account on one node, restores it on another, expects it there and restores it again:
 * dies at the failpoint on the way. */
static void work(const char *failing)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	static struct journal_kit kit;
	static struct node_fixture reader;
	uint32_t account = 1;
	uint64_t user, file;

	journal_kit_init(&kit, "adoption");
	user = node_fixture_mkdir(kit.fixture.fs, FS_ROOT_INO, "user");
	file = node_fixture_create(kit.fixture.fs, user, "u.1");
	ck_assert_int_eq(node_fixture_write(kit.fixture.fs, file, 0, "content", 7), 0);
	(void)journal_kit_write(&kit, 0);
	journal_kit_open_reader("adoption", &reader);
	memcpy(shared->directory, reader.directory, sizeof(shared->directory));
	ck_assert_int_eq(adoption_expect(reader.node, &account, 1), 0);
	journal_kit_restore(&kit, &reader, 1 << 1, true, results);
	ck_assert_int_eq(results[1].error, 0);
	adoption_finish(reader.node, 1, 0);
	shared->n_records = count_records(reader.node);
	ck_assert_uint_gt(shared->n_records, 2);
	note_pending(reader.node);
	ck_assert_int_eq(failpoint_set(failing), 0);
	ck_assert_int_eq(adoption_begin_eviction(reader.node, 1, 5000), 0);
	ck_assert_int_eq(adoption_expect(reader.node, &account, 1), 0);
	ck_assert_uint_eq(count_records(reader.node), 0);
	journal_kit_restore(&kit, &reader, 1 << 1, true, results);
	_exit(3);
}

static void verify(bool is_absent)
{
	struct node_fixture f;
	char *message;
	size_t n;

	node_fixture_init(&f);
	f.options.directory = shared->directory;
	f.options.journal = true;
	if (node_open(&f.options, &f.node, &message) < 0)
		_exit(4);
	n = count_records(f.node);
	if (is_absent && (adoption_check(f.node, 1) != -EINPROGRESS || n != 0))
		_exit(5);
	if (!is_absent && (adoption_check(f.node, 1) != 0 || n != shared->n_records))
		_exit(6);
	if (replay_is_running(f.node, 1) != 0)
		_exit(7);
	/* The state that is loaded next may refer to the objects of one that has gone. */
	if (has_object(f.node, KEY_NODE_PENDING) ||
		(is_absent && has_object(f.node, KEY_NODE_GARBAGE)))
		_exit(8);
	node_close(f.node);
	_exit(0);
}

static int wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static const struct {
	const char *failpoint;
	bool is_absent;
} crashes[] = {
	{"adoption.expect", false},
	{"adoption.noted", true},
	{"adoption.cleaned", true},
	{"adoption.dropped", true},
	{"replay.finish", true},
	{"replay.finished", false},
};

START_TEST(test_crash)
{
	char command[128];
	int status;
	pid_t pid;

	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	pid = fork();
	if (pid == 0)
		work(crashes[_i].failpoint);
	status = wait_for(pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s: %x",
		crashes[_i].failpoint, (unsigned int)status);
	pid = fork();
	if (pid == 0)
		verify(crashes[_i].is_absent);
	status = wait_for(pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: %x",
		crashes[_i].failpoint, (unsigned int)status);
	snprintf(command, sizeof(command), "rm -rf '%s'", shared->directory);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("adoption");
	TCase *tc = tcase_create("adoption");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_threads);
	tcase_add_test(tc, test_failures);
	tcase_add_test(tc, test_given_up);
	tcase_add_loop_test(tc, test_crash, 0, (int)(sizeof(crashes) / sizeof(crashes[0])));
	suite_add_tcase(suite, tc);
	return suite;
}
