#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include "backends/call_queue.h"
#include "util/clock.h"

static struct call_queue *q;

static void set_up(void)
{
	ck_assert_int_eq(call_queue_new(8, &q), 0);
}

static void tear_down(void)
{
	call_queue_free(q);
}

static bool is_readable(void)
{
	struct pollfd fd = {.fd = call_queue_fd(q), .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

static void submit(struct queued_call *call, enum backend_priority priority)
{
	*call = (struct queued_call){.priority = priority, .deadline_ms = UINT64_MAX};
	ck_assert(call_queue_submit(q, call));
}

static void end_all(struct queued_call *calls, int n)
{
	for (int i = 0; i < n; i++)
		call_queue_end(q, &calls[i]);
}

START_TEST(test_the_most_urgent_and_oldest_first)
{
	struct queued_call calls[4];

	ck_assert(!is_readable());
	submit(&calls[0], BACKEND_BACKGROUND);
	submit(&calls[1], BACKEND_READER);
	submit(&calls[2], BACKEND_COMMIT);
	submit(&calls[3], BACKEND_READER);
	ck_assert(is_readable());
	ck_assert_ptr_eq(call_queue_take(q), &calls[1]);
	ck_assert_ptr_eq(call_queue_take(q), &calls[3]);
	ck_assert_ptr_eq(call_queue_take(q), &calls[2]);
	ck_assert_ptr_eq(call_queue_take(q), &calls[0]);
	ck_assert(is_readable());
	ck_assert_ptr_null(call_queue_take(q));
	ck_assert(!is_readable());
	end_all(calls, 4);
}
END_TEST

START_TEST(test_what_has_failed_is_taken_alone)
{
	struct queued_call calls[2];

	submit(&calls[0], BACKEND_READER);
	calls[1] = (struct queued_call){.priority = BACKEND_READER, .deadline_ms = 1};
	ck_assert(call_queue_submit(q, &calls[1]));
	ck_assert_ptr_eq(call_queue_take_failed(q), &calls[1]);
	ck_assert_int_eq(calls[1].error, -ETIMEDOUT);
	ck_assert_ptr_null(call_queue_take_failed(q));
	ck_assert(!is_readable());
	ck_assert_ptr_eq(call_queue_take(q), &calls[0]);
	call_queue_end(q, &calls[0]);
}
END_TEST

START_TEST(test_uploads_leave_room_for_readers)
{
	struct queued_call patient[8], reader[3];

	for (int i = 0; i < 8; i++)
		submit(&patient[i], i % 2 == 0 ? BACKEND_BACKGROUND : BACKEND_PREFETCH);
	for (int i = 0; i < 6; i++)
		ck_assert_ptr_nonnull(call_queue_take(q));
	ck_assert_ptr_null(call_queue_take(q));
	for (int i = 0; i < 3; i++)
		submit(&reader[i], BACKEND_READER);
	ck_assert_ptr_eq(call_queue_take(q), &reader[0]);
	ck_assert_ptr_eq(call_queue_take(q), &reader[1]);
	ck_assert_ptr_null(call_queue_take(q)); /* eight are in flight */
	call_queue_end(q, &reader[0]);
	ck_assert_ptr_eq(call_queue_take(q), &reader[2]);
	ck_assert_ptr_null(call_queue_take(q));
	end_all(reader, 3);
	ck_assert_ptr_null(call_queue_take(q)); /* still six uploads */
	end_all(patient, 8);
	ck_assert_ptr_nonnull(call_queue_take(q));
	ck_assert_ptr_nonnull(call_queue_take(q));
	ck_assert_ptr_null(call_queue_take(q));
	end_all(patient, 8);
}
END_TEST

START_TEST(test_the_limit_may_change)
{
	struct queued_call calls[4];

	call_queue_set_limit(q, 1);
	for (int i = 0; i < 4; i++)
		submit(&calls[i], BACKEND_BACKGROUND);
	ck_assert_ptr_eq(call_queue_take(q), &calls[0]);
	ck_assert_ptr_null(call_queue_take(q));
	call_queue_set_limit(q, 4);
	ck_assert(is_readable());
	ck_assert_ptr_eq(call_queue_take(q), &calls[1]);
	ck_assert_ptr_eq(call_queue_take(q), &calls[2]);
	ck_assert_ptr_null(call_queue_take(q));
	call_queue_end(q, &calls[0]);
	ck_assert_ptr_eq(call_queue_take(q), &calls[3]);
	end_all(calls, 4);
}
END_TEST

START_TEST(test_deadlines_pass_while_the_limit_is_reached)
{
	struct queued_call busy, late = {.priority = BACKEND_READER};

	call_queue_set_limit(q, 1);
	submit(&busy, BACKEND_READER);
	ck_assert_ptr_eq(call_queue_take(q), &busy);
	ck_assert_uint_eq(call_queue_next_deadline_ms(q), CALL_QUEUE_NO_DEADLINE);
	late.deadline_ms = clock_monotonic_ms() + 20;
	ck_assert(call_queue_submit(q, &late));
	ck_assert_uint_eq(call_queue_next_deadline_ms(q), late.deadline_ms);
	while (clock_monotonic_ms() < late.deadline_ms)
		;
	ck_assert_ptr_eq(call_queue_take(q), &late);
	ck_assert_int_eq(late.error, -ETIMEDOUT);
	call_queue_end(q, &late);
	ck_assert_ptr_null(call_queue_take(q));
	call_queue_end(q, &busy);
}
END_TEST

START_TEST(test_failed_calls_come_first_and_take_no_room)
{
	struct queued_call calls[3];

	call_queue_set_limit(q, 1);
	submit(&calls[0], BACKEND_READER);
	submit(&calls[1], BACKEND_READER);
	calls[2] = (struct queued_call){.priority = BACKEND_BACKGROUND};
	ck_assert(call_queue_fail(q, &calls[2], -EINVAL));
	ck_assert_ptr_eq(call_queue_take(q), &calls[2]);
	ck_assert_int_eq(calls[2].error, -EINVAL);
	ck_assert_ptr_eq(call_queue_take(q), &calls[0]);
	call_queue_end(q, &calls[2]);
	ck_assert_ptr_null(call_queue_take(q));
	call_queue_end(q, &calls[0]);
	ck_assert_ptr_eq(call_queue_take(q), &calls[1]);
	call_queue_end(q, &calls[1]);
}
END_TEST

START_TEST(test_cancelled_calls)
{
	struct backend_cancellation cancellation = {.is_cancelled = false};
	struct queued_call calls[4];

	call_queue_set_limit(q, 1);
	for (int i = 0; i < 4; i++) {
		calls[i] = (struct queued_call){.priority = BACKEND_READER,
			.deadline_ms = UINT64_MAX,
			.cancellation = i == 1 ? NULL : &cancellation};
		if (i < 3)
			ck_assert(call_queue_submit(q, &calls[i]));
	}
	ck_assert_ptr_eq(call_queue_take(q), &calls[0]);
	ck_assert_ptr_null(call_queue_take(q));
	ck_assert(!call_queue_take_look(q));
	ck_assert(!is_readable());
	atomic_store(&cancellation.is_cancelled, true);
	call_queue_look_for_cancelled(q);
	ck_assert(is_readable());
	ck_assert_ptr_eq(call_queue_take(q), &calls[2]);
	ck_assert_int_eq(calls[2].error, -ECANCELED);
	ck_assert_ptr_null(call_queue_take(q));
	ck_assert(is_readable()); /* the loop is still to look at what is in flight */
	ck_assert(call_queue_take_look(q));
	ck_assert(!call_queue_take_look(q));
	ck_assert(call_queue_submit(q, &calls[3])); /* too late to be looked for */
	ck_assert_ptr_eq(call_queue_take(q), &calls[3]);
	ck_assert_int_eq(calls[3].error, -ECANCELED);
	ck_assert_ptr_null(call_queue_take(q));
	ck_assert(!is_readable());
	ck_assert_int_eq(calls[0].error, 0);
	call_queue_end(q, &calls[0]);
	ck_assert_ptr_eq(call_queue_take(q), &calls[1]);
	ck_assert_int_eq(calls[1].error, 0);
	call_queue_end(q, &calls[1]);
}
END_TEST

START_TEST(test_the_end)
{
	struct queued_call calls[2], too_late = {.priority = BACKEND_READER};

	submit(&calls[0], BACKEND_READER);
	ck_assert_ptr_eq(call_queue_take(q), &calls[0]);
	submit(&calls[1], BACKEND_READER);
	ck_assert(!call_queue_is_closed(q));
	call_queue_close(q);
	ck_assert(call_queue_is_closed(q));
	ck_assert(is_readable());
	ck_assert(!call_queue_submit(q, &too_late));
	ck_assert_ptr_eq(call_queue_take(q), &calls[1]);
	ck_assert_int_eq(calls[1].error, -ECANCELED);
	ck_assert_ptr_null(call_queue_take(q));
	end_all(calls, 2);
}
END_TEST

#define N_THREADS 4
#define N_CALLS 5000

static void *submit_many(void *arg)
{
	struct queued_call *calls = arg;

	for (int i = 0; i < N_CALLS; i++)
		submit(&calls[i], (enum backend_priority)(i % 4));
	return NULL;
}

START_TEST(test_many_threads_wake_the_loop)
{
	static struct queued_call calls[N_THREADS][N_CALLS];
	struct pollfd fd = {.fd = call_queue_fd(q), .events = POLLIN};
	pthread_t threads[N_THREADS];
	int n = 0;

	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, submit_many, calls[i]), 0);
	while (n < N_THREADS * N_CALLS) {
		struct queued_call *call;

		ck_assert_int_eq(poll(&fd, 1, 10000), 1);
		for (; (call = call_queue_take(q)) != NULL; n++) {
			ck_assert_int_eq(call->error, 0);
			call_queue_end(q, call);
		}
	}
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_ptr_null(call_queue_take(q));
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("call_queue");
	TCase *tc = tcase_create("call_queue");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_the_most_urgent_and_oldest_first);
	tcase_add_test(tc, test_what_has_failed_is_taken_alone);
	tcase_add_test(tc, test_uploads_leave_room_for_readers);
	tcase_add_test(tc, test_the_limit_may_change);
	tcase_add_test(tc, test_deadlines_pass_while_the_limit_is_reached);
	tcase_add_test(tc, test_failed_calls_come_first_and_take_no_room);
	tcase_add_test(tc, test_cancelled_calls);
	tcase_add_test(tc, test_the_end);
	tcase_add_test(tc, test_many_threads_wake_the_loop);
	suite_add_tcase(suite, tc);
	return suite;
}
