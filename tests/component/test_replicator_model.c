/*
 * Nodes with a replicator, one after the other, under random operations on many accounts, beside a
 * model in memory. Again and again a node is started anew, hands the volume over, or is lost while
 * it works: another one with an empty store takes over, and has the model's names, contents,
 * extended attributes and links as they were after some operation, none before the last that was
 * waited for. Where the first one lives, it gets -ESTALE from then on; where it had been flushed,
 * both also have the same attributes and times. To every other seed's store some segments take
 * longer, so that later ones overtake them.
 *
 * MAILFS_TEST_SEEDS: how many seeds (default: as many as fit into 50 seconds, 30 with a
 * sanitizer).
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "journal_kit.h"
#include "operation_model.h"
#include "test_machine.h"
#include "util/clock.h"

#define ACCOUNTS OPERATION_MODEL_ACCOUNTS
#define DIRECTORIES OPERATION_MODEL_DIRECTORIES
#define NAMES OPERATION_MODEL_NAMES
#define MAX_BYTES OPERATION_MODEL_MAX_BYTES
#define OPERATIONS 120
/* It waits for the disk most of the time, and others may have the processors. */
#ifdef MAILFS_SANITIZED
#define MOST_SECONDS 30
#else
#define MOST_SECONDS 50
#endif
#define PATIENCE_MS 30000
#define HIGHEST_ACCOUNT 4096      /* numbers are skipped at each start */
#define COUNTER "dovecot-uidlist" /* of its own account: how many operations were done */

static unsigned int events; /* the seed of what happens besides */

static size_t random_below(unsigned int *seed, size_t n)
{
	return (size_t)rand_r(seed) % n;
}

static uint32_t some_interval_ms(void)
{
	static const uint32_t intervals_ms[] = {1, 5, 50, 1000};

	return intervals_ms[random_below(&events, 4)];
}

/* ---- operations on a node */

/* No reference is kept. */
static int try_look_up(struct test_machine *m, uint64_t parent, const char *name, uint64_t *ret_ino)
{
	struct fs_attributes a;
	int r = fs_lookup(m->fixture.fs, parent, name, &a);

	if (r < 0)
		return r;
	fs_forget(m->fixture.fs, a.ino, 1);
	*ret_ino = a.ino;
	return 0;
}

/* 0: there is none. */
static uint64_t look_up(struct test_machine *m, uint64_t parent, const char *name)
{
	uint64_t ino = 0;
	int r = try_look_up(m, parent, name, &ino);

	ck_assert_msg(r == 0 || r == -ENOENT, "lookup of %s: %d", name, r);
	return ino;
}

static uint64_t account_of(struct test_machine *m, size_t account)
{
	char name[16];

	snprintf(name, sizeof(name), "account%zu", account);
	return look_up(m, FS_ROOT_INO, name);
}

static uint64_t directory_of(struct test_machine *m, size_t account, size_t directory)
{
	uint64_t parent = account_of(m, account);

	return parent == 0 ? 0 : look_up(m, parent, directory == 0 ? "cur" : "other");
}

static void make_directory(struct test_machine *m, uint64_t parent, const char *name)
{
	fs_forget(m->fixture.fs, node_fixture_mkdir(m->fixture.fs, parent, name), 1);
}

static void change_directories(struct test_machine *m, const struct operation *o)
{
	const char *directory = o->directory == 0 ? "cur" : "other";
	char account[16];

	snprintf(account, sizeof(account), "account%zu", o->account);
	if (o->what == MAKE_ACCOUNT)
		make_directory(m, FS_ROOT_INO, account);
	else if (o->what == REMOVE_ACCOUNT)
		ck_assert_int_eq(fs_rmdir(m->fixture.fs, FS_ROOT_INO, account), 0);
	else if (o->what == MAKE_DIRECTORY)
		make_directory(m, account_of(m, o->account), directory);
	else
		ck_assert_int_eq(fs_rmdir(m->fixture.fs, account_of(m, o->account), directory), 0);
}

static int change_file(struct test_machine *m, const struct operation *o, uint64_t parent)
{
	struct fs *fs = m->fixture.fs;
	uint64_t ino = look_up(m, parent, operation_model_names[o->name]);
	uint8_t data[MAX_BYTES];
	uint32_t xattr = o->noise | 1;

	ck_assert_uint_ne(ino, 0);
	switch (o->what) {
	case WRITE:
		operation_model_fill(o, data);
		return node_fixture_write(fs, ino, o->at, data, o->n);
	case TRUNCATE:
		return node_fixture_truncate(fs, ino, o->at);
	case SET_XATTR:
		return fs_setxattr(fs, ino, "user.x", &xattr, sizeof(xattr), 0);
	case RENAME:
		return node_fixture_rename(fs, parent, operation_model_names[o->name],
			directory_of(m, o->account, o->to_directory),
			operation_model_names[o->to_name], 0);
	case LINK:
		return node_fixture_link(fs, ino, directory_of(m, o->account, o->to_directory),
			operation_model_names[o->to_name]);
	default:
		return fs_unlink(fs, parent, operation_model_names[o->name]);
	}
}

static void perform(struct test_machine *m, const struct operation *o)
{
	uint64_t parent;
	int r;

	if (o->what <= REMOVE_ACCOUNT) {
		change_directories(m, o);
		return;
	}
	parent = directory_of(m, o->account, o->directory);
	if (o->what == CREATE) {
		fs_forget(m->fixture.fs,
			node_fixture_create(m->fixture.fs, parent, operation_model_names[o->name]),
			1);
		return;
	}
	r = change_file(m, o, parent);
	ck_assert_msg(r >= 0, "operation %d: %d", o->what, r);
}

static uint64_t counter_of(struct test_machine *m)
{
	uint64_t parent = look_up(m, FS_ROOT_INO, "counter");

	return parent == 0 ? 0 : look_up(m, parent, COUNTER);
}

static uint64_t read_counter(struct test_machine *m)
{
	uint64_t n = 0, ino = counter_of(m);

	ck_assert_uint_ne(ino, 0);
	ck_assert_int_eq(node_fixture_read(m->fixture.fs, ino, 0, &n, sizeof(n)), sizeof(n));
	return n;
}

static void write_counter(struct test_machine *m, uint64_t n)
{
	ck_assert_int_eq(node_fixture_write(m->fixture.fs, counter_of(m), 0, &n, sizeof(n)), 0);
}

/* ---- comparing: what differs is in `difference` */

static char difference[256];

__attribute__((format(printf, 1, 2))) static bool differs(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(difference, sizeof(difference), format, arguments);
	va_end(arguments);
	return false;
}

static bool same_file(struct test_machine *m, uint64_t ino, const struct model_file *file)
{
	struct fs_attributes a;
	uint8_t data[MAX_BYTES];
	uint32_t xattr = 0;

	ck_assert_int_eq(fs_getattr(m->fixture.fs, ino, &a), 0);
	if (a.size_bytes != file->size_bytes || a.nlink != file->n_names)
		return differs("%llu bytes, %u names; expected %zu, %u",
			(unsigned long long)a.size_bytes, a.nlink, file->size_bytes, file->n_names);
	if (a.size_bytes > 0) {
		ssize_t n = node_fixture_read(m->fixture.fs, ino, 0, data, sizeof(data));

		if (n != (ssize_t)a.size_bytes || memcmp(data, file->data, (size_t)n) != 0)
			return differs("other content (%zd bytes read)", n);
	}
	if (fs_getxattr(m->fixture.fs, ino, "user.x", &xattr, sizeof(xattr)) < 0)
		xattr = 0;
	return xattr == file->xattr || differs("attribute %u, not %u", xattr, file->xattr);
}

static bool same_name(struct test_machine *m, const struct operation_model *model, size_t a,
	size_t d, size_t n, uint64_t directory)
{
	const struct model_file *file = model->names[a][d][n];
	uint64_t ino = look_up(m, directory, operation_model_names[n]);
	char why[sizeof(difference)];

	if ((ino != 0) != (file != NULL))
		return differs("account %zu, directory %zu: '%s' is%s there", a, d,
			operation_model_names[n], ino != 0 ? "" : " not");
	if (file == NULL || same_file(m, ino, file))
		return true;
	snprintf(why, sizeof(why), "%s", difference);
	return differs(
		"account %zu, directory %zu, '%s': %.150s", a, d, operation_model_names[n], why);
}

static bool count_entry(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	(void)name;
	(void)ino;
	(void)mode;
	(void)next;
	(void)attributes;
	++*(size_t *)arg;
	return true;
}

static bool same_directory(
	struct test_machine *m, const struct operation_model *model, size_t a, size_t d)
{
	uint64_t ino = directory_of(m, a, d);
	size_t n_found = 0, n_expected = 2; /* . and .. */

	if ((ino != 0) != model->has_directory[a][d])
		return differs("account %zu: directory %zu is%s there", a, d, ino ? "" : " not");
	if (ino == 0)
		return true;
	for (size_t n = 0; n < NAMES; n++) {
		if (!same_name(m, model, a, d, n, ino))
			return false;
		n_expected += model->names[a][d][n] != NULL;
	}
	ck_assert_int_eq(fs_readdir(m->fixture.fs, ino, 0, false, count_entry, &n_found), 0);
	return n_found == n_expected || differs("account %zu, directory %zu: %zu entries, not %zu",
						a, d, n_found, n_expected);
}

static bool is_model(struct test_machine *m, const struct operation_model *model)
{
	for (size_t a = 0; a < ACCOUNTS; a++) {
		if ((account_of(m, a) != 0) != model->has_account[a])
			return differs(
				"account %zu is%s there", a, model->has_account[a] ? " not" : "");
		for (size_t d = 0; d < DIRECTORIES && model->has_account[a]; d++) {
			if (!same_directory(m, model, a, d))
				return false;
		}
	}
	return true;
}

/* ---- a run */

struct run {
	unsigned int seed;
	struct test_machine *machine;
	struct operation_model model;
	uint64_t n_done;         /* operations */
	uint64_t n_acknowledged; /* of them: known to be on the backend */
};

static uint64_t n_losses, n_behind, n_restarts, n_hand_overs;

/* What is on the machine after a loss: as after n_found operations, or one more whose number did
 * not get there. The run goes on from that. */
static void accept(struct run *run)
{
	uint64_t n_found = read_counter(run->machine);

	ck_assert_msg(n_found >= run->n_acknowledged && n_found <= run->n_done,
		"seed %u: %llu operations found; %llu done, %llu acknowledged", run->seed,
		(unsigned long long)n_found, (unsigned long long)run->n_done,
		(unsigned long long)run->n_acknowledged);
	n_behind += n_found < run->n_done;
	operation_model_make(&run->model, run->seed, n_found);
	if (!is_model(run->machine, &run->model)) {
		char first[sizeof(difference)];

		memcpy(first, difference, sizeof(first));
		operation_model_make(&run->model, run->seed, ++n_found);
		ck_assert_msg(is_model(run->machine, &run->model),
			"seed %u: neither after %llu operations (of %llu; %s) nor after one more "
			"(%s)",
			run->seed, (unsigned long long)n_found - 1, (unsigned long long)run->n_done,
			first, difference);
		write_counter(run->machine, n_found);
	}
	run->n_done = n_found;
}

/* It knows already, when a put of its own was on the way, or is told by the next. */
static void expect_stale(struct test_machine *m)
{
	uint64_t n = 0, ino;
	int r = try_look_up(m, FS_ROOT_INO, "counter", &ino);

	if (r == 0)
		r = try_look_up(m, ino, COUNTER, &ino);
	if (r == 0)
		r = node_fixture_write(m->fixture.fs, ino, 8, &n, sizeof(n));
	if (r == 0)
		r = test_machine_wait(m);
	ck_assert_int_eq(r, -ESTALE);
}

/* Another machine takes over in the middle of the work. */
static void lose(struct run *run)
{
	struct test_machine *next = test_machine_new(some_interval_ms());

	n_losses++;
	test_machine_load_all(next);
	expect_stale(run->machine);
	test_machine_remove(run->machine);
	run->machine = next;
	accept(run);
}

static void hand_over(struct run *run)
{
	struct test_machine *next;

	n_hand_overs++;
	ck_assert_int_eq(test_machine_wait(run->machine), 0);
	next = test_machine_new(some_interval_ms());
	test_machine_load_all(next);
	journal_kit_compare(&run->machine->fixture, &next->fixture);
	test_machine_remove(run->machine);
	run->machine = next;
	ck_assert_msg(is_model(run->machine, &run->model), "seed %u: %s", run->seed, difference);
	run->n_acknowledged = run->n_done;
}

static void restart(struct run *run)
{
	bool flushes = random_below(&events, 2) == 0;
	int r = test_machine_close(run->machine, flushes ? PATIENCE_MS : 0);

	n_restarts++;
	ck_assert(r == 0 || !flushes);
	run->machine->commit_interval_ms = some_interval_ms();
	test_machine_open(run->machine);
	test_machine_load_all(run->machine);
	ck_assert_msg(is_model(run->machine, &run->model), "seed %u: %s", run->seed, difference);
	if (flushes)
		run->n_acknowledged = run->n_done;
}

static void move_bodies(struct run *run)
{
	uint64_t evicted;

	ck_assert_int_eq(node_flush(run->machine->fixture.node, PATIENCE_MS), 0);
	if (random_below(&events, 2) == 0)
		ck_assert_int_eq(node_evict(run->machine->fixture.node, 0, &evicted), 0);
}

static void happen(struct run *run)
{
	size_t dice = random_below(&events, 1000);

	if (dice < 12)
		lose(run);
	else if (dice < 18)
		hand_over(run);
	else if (dice < 26)
		restart(run);
	else if (dice < 50)
		move_bodies(run);
	else if (dice < 100) {
		ck_assert_int_eq(test_machine_wait(run->machine), 0);
		run->n_acknowledged = run->n_done;
	}
}

static void begin(struct run *run, unsigned int seed)
{
	struct test_machine *m;

	*run = (struct run){.seed = seed, .model.seed = seed};
	events = seed * 31 + 7;
	snprintf(test_machine_store, sizeof(test_machine_store), "replicator-model-%u", seed);
	snprintf(test_machine_faults, sizeof(test_machine_faults),
		"put:key=journal*:p=%s:seed=%u:delay=%zums", seed % 2 == 0 ? "0" : "0.3", seed,
		1 + random_below(&events, 20));
	m = run->machine = test_machine_new(some_interval_ms());
	make_directory(m, FS_ROOT_INO, "counter");
	fs_forget(m->fixture.fs,
		node_fixture_create(m->fixture.fs, look_up(m, FS_ROOT_INO, "counter"), COUNTER), 1);
	write_counter(m, 0);
	ck_assert_int_eq(test_machine_wait(m), 0);
}

static void run_seed(unsigned int seed)
{
	struct run run;

	begin(&run, seed);
	while (run.n_done < OPERATIONS) {
		struct operation o = operation_model_next(&run.model);

		perform(run.machine, &o);
		operation_model_apply(&run.model, &o);
		write_counter(run.machine, ++run.n_done);
		happen(&run);
	}
	lose(&run);
	hand_over(&run);
	test_machine_remove(run.machine);
	operation_model_done(&run.model);
}

START_TEST(test_random_operations)
{
	const char *wanted = getenv("MAILFS_TEST_SEEDS");
	uint64_t end_ms = clock_monotonic_ms() + MOST_SECONDS * 1000;
	unsigned int most = wanted != NULL ? (unsigned int)atoi(wanted) : 1000, n;

	ck_assert_int_eq(uuid_generate(&test_machine_volume), 0);
	for (n = 0; n < most && (wanted != NULL || clock_monotonic_ms() < end_ms); n++)
		run_seed(n + 1);
	printf("# %u seeds: %llu losses, of which %llu lost something; %llu restarts, "
	       "%llu times handed over\n",
		n, (unsigned long long)n_losses, (unsigned long long)n_behind,
		(unsigned long long)n_restarts, (unsigned long long)n_hand_overs);
	ck_assert_uint_gt(n_restarts, 0);
	ck_assert_uint_gt(n_behind, 0); /* or the model would never have been needed */
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("replicator_model");
	TCase *tc = tcase_create("replicator_model");

	tcase_set_timeout(tc, getenv("MAILFS_TEST_SEEDS") != NULL ? 36000 : 300);
	tcase_add_test(tc, test_random_operations);
	suite_add_tcase(suite, tc);
	return suite;
}
