#include <config.h>
#include "store_faults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/retry_backend.h"
#include "store_scene.h"

#define LONG_MS 60000
#define SHORT_MS 500
/* More requests no single call makes. */
#define MAX_REQUESTS 60
#define RIVALS 8
#ifdef MAILFS_SANITIZED
#define ROUNDS 4
#else
#define ROUNDS 10
#endif

static struct scene scene;

/* Faults that any protocol has; a target adds its own. */
static const char *const common_faults[] = {
	"reset",
	"reset:after",
	"hang",
	"hang:after",
	"cut_request",
	"cut_answer",
	"short_answer",
	"long_length",
	"short_length",
	"corrupt",
	"spoil_request",
	"delay=50",
};
#define N_COMMON_FAULTS (int)(sizeof(common_faults) / sizeof(common_faults[0]))

static int n_faults(void)
{
	int n = 0;

	while (store_target->refusals[n] != NULL)
		n++;
	return N_COMMON_FAULTS + n;
}

static const char *fault(int i)
{
	return i < N_COMMON_FAULTS ? common_faults[i] : store_target->refusals[i - N_COMMON_FAULTS];
}

/* What neither the protocol nor the driver can notice. Such damage of bodies is found by their own
 * checksums: test_damage_is_found(). */
static bool is_undetectable(enum scene_operation operation, const char *name)
{
	if (strcmp(name, "corrupt") != 0 && strcmp(name, "spoil_request") != 0)
		return false;
	if (!store_target->detects_damage)
		return true;
	return strcmp(name, "corrupt") == 0 &&
	       (operation == SCENE_GET_RANGE || operation == SCENE_LIST);
}

static void set_up(void)
{
	scene_open(&scene, SCENE_ATTEMPT_MS);
}

/* Nothing hangs, and a busy machine may need its time for each of the steps of a call. */
static void set_up_patient(void)
{
	scene_open(&scene, SCENE_PATIENT_ATTEMPT_MS);
}

static void tear_down(void)
{
	scene_close(&scene);
}

/* True when the fault struck, that is, when the call made as many requests. */
static bool strike(enum scene_operation operation, const char *name, int number, int request)
{
	struct scene_call call;
	char what[64], tag[32];
	int r;

	snprintf(what, sizeof(what), "any:nth=%d:%s", request, name);
	snprintf(tag, sizeof(tag), "passing-%d-%d", number, request);
	scene_call_prepare(&call, &scene, operation, tag);
	scene_set_rules(&scene, "%s", what);
	scene_call_start(&call, LONG_MS);
	r = scene_call_wait(&call, LONG_MS);
	ck_assert_msg(r == 0, "%s, %s: %s", what, scene_operation_name(operation), strerror(-r));
	scene_call_assert_success(&call, what);
	scene_call_done(&call);
	return proxy_hits(scene.proxy) > 0;
}

/* A fault that passes is not noticed, whichever of its requests it strikes. */
START_TEST(test_passing_fault)
{
	enum scene_operation operation = (enum scene_operation)(_i / n_faults());
	const char *name = fault(_i % n_faults());
	int request = 1;

	if (is_undetectable(operation, name))
		return;
	ck_assert_msg(strike(operation, name, _i, request), "%s: no request was made",
		scene_operation_name(operation));
	while (request < MAX_REQUESTS && strike(operation, name, _i, request + 1))
		request++;
	ck_assert_int_lt(request, MAX_REQUESTS);
}
END_TEST

static void start_all(struct scene_call *calls, const char *tag, uint32_t timeout_ms)
{
	for (int i = 0; i < SCENE_N_OPERATIONS; i++) {
		scene_call_prepare(&calls[i], &scene, (enum scene_operation)i, tag);
		scene_call_start(&calls[i], timeout_ms);
	}
}

/* What another attempt, after one that failed, may answer: the first may have taken place. */
static bool may_have_been_before(const struct scene_call *call, int error)
{
	return (call->operation == SCENE_PUT_IF_ABSENT && error == -EEXIST) ||
	       (call->operation == SCENE_SWAP && error == -ESTALE);
}

/* Each of the calls failed cleanly or was successful, and now succeeds. */
static void assert_clean(struct scene_call *calls, const char *what, uint32_t timeout_ms)
{
	int errors[SCENE_N_OPERATIONS];

	for (int i = 0; i < SCENE_N_OPERATIONS; i++) {
		errors[i] = scene_call_wait(&calls[i], timeout_ms);
		ck_assert_msg(errors[i] == 0 || retry_backend_is_passing(errors[i]),
			"%s, %s: %s is no error of that", what,
			scene_operation_name((enum scene_operation)i), strerror(-errors[i]));
	}
	scene_set_rules(&scene, "%s", "");
	proxy_refuse(scene.proxy, false);
	for (int i = 0; i < SCENE_N_OPERATIONS; i++) {
		int r = errors[i];

		if (r == 0 && !is_undetectable(calls[i].operation, what))
			scene_call_assert_success(&calls[i], what);
		if (r < 0) {
			scene_call_assert_whole(&calls[i], what);
			scene_call_start(&calls[i], LONG_MS);
			r = scene_call_wait(&calls[i], LONG_MS);
			ck_assert_msg(r == 0 || may_have_been_before(&calls[i], r),
				"%s, %s, when it is over: %s", what,
				scene_operation_name((enum scene_operation)i), strerror(-r));
			scene_call_assert_success(&calls[i], what);
		}
		scene_call_done(&calls[i]);
	}
}

/* A fault that stays is reported in time, and leaves nothing behind when it goes. */
START_TEST(test_lasting_fault)
{
	struct scene_call *calls = calloc(SCENE_N_OPERATIONS, sizeof(*calls));
	const char *name = fault(_i);
	char tag[32];

	if (is_undetectable(SCENE_PUT, name)) {
		free(calls);
		return;
	}
	snprintf(tag, sizeof(tag), "lasting-%d", _i);
	for (int i = 0; i < SCENE_N_OPERATIONS; i++)
		scene_call_prepare(&calls[i], &scene, (enum scene_operation)i, tag);
	scene_set_rules(&scene, "any:%s", name);
	for (int i = 0; i < SCENE_N_OPERATIONS; i++)
		scene_call_start(&calls[i], SHORT_MS);
	assert_clean(calls, name, SHORT_MS);
	free(calls);
}
END_TEST

START_TEST(test_refused_connections)
{
	struct scene_call *calls = calloc(SCENE_N_OPERATIONS, sizeof(*calls));

	proxy_refuse(scene.proxy, true);
	start_all(calls, "refused", SHORT_MS);
	assert_clean(calls, "refused", SHORT_MS);

	proxy_refuse(scene.proxy, true);
	start_all(calls, "refused-at-first", LONG_MS);
	proxy_refuse(scene.proxy, false);
	for (int i = 0; i < SCENE_N_OPERATIONS; i++) {
		ck_assert_int_eq(scene_call_wait(&calls[i], LONG_MS), 0);
		scene_call_assert_success(&calls[i], "refused at first");
		scene_call_done(&calls[i]);
	}
	free(calls);
}
END_TEST

/* Rivals put under one condition, and answers get lost. */
static void race(enum scene_operation operation, int loser_error, int round)
{
	struct scene_call first, *calls = calloc(RIVALS, sizeof(*calls));
	int n_winners = 0;
	char tag[32];

	snprintf(tag, sizeof(tag), "race-%d", round);
	scene_call_prepare(&first, &scene, operation, tag);
	for (int i = 0; i < RIVALS; i++) {
		scene_call_prepare_rival(&calls[i], &first, 100 + (unsigned int)i);
		scene_call_start(&calls[i], LONG_MS);
	}
	for (int i = 0; i < RIVALS; i++) {
		int r = scene_call_wait(&calls[i], LONG_MS);

		ck_assert_msg(r == 0 || r == loser_error || (operation == SCENE_SWAP && r == -EIO),
			"a loser got %s", strerror(-r));
		n_winners += r == 0;
		ck_assert_msg(r != 0 || scene_call_is_there(&calls[i]),
			"the winner's object is not there");
		scene_call_done(&calls[i]);
	}
	ck_assert_msg(n_winners == 1, "round %d has %d winners", round, n_winners);
	scene_call_done(&first);
	free(calls);
}

START_TEST(test_one_winner_when_answers_get_lost)
{
	scene_set_rules(&scene, "any:percent=5:reset:after;any:percent=2:reset");
	for (int round = 0; round < ROUNDS; round++) {
		race(SCENE_PUT_IF_ABSENT, -EEXIST, round);
		race(SCENE_SWAP, -ESTALE, round);
	}
	ck_assert_uint_gt(proxy_hits(scene.proxy), 0);
}
END_TEST

void store_faults_add_cases(Suite *suite)
{
	TCase *tc = tcase_create("faults");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 240);
	tcase_add_loop_test(tc, test_passing_fault, 0, SCENE_N_OPERATIONS * n_faults());
	tcase_add_loop_test(tc, test_lasting_fault, 0, n_faults());
	tcase_add_test(tc, test_refused_connections);
	suite_add_tcase(suite, tc);
	tc = tcase_create("rivals");
	tcase_add_checked_fixture(tc, set_up_patient, tear_down);
	tcase_set_timeout(tc, 240);
	tcase_add_test(tc, test_one_winner_when_answers_get_lost);
	suite_add_tcase(suite, tc);
}
