#include <config.h>
#include "check_main.h"

#include <errno.h>
#include "backends/executor.h"
#include "util/clock.h"
#include "util/lock.h"

#define N_JOBS 64

/* What the jobs write down, in the order in which they ran. */
static struct journal {
	struct lock lock;
	struct lock_condition changed;
	int order[N_JOBS];
	int errors[N_JOBS];
	int n;
	bool is_open; /* the blocker may go */
	bool is_blocked;
} journal;

struct test_job {
	struct executor_job job; /* first */
	int number;
};

static struct executor *executor;

static void note(struct executor_job *job, int error)
{
	lock_acquire(&journal.lock);
	journal.order[journal.n] = ((struct test_job *)(void *)job)->number;
	journal.errors[journal.n++] = error;
	lock_condition_broadcast(&journal.changed);
	lock_release(&journal.lock);
}

static void block(struct executor_job *job, int error)
{
	(void)job, (void)error;
	lock_acquire(&journal.lock);
	journal.is_blocked = true;
	lock_condition_broadcast(&journal.changed);
	while (!journal.is_open)
		lock_condition_wait(&journal.changed, &journal.lock);
	lock_release(&journal.lock);
}

static void start(unsigned int n_threads)
{
	lock_init(&journal.lock);
	lock_condition_init(&journal.changed);
	ck_assert_int_eq(executor_new("test", n_threads, &executor), 0);
}

/* Keeps one thread busy until open_gate(). */
static void submit_blocker(struct test_job *job, enum backend_priority priority)
{
	*job = (struct test_job){
		.job = {.run = block, .priority = priority, .deadline_ms = UINT64_MAX}};
	executor_submit(executor, &job->job);
	lock_acquire(&journal.lock);
	while (!journal.is_blocked)
		lock_condition_wait(&journal.changed, &journal.lock);
	lock_release(&journal.lock);
}

static void submit(
	struct test_job *job, int number, enum backend_priority priority, uint64_t deadline_ms)
{
	*job = (struct test_job){
		.job = {.run = note, .priority = priority, .deadline_ms = deadline_ms},
		.number = number};
	executor_submit(executor, &job->job);
}

static void open_gate(void)
{
	lock_acquire(&journal.lock);
	journal.is_open = true;
	lock_condition_broadcast(&journal.changed);
	lock_release(&journal.lock);
}

static void wait_for(int n)
{
	lock_acquire(&journal.lock);
	while (journal.n < n)
		lock_condition_wait(&journal.changed, &journal.lock);
	lock_release(&journal.lock);
}

START_TEST(test_urgent_first_then_oldest)
{
	static const int expected[] = {3, 6, 2, 5, 1, 4, 0, 7};
	struct test_job blocker, jobs[8];

	start(1);
	submit_blocker(&blocker, BACKEND_READER);
	submit(&jobs[0], 0, BACKEND_BACKGROUND, UINT64_MAX);
	submit(&jobs[1], 1, BACKEND_PREFETCH, UINT64_MAX);
	submit(&jobs[2], 2, BACKEND_COMMIT, UINT64_MAX);
	submit(&jobs[3], 3, BACKEND_READER, UINT64_MAX);
	submit(&jobs[4], 4, BACKEND_PREFETCH, UINT64_MAX);
	submit(&jobs[5], 5, BACKEND_COMMIT, UINT64_MAX);
	submit(&jobs[6], 6, BACKEND_READER, UINT64_MAX);
	submit(&jobs[7], 7, BACKEND_BACKGROUND, UINT64_MAX);
	open_gate();
	wait_for(8);
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(journal.order[i], expected[i]);
		ck_assert_int_eq(journal.errors[i], 0);
	}
	executor_free(executor);
}
END_TEST

/* All threads hang; the deadline is kept nevertheless. */
START_TEST(test_deadline_of_a_waiting_job)
{
	struct test_job blocker, jobs[2];

	start(1);
	submit_blocker(&blocker, BACKEND_READER);
	submit(&jobs[0], 0, BACKEND_READER, clock_monotonic_ms() + 60000);
	submit(&jobs[1], 1, BACKEND_BACKGROUND, clock_monotonic_ms() + 20);
	wait_for(1);
	ck_assert_int_eq(journal.order[0], 1);
	ck_assert_int_eq(journal.errors[0], -ETIMEDOUT);
	open_gate();
	wait_for(2);
	ck_assert_int_eq(journal.errors[1], 0);
	executor_free(executor);
}
END_TEST

/* Of four threads one never takes background work. */
START_TEST(test_a_reader_does_not_wait_for_background_work)
{
	struct test_job blockers[5], job;

	start(4);
	for (int i = 0; i < 5; i++) {
		blockers[i] = (struct test_job){.job = {.run = block,
							.priority = BACKEND_BACKGROUND,
							.deadline_ms = UINT64_MAX}};
		executor_submit(executor, &blockers[i].job);
	}
	submit(&job, 9, BACKEND_READER, UINT64_MAX);
	wait_for(1);
	ck_assert_int_eq(journal.order[0], 9);
	open_gate();
	executor_free(executor);
}
END_TEST

START_TEST(test_shutdown_and_after)
{
	struct test_job jobs[N_JOBS];

	start(2);
	for (int i = 0; i < N_JOBS / 2; i++)
		submit(&jobs[i], i, BACKEND_COMMIT, UINT64_MAX);
	executor_shutdown(executor);
	ck_assert_int_eq(journal.n, N_JOBS / 2);
	for (int i = 0; i < journal.n; i++)
		ck_assert(journal.errors[i] == 0 || journal.errors[i] == -ECANCELED);
	submit(&jobs[N_JOBS / 2], 99, BACKEND_COMMIT, UINT64_MAX);
	ck_assert_int_eq(journal.errors[N_JOBS / 2], -ECANCELED);
	executor_free(executor);
}
END_TEST

/* All threads hang; who is cancelled ends nevertheless. */
START_TEST(test_cancelled_jobs)
{
	struct backend_cancellation cancellation = {.is_cancelled = false};
	struct test_job blocker, other, ours[3];

	start(1);
	submit_blocker(&blocker, BACKEND_READER);
	submit(&other, 9, BACKEND_READER, UINT64_MAX);
	for (int i = 0; i < 3; i++) {
		ours[i] = (struct test_job){
			.job = {.run = note,
				.priority = i == 0 ? BACKEND_BACKGROUND : BACKEND_READER,
				.deadline_ms = UINT64_MAX,
				.cancellation = &cancellation},
			.number = i};
		if (i < 2)
			executor_submit(executor, &ours[i].job);
	}
	atomic_store(&cancellation.is_cancelled, true);
	executor_look_for_cancelled(executor);
	wait_for(2);
	executor_submit(executor, &ours[2].job); /* too late to be looked for */
	wait_for(3);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_ne(journal.order[i], 9);
		ck_assert_int_eq(journal.errors[i], -ECANCELED);
	}
	open_gate();
	wait_for(4);
	ck_assert_int_eq(journal.order[3], 9);
	ck_assert_int_eq(journal.errors[3], 0);
	executor_shutdown(executor);
	executor_look_for_cancelled(executor);
	executor_free(executor);
}
END_TEST

START_TEST(test_fail)
{
	struct test_job blocker, job = {.job = {.run = note, .deadline_ms = UINT64_MAX}};

	start(1);
	submit_blocker(&blocker, BACKEND_READER);
	executor_fail(executor, &job.job, -EINVAL);
	wait_for(1);
	ck_assert_int_eq(journal.errors[0], -EINVAL);
	open_gate();
	executor_free(executor);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("executor");
	TCase *tc = tcase_create("executor");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, test_urgent_first_then_oldest);
	tcase_add_test(tc, test_deadline_of_a_waiting_job);
	tcase_add_test(tc, test_a_reader_does_not_wait_for_background_work);
	tcase_add_test(tc, test_shutdown_and_after);
	tcase_add_test(tc, test_cancelled_jobs);
	tcase_add_test(tc, test_fail);
	suite_add_tcase(suite, tc);
	return suite;
}
