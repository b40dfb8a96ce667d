/*
 * test_fsck.c: damage of every kind, in every object of a volume, is found and named; what is too
 * much is removed, and nothing else.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/memory_backend.h"
#include "cache/body_object.h"
#include "check_main.h"
#include "fsck/fsck.h"
#include "journal_kit.h"
#include "util/clock.h"
#include "util/file_io.h"

#define STORE "test-fsck"
#define MAX_PROBLEMS 200

static struct journal_kit kit;
static char scratch[64];
static uint64_t tops[3];
static struct fsck_figures figures;
static size_t n_problems;
static struct {
	enum fsck_severity severity;
	char subject[256], text[512];
} problems[MAX_PROBLEMS];

static void problem(void *arg, const struct fsck_problem *p)
{
	(void)arg;
	ck_assert_uint_lt(n_problems, MAX_PROBLEMS);
	problems[n_problems].severity = p->severity;
	snprintf(problems[n_problems].subject, 256, "%s", p->subject);
	snprintf(problems[n_problems++].text, 512, "%s", p->text);
}

static int run_with(const struct fsck_options *with)
{
	struct fsck_options options = *with;
	char *message;
	int r;

	options.backend = kit.fixture.backend;
	options.volume = kit.volume;
	options.account_depth = 1;
	options.parent_directory = scratch;
	options.problem = problem;
	n_problems = 0;
	r = fsck_run(&options, &figures, &message);
	free(message);
	return r;
}

static const char *first_problem(void)
{
	static char text[1024];

	snprintf(text, sizeof(text), "%s: %s", n_problems > 0 ? problems[0].subject : "none",
		n_problems > 0 ? problems[0].text : "");
	return text;
}

static void expect_clean(bool deep)
{
	struct fsck_options options = {.deep = deep};

	ck_assert_int_eq(run_with(&options), 0);
	ck_assert_msg(figures.errors == 0 && figures.orphans == 0 && figures.notes == 0, "%s",
		first_problem());
}

static void write_file(uint64_t directory, const char *name, size_t n, char with)
{
	char *data = malloc(n);

	memset(data, with, n);
	ck_assert_int_eq(node_fixture_write(kit.fixture.fs,
				 node_fixture_create(kit.fixture.fs, directory, name), 0, data, n),
		0);
	free(data);
}

/* Three accounts: of segments and parts only; of a checkpoint and segments; of bodies. */
static void setup(void)
{
	char name[16];
	uint64_t evicted;

	snprintf(scratch, sizeof(scratch), "/tmp/mailfs-fsck-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(scratch));
	journal_kit_init(&kit, STORE);
	kit.uses_parts = true;
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "user%d", i + 1);
		tops[i] = node_fixture_mkdir(kit.fixture.fs, FS_ROOT_INO, name);
		for (int k = 0; k < 6; k++) {
			snprintf(name, sizeof(name), "u.%d", k);
			write_file(tops[i], name, 1000 + (size_t)k * 5000, (char)('a' + k));
		}
		if (i == 2) {
			write_file(tops[i], "u.99", 300000, 'L');
			ck_assert_int_eq(node_flush(kit.fixture.node, 20000), 0);
			ck_assert_int_eq(node_evict(kit.fixture.node, 0, &evicted), 0);
		}
		(void)journal_kit_write(&kit, i == 1 ? 1 << 2 : 0);
	}
	write_file(tops[1], "last", 3000, 'z');
	(void)journal_kit_write(&kit, 0);
}

static void teardown(void)
{
	journal_kit_done(&kit);
	ck_assert_int_eq(file_io_remove_tree(scratch), 0);
}

/* ---- objects */

static void put(const char *key, const void *data, size_t n)
{
	struct iovec part = {(void *)(uintptr_t)data, n};
	struct backend_result result;

	ck_assert_int_eq(backend_put_wait(kit.fixture.backend, key, &part, 1, NULL, &result), 0);
	backend_result_done(&result);
}

static void list(struct backend_result *ret)
{
	ck_assert_int_eq(backend_list_wait(kit.fixture.backend, "", NULL, 10000, ret), 0);
}

static size_t count_objects(void)
{
	struct backend_result all;
	size_t n;

	list(&all);
	n = all.n_entries;
	backend_result_done(&all);
	return n;
}

/* Whether an error names the object, or, when that is gone, what depended on it. */
static bool is_named(const char *key)
{
	for (size_t i = 0; i < n_problems; i++) {
		if (problems[i].severity == FSCK_ERROR &&
			(strcmp(problems[i].subject, key) == 0 ||
				strstr(problems[i].text, key) != NULL))
			return true;
	}
	return false;
}

static void expect_damage(const char *key, const char *how, bool deep)
{
	struct fsck_options options = {.deep = deep, .repair = true};

	ck_assert_int_eq(run_with(&options), 0);
	ck_assert_msg(figures.errors > 0 && is_named(key), "%s (%s): %lu errors, %s", key, how,
		(unsigned long)figures.errors, first_problem());
}

/* The first segment's first byte, each kind of place, shorter, longer, gone. */
static void damage_everywhere(const char *key, uint8_t *data, size_t n, bool deep)
{
	const size_t places[] = {0, 9, 40, 100, n / 2, n - 1};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (places[i] >= n)
			continue;
		data[places[i]] ^= 4;
		put(key, data, n);
		expect_damage(key, "a bit", deep);
		data[places[i]] ^= 4;
	}
	put(key, data, n - 1);
	expect_damage(key, "shorter", deep);
	put(key, data, n / 3);
	expect_damage(key, "a third", deep);
	put(key, "", 0);
	expect_damage(key, "empty", deep);
	put(key, data, n);
}

/* What is lost when the object is: the last one of a journal may never have been there. */
static void take_away(const char *key, const uint8_t *data, size_t n)
{
	struct fsck_options options = {.deep = false};
	bool is_segment = strncmp(key, "journal/", 8) == 0 && strchr(key, '.') == NULL;
	bool is_checkpoint = strstr(key, "/checkpoint/") != NULL;

	ck_assert_int_eq(backend_remove_wait(kit.fixture.backend, key), 0);
	ck_assert_int_eq(run_with(&options), 0);
	if (!is_segment && !is_checkpoint)
		ck_assert_msg(is_named(key), "%s: %s", key, first_problem());
	else if (is_segment && strstr(key, "0000000000000004") == NULL)
		ck_assert_msg(figures.errors > 0, "%s is gone", key);
	put(key, data, n);
}

/* ---- tests */

START_TEST(test_clean)
{
	expect_clean(false);
	ck_assert_uint_eq(figures.segments, 4);
	ck_assert_uint_gt(figures.parts, 0);
	ck_assert_uint_eq(figures.checkpoints, 1);
	ck_assert_uint_eq(figures.accounts, 4);
	ck_assert_uint_eq(figures.bodies, 4); /* three packs, and one that is large */
	ck_assert_uint_eq(figures.files, 20);
	expect_clean(true);
	ck_assert_uint_gt(figures.read_bytes, 6000);
}
END_TEST

START_TEST(test_damage)
{
	struct backend_result all, object;
	size_t before;

	list(&all);
	before = all.n_entries;
	for (size_t i = 0; i < all.n_entries; i++) {
		const char *key = all.entries[i].key;

		ck_assert_int_eq(
			backend_get_wait(kit.fixture.backend, key, 0, 1 << 20, &object), 0);
		damage_everywhere(key, object.data, object.data_size_bytes,
			strstr(key, "/body/") != NULL || strstr(key, "/pack/") != NULL);
		take_away(key, object.data, object.data_size_bytes);
		backend_result_done(&object);
	}
	backend_result_done(&all);
	/* All was in order again each time, and nothing was removed beside. */
	ck_assert_uint_eq(count_objects(), before);
	expect_clean(true);
}
END_TEST

static void put_stray_body(uint32_t account, char key[BODY_OBJECT_KEY_BYTES])
{
	struct uuid id;

	ck_assert_int_eq(uuid_generate(&id), 0);
	body_object_key(account, &id, key);
	put(key, "stray", 5);
}

/* What is put or cut from now on is newer than all before. */
static void let_the_clock_go_on(void)
{
	int64_t now_ms = clock_realtime_ms();

	while (clock_realtime_ms() == now_ms)
		clock_sleep_ms(1);
}

static void put_stray_part(char key[POSITION_SEGMENT_KEY_BYTES])
{
	struct position position = kit.next;

	position.sequence = 3;
	position_segment_key(&position, 9, key);
	put(key, "stray", 5);
}

START_TEST(test_orphans)
{
	struct fsck_options options = {.grace_ms = 3600000};
	char keys[3][BODY_OBJECT_KEY_BYTES];
	size_t before;

	put_stray_body(1, keys[0]);
	put_stray_body(77, keys[1]); /* an account that never was */
	put_stray_part(keys[2]);
	let_the_clock_go_on();
	/* Nothing is newer yet: they may have been put just now. */
	options.grace_ms = 0;
	ck_assert_int_eq(run_with(&options), 0);
	ck_assert_uint_eq(figures.orphans, 0);
	ck_assert_uint_eq(figures.young, 3);
	write_file(tops[0], "newer", 10, 'n');
	(void)journal_kit_write(&kit, 0);
	before = count_objects() - 3;
	options.grace_ms = 3600000;
	ck_assert_int_eq(run_with(&options), 0);
	ck_assert_uint_eq(figures.orphans, 0);
	/* Somebody may be writing. */
	options.repair = true;
	ck_assert_int_eq(run_with(&options), -EBUSY);
	options.repair = false;
	options.grace_ms = 0;
	ck_assert_int_eq(run_with(&options), 0);
	ck_assert_uint_eq(figures.orphans, 3);
	ck_assert_uint_eq(figures.repaired, 0);
	ck_assert_uint_eq(count_objects(), before + 3);
	options.repair = true;
	ck_assert_int_eq(run_with(&options), 0);
	ck_assert_uint_eq(figures.orphans, 3);
	ck_assert_uint_eq(figures.repaired, 3);
	ck_assert_uint_eq(count_objects(), before);
	for (int i = 0; i < 3; i++) {
		struct backend_result head;

		ck_assert_int_eq(backend_head_wait(kit.fixture.backend, keys[i], &head), -ENOENT);
	}
	expect_clean(true);
}
END_TEST

/* A node that writes while the repair runs. */
static void write_meanwhile(void *arg, const char *phase, uint64_t done, uint64_t total)
{
	bool *wrote = arg;

	(void)total;
	if (*wrote || strcmp(phase, "accounts") != 0 || done == 0)
		return;
	*wrote = true;
	write_file(tops[0], "meanwhile", 10, 'm');
	(void)journal_kit_write(&kit, 0);
}

START_TEST(test_repair_while_mounted)
{
	bool wrote = false;
	struct fsck_options options = {
		.grace_ms = 0, .repair = true, .progress = write_meanwhile, .arg = &wrote};
	char key[BODY_OBJECT_KEY_BYTES];
	struct backend_result head;

	put_stray_body(1, key);
	let_the_clock_go_on();
	write_file(tops[0], "newer", 10, 'n');
	(void)journal_kit_write(&kit, 0);
	let_the_clock_go_on();
	ck_assert_int_eq(run_with(&options), -EBUSY);
	ck_assert(wrote);
	ck_assert_uint_eq(figures.repaired, 0);
	ck_assert_int_eq(backend_head_wait(kit.fixture.backend, key, &head), 0);
	backend_result_done(&head);
	ck_assert_int_eq(run_with(&options), 0); /* now nobody does */
	ck_assert_uint_eq(figures.repaired, 1);
}
END_TEST

/* What a checkpoint or a segment of before still names is none, nor what stands behind damage. */
START_TEST(test_no_orphans)
{
	struct fsck_options options = {.grace_ms = 0, .repair = true};
	struct position position = kit.next;
	char key[POSITION_SEGMENT_KEY_BYTES];
	size_t before;

	ck_assert_int_eq(fs_unlink(kit.fixture.fs, tops[2], "u.99"), 0);
	for (int k = 0; k < 6; k++) {
		char name[16];

		snprintf(name, sizeof(name), "u.%d", k);
		ck_assert_int_eq(fs_unlink(kit.fixture.fs, tops[2], name), 0);
	}
	(void)journal_kit_write(&kit, 0);
	let_the_clock_go_on();
	before = count_objects();
	ck_assert_int_eq(run_with(&options), 0);
	ck_assert_uint_eq(figures.orphans, 0);
	position.sequence = 3; /* it names the bodies */
	position_segment_key(&position, 0, key);
	put(key, "damaged", 7);
	ck_assert_int_eq(run_with(&options), 0);
	ck_assert_uint_eq(figures.orphans, 0);
	ck_assert_uint_gt(figures.errors, 0);
	ck_assert_uint_eq(count_objects(), before);
}
END_TEST

/* Segments that were in flight when the journal was sealed. */
START_TEST(test_behind_the_seal)
{
	struct fsck_options options = {.grace_ms = 0, .repair = true};
	struct node_fixture reader;
	struct backend_result object;
	struct position position = kit.next;
	char key[POSITION_SEGMENT_KEY_BYTES];
	size_t before;

	position.sequence = 4;
	position_segment_key(&position, 0, key);
	ck_assert_int_eq(backend_get_wait(kit.fixture.backend, key, 0, 1 << 20, &object), 0);
	journal_kit_open_reader(STORE, &reader);
	journal_kit_restore_all(&kit, &reader);
	journal_kit_take_over(&kit, &reader);
	position.sequence = 7; /* behind the seal, which is 5 */
	position_segment_key(&position, 0, key);
	put(key, object.data, object.data_size_bytes);
	backend_result_done(&object);
	let_the_clock_go_on();
	write_file(tops[0], "newer", 10, 'n');
	(void)journal_kit_write(&kit, 0);
	before = count_objects();
	ck_assert_int_eq(run_with(&options), 0);
	ck_assert_msg(figures.errors == 0, "%s", first_problem());
	ck_assert_msg(figures.orphans == 1 && strcmp(problems[0].subject, key) == 0, "%s",
		first_problem());
	ck_assert_uint_eq(count_objects(), before - 1);
	expect_clean(true);
}
END_TEST

START_TEST(test_accounts_by_name)
{
	char *names[] = {(char[]){"user2"}, (char[]){"nobody"}, NULL};
	struct fsck_options options = {.accounts = names};

	ck_assert_int_eq(run_with(&options), 0);
	ck_assert_uint_eq(figures.accounts, 1);
	ck_assert_uint_eq(figures.errors, 1);
	ck_assert_str_eq(problems[0].subject, "nobody");
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fsck");
	TCase *tc = tcase_create("fsck");

	tcase_set_timeout(tc, 280);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_clean);
	tcase_add_test(tc, test_damage);
	tcase_add_test(tc, test_orphans);
	tcase_add_test(tc, test_repair_while_mounted);
	tcase_add_test(tc, test_no_orphans);
	tcase_add_test(tc, test_behind_the_seal);
	tcase_add_test(tc, test_accounts_by_name);
	suite_add_tcase(suite, tc);
	return suite;
}
