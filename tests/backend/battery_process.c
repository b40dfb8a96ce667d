/*
 * battery_process.c: writers in several processes, some of which are killed in the middle.
 *
 * Check runs each test in a process of its own; the writers are forked from there while it has no
 * backend open, so no threads, and open the store again.
 */
#include <config.h>
#include "battery_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/clock.h"

#define N_PROCESSES 6
#define N_VICTIMS 8
#define MAX_PUTS 20000

static const struct backend_condition new_record = {.type = BACKEND_IF_ABSENT, .record = true};

/* What the processes tell the test. */
struct shared {
	atomic_uint arrived;
	atomic_int winners[BATTERY_ROUNDS];
	atomic_int others[BATTERY_ROUNDS];  /* an error that is no refusal */
	atomic_uint acknowledged[MAX_PUTS]; /* size + 1 of what was put */
	atomic_uint counted;                /* acknowledged additions */
	atomic_uint unsure;
};

static struct shared *shared_new(void)
{
	struct shared *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert(s != MAP_FAILED);
	return s;
}

/* A loser whose answer is not clear; only where the target says so. */
static bool is_unsure(int r)
{
	return battery_target->is_unsure && r == -EIO;
}

/* Waits for the n-th arrival of all processes. */
static void meet(struct shared *s, unsigned int n)
{
	atomic_fetch_add(&s->arrived, 1);
	while (atomic_load(&s->arrived) < n * N_PROCESSES)
		usleep(20);
}

static void race_if_absent(struct backend *b, struct shared *s, int number)
{
	static const struct backend_condition if_absent = {.type = BACKEND_IF_ABSENT};

	for (unsigned int round = 0; round < battery_rounds() / 4; round++) {
		char key[32], text[32];
		int r;

		snprintf(key, sizeof(key), "p/%u", round);
		snprintf(text, sizeof(text), "%d", number);
		meet(s, round + 1);
		r = battery_put(b, key, text, round % 2 == 0 ? &if_absent : &new_record, NULL);
		atomic_fetch_add(&s->winners[round], r == 0);
		if (r != 0 && r != -EEXIST && !is_unsure(r))
			atomic_store(&s->others[round], r);
	}
}

static struct backend_version version_of(struct backend *b, const char *key, char text[16])
{
	struct backend_result result;

	ck_assert_int_eq(battery_get(b, key, 0, 15, &result), 0);
	memcpy(text, result.data, result.data_size_bytes);
	text[result.data_size_bytes] = '\0';
	backend_result_done(&result);
	return result.version;
}

static void race_to_swap(struct backend *b, struct shared *s, int number)
{
	for (unsigned int round = 0; round < battery_rounds() / 4; round++) {
		struct backend_condition condition = {.type = BACKEND_IF_VERSION};
		char text[16];
		int r;

		meet(s, 2 * round + 1);
		condition.version = version_of(b, "swap", text);
		meet(s, 2 * round + 2);
		snprintf(text, sizeof(text), "%u %d", round, number);
		r = battery_put(b, "swap", text, &condition, NULL);
		atomic_fetch_add(&s->winners[round], r == 0);
		if (r != 0 && r != -ESTALE && !is_unsure(r))
			atomic_store(&s->others[round], r);
	}
}

/* Adds 1 again and again, until killed or `n` times. */
static void add_up(struct backend *b, struct shared *s, int n)
{
	while (n > 0) {
		struct backend_condition condition = {.type = BACKEND_IF_VERSION};
		char text[16];
		int r;

		condition.version = version_of(b, "sum", text);
		snprintf(text, sizeof(text), "%d", atoi(text) + 1);
		r = battery_put(b, "sum", text, &condition, NULL);
		ck_assert(r == 0 || r == -ESTALE || is_unsure(r));
		atomic_fetch_add(&s->unsure, is_unsure(r));
		if (r == 0) {
			atomic_fetch_add(&s->counted, 1);
			n--;
		}
	}
}

/* The test's own backend is closed while there are writers. */
static void leave(void)
{
	backend_free(battery_backend);
	battery_backend = NULL;
}

static void come_back(void)
{
	battery_backend = battery_target->open_again();
}

static pid_t start(
	void (*work)(struct backend *b, struct shared *s, int n), struct shared *s, int n)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct backend *b = battery_target->open_again();

		work(b, s, n);
		backend_free(b);
		_exit(0);
	}
	return pid;
}

static void wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void race_processes(void (*work)(struct backend *b, struct shared *s, int number))
{
	struct shared *s = shared_new();
	pid_t pids[N_PROCESSES];

	leave();
	for (int i = 0; i < N_PROCESSES; i++)
		pids[i] = start(work, s, i);
	for (int i = 0; i < N_PROCESSES; i++)
		wait_for(pids[i]);
	for (unsigned int round = 0; round < battery_rounds() / 4; round++) {
		int winners = atomic_load(&s->winners[round]),
		    other = atomic_load(&s->others[round]);

		ck_assert_int_eq(other, 0);
		ck_assert_int_eq(winners, 1);
	}
}

START_TEST(test_put_if_absent_among_processes)
{
	race_processes(race_if_absent);
}
END_TEST

START_TEST(test_compare_and_swap_among_processes)
{
	ck_assert_int_eq(battery_put(battery_backend, "swap", "0", &new_record, NULL), 0);
	race_processes(race_to_swap);
}
END_TEST

/* Of those that are killed the last addition may or may not have taken place. */
START_TEST(test_compare_and_swap_with_a_killed_process)
{
	struct shared *s = shared_new();
	char text[16];
	int sum;

	ck_assert_int_eq(battery_put(battery_backend, "sum", "0", &new_record, NULL), 0);
	leave();
	for (int i = 0; i < N_VICTIMS; i++) {
		pid_t survivor = start(add_up, s, 5), victim = start(add_up, s, INT32_MAX);

		usleep(20000 + 7000 * (unsigned int)i);
		ck_assert_int_eq(kill(victim, SIGKILL), 0);
		ck_assert_int_eq(waitpid(victim, NULL, 0), victim);
		wait_for(survivor);
	}
	come_back();
	(void)version_of(battery_backend, "sum", text);
	sum = atoi(text);
	ck_assert_int_ge(sum, (int)atomic_load(&s->counted));
	ck_assert_int_le(
		sum, (int)(atomic_load(&s->counted) + atomic_load(&s->unsure)) + N_VICTIMS);
	ck_assert_uint_ge(atomic_load(&s->counted), 5 * N_VICTIMS);
}
END_TEST

static void content_of(int number, char text[4096])
{
	size_t size = 1 + (size_t)(number * 37) % 4000;

	memset(text, 'a' + number % 26, size);
	text[size] = '\0';
}

struct put_note {
	atomic_uint *acknowledged;
	unsigned int size;
	struct iovec part;
	char text[4096];
	atomic_uint *in_flight;
};

static void note_put(struct backend_result *result, void *arg)
{
	struct put_note *note = arg;

	if (result->error == 0)
		atomic_store(note->acknowledged, note->size + 1);
	atomic_fetch_sub(note->in_flight, 1);
	free(note);
}

/* Up to 16 puts in flight, each noted when it is acknowledged. */
static void put_until_killed(struct backend *b, struct shared *s, int first)
{
	atomic_uint in_flight = 0;

	for (int i = first; i < MAX_PUTS; i++) {
		struct put_note *note = calloc(1, sizeof(*note));
		struct backend_call call = {
			.priority = BACKEND_COMMIT, .done = note_put, .arg = note};
		char key[32];

		if (note == NULL)
			_exit(1);
		while (atomic_load(&in_flight) >= 16)
			usleep(50);
		atomic_fetch_add(&in_flight, 1);
		content_of(i, note->text);
		note->size = (unsigned int)strlen(note->text);
		note->part = (struct iovec){note->text, note->size};
		note->acknowledged = &s->acknowledged[i];
		note->in_flight = &in_flight;
		snprintf(key, sizeof(key), "crash/%x/%05d", (unsigned int)i % 8, i);
		backend_put(b, key, &note->part, 1, NULL, &call);
	}
	while (atomic_load(&in_flight) > 0)
		usleep(1000);
}

static size_t check_acknowledged(const struct shared *s)
{
	char text[4096], key[32];
	size_t n = 0;

	for (int i = 0; i < MAX_PUTS; i++) {
		if (atomic_load(&s->acknowledged[i]) == 0)
			continue;
		content_of(i, text);
		snprintf(key, sizeof(key), "crash/%x/%05d", (unsigned int)i % 8, i);
		battery_assert_is(battery_backend, key, text);
		n++;
	}
	return n;
}

/* What is there without having been acknowledged is whole, too. The number of objects. */
static size_t check_listed(const struct shared *s)
{
	struct backend_result result;
	char text[4096];
	size_t n;

	ck_assert_int_eq(backend_list_wait(battery_backend, "", NULL, MAX_PUTS, &result), 0);
	n = result.n_entries;
	for (size_t i = 0; i < n; i++) {
		int number;

		ck_assert_int_eq(sscanf(result.entries[i].key, "crash/%*x/%d", &number), 1);
		ck_assert(number >= 0 && number < MAX_PUTS);
		content_of(number, text);
		if (atomic_load(&s->acknowledged[number]) == 0)
			battery_assert_is(battery_backend, result.entries[i].key, text);
	}
	backend_result_done(&result);
	return n;
}

/* Opening a store that is a server's takes its time. */
static void wait_for_some(const struct shared *s, int first)
{
	uint64_t until_ms = clock_monotonic_ms() + 20000;
	bool any = false;

	while (!any && clock_monotonic_ms() < until_ms) {
		usleep(1000);
		for (int i = first; i < first + 32; i++)
			any = any || atomic_load(&s->acknowledged[i]) != 0;
	}
}

START_TEST(test_kill_during_puts)
{
	struct shared *s = shared_new();
	size_t n_acknowledged, n_listed;

	leave();
	for (int i = 0; i < N_VICTIMS; i++) {
		int first = i * (MAX_PUTS / N_VICTIMS);
		pid_t victim = start(put_until_killed, s, first);

		wait_for_some(s, first);
		usleep(150000);
		ck_assert_int_eq(kill(victim, SIGKILL), 0);
		ck_assert_int_eq(waitpid(victim, NULL, 0), victim);
	}
	come_back();
	n_acknowledged = check_acknowledged(s);
	ck_assert_uint_gt(n_acknowledged, 0);
	n_listed = check_listed(s);
	ck_assert_uint_ge(n_listed, n_acknowledged);
	ck_assert_uint_le(n_listed, n_acknowledged + 16 * N_VICTIMS);
}
END_TEST

TCase *battery_process_case(void)
{
	TCase *tc = battery_case("process", 240);

	tcase_add_test(tc, test_put_if_absent_among_processes);
	tcase_add_test(tc, test_compare_and_swap_among_processes);
	tcase_add_test(tc, test_compare_and_swap_with_a_killed_process);
	tcase_add_test(tc, test_kill_during_puts);
	return tc;
}
