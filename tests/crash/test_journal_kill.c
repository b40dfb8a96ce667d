/*
 * A node with a journal over file:// is killed at a random moment of its work, again and again.
 * Afterwards the journal lacks something or nothing: the next segment has just that, read from the
 * store's log, and with it the journal's replay is the store again. What was acknowledged before
 * the end was in the journal without it.
 *
 * The same with a loss of power (log_watch.h): then the store may be behind its journal. Either
 * that is noticed, or nothing acknowledged is missing from both.
 *
 * All work on a node is done in children: RocksDB's threads do not survive a fork.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "backends/file/file_backend.h"
#include "cache/cut.h"
#include "cache/node_private.h"
#include "journal_model.h"
#include "log_watch.h"
#include "node_fixture.h"
#include "replication/journal.h"
#include "util/clock.h"

#define DEFAULT_ROUNDS 30
#define MOST_SECONDS 40
#define FILES 10

/* Seen by parent and children. */
struct shared {
	_Atomic uint64_t written, acknowledged; /* the number in the counter file */
	_Atomic uint64_t behind; /* rounds in which the store was behind its journal */
	_Atomic uint64_t late;   /* rounds in which the journal lacked something */
};

static char directory[64];
static struct shared *shared;
static const struct fs_caller caller = {0};
static const struct uuid node_uuid = {{4, 5, 6}};

struct opened {
	struct backend *backend;
	struct node *node;
	struct fs *fs;
	struct journal *journal;
	uint64_t account, counter;
};

__attribute__((format(printf, 1, 2))) static void give_up(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	_exit(99);
}

static void must(int r, const char *what)
{
	if (r < 0)
		give_up("%s: %s", what, strerror(-r));
}

static uint64_t look_up_or_make(struct opened *o, uint64_t parent, const char *name, bool is_file)
{
	struct fs_attributes a;

	if (fs_lookup(o->fs, parent, name, &a) == 0)
		return a.ino;
	if (is_file)
		must(fs_mknod(o->fs, &caller, parent, name, S_IFREG | 0600, 0, &a), "mknod");
	else
		must(fs_mkdir(o->fs, &caller, parent, name, 0700, &a), "mkdir");
	return a.ino;
}

static void open_node(struct opened *o)
{
	char db[96], objects[96];
	struct node_options options = {
		.directory = db,
		.account_depth = 1,
		.memory_bytes = 8 << 20,
		.commit_interval_ms = 3600000, /* no uploads */
		.journal = true,
	};
	char *message = NULL;

	snprintf(db, sizeof(db), "%s/db", directory);
	snprintf(objects, sizeof(objects), "%s/objects", directory);
	must(file_backend_open(objects, &o->backend, &message), "file_backend_open");
	options.backend = o->backend;
	must(node_open(&options, &o->node, &message), "node_open");
}

static int try_journal(struct opened *o, unsigned int seed, char **ret_message)
{
	struct journal_options options = {
		.node = node_uuid,
		.incarnation = 1,
		.commit_interval_ms = 1 + seed % 20,
		.commit_timeout_ms = 20000,
		.max_in_flight = 4,
		.part_bytes = seed % 3 == 0 ? 4096 : 0,
	};

	return journal_open(o->node, o->backend, &options, &o->journal, ret_message);
}

static void open_journal(struct opened *o, unsigned int seed)
{
	char *message = NULL;

	if (try_journal(o, seed, &message) < 0)
		give_up("journal_open: %s", message);
}

static void acknowledged(void *arg, int error)
{
	if (error == 0)
		shared->acknowledged = (uint64_t)(uintptr_t)arg;
}

static void one_step(struct opened *o, unsigned int *seed)
{
	static uint8_t data[40000];
	struct fs_attributes a;
	char name[16];

	snprintf(name, sizeof(name), "f%d", rand_r(seed) % FILES);
	if (rand_r(seed) % 4 == 0) {
		(void)fs_unlink(o->fs, o->account, name);
		return;
	}
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)rand_r(seed);
	a.ino = look_up_or_make(o, o->account, name, true);
	if (rand_r(seed) % 3 == 0)
		must(node_fixture_truncate(o->fs, a.ino, (uint64_t)rand_r(seed) % 30000),
			"truncate");
	else
		must(node_fixture_write(o->fs, a.ino, (uint64_t)rand_r(seed) % 50000, data,
			     1 + (size_t)rand_r(seed) % sizeof(data)),
			"write");
	fs_forget(o->fs, a.ino, 1);
}

static void work(unsigned int seed)
{
	struct opened o;
	uint64_t n = shared->written;

	open_node(&o);
	open_journal(&o, seed);
	must(fs_open(o.node, &o.fs), "fs_open");
	o.account = look_up_or_make(&o, FS_ROOT_INO, "user", false);
	o.counter = look_up_or_make(&o, o.account, "counter", true);
	for (;;) {
		one_step(&o, &seed);
		n++;
		must(node_fixture_write(o.fs, o.counter, 0, &n, sizeof(n)), "write");
		shared->written = n;
		if (rand_r(&seed) % 4 == 0)
			journal_wait(o.journal, cut_last_lsn(o.node), acknowledged,
				(void *)(uintptr_t)n);
	}
}

/* ---- verification, in another child */

static uint64_t counted(const struct journal_model *model, uint64_t ino)
{
	struct key key = key_data(ino, 0);
	const struct model_record *r = journal_model_find(model, STORE_DATA, &key);
	uint64_t n = 0;

	if (r != NULL && r->value_bytes >= sizeof(n))
		memcpy(&n, r->value, sizeof(n));
	return n;
}

static void replay(struct journal_model *model, const struct opened *o)
{
	if (!journal_model_replay(model, o->backend, &node_uuid, 1))
		give_up("the journal cannot be replayed");
}

static uint64_t find_counter(struct opened *o)
{
	struct fs_attributes a;
	uint64_t ino = 0;

	must(fs_open(o->node, &o->fs), "fs_open");
	if (fs_lookup(o->fs, FS_ROOT_INO, "user", &a) == 0 &&
		fs_lookup(o->fs, a.ino, "counter", &a) == 0)
		ino = a.ino;
	return ino;
}

/* Whether it was noticed that the store is behind. */
static bool open_after(struct opened *o, unsigned int round, bool power)
{
	char *message = NULL;
	int r = try_journal(o, round, &message);

	if (r == -EUCLEAN && power)
		return true;
	if (r < 0)
		give_up("journal_open: %s", message);
	return false;
}

static void verify(unsigned int round, bool power)
{
	struct journal_model model = {.n = 0};
	struct opened o;
	uint64_t before, ino, n_whole;

	open_node(&o);
	replay(&model, &o);
	ino = power ? 0 : find_counter(&o);
	if (ino != 0 && counted(&model, ino) < shared->acknowledged)
		give_up("%llu was acknowledged, the journal has %llu",
			(unsigned long long)shared->acknowledged,
			(unsigned long long)counted(&model, ino));
	before = model.n_segments;
	n_whole = model.n_whole;
	if (open_after(&o, round, power)) {
		shared->behind++;
		_exit(0);
	}
	must(journal_flush(o.journal, 20000), "flush");
	replay(&model, &o);
	if (!journal_model_equals(&model, o.node))
		give_up("the journal is not the store");
	ino = find_counter(&o);
	if (ino == 0 ? shared->acknowledged > 0 : counted(&model, ino) < shared->acknowledged)
		give_up("what was acknowledged is gone");
	shared->late += model.n_segments > before;
	if (before > 0 && model.n_whole != n_whole)
		give_up("accounts came whole although the log was there");
	if (model.n_segments > before + 1)
		give_up("the rest is not one segment");
	/* What was made and removed again since is removed once more; but no value comes twice. */
	if (before > 0 && model.n_segments > before && model.last_redundant > 0)
		give_up("%llu of %llu records are no difference",
			(unsigned long long)model.last_redundant,
			(unsigned long long)model.last_records);
	fs_close(o.fs);
	must(journal_close(o.journal, 20000), "journal_close");
	node_close(o.node);
	backend_free(o.backend);
	journal_model_done(&model);
	_exit(0);
}

/* ---- the parent */

static int wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* Another beginning: there is no catching up yet. */
static void begin_anew(void)
{
	char text[256];

	snprintf(text, sizeof(text), "rm -rf '%s'/* && mkdir '%s/objects'", directory, directory);
	ck_assert_int_eq(system(text), 0);
	shared->written = shared->acknowledged = 0;
	log_watch_start(); /* numbers of logs begin anew too */
}

static void one_round(unsigned int round, bool power)
{
	uint64_t before = shared->written, end_ms, n_behind = shared->behind;
	unsigned int seed = round;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		work(round * 7919 + 1);
	/* At a moment of its work, not while it opens. */
	end_ms = clock_monotonic_ms() + 5000;
	while (shared->written < before + 3 && clock_monotonic_ms() < end_ms)
		clock_sleep_ms(1);
	clock_sleep_ms(round * 37 % 150);
	kill(pid, SIGKILL);
	status = wait_for(pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		"round %u: the worker ended by itself (%d)", round, status);
	if (power)
		log_watch_lose_power(directory, &seed);
	pid = fork();
	if (pid == 0)
		verify(round, power);
	status = wait_for(pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		"round %u: the state afterwards is wrong (%d)", round, status);
	if (shared->behind > n_behind)
		begin_anew();
}

static void run_rounds(bool power)
{
	const char *wanted = getenv("MAILFS_TEST_ROUNDS");
	unsigned int rounds = wanted != NULL ? (unsigned int)atoi(wanted) : DEFAULT_ROUNDS;
	uint64_t end_ms = clock_monotonic_ms() + MOST_SECONDS * 1000;
	char text[128];

	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	log_watch_start();
	snprintf(directory, sizeof(directory), "/tmp/mailfs-journal-kill-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(text, sizeof(text), "%s/objects", directory);
	ck_assert_int_eq(mkdir(text, 0700), 0);
	for (unsigned int i = 0; i < rounds && clock_monotonic_ms() < end_ms; i++)
		one_round(i, power);
	ck_assert_uint_gt(shared->late, 0);
	ck_assert_int_eq(shared->behind > 0, power);
	snprintf(text, sizeof(text), "rm -rf '%s'", directory);
	ck_assert_int_eq(system(text), 0);
}

START_TEST(test_killed_again_and_again)
{
	run_rounds(false);
}
END_TEST

START_TEST(test_power_lost_again_and_again)
{
	run_rounds(true);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("journal_kill");
	TCase *tc = tcase_create("journal_kill");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_killed_again_and_again);
	tcase_add_test(tc, test_power_lost_again_and_again);
	suite_add_tcase(suite, tc);
	return suite;
}
