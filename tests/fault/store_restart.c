/*
 * store_restart.c: the server is killed in the middle of a stream of puts and started again.
 */
#include <config.h>
#include "store_faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "store_scene.h"

#define N_PUTS 240
#define N_IN_FLIGHT 16
/* The server dies when so many are acknowledged. */
#define N_BEFORE_DEATH 60
#define DEADLINE_MS 120000

struct stream;

struct put {
	struct stream *stream;
	char key[64];
	uint8_t content[SCENE_OBJECT_BYTES];
	struct iovec part;
};

struct stream {
	struct backend *b;
	struct put *puts;
	struct lock lock; /* of all below */
	struct lock_condition changed;
	int n_begun, n_ok, n_failed, last_error;
};

static void begin(struct stream *s, int i);

static void put_done(struct backend_result *result, void *arg)
{
	struct put *put = arg;
	struct stream *s = put->stream;
	int next = -1;

	lock_acquire(&s->lock);
	if (result->error == 0) {
		s->n_ok++;
	} else {
		s->n_failed++;
		s->last_error = result->error;
	}
	if (s->n_begun < N_PUTS)
		next = s->n_begun++;
	lock_condition_signal(&s->changed);
	lock_release(&s->lock);
	if (next >= 0)
		begin(s, next);
}

static void begin(struct stream *s, int i)
{
	struct put *put = &s->puts[i];
	const struct backend_condition if_absent = {.type = BACKEND_IF_ABSENT};
	const struct backend_call call = {.priority = BACKEND_COMMIT,
		.timeout_ms = DEADLINE_MS,
		.done = put_done,
		.arg = put};

	put->stream = s;
	snprintf(put->key, sizeof(put->key), "restart/%d/object", i);
	scene_fill(put->content, sizeof(put->content), 1000 + (unsigned int)i);
	put->part = (struct iovec){put->content, sizeof(put->content)};
	backend_put(s->b, put->key, &put->part, 1, i % 2 == 0 ? NULL : &if_absent, &call);
}

static void wait_for(struct stream *s, int n)
{
	lock_acquire(&s->lock);
	while (s->n_ok + s->n_failed < n)
		lock_condition_wait(&s->changed, &s->lock);
	lock_release(&s->lock);
}

static void control_server(const char *variable)
{
	const char *command = store_faults_environment(variable);

	ck_assert_msg(system(command) == 0, "%s: failed", command);
}

static void assert_all_are_there(struct backend *b, const struct put *puts)
{
	for (int i = 0; i < N_PUTS; i++) {
		struct backend_result result;

		ck_assert_int_eq(
			backend_get_wait(b, puts[i].key, 0, SCENE_OBJECT_BYTES + 1, &result), 0);
		ck_assert_uint_eq(result.data_size_bytes, SCENE_OBJECT_BYTES);
		ck_assert_mem_eq(result.data, puts[i].content, SCENE_OBJECT_BYTES);
		backend_result_done(&result);
	}
}

START_TEST(test_server_killed_in_a_stream_of_puts)
{
	struct scene scene;
	struct stream s = {.n_begun = N_IN_FLIGHT};

	scene_open(&scene);
	s.b = scene.top;
	s.puts = calloc(N_PUTS, sizeof(*s.puts));
	lock_init(&s.lock);
	lock_condition_init(&s.changed);
	for (int i = 0; i < N_IN_FLIGHT; i++)
		begin(&s, i);
	wait_for(&s, N_BEFORE_DEATH);
	control_server("MAILFS_TEST_SERVER_KILL");
	lock_acquire(&s.lock);
	ck_assert_int_lt(s.n_ok, N_PUTS); /* or it was not in the middle */
	lock_release(&s.lock);
	control_server("MAILFS_TEST_SERVER_RESTART");
	wait_for(&s, N_PUTS);
	ck_assert_msg(s.n_failed == 0, "%d puts failed, the last with %s", s.n_failed,
		strerror(-s.last_error));
	assert_all_are_there(scene.direct, s.puts);
	scene_close(&scene);
	lock_condition_done(&s.changed);
	lock_done(&s.lock);
	free(s.puts);
}
END_TEST

void store_faults_add_restart_case(Suite *suite)
{
	TCase *tc = tcase_create("restart");

	tcase_set_timeout(tc, 240);
	tcase_add_test(tc, test_server_killed_in_a_stream_of_puts);
	suite_add_tcase(suite, tc);
}
