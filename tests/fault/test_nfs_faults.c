/*
 * test_nfs_faults.c: the NFS driver against a server on which everything goes wrong. Run by the
 * script nfs-faults.
 */
#include <config.h>
#include "check_main.h"
#include "store_faults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backends/registry.h"
#include "backends/tree_layout.h"
#include "store_scene.h"
#include "util/clock.h"
#include "util/parse_number.h"

static uint16_t upstream_port(void)
{
	uint64_t port = 0;

	ck_assert_int_eq(
		parse_number_u64(store_faults_environment("NFS_PORT"), UINT16_MAX, &port), 0);
	return (uint16_t)port;
}

/* The mount protocol has a port of its own, and goes there directly. */
static struct backend *open_store(uint16_t port)
{
	char url[512], *message = NULL;
	struct backend *b = NULL;

	snprintf(url, sizeof(url), "nfs://127.0.0.1%s?nfsport=%u&mountport=%s&version=3",
		store_faults_environment("NFS_EXPORT"), port,
		store_faults_environment("NFS_MOUNT_PORT"));
	ck_assert_msg(backend_open_url(url, NULL, &b, &message) == 0, "%s", message);
	return b;
}

static const char *const refusals[] = {
	"status=10008", /* NFS3ERR_JUKEBOX: later; nothing was done, by definition */
	"status=5",     /* NFS3ERR_IO */
	"status=5:after",
	NULL,
};

static const struct store_target nfs = {
	.protocol = &proxy_rpc,
	.upstream_port = upstream_port,
	.open = open_store,
	.detects_damage = false,
	.refusals = refusals,
};

/* ---- the driver alone, without the retry wrapper: what it says must be so */

static struct scene scene; /* without `top` */
static struct backend *driver;
static char prefix[64];

static void set_up(void)
{
	char token[TREE_TOKEN_BYTES];

	ck_assert_int_eq(tree_token_make(token), 0);
	snprintf(prefix, sizeof(prefix), "alone-%s/", token);
	ck_assert_int_eq(proxy_new(&proxy_rpc, upstream_port(), &scene.proxy), 0);
	driver = open_store(proxy_port(scene.proxy));
}

static void tear_down(void)
{
	backend_free(driver);
	proxy_free(scene.proxy);
}

static const char *key_of(const char *name)
{
	static char key[128];

	snprintf(key, sizeof(key), "%s%s", prefix, name);
	return key;
}

static int put(const char *name, const struct backend_condition *condition,
	struct backend_version *ret_version)
{
	struct iovec part = {(void *)(uintptr_t) "content", 7};
	struct backend_result result;
	int r = backend_put_wait(driver, key_of(name), &part, 1, condition, &result);

	if (ret_version != NULL)
		*ret_version = result.version;
	backend_result_done(&result);
	return r;
}

/* A listing says all, or an error: not a part of it with success. */
static const struct {
	const char *rules;
	bool passes;
} listings[] = {
	{"readdirplus:from=2:status=10003", false}, /* BAD_COOKIE in each directory below */
	{"readdirplus:nth=2:status=10003", true},
	{"readdirplus:nth=2:status=70", true}, /* STALE */
	{"readdirplus:nth=3:status=70", true},
	{"lookup:nth=1:status=70", true},
	{"lookup:nth=2:status=70", true},
};

START_TEST(test_listing_is_whole)
{
	struct backend_result result;
	int r;

	ck_assert_int_eq(put("a/1", NULL, NULL), 0);
	ck_assert_int_eq(put("b/2", NULL, NULL), 0);
	scene_set_rules(&scene, "%s", listings[_i].rules);
	r = backend_list_wait(driver, prefix, NULL, 10, &result);
	ck_assert_uint_ge(proxy_hits(scene.proxy), 1);
	if (listings[_i].passes)
		ck_assert_int_eq(r, 0);
	ck_assert(r < 0 || result.n_entries == 2);
	backend_result_done(&result);
}
END_TEST

/* The first request was done, its answer lost; the second one is refused. */
static const struct {
	const char *rules;
	bool record, swap;
} refused_again[] = {
	{"link:nth=1:reset:after;link:nth=1:status=70", false, false},
	{"link:nth=1:reset:after;link:nth=1:status=70", true, true},
	{"rename:nth=1:reset:after;rename:nth=1:status=70", true, false},
	{"rename:nth=1:reset:after;rename:nth=1:status=66", true, false}, /* NOTEMPTY */
	{"rename:nth=1:reset:after;rename:nth=1:status=17", true, false}, /* EXIST */
};

START_TEST(test_own_success_is_no_refusal)
{
	struct backend_condition condition = {
		.type = BACKEND_IF_ABSENT, .record = refused_again[_i].record};
	int r;

	if (refused_again[_i].swap) {
		ck_assert_int_eq(put("k", &condition, &condition.version), 0);
		condition.type = BACKEND_IF_VERSION;
	} else {
		ck_assert_int_eq(put("directory", NULL, NULL), 0);
	}
	scene_set_rules(&scene, "%s", refused_again[_i].rules);
	r = put("k", &condition, NULL);
	ck_assert_uint_eq(proxy_hits(scene.proxy), 2);
	ck_assert_msg(r == 0 || r == -EIO, "%d", r);
}
END_TEST

#define LATE_CALLS 192
#define LATE_FIRST_MS 1000
#define LATE_STEP_MS 400
#define LATE_SLACK_MS 2000 /* below NFS_CLEANUP_MS, for which the tasks of the first ones go on */

struct late {
	struct lock lock;
	struct lock_condition changed;
	unsigned int n_done;
	uint64_t begun_ms, latest_ms;
};

static void note_done(struct backend_result *result, void *arg)
{
	struct late *late = arg;

	lock_acquire(&late->lock);
	ck_assert_int_eq(result->error, -ETIMEDOUT);
	late->latest_ms = clock_monotonic_ms() - late->begun_ms;
	late->n_done++;
	lock_condition_signal(&late->changed);
	lock_release(&late->lock);
}

/* More calls than tasks, on a server that hangs; their deadlines come one after the other. */
START_TEST(test_deadlines_when_all_hang)
{
	struct late late = {.n_done = 0};
	struct iovec part = {(void *)(uintptr_t) "x", 1};

	ck_assert_int_eq(put("first", NULL, NULL), 0);
	scene_set_rules(&scene, "any:hang");
	lock_init(&late.lock);
	lock_condition_init(&late.changed);
	late.begun_ms = clock_monotonic_ms();
	for (unsigned int i = 0; i < LATE_CALLS; i++) {
		struct backend_call call = {.priority = BACKEND_COMMIT,
			.timeout_ms = LATE_FIRST_MS + i / 64 * LATE_STEP_MS,
			.done = note_done,
			.arg = &late};

		backend_put(driver, key_of("late"), &part, 1, NULL, &call);
	}
	lock_acquire(&late.lock);
	while (late.n_done < LATE_CALLS)
		lock_condition_wait(&late.changed, &late.lock);
	lock_release(&late.lock);
	ck_assert_uint_lt(late.latest_ms, LATE_FIRST_MS + 2 * LATE_STEP_MS + LATE_SLACK_MS);
	lock_condition_done(&late.changed);
	lock_done(&late.lock);
}
END_TEST

static void note_cancelled(struct backend_result *result, void *arg)
{
	struct late *late = arg;

	lock_acquire(&late->lock);
	ck_assert_int_eq(result->error, -ECANCELED);
	late->n_done++;
	lock_condition_signal(&late->changed);
	lock_release(&late->lock);
}

/* More calls than tasks, on a server that hangs: those that run end as well as those that wait. */
START_TEST(test_cancelled_when_all_hang)
{
	struct late late = {.n_done = 0};
	struct backend_cancellation cancellation = {.is_cancelled = false};
	struct iovec part = {(void *)(uintptr_t) "x", 1};
	struct backend_call call = {.priority = BACKEND_COMMIT,
		.done = note_cancelled,
		.arg = &late,
		.cancellation = &cancellation};

	ck_assert_int_eq(put("first", NULL, NULL), 0);
	scene_set_rules(&scene, "any:hang");
	lock_init(&late.lock);
	lock_condition_init(&late.changed);
	for (unsigned int i = 0; i < LATE_CALLS; i++)
		backend_put(driver, key_of("cancelled"), &part, 1, NULL, &call);
	while (proxy_hits(scene.proxy) == 0)
		usleep(1000);
	late.begun_ms = clock_monotonic_ms();
	backend_cancel(driver, &cancellation);
	lock_acquire(&late.lock);
	while (late.n_done < LATE_CALLS)
		lock_condition_wait(&late.changed, &late.lock);
	lock_release(&late.lock);
	ck_assert_uint_lt(clock_monotonic_ms() - late.begun_ms, LATE_SLACK_MS);
	lock_condition_done(&late.changed);
	lock_done(&late.lock);
}
END_TEST

static void add_driver_cases(Suite *suite)
{
	TCase *tc = tcase_create("driver");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(
		tc, test_listing_is_whole, 0, (int)(sizeof(listings) / sizeof(listings[0])));
	tcase_add_loop_test(tc, test_own_success_is_no_refusal, 0,
		(int)(sizeof(refused_again) / sizeof(refused_again[0])));
	tcase_add_test(tc, test_deadlines_when_all_hang);
	tcase_add_test(tc, test_cancelled_when_all_hang);
	suite_add_tcase(suite, tc);
}

Suite *test_suite(void)
{
	Suite *suite = suite_create("nfs_faults");

	store_target = &nfs;
	add_driver_cases(suite);
	store_faults_add_cases(suite);
	store_faults_add_damage_case(suite);
	store_faults_add_restart_case(suite);
	return suite;
}
