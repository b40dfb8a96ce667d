/*
 * battery_cancel.c: calls that are ended before their time.
 */
#include <config.h>
#include "battery_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"
#include "util/clock.h"

#define N_BLOCKERS 64 /* not fewer than any driver has threads */
#define N_CALLS 300
#define N_SHUTDOWN_CALLS 200
#define PART_BYTES (64 << 10)
#define LARGE_BYTES (16 << 20)
#define LARGE_ROUNDS 8
#define ROUND_STEP_MS 3
#define TIMEOUT_MS 100000
#ifdef MAILFS_SANITIZED
#define MAX_END_MS 5000
#else
#define MAX_END_MS 1000
#endif

/* What became of calls. */
struct tally {
	struct lock lock;
	struct lock_condition changed;
	size_t n_left, n_done, n_ok, n_absent, n_cancelled;
};

/* Keeps a driver's threads in `done` until it is opened. */
struct barrier {
	struct lock lock;
	struct lock_condition changed;
	size_t n_left, n_blocked;
	bool is_open;
};

static void tally_init(struct tally *t, size_t n)
{
	*t = (struct tally){.n_left = n};
	lock_init(&t->lock);
	lock_condition_init(&t->changed);
}

static void note(struct backend_result *result, void *arg)
{
	struct tally *t = arg;

	lock_acquire(&t->lock);
	t->n_done++;
	t->n_ok += result->error == 0;
	t->n_absent += result->error == -ENOENT;
	t->n_cancelled += result->error == -ECANCELED;
	t->n_left--;
	lock_condition_signal(&t->changed);
	lock_release(&t->lock);
}

/* False: not all have ended within max_ms. */
static bool tally_wait(struct tally *t, uint64_t max_ms)
{
	uint64_t until_ms = clock_monotonic_ms() + max_ms;
	bool is_complete;

	lock_acquire(&t->lock);
	while (t->n_left > 0 && clock_monotonic_ms() < until_ms)
		(void)lock_condition_wait_until(&t->changed, &t->lock, until_ms);
	is_complete = t->n_left == 0;
	lock_release(&t->lock);
	return is_complete;
}

static void tally_done(struct tally *t)
{
	lock_condition_done(&t->changed);
	lock_done(&t->lock);
}

static struct backend_call call_of(
	enum backend_priority priority, struct tally *t, struct backend_cancellation *cancellation)
{
	return (struct backend_call){.priority = priority,
		.timeout_ms = TIMEOUT_MS,
		.done = note,
		.arg = t,
		.cancellation = cancellation};
}

static void block(struct backend_result *result, void *arg)
{
	struct barrier *barrier = arg;

	(void)result;
	lock_acquire(&barrier->lock);
	barrier->n_blocked++;
	lock_condition_broadcast(&barrier->changed);
	while (!barrier->is_open)
		lock_condition_wait(&barrier->changed, &barrier->lock);
	barrier->n_left--;
	lock_condition_broadcast(&barrier->changed);
	lock_release(&barrier->lock);
}

/* Returns when a thread of the driver stands still: what comes with a lower priority waits. */
static void barrier_close(struct barrier *barrier)
{
	struct backend_call call = {.priority = BACKEND_READER,
		.timeout_ms = TIMEOUT_MS,
		.done = block,
		.arg = barrier};

	*barrier = (struct barrier){.n_left = N_BLOCKERS};
	lock_init(&barrier->lock);
	lock_condition_init(&barrier->changed);
	for (int i = 0; i < N_BLOCKERS; i++)
		backend_head(battery_backend, "absent", &call);
	lock_acquire(&barrier->lock);
	while (barrier->n_blocked == 0)
		lock_condition_wait(&barrier->changed, &barrier->lock);
	lock_release(&barrier->lock);
}

static void barrier_open(struct barrier *barrier)
{
	lock_acquire(&barrier->lock);
	barrier->is_open = true;
	lock_condition_broadcast(&barrier->changed);
	while (barrier->n_left > 0)
		lock_condition_wait(&barrier->changed, &barrier->lock);
	lock_release(&barrier->lock);
	lock_condition_done(&barrier->changed);
	lock_done(&barrier->lock);
}

static const char *const absent_keys[] = {"absent/1", "absent/2", "absent/3"};

/* One of the operations, by turns. */
static void make_call(int i, const char *key, const struct iovec *part, struct backend_call *call)
{
	switch (i % 6) {
	case 0:
		backend_get(battery_backend, "absent", 0, 10, call);
		break;
	case 1:
		backend_head(battery_backend, "absent", call);
		break;
	case 2:
		backend_remove(battery_backend, "absent", call);
		break;
	case 3:
		backend_remove_many(battery_backend, absent_keys, 3, call);
		break;
	case 4:
		backend_list(battery_backend, "absent/", NULL, 10, call);
		break;
	default:
		backend_put(battery_backend, key, part, 1, NULL, call);
	}
}

static void assert_absent(const char *key)
{
	struct backend_result result;

	ck_assert_int_eq(backend_head_wait(battery_backend, key, &result), -ENOENT);
}

START_TEST(test_waiting_calls)
{
	CLEANUP_FREE uint8_t *data = calloc(1, PART_BYTES);
	struct iovec part = {data, PART_BYTES};
	struct backend_cancellation cancellation = {.is_cancelled = false};
	struct tally ours, others;
	struct backend_call our_call, other_call;
	struct barrier barrier;

	ck_assert_ptr_nonnull(data);
	tally_init(&ours, N_CALLS);
	tally_init(&others, N_CALLS);
	our_call = call_of(BACKEND_BACKGROUND, &ours, &cancellation);
	other_call = call_of(BACKEND_BACKGROUND, &others, NULL);
	barrier_close(&barrier);
	for (int i = 0; i < N_CALLS; i++) {
		char key[16];

		snprintf(key, sizeof(key), "ours/%d", i);
		make_call(i, key, &part, &our_call);
		snprintf(key, sizeof(key), "others/%d", i);
		make_call(i, key, &part, &other_call);
	}
	backend_cancel(battery_backend, &cancellation);
	backend_cancel(battery_backend, &cancellation);
	barrier_open(&barrier);
	ck_assert(tally_wait(&ours, MAX_END_MS));
	ck_assert_uint_eq(ours.n_cancelled, N_CALLS);
	ck_assert(tally_wait(&others, TIMEOUT_MS));
	ck_assert_uint_eq(others.n_ok, N_CALLS / 6 * 4);
	ck_assert_uint_eq(others.n_absent, N_CALLS / 6 * 2);
	assert_absent("ours/5");
	assert_absent("ours/299");
	tally_done(&ours);
	tally_done(&others);
}
END_TEST

START_TEST(test_cancelled_before_the_call)
{
	struct iovec part = {(void *)(uintptr_t) "text", 4};
	struct backend_cancellation cancellation = {.is_cancelled = false};
	const struct backend_call how = {
		.priority = BACKEND_BACKGROUND, .cancellation = &cancellation};
	struct backend_result page;
	struct tally tally;
	struct backend_call call;

	tally_init(&tally, 6);
	call = call_of(BACKEND_COMMIT, &tally, &cancellation);
	backend_cancel(battery_backend, &cancellation);
	for (int i = 0; i < 6; i++)
		make_call(i, "key", &part, &call);
	ck_assert(tally_wait(&tally, MAX_END_MS));
	ck_assert_uint_eq(tally.n_cancelled, 6);
	assert_absent("key");
	tally_done(&tally);
	ck_assert_int_eq(backend_remove_wait_as(battery_backend, "key", &how), -ECANCELED);
	ck_assert_int_eq(
		backend_list_wait_as(battery_backend, "", NULL, 10, &how, &page), -ECANCELED);
	backend_result_done(&page);
	ck_assert_int_eq(battery_put(battery_backend, "key", "text", NULL, NULL), 0);
	battery_assert_is(battery_backend, "key", "text");
}
END_TEST

static void assert_absent_or_whole(const char *key, const uint8_t *data, bool must_be)
{
	struct backend_result result;
	int r = backend_get_wait(battery_backend, key, 0, SIZE_MAX, &result);

	if (r == -ENOENT && !must_be)
		return;
	ck_assert_int_eq(r, 0);
	ck_assert_uint_eq(result.data_size_bytes, LARGE_BYTES);
	ck_assert(memcmp(result.data, data, LARGE_BYTES) == 0);
	backend_result_done(&result);
}

/* Cancels it when it has run for some time; whether it succeeded. */
static bool cancel_large(const char *key, const struct iovec *part, uint64_t after_ms)
{
	struct backend_cancellation cancellation = {.is_cancelled = false};
	struct tally tally;
	struct backend_call call;
	uint64_t until_ms = clock_monotonic_ms() + after_ms;

	tally_init(&tally, 1);
	call = call_of(BACKEND_COMMIT, &tally, &cancellation);
	if (part != NULL)
		backend_put(battery_backend, key, part, 1, NULL, &call);
	else
		backend_get(battery_backend, key, 0, SIZE_MAX, &call);
	while (clock_monotonic_ms() < until_ms)
		;
	backend_cancel(battery_backend, &cancellation);
	ck_assert(tally_wait(&tally, TIMEOUT_MS));
	ck_assert_uint_eq(tally.n_ok + tally.n_cancelled, 1);
	tally_done(&tally);
	return tally.n_ok == 1;
}

START_TEST(test_running_large_calls)
{
	CLEANUP_FREE uint8_t *data = malloc(LARGE_BYTES);
	struct iovec part = {data, LARGE_BYTES};
	struct backend_result result;

	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < LARGE_BYTES; i++)
		data[i] = (uint8_t)(i * 2654435761U >> 13);
	ck_assert_int_eq(backend_put_wait(battery_backend, "large", &part, 1, NULL, &result), 0);
	for (uint64_t i = 0; i < LARGE_ROUNDS; i++) {
		char key[16];
		bool was_put;

		snprintf(key, sizeof(key), "l/%d", (int)i);
		was_put = cancel_large(key, &part, i * ROUND_STEP_MS);
		assert_absent_or_whole(key, data, was_put);
		(void)cancel_large("large", NULL, i * ROUND_STEP_MS);
		ck_assert_int_eq(backend_remove_wait(battery_backend, key), 0);
	}
	assert_absent_or_whole("large", data, true);
}
END_TEST

static void *cancel_all_the_time(void *arg)
{
	struct backend_cancellation *cancellation = arg;

	for (int i = 0; i < 100; i++)
		backend_cancel(battery_backend, cancellation);
	return NULL;
}

START_TEST(test_while_it_shuts_down)
{
	CLEANUP_FREE uint8_t *data = calloc(1, PART_BYTES);
	struct iovec part = {data, PART_BYTES};
	struct backend_cancellation cancellation = {.is_cancelled = false};
	struct tally tally;
	struct backend_call call;
	pthread_t thread;

	ck_assert_ptr_nonnull(data);
	tally_init(&tally, N_SHUTDOWN_CALLS);
	call = call_of(BACKEND_COMMIT, &tally, &cancellation);
	for (int i = 0; i < N_SHUTDOWN_CALLS; i++) {
		char key[16];

		snprintf(key, sizeof(key), "s/%d", i);
		backend_put(battery_backend, key, &part, 1, NULL, &call);
	}
	ck_assert_int_eq(pthread_create(&thread, NULL, cancel_all_the_time, &cancellation), 0);
	backend_shutdown(battery_backend);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(tally.n_done, N_SHUTDOWN_CALLS);
	if (!battery_target->is_unsure)
		ck_assert_uint_eq(tally.n_ok + tally.n_cancelled, N_SHUTDOWN_CALLS);
	backend_cancel(battery_backend, &cancellation);
	tally_done(&tally);
}
END_TEST

TCase *battery_cancel_case(void)
{
	TCase *tc = battery_case("cancel", 120);

	tcase_add_test(tc, test_waiting_calls);
	tcase_add_test(tc, test_cancelled_before_the_call);
	tcase_add_test(tc, test_running_large_calls);
	tcase_add_test(tc, test_while_it_shuts_down);
	return tc;
}
