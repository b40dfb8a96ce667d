/*
 * What is durable when an operation has returned: each row of doc/durability.md (sync_rows.c), with
 * both ways to acknowledge, per mount and per account, on a node with its replicator over file://.
 * The process is killed right behind the last call of the row. Then, each on a copy of what is
 * left,
 *
 *   restart  the same state directory: process death has lost nothing at all;
 *   power    the same after a loss of power (log_watch.h): nothing durable is missing;
 *   restore  an empty one: with ack=remote all that is durable is there, and nothing else, since
 *            nothing else has asked for a commit; with ack=local what was there before the row.
 *
 * Trees are compared as text: names, attributes, times, extended attributes, content.
 * All work on a node is done in children: RocksDB's threads do not survive a fork.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "backends/fault_backend.h"
#include "backends/file/file_backend.h"
#include "log_watch.h"
#include "sync_rows.h"
#include "test_machine.h"
#include "tree_text.h"
#include "util/clock.h"

#define STATE_BYTES 16384
#define MAX_STATES 64
#define LARGE_BYTES 300000
#define NEVER_MS 3600000 /* what nobody asks for is not shipped while the test runs */
#define SHORT_MS 500
#define PATIENCE_MS 60000
#define ACCOUNT "user"

struct mode {
	const char *name;
	bool is_remote, other_mount, strict;
};

static const struct mode modes[] = {
	{"ack=local", false, false, false},
	{"ack=remote", true, false, false},
	{"ack=remote, the account local", false, true, false},
	{"ack=local, the account remote", true, true, false},
	{"ack=local, sync=strict", false, false, true},
	{"ack=remote, sync=strict", true, false, true},
};

/* Seen by parent and children. */
struct shared {
	struct test_machine machine; /* what it has noted */
	int last, base, durable;     /* indices of the states: after the last call, … */
	char states[MAX_STATES][STATE_BYTES];
};

static struct shared *shared;
static char directory[40];
static const struct fs_caller caller = {.thread = SYNC_ROWS_THREAD};

static void describe(struct fs *fs, char ret[STATE_BYTES])
{
	tree_text(fs, ACCOUNT, ret, STATE_BYTES);
}

/* After each call that changes something: nothing else may ever be seen after a crash. */
static void note_state(void)
{
	ck_assert_int_lt(shared->last + 1, MAX_STATES);
	describe(shared->machine.fixture.fs, shared->states[++shared->last]);
}

/* ---- a machine in a directory below ours */

static struct test_machine *machine_in(const char *place, bool is_new, const char *faults)
{
	struct test_machine *m = &shared->machine;
	char objects[64], *message = NULL;
	struct fault_rules rules = {0};

	snprintf(m->fixture.directory, sizeof(m->fixture.directory), "%s/%s/db", directory, place);
	snprintf(objects, sizeof(objects), "%s/%s/objects", directory, place);
	ck_assert_int_eq(file_backend_open(objects, &m->fixture.backend, &message), 0);
	if (faults != NULL)
		ck_assert_int_eq(
			fault_backend_new(m->fixture.backend, &rules, &m->fixture.backend), 0);
	m->fixture.options.directory = m->fixture.directory;
	m->fixture.options.backend = m->fixture.backend;
	if (is_new) {
		ck_assert_int_eq(uuid_generate(&m->uuid), 0);
		m->incarnation = m->epoch = 0;
	}
	return m;
}

static void set_mode(struct test_machine *m, const struct mode *mode)
{
	memset(m, 0, sizeof(*m));
	m->commit_interval_ms = NEVER_MS;
	m->syncs_notes = !mode->is_remote || mode->other_mount;
	m->fixture.options = (struct node_options){
		.account_depth = 1,
		.memory_bytes = 8 << 20,
		.commit_interval_ms = NEVER_MS,
		.ack = mode->is_remote != mode->other_mount ? NODE_ACK_REMOTE : NODE_ACK_LOCAL,
		.strict_sync = mode->strict,
		.journal = true,
	};
}

/* ---- the steps */

/* The directory of the path, and its last name. */
static uint64_t find_parent(struct fs *fs, const char *path, const char **ret_name)
{
	char name[64];
	struct fs_attributes a;
	const char *slash;

	ck_assert_int_eq(fs_lookup(fs, FS_ROOT_INO, ACCOUNT, &a), 0);
	for (; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
		snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path);
		ck_assert_int_eq(fs_lookup(fs, a.ino, name, &a), 0);
	}
	*ret_name = path;
	return a.ino;
}

static uint64_t find(struct fs *fs, const char *path, uint64_t *ret_size)
{
	const char *name;
	struct fs_attributes a;
	uint64_t parent = find_parent(fs, path, &name);

	if (name[0] == '\0')
		return parent;
	ck_assert_msg(fs_lookup(fs, parent, name, &a) == 0, "no %s", path);
	if (ret_size != NULL)
		*ret_size = a.size_bytes;
	return a.ino;
}

static int append(struct fs *fs, const char *path, size_t n)
{
	static uint8_t bytes[LARGE_BYTES];
	static unsigned int seed = 1;
	uint64_t size, ino = find(fs, path, &size);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)rand_r(&seed);
	for (size_t done = 0; done < n; done += 65536) {
		size_t piece = n - done < 65536 ? n - done : 65536;

		ck_assert_int_eq(node_fixture_write(fs, ino, size + done, bytes + done, piece), 0);
	}
	return 0;
}

static int set_attributes(struct fs *fs, const struct sync_step *step)
{
	struct fs_attributes values = {
		.mode = 0750, .size_bytes = 77, .mtime = {.tv_sec = 1700000000, .tv_nsec = 5}};
	uint64_t ino = find(fs, step->path, NULL);

	switch (step->type) {
	case STEP_XATTR:
		return fs_setxattr(fs, ino, "user.x", "value", 5, 0);
	case STEP_TRUNCATE:
		return node_fixture_truncate(fs, ino, values.size_bytes);
	case STEP_CHMOD:
		return node_fixture_setattr(fs, ino, FS_SET_MODE, &values);
	case STEP_TIMES:
		return node_fixture_setattr(fs, ino, FS_SET_MTIME, &values);
	case STEP_ALLOCATE:
		return node_fixture_fallocate(fs, ino, 0, 0, 20000);
	default:
		return node_fixture_fallocate(
			fs, ino, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 200);
	}
}

static int change_names(struct fs *fs, const struct sync_step *step)
{
	const char *name, *new_name;
	uint64_t parent = find_parent(fs, step->path, &name), new_parent;
	struct fs_attributes a;

	switch (step->type) {
	case STEP_MAKE:
	case STEP_LOCK:
		ck_assert_int_eq(fs_mknod(fs, &caller, parent, name, S_IFREG | 0600, 0, &a), 0);
		note_state();
		return append(fs, step->path, 500);
	case STEP_MKDIR:
		return fs_mkdir(fs, &caller, parent, name, 0700, &a);
	case STEP_SYMLINK:
		return fs_symlink(fs, &caller, "../target", parent, name, &a);
	case STEP_UNLINK:
		return fs_unlink(fs, parent, name);
	default:
		break;
	}
	new_parent = find_parent(fs, step->to, &new_name);
	if (step->type == STEP_LINK || step->type == STEP_PUBLISH_LINK)
		return node_fixture_link(fs, find(fs, step->path, NULL), new_parent, new_name);
	return node_fixture_rename_by(fs, step->type == STEP_PUBLISH_OWED ? SYNC_ROWS_THREAD : 0,
		parent, name, new_parent, new_name, 0);
}

static int call(struct test_machine *m, const struct sync_step *step)
{
	struct fs *fs = m->fixture.fs;

	switch (step->type) {
	case STEP_BASE:
		return replicator_commit(m->replicator, PATIENCE_MS);
	case STEP_APPEND:
		return append(fs, step->path, 500);
	case STEP_LARGE:
		return append(fs, step->path, LARGE_BYTES);
	case STEP_TRUNCATE:
	case STEP_ALLOCATE:
	case STEP_PUNCH:
	case STEP_CHMOD:
	case STEP_TIMES:
	case STEP_XATTR:
		return set_attributes(fs, step);
	case STEP_SYNC:
	case STEP_SYNC_LATER:
	case STEP_SYNC_COVERED:
		return node_fixture_fsync(fs, find(fs, step->path, NULL));
	default:
		return change_names(fs, step);
	}
}

static int do_step(const struct sync_step *step, bool strict)
{
	int r = call(&shared->machine, step);

	note_state();
	if (r == 0 && sync_step_is_durable(step, strict))
		shared->durable = shared->last;
	if (step->type == STEP_BASE)
		shared->base = shared->last;
	return r;
}

/* ---- the one that is killed */

static void open_worker(const struct mode *mode, const char *faults)
{
	const struct fs_ack_override override = {ACCOUNT, mode->is_remote};
	struct test_machine *m;
	struct fs_attributes a;

	set_mode(&shared->machine, mode);
	m = machine_in("node", true, faults);
	m->commit_timeout_ms = faults != NULL ? SHORT_MS : 0;
	test_machine_open(m);
	if (mode->other_mount)
		ck_assert_int_eq(fs_set_acks(m->fixture.fs, &override, 1), 0);
	ck_assert_int_eq(fs_mkdir(m->fixture.fs, &caller, FS_ROOT_INO, ACCOUNT, 0700, &a), 0);
}

_Noreturn static void die(void)
{
	kill(getpid(), SIGKILL);
	_exit(99);
}

static void work(const struct mode *mode, const struct sync_row *row)
{
	open_worker(mode, NULL);
	for (const struct sync_step *step = row->steps; step->type != STEP_END; step++) {
		int r = do_step(step, mode->strict);

		ck_assert_msg(r == 0, "%s: step %d: %d", row->name, (int)(step - row->steps), r);
	}
	die();
}

/* ---- what is left */

enum place { RESTART, POWER, RESTORE, PLACES };

static const char *const place_names[] = {"restart", "power", "restore"};

static bool is_state(const char *got, int n)
{
	return strcmp(got, shared->states[n]) == 0;
}

static bool is_one_of(const char *got, int first, int last)
{
	for (int i = first; i <= last; i++) {
		if (is_state(got, i))
			return true;
	}
	return false;
}

/* In a child. */
static void verify(enum place place, int first, int last)
{
	struct test_machine *m = machine_in(place_names[place], place == RESTORE, NULL);
	char *got = malloc(STATE_BYTES);

	test_machine_open(m);
	test_machine_load_all(m);
	describe(m->fixture.fs, got);
	if (is_one_of(got, first, last))
		_exit(0);
	fprintf(stderr, "%s: there is\n%snot what there was at %d to %d of %d:\n%sto\n%s",
		place_names[place], got, first, last, shared->last, shared->states[first],
		shared->states[last]);
	_exit(1);
}

static int run(const char *command)
{
	char text[400];

	snprintf(text, sizeof(text), "cd '%s' && %s", directory, command);
	return system(text);
}

static int wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* Shared memory that `what` has written stays as it is; what the next one notes does not. */
static void check_place(const char *what, enum place place, int first, int last)
{
	struct test_machine before = shared->machine;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		verify(place, first, last);
	status = wait_for(pid);
	shared->machine = before;
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: %s: wrong (%d)", what,
		place_names[place], status);
}

static void begin(void)
{
	snprintf(directory, sizeof(directory), "/tmp/mailfs-sync-kill-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(run("mkdir -p node/objects node/db"), 0);
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	shared->last = -1;
	log_watch_start();
}

static void end(void)
{
	char text[80];

	snprintf(text, sizeof(text), "rm -rf '%s'", directory);
	ck_assert_int_eq(system(text), 0);
	ck_assert_int_eq(munmap(shared, sizeof(*shared)), 0);
}

/* What the killed one has left, three times. */
static void copy_places(const char *what, pid_t worker, unsigned int seed)
{
	char power[64];
	int status = wait_for(worker);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		"%s: the worker ended by itself (%d)", what, status);
	ck_assert_int_eq(run("cp -a node restart && cp -a node power && "
			     "mkdir restore && cp -a node/objects restore/ && mkdir restore/db"),
		0);
	snprintf(power, sizeof(power), "%s/power", directory);
	log_watch_lose_power(power, &seed);
}

static void check_places(const char *what, const struct mode *mode)
{
	int shipped = mode->is_remote ? shared->durable : shared->base;

	/* What the store has does not depend on whom a sync waits for. */
	if (!mode->other_mount)
		check_place(what, RESTART, shared->last, shared->last);
	check_place(what, POWER, shared->durable, shared->last);
	check_place(what, RESTORE, shipped, shipped);
}

static void run_row(const struct mode *mode, const struct sync_row *row, unsigned int seed)
{
	char what[160];
	pid_t pid;

	snprintf(what, sizeof(what), "%s: %s", mode->name, row->name);
	begin();
	pid = fork();
	if (pid == 0)
		work(mode, row);
	copy_places(what, pid, seed);
	check_places(what, mode);
	end();
}

/* Strictness makes a difference to these only. */
static bool has_deferral(const struct sync_row *row)
{
	for (const struct sync_step *step = row->steps; step->type != STEP_END; step++) {
		if (sync_step_is_durable(step, true) && !sync_step_is_durable(step, false))
			return true;
	}
	return false;
}

START_TEST(test_rows)
{
	for (size_t i = 0; i < n_sync_rows; i++) {
		if (!modes[_i].strict || has_deferral(&sync_rows[i]))
			run_row(&modes[_i], &sync_rows[i], (unsigned int)i + 1);
	}
}
END_TEST

/* ---- a store that is away, and comes back */

static const struct sync_step away_steps[][4] = {
	{SYNC_STEP(MAKE, "dovecot.index.log"), SYNC_STEP_BASE,
		SYNC_STEP(APPEND, "dovecot.index.log"), SYNC_STEP(SYNC, "dovecot.index.log")},
	{SYNC_STEP(MKDIR, "new"), SYNC_STEP_BASE, SYNC_STEP(MAKE, "mail"),
		SYNC_STEP_TO(PUBLISH, "mail", "new/1700000000.M1P1.host")},
};

static const char *const away_paths[] = {"dovecot.index.log", "new"};

static void try_away(int row, bool comes_back)
{
	const struct sync_step *steps = away_steps[row];
	struct test_machine *m = &shared->machine;
	uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS, ino;
	char *message = NULL;
	int r;

	open_worker(&modes[1], "");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(do_step(&steps[i], false), 0);
	ck_assert_int_eq(fault_backend_set(m->fixture.backend, "put:error=EIO", &message), 0);
	ck_assert_int_eq(do_step(&steps[3], false), -EIO);
	ino = find(m->fixture.fs, away_paths[row], NULL);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(node_fixture_fsync(m->fixture.fs, ino), -EIO);
	if (!comes_back)
		die();
	ck_assert_int_eq(fault_backend_set(m->fixture.backend, "", &message), 0);
	do {
		r = node_fixture_fsync(m->fixture.fs, ino);
	} while (r == -EIO && clock_monotonic_ms() < end_ms);
	ck_assert_int_eq(r, 0);
	shared->durable = shared->last;
	die();
}

/* _i: which of the steps, and whether it is killed before or after the store has come back. */
START_TEST(test_away)
{
	bool comes_back = _i >= 2;
	pid_t pid;

	begin();
	pid = fork();
	if (pid == 0)
		try_away(_i % 2, comes_back);
	copy_places("the store is away", pid, (unsigned int)_i);
	ck_assert_int_eq(shared->durable > shared->base, comes_back);
	check_places("the store is away", &modes[1]);
	end();
}
END_TEST

/* ---- another node has taken over */

/* Replication only: nobody looks at what it serves. Never closed. */
static int take_over(struct test_machine *m, const char *db, bool is_new)
{
	struct node_options node_options = m->fixture.options;
	struct replicator_options options = {
		.backend = m->fixture.backend,
		.node_uuid = m->uuid,
		.incarnation = m->incarnation,
		.epoch = m->epoch,
		.commit_interval_ms = NEVER_MS,
		.commit_timeout_ms = PATIENCE_MS,
	};
	struct replicator *replicator;
	char path[64], *message = NULL;
	struct node *node;

	snprintf(path, sizeof(path), "%s/%s", directory, db);
	node_options.directory = path;
	if (is_new) {
		ck_assert_int_eq(uuid_generate(&options.node_uuid), 0);
		options.incarnation = options.epoch = 0;
	}
	ck_assert_int_eq(node_open(&node_options, &node, &message), 0);
	options.node = node;
	return replicator_open(&options, &replicator, &message);
}

static void be_fenced(void)
{
	static const struct sync_step steps[] = {SYNC_STEP(MAKE, "dovecot.index.log"),
		SYNC_STEP(MKDIR, "new"), SYNC_STEP(MAKE, "mail"), SYNC_STEP_BASE};
	static const struct sync_step late = SYNC_STEP(APPEND, "dovecot.index.log");
	struct fs *fs;
	uint64_t ino, account, new_directory;

	open_worker(&modes[1], NULL);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		ck_assert_int_eq(do_step(&steps[i], false), 0);
	fs = shared->machine.fixture.fs;
	ino = find(fs, "dovecot.index.log", NULL);
	account = find(fs, "", NULL);
	new_directory = find(fs, "new", NULL);
	ck_assert_int_eq(take_over(&shared->machine, "other", true), 0);
	ck_assert_int_eq(do_step(&late, false), 0); /* it does not know yet */
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(node_fixture_fsync(fs, ino), -ESTALE);
	ck_assert_int_eq(node_fixture_write(fs, ino, 0, "x", 1), -ESTALE);
	ck_assert_int_eq(
		node_fixture_rename(fs, account, "mail", new_directory, "1.M1P1.host", 0), -ESTALE);
	die();
}

static void come_back(void)
{
	struct test_machine *m = machine_in("restart", false, NULL);

	_exit(take_over(m, "restart/db", false) == -ESTALE ? 0 : 1);
}

START_TEST(test_fenced)
{
	pid_t pid;
	int status;

	begin();
	pid = fork();
	if (pid == 0)
		be_fenced();
	copy_places("fenced", pid, 1);
	check_place("fenced", RESTORE, shared->base, shared->base);
	pid = fork();
	if (pid == 0)
		come_back();
	status = wait_for(pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it is not superseded");
	end();
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("sync_kill");
	TCase *tc = tcase_create("sync_kill");

	tcase_set_timeout(tc, 600);
	tcase_add_loop_test(tc, test_rows, 0, sizeof(modes) / sizeof(modes[0]));
	tcase_add_loop_test(tc, test_away, 0, 4);
	tcase_add_test(tc, test_fenced);
	suite_add_tcase(suite, tc);
	return suite;
}
