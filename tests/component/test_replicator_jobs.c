/*
 * What mailfs-admin asks of replication: flush, evict and warm of accounts, while others work, and
 * with a store that fails. The kernel's part of it (requests that wait) is played by using().
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/fault_backend.h"
#include "backends/memory_backend.h"
#include "cache/adoption.h"
#include "node_fixture.h"
#include "replication/replicator.h"
#include "util/clock.h"
#include "util/lock.h"

#define USERS 6
#define FILES 8
#define INO_ACCOUNT_BITS 40
#define JOB_MS 60000

static struct node_fixture f;
static struct backend *store; /* what f.backend lets through */
static struct replicator *replicator;
static uint64_t directories[USERS];
static uint32_t accounts[USERS];

static void faults(const char *rules)
{
	char *message = NULL;

	ck_assert_msg(fault_backend_set(f.backend, rules, &message) == 0, "%s", message);
}

/* As the state directory keeps it. */
static uint64_t incarnation, epoch;

static int note_ownership(void *arg, uint64_t new_incarnation, uint64_t new_epoch)
{
	(void)arg;
	incarnation = new_incarnation;
	epoch = new_epoch;
	return 0;
}

static void open_replicator(void)
{
	struct replicator_options options = {
		.node = f.node,
		.backend = f.backend,
		.commit_interval_ms = 20,
		.commit_timeout_ms = JOB_MS,
		.incarnation = incarnation,
		.epoch = epoch,
		.note = note_ownership,
	};
	char *message = NULL;

	memset(&options.volume, 1, sizeof(options.volume));
	memset(&options.node_uuid, 2, sizeof(options.node_uuid));
	ck_assert_msg(replicator_open(&options, &replicator, &message) == 0, "%s", message);
}

static void set_up(void)
{
	static const struct fault_rules none = {.n = 0};
	char *message = NULL;
	char name[16];

	incarnation = 1;
	epoch = 0;
	node_fixture_init(&f);
	store = f.backend;
	ck_assert_int_eq(fault_backend_new(store, &none, &f.backend), 0);
	f.options.backend = f.backend;
	f.options.journal = true;
	ck_assert_int_eq(node_open(&f.options, &f.node, &message), 0);
	open_replicator();
	ck_assert_int_eq(fs_open(f.node, &f.fs), 0);
	for (int i = 0; i < USERS; i++) {
		snprintf(name, sizeof(name), "u%d", i);
		directories[i] = node_fixture_mkdir(f.fs, FS_ROOT_INO, name);
		accounts[i] = (uint32_t)(directories[i] >> INO_ACCOUNT_BITS);
	}
}

static void clean_up(void)
{
	fault_backend_release(f.backend);
	faults("");
	fs_close(f.fs);
	(void)replicator_close(replicator, JOB_MS, false);
	node_close(f.node);
	f.node = NULL;
	node_fixture_done(&f);
}

static void restart(void)
{
	char *message = NULL;

	fs_close(f.fs);
	ck_assert_int_eq(replicator_close(replicator, JOB_MS, false), 0);
	node_close(f.node);
	ck_assert_int_eq(node_open(&f.options, &f.node, &message), 0);
	open_replicator();
	ck_assert_int_eq(fs_open(f.node, &f.fs), 0);
}

/* ---- as the session does it: a request waits until its account is here */

struct arrival {
	struct lock lock;
	struct lock_condition changed;
	bool done;
	int error;
};

static void arrived(void *arg, int error)
{
	struct arrival *a = arg;

	lock_acquire(&a->lock);
	a->done = true;
	a->error = error;
	lock_condition_signal(&a->changed);
	lock_release(&a->lock);
}

static int wait_for(uint32_t account)
{
	struct arrival a = {.done = false};

	lock_init(&a.lock);
	lock_condition_init(&a.changed);
	adoption_wait(f.node, account, arrived, &a);
	lock_acquire(&a.lock);
	while (!a.done)
		lock_condition_wait(&a.changed, &a.lock);
	lock_release(&a.lock);
	lock_condition_done(&a.changed);
	lock_done(&a.lock);
	return a.error;
}

/* Then adoption_leave(). */
static void use(uint32_t account)
{
	while (adoption_enter(f.node, account) < 0)
		ck_assert_int_eq(wait_for(account), 0);
}

static uint64_t file_of(int user, int file)
{
	struct fs_attributes attributes;
	char name[16];
	int r;

	snprintf(name, sizeof(name), "f%d", file);
	r = fs_lookup(f.fs, directories[user], name, &attributes);
	if (r == -ENOENT)
		return node_fixture_create(f.fs, directories[user], name);
	ck_assert_int_eq(r, 0);
	fs_forget(f.fs, attributes.ino, 1);
	return attributes.ino;
}

/* Each file is a row of numbers. */
static void append(int user, int file, uint32_t value, uint64_t index)
{
	use(accounts[user]);
	ck_assert_int_eq(node_fixture_write(f.fs, file_of(user, file), index * sizeof(value),
				 &value, sizeof(value)),
		0);
	adoption_leave(f.node, accounts[user]);
}

static void check(int user, int file, uint64_t n, uint32_t first)
{
	uint32_t *values = calloc(n + 1, sizeof(*values));

	use(accounts[user]);
	ck_assert_int_eq(
		node_fixture_read(f.fs, file_of(user, file), 0, values, (n + 1) * sizeof(*values)),
		(ssize_t)(n * sizeof(*values)));
	adoption_leave(f.node, accounts[user]);
	for (uint64_t i = 0; i < n; i++)
		ck_assert_uint_eq(values[i], first + i);
	free(values);
}

static void fill(uint64_t index, uint32_t first)
{
	for (int user = 0; user < USERS; user++) {
		for (int file = 0; file < FILES; file++)
			append(user, file, (uint32_t)(first + index), index);
	}
}

static void check_all(uint64_t n, uint32_t first)
{
	for (int user = 0; user < USERS; user++) {
		for (int file = 0; file < FILES; file++)
			check(user, file, n, first);
	}
}

/* ---- jobs */

struct outcome {
	int n_failed;
	uint32_t failed;
	int error;
	uint64_t done;
	_Atomic bool stopping;
};

static void note_failed(void *arg, uint32_t account, int error)
{
	struct outcome *o = arg;

	o->n_failed++;
	o->failed = account;
	o->error = error;
}

static void note_progress(void *arg, const struct replicator_progress *progress)
{
	struct outcome *o = arg;

	ck_assert_uint_le(progress->accounts_done, progress->accounts_total);
	o->done = progress->accounts_done;
}

static struct replicator_job job_of(
	struct outcome *o, const uint32_t *numbers, size_t n, uint32_t timeout_ms)
{
	return (struct replicator_job){.accounts = numbers,
		.n_accounts = n,
		.timeout_ms = timeout_ms,
		.stopping = &o->stopping,
		.progress = note_progress,
		.failed = note_failed,
		.arg = o};
}

static int flush(bool with_checkpoint, uint32_t timeout_ms)
{
	struct outcome o = {0};
	struct replicator_job job = job_of(&o, NULL, 0, timeout_ms);

	return replicator_flush(replicator, &job, with_checkpoint);
}

static struct outcome evict(const uint32_t *numbers, size_t n)
{
	struct outcome o = {0};
	struct replicator_job job = job_of(&o, numbers, n, JOB_MS);

	ck_assert_int_eq(replicator_evict(replicator, &job), 0);
	return o;
}

static struct outcome warm(const uint32_t *numbers, size_t n)
{
	struct outcome o = {0};
	struct replicator_job job = job_of(&o, numbers, n, JOB_MS);

	ck_assert_int_eq(replicator_warm(replicator, &job), 0);
	return o;
}

static enum adoption_place place(int user)
{
	int error;

	return adoption_place(f.node, accounts[user], &error);
}

static struct replicator_figures figures(void)
{
	struct replicator_figures figures;

	replicator_get_figures(replicator, &figures);
	return figures;
}

START_TEST(test_flush)
{
	uint64_t segments;

	fill(0, 100);
	ck_assert_int_eq(flush(false, JOB_MS), 0);
	ck_assert_uint_eq(figures().journal.lag_ms, 0);
	segments = figures().journal.segments;
	ck_assert_uint_gt(segments, 0);
	/* Nothing has changed, nothing is put. */
	ck_assert_int_eq(flush(false, JOB_MS), 0);
	ck_assert_uint_eq(figures().journal.segments, segments);
	fill(1, 100);
	ck_assert_int_eq(flush(true, JOB_MS), 0);
	ck_assert_uint_eq(figures().journal.lag_ms, 0);
}
END_TEST

static void *stop_soon(void *arg)
{
	clock_sleep_ms(100);
	atomic_store((_Atomic bool *)arg, true);
	return NULL;
}

START_TEST(test_flush_without_a_store)
{
	struct outcome o = {0};
	struct replicator_job job = job_of(&o, NULL, 0, JOB_MS);
	uint64_t started_ms;
	pthread_t thread;

	faults("put:error=EIO");
	fill(0, 7);
	ck_assert_int_eq(flush(false, 300), -ETIMEDOUT);
	ck_assert_uint_gt(figures().journal.lag_ms, 0);
	ck_assert_int_ne(figures().journal.last_error, 0);
	started_ms = clock_monotonic_ms();
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_soon, &o.stopping), 0);
	ck_assert_int_eq(replicator_flush(replicator, &job, false), -ECANCELED);
	ck_assert_uint_lt(clock_monotonic_ms() - started_ms, JOB_MS / 2);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	faults("");
	ck_assert_int_eq(flush(false, JOB_MS), 0);
	ck_assert_uint_eq(figures().journal.lag_ms, 0);
}
END_TEST

START_TEST(test_evict_and_back)
{
	struct replicator_account a;

	fill(0, 100);
	ck_assert_int_eq(evict(accounts, 3).n_failed, 0);
	for (int user = 0; user < USERS; user++)
		ck_assert_int_eq(place(user), user < 3 ? ADOPTION_ABSENT : ADOPTION_HERE);
	ck_assert_uint_eq(figures().accounts_absent, 3);
	ck_assert(replicator_get_account(replicator, accounts[0], &a));
	ck_assert_int_eq(a.place, REPLICATOR_ABSENT);
	ck_assert_int_eq(evict(accounts, 3).n_failed, 0); /* are not here */
	check_all(1, 100);
	ck_assert_uint_eq(figures().accounts_absent, 0);
}
END_TEST

/* What they are when they leave is what comes back, however often. */
START_TEST(test_again_and_again)
{
	for (uint64_t n = 0; n < 12; n++) {
		fill(n, 100);
		if (n % 3 == 0)
			(void)evict(accounts, USERS);
		else
			(void)evict(accounts + n % USERS, 1);
		if (n % 2 == 0)
			check_all(n + 1, 100);
	}
	check_all(12, 100);
}
END_TEST

/* What the store's log has of accounts that went and came is no change. */
START_TEST(test_restart)
{
	uint64_t bytes;

	fill(0, 100);
	(void)evict(accounts, USERS);
	check(0, 0, 1, 100);
	check(1, 0, 1, 100);
	restart();
	ck_assert_int_eq(flush(false, JOB_MS), 0);
	bytes = figures().journal.bytes;
	ck_assert_uint_eq(bytes, 0);
	ck_assert_int_eq(place(0), ADOPTION_HERE);
	ck_assert_int_eq(place(2), ADOPTION_ABSENT);
	/* And what is one, is: behind a load, and before a crash. */
	append(0, 0, 101, 1);
	append(1, 0, 101, 1);
	(void)evict(accounts, 1);
	check(0, 0, 2, 100);
	append(0, 0, 102, 2);
	faults("put:error=EIO");
	append(0, 0, 103, 3);
	fs_close(f.fs);
	(void)replicator_close(replicator, 0, false);
	node_close(f.node);
	faults("");
	ck_assert_int_eq(node_open(&f.options, &f.node, &(char *){NULL}), 0);
	open_replicator();
	ck_assert_int_eq(fs_open(f.node, &f.fs), 0);
	ck_assert_int_eq(flush(false, JOB_MS), 0);
	(void)evict(accounts, USERS);
	check(0, 0, 4, 100);
	check(1, 0, 2, 100);
	check(2, 0, 1, 100);
}
END_TEST

START_TEST(test_the_root_account_stays)
{
	const uint32_t root = 0;
	struct outcome o = evict(&root, 1);

	ck_assert_int_eq(o.n_failed, 1);
	ck_assert_int_eq(o.error, -EBUSY);
}
END_TEST

/* Those of which the last changes cannot be brought to the backend stay, whole. */
START_TEST(test_evict_without_a_store)
{
	struct outcome o = {0};
	struct replicator_job job = job_of(&o, accounts, USERS, 300);
	uint64_t started_ms;
	pthread_t thread;

	fill(0, 100);
	faults("put:error=EIO");
	ck_assert_int_eq(replicator_evict(replicator, &job), -ETIMEDOUT);
	job.timeout_ms = JOB_MS;
	started_ms = clock_monotonic_ms();
	ck_assert_int_eq(pthread_create(&thread, NULL, stop_soon, &o.stopping), 0);
	ck_assert_int_eq(replicator_evict(replicator, &job), -ECANCELED);
	ck_assert_uint_lt(clock_monotonic_ms() - started_ms, JOB_MS / 2);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	for (int user = 0; user < USERS; user++)
		ck_assert_int_eq(place(user), ADOPTION_HERE);
	fill(1, 100);
	check_all(2, 100);
	faults("");
	ck_assert_int_eq(evict(accounts, USERS).n_failed, 0);
	check_all(2, 100);
}
END_TEST

/* A request that does not end. */
START_TEST(test_an_account_in_use)
{
	struct outcome o = {0};
	struct replicator_job job = job_of(&o, accounts, 2, 1000);

	fill(0, 100);
	use(accounts[1]);
	ck_assert_int_eq(replicator_evict(replicator, &job), 0);
	adoption_leave(f.node, accounts[1]);
	ck_assert_int_eq(o.n_failed, 1);
	ck_assert_uint_eq(o.failed, accounts[1]);
	ck_assert_int_eq(o.error, -EBUSY);
	ck_assert_int_eq(place(0), ADOPTION_ABSENT);
	ck_assert_int_eq(place(1), ADOPTION_HERE);
	check_all(1, 100);
}
END_TEST

START_TEST(test_warm)
{
	struct outcome o;

	fill(0, 100);
	(void)evict(accounts, USERS);
	o = warm(accounts, USERS);
	ck_assert_int_eq(o.n_failed, 0);
	ck_assert_uint_eq(o.done, USERS);
	for (int user = 0; user < USERS; user++)
		ck_assert_int_eq(place(user), ADOPTION_HERE);
	ck_assert_int_eq(warm(accounts, USERS).n_failed, 0);
	check_all(1, 100);
}
END_TEST

START_TEST(test_warm_without_a_store)
{
	struct outcome o = {0};
	struct replicator_job job = job_of(&o, accounts, USERS, 300);

	fill(0, 100);
	(void)evict(accounts, USERS);
	faults("get:error=EIO;list:error=EIO");
	ck_assert_int_eq(warm(accounts, USERS).n_failed, USERS);
	faults("get:hang;list:hang");
	clock_sleep_ms(2000); /* what failed is tried again after a pause */
	ck_assert_int_eq(replicator_warm(replicator, &job), -ETIMEDOUT);
	faults("");
	fault_backend_release(f.backend);
	for (int tries = 0; warm(accounts, USERS).n_failed > 0; tries++) {
		ck_assert_int_lt(tries, 100);
		clock_sleep_ms(200);
	}
	check_all(1, 100);
}
END_TEST

/* ---- while others work */

#define ROUNDS 60

struct writer {
	pthread_t thread;
	int user;
	uint64_t n; /* numbers in each file */
	_Atomic bool *stop;
};

static void *write_on(void *arg)
{
	struct writer *w = arg;

	while (!atomic_load(w->stop) && w->n < 4000) {
		for (int file = 0; file < 2; file++)
			append(w->user, file, (uint32_t)w->n, w->n);
		w->n++;
	}
	return NULL;
}

START_TEST(test_evict_under_load)
{
	struct writer writers[USERS] = {0};
	_Atomic bool stop = false;
	int refused = 0;

	for (int i = 0; i < USERS; i++) {
		writers[i] = (struct writer){.user = i, .stop = &stop};
		ck_assert_int_eq(
			pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
	}
	for (int round = 0; round < ROUNDS; round++)
		refused += evict(accounts, USERS).n_failed;
	atomic_store(&stop, true);
	for (int i = 0; i < USERS; i++)
		ck_assert_int_eq(pthread_join(writers[i].thread, NULL), 0);
	ck_assert_int_eq(refused, 0);
	(void)evict(accounts, USERS);
	for (int i = 0; i < USERS; i++) {
		ck_assert_uint_gt(writers[i].n, 0);
		for (int file = 0; file < 2; file++)
			check(i, file, writers[i].n, 0);
	}
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("replicator_jobs");
	TCase *tc = tcase_create("replicator_jobs");

	tcase_set_timeout(tc, 240);
	tcase_add_checked_fixture(tc, set_up, clean_up);
	tcase_add_test(tc, test_flush);
	tcase_add_test(tc, test_flush_without_a_store);
	tcase_add_test(tc, test_evict_and_back);
	tcase_add_test(tc, test_again_and_again);
	tcase_add_test(tc, test_restart);
	tcase_add_test(tc, test_the_root_account_stays);
	tcase_add_test(tc, test_evict_without_a_store);
	tcase_add_test(tc, test_an_account_in_use);
	tcase_add_test(tc, test_warm);
	tcase_add_test(tc, test_warm_without_a_store);
	tcase_add_test(tc, test_evict_under_load);
	suite_add_tcase(suite, tc);
	return suite;
}
