/*
 * The process is killed at each step of a checkpoint, and of the removal of segments and of old
 * checkpoints. An empty node then has all that was acknowledged; and the node itself goes on, with
 * the same accounts as an empty one.
 *
 * All work on a node is done in children: RocksDB's threads do not survive a fork.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "backends/file/file_backend.h"
#include "journal_kit.h"
#include "replication/keeper.h"
#include "util/failpoint.h"

#define ACCOUNTS 4
#define FLUSH_MS 60000
#define MOST_STEPS 600
#define BIG_FILES 9
#define BIG_BYTES (2 << 20)

struct shared {
	_Atomic uint64_t acknowledged; /* the number in the counter file */
	_Atomic uint64_t written;
};

static const char *const steps[] = {"checkpoint_writer.begin", "checkpoint_writer.part",
	"checkpoint_writer.part:2", "checkpoint_writer.parts", "keeper.snapshot",
	"keeper.checkpoint", "keeper.checkpoint:3", "keeper.segment", "keeper.segment_removed",
	"keeper.segment_removed:5", "keeper.part_removed", "keeper.part_removed:2",
	"keeper.old_checkpoint", "keeper.old_checkpoint_removed",
	"keeper.old_checkpoint_removed:2"};

static char directory[64];
static struct shared *shared;
static struct node_fixture f;
static struct journal *journal;
static struct keeper *keeper;
static struct journal_kit kit = {.volume = {{9, 8, 7}}, .accepts_uncertain = true};

static void use_objects(struct node_fixture *fixture)
{
	char objects[96], *message = NULL;

	snprintf(objects, sizeof(objects), "%s/objects", directory);
	backend_free(fixture->backend);
	ck_assert_int_eq(file_backend_open(objects, &fixture->backend, &message), 0);
	fixture->options.backend = fixture->backend;
	fixture->options.journal = true;
	fixture->options.commit_interval_ms = 3600000;
}

static void open_all(void)
{
	static char db[96];
	struct journal_options options = {.node = {{4, 5, 6}},
		.incarnation = 1,
		.commit_interval_ms = 1000,
		.commit_timeout_ms = FLUSH_MS,
		.max_in_flight = 4,
		.part_bytes = 1000};
	struct keeper_options keeping = {.volume = kit.volume,
		.node_uuid = options.node,
		.incarnation = 1,
		.quiet_ms = 3600000,
		.background_bytes_per_s = UINT64_C(1) << 40,
		.part_bytes = 1000};
	char *message = NULL;

	node_fixture_init(&f);
	use_objects(&f);
	snprintf(db, sizeof(db), "%s/db", directory);
	f.options.directory = db;
	ck_assert_int_eq(node_open(&f.options, &f.node, &message), 0);
	ck_assert_int_eq(fs_open(f.node, &f.fs), 0);
	ck_assert_msg(
		journal_open(f.node, f.backend, &options, &journal, &message) == 0, "%s", message);
	keeping.node = f.node;
	keeping.backend = f.backend;
	keeping.journal = journal;
	ck_assert_int_eq(keeper_start(&keeping, &keeper), 0);
}

static void close_all(void)
{
	keeper_stop(keeper);
	ck_assert_int_eq(journal_close(journal, FLUSH_MS), 0);
	fs_close(f.fs);
	node_close(f.node);
	backend_free(f.backend);
}

static uint64_t look_up_or_make(uint64_t parent, const char *name, bool is_file)
{
	struct fs_attributes a;

	if (fs_lookup(f.fs, parent, name, &a) == 0)
		return a.ino;
	return is_file ? node_fixture_create(f.fs, parent, name)
		       : node_fixture_mkdir(f.fs, parent, name);
}

static uint64_t account_inode(unsigned int i)
{
	char name[16];

	snprintf(name, sizeof(name), "user%u", i);
	return look_up_or_make(FS_ROOT_INO, name, false);
}

static void write_noise(uint64_t ino, size_t n, unsigned int *seed)
{
	uint8_t *data = malloc(n);

	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)rand_r(seed);
	ck_assert_int_eq(node_fixture_write(f.fs, ino, 0, data, n), 0);
	free(data);
}

static void one_step(unsigned int *seed)
{
	uint64_t n = shared->written + 1;
	char name[16];

	/* All accounts are in one segment, which so has parts. */
	for (unsigned int i = 0; i < ACCOUNTS; i++) {
		snprintf(name, sizeof(name), "f%d", rand_r(seed) % 8);
		write_noise(look_up_or_make(account_inode(i), name, true),
			1 + (size_t)rand_r(seed) % 5000, seed);
	}
	ck_assert_int_eq(
		node_fixture_write(
			f.fs, look_up_or_make(account_inode(0), "counter", true), 0, &n, sizeof(n)),
		0);
	shared->written = n;
	ck_assert_int_eq(journal_flush(journal, FLUSH_MS), 0);
	shared->acknowledged = n;
}

static void checkpoint_all(void)
{
	struct keeper_job job = {.timeout_ms = FLUSH_MS};

	ck_assert_int_eq(keeper_checkpoint(keeper, &job), 0);
}

/* An old journal, and an account that is too large for one object. */
static void prepare(void)
{
	unsigned int seed = 1;
	char name[16];

	open_all();
	for (int i = 0; i < KEEPER_YOUNG_SEGMENTS; i++)
		one_step(&seed);
	for (int i = 0; i < BIG_FILES; i++) {
		snprintf(name, sizeof(name), "box%d", i);
		write_noise(look_up_or_make(look_up_or_make(account_inode(1), name, false),
				    "dovecot.index.cache", true),
			BIG_BYTES, &seed);
	}
	checkpoint_all();
	close_all();
	_exit(0);
}

static void work(const char *step)
{
	unsigned int seed = 7;

	ck_assert_int_eq(failpoint_set(step), 0);
	open_all();
	for (int i = 0; i < MOST_STEPS; i++) {
		one_step(&seed);
		if (i % 3 == 2)
			checkpoint_all();
	}
	_exit(0);
}

/* ---- afterwards */

static void open_restored(struct node_fixture *reader)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	char *message = NULL;

	node_fixture_init(reader);
	use_objects(reader);
	ck_assert_int_eq(node_open(&reader->options, &reader->node, &message), 0);
	journal_kit_restore(&kit, reader, (2U << ACCOUNTS) - 1, true, results);
	for (unsigned int i = 0; i <= ACCOUNTS; i++)
		ck_assert_msg(results[i].error == 0, "account %u: %d %s", i, results[i].error,
			results[i].message);
	ck_assert_int_eq(fs_open(reader->node, &reader->fs), 0);
}

static uint64_t read_counter(struct node_fixture *fixture)
{
	struct fs_attributes a;
	uint64_t n = 0;

	ck_assert_int_eq(fs_lookup(fixture->fs, FS_ROOT_INO, "user0", &a), 0);
	ck_assert_int_eq(fs_lookup(fixture->fs, a.ino, "counter", &a), 0);
	ck_assert_int_eq(node_fixture_read(fixture->fs, a.ino, 0, &n, sizeof(n)), sizeof(n));
	return n;
}

static void verify_loss(void)
{
	struct node_fixture reader;

	open_restored(&reader);
	ck_assert_uint_ge(read_counter(&reader), shared->acknowledged);
	node_fixture_done(&reader);
	_exit(0);
}

static size_t count_keys(const char *prefix)
{
	struct backend_result page;
	size_t n;

	ck_assert_int_eq(
		backend_list_wait(f.backend, prefix, NULL, BACKEND_LIST_MAX_ENTRIES, &page), 0);
	n = page.n_entries;
	backend_result_done(&page);
	return n;
}

/* And nothing is left lying about: at the end there is one segment, and its parts. */
static void verify_restart(void)
{
	struct node_fixture reader;
	unsigned int seed = 11;
	size_t n = 0;

	open_all();
	ck_assert_uint_ge(read_counter(&f), shared->written);
	one_step(&seed);
	checkpoint_all();
	open_restored(&reader);
	journal_kit_compare(&f, &reader);
	node_fixture_done(&reader);
	for (int i = 0; i < 3000; i++) {
		n = count_keys("journal/");
		if (n <= 1 + ACCOUNTS)
			break;
		usleep(10000);
	}
	ck_assert_uint_le(n, 1 + ACCOUNTS);
	close_all();
	_exit(0);
}

/* ---- the parent */

static int run_child(void (*child)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		child();
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void kill_at(const char *step)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		work(step);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		"the failpoint %s was not reached (%d)", step, status);
	ck_assert_msg(run_child(verify_loss) == 0, "killed at %s: an empty node", step);
	ck_assert_msg(run_child(verify_restart) == 0, "killed at %s: the same node", step);
}

START_TEST(test_killed_at_each_step)
{
	char text[128];

	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	snprintf(directory, sizeof(directory), "/tmp/mailfs-keeper-kill-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(text, sizeof(text), "%s/objects", directory);
	ck_assert_int_eq(mkdir(text, 0700), 0);
	ck_assert_int_eq(run_child(prepare), 0);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		kill_at(steps[i]);
	snprintf(text, sizeof(text), "rm -rf '%s'", directory);
	ck_assert_int_eq(system(text), 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("keeper_kill");
	TCase *tc = tcase_create("keeper_kill");

	tcase_set_timeout(tc, 240);
	tcase_add_test(tc, test_killed_at_each_step);
	suite_add_tcase(suite, tc);
	return suite;
}
