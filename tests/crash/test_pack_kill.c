/*
 * A node with a journal is killed at each failpoint of packing, rewriting and removing, in the
 * first and in a later turn. Afterwards every body is there or not, as its last operation said, the
 * records of packs are what the extents say, and on the backend is what they lead to, nothing else.
 *
 * All work on a node is done in children: RocksDB's threads do not survive a fork.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "backends/file/file_backend.h"
#include "cache/account_check.h"
#include "cache/node_private.h"
#include "cache/pack_live.h"
#include "cache/packer.h"
#include "node_fixture.h"
#include "util/clock.h"
#include "util/failpoint.h"

#define BODIES 60
#define BODY_BYTES 2500
#define ACCOUNT 1
#define PATIENCE_MS 20000

static char directory[64];
static const struct fs_caller caller = {0};

struct opened {
	struct backend *backend;
	struct node *node;
	struct fs *fs;
	uint64_t account;
};

__attribute__((format(printf, 1, 2), noreturn)) static void give_up(const char *format, ...)
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

static void journal_has_it(
	void *arg, uint64_t lsn, void (*done)(void *arg, int error), void *done_arg)
{
	(void)arg;
	(void)lsn;
	done(done_arg, 0);
}

static void open_all(struct opened *o)
{
	char db[96], objects[96], *message = NULL;
	struct node_options options = {
		.directory = db,
		.account_depth = 1,
		.memory_bytes = 8 << 20,
		.commit_interval_ms = 1000,
		.journal = true,
	};
	struct node_replication replication = {.wait = journal_has_it};
	struct fs_attributes a;

	snprintf(db, sizeof(db), "%s/db", directory);
	snprintf(objects, sizeof(objects), "%s/objects", directory);
	(void)mkdir(objects, 0700);
	must(file_backend_open(objects, &o->backend, &message), "file_backend_open");
	options.backend = o->backend;
	must(node_open(&options, &o->node, &message), "node_open");
	node_set_replication(o->node, &replication);
	must(fs_open(o->node, &o->fs), "fs_open");
	if (fs_lookup(o->fs, FS_ROOT_INO, "user", &a) < 0)
		must(fs_mkdir(o->fs, &caller, FS_ROOT_INO, "user", 0700, &a), "mkdir");
	o->account = a.ino;
}

static void close_all(struct opened *o)
{
	fs_close(o->fs);
	node_close(o->node);
	backend_free(o->backend);
}

static uint8_t byte_at(unsigned int number, size_t i)
{
	return (uint8_t)(number * 7 + i * i / 13);
}

static const char *name_of(unsigned int number, char name[16])
{
	snprintf(name, 16, "u.%u", number + 1);
	return name;
}

static void make_bodies(struct opened *o)
{
	uint8_t data[BODY_BYTES];
	struct fs_attributes a;
	char name[16];

	for (unsigned int n = 0; n < BODIES; n++) {
		for (size_t i = 0; i < BODY_BYTES; i++)
			data[i] = byte_at(n, i);
		must(fs_mknod(o->fs, &caller, o->account, name_of(n, name), S_IFREG | 0600, 0, &a),
			"mknod");
		must(node_fixture_write(o->fs, a.ino, 0, data, sizeof(data)), "write");
		fs_forget(o->fs, a.ino, 1);
	}
}

static bool is_kept(unsigned int number)
{
	return number % 3 == 0;
}

/* The first turn packs, the next removes two thirds and rewrites. */
static void work(const char *rule)
{
	struct packer_options options = {.min_bytes_live = 0};
	struct packer_figures figures = {0};
	uint64_t until_ms;
	struct opened o;
	char name[16];

	open_all(&o);
	make_bodies(&o);
	must(commit_now(o.node->commit), "commit");
	must(failpoint_set(rule), "failpoint");
	must(packer_pack_account(o.node, ACCOUNT, &options, &figures), "packing");
	for (unsigned int n = 0; n < BODIES; n++) {
		if (!is_kept(n))
			must(fs_unlink(o.fs, o.account, name_of(n, name)), "unlink");
	}
	must(packer_pack_account(o.node, ACCOUNT, &options, &figures), "rewriting");
	must(node_flush(o.node, PATIENCE_MS), "flush");
	/* Only what waits for the reaper is left to do. */
	for (until_ms = clock_monotonic_ms() + PATIENCE_MS; clock_monotonic_ms() < until_ms;)
		usleep(10000);
	_exit(98);
}

static int seen(void *arg, const struct inode *inode, const struct upload *local)
{
	(void)arg;
	(void)inode;
	(void)local;
	return 0;
}

static void check_records(struct opened *o, const char *when)
{
	char *message = NULL;

	if (account_check(o->node, ACCOUNT, seen, NULL, &message) < 0)
		give_up("%s: %s", when, message != NULL ? message : "");
}

static void check_bodies(struct opened *o)
{
	uint8_t data[BODY_BYTES + 1];
	struct fs_attributes a;
	char name[16];
	ssize_t n;
	int r;

	for (unsigned int k = 0; k < BODIES; k++) {
		r = fs_lookup(o->fs, o->account, name_of(k, name), &a);
		if (r == -ENOENT && !is_kept(k))
			continue;
		must(r, name);
		n = node_fixture_read(o->fs, a.ino, 0, data, sizeof(data));
		if (n != BODY_BYTES)
			give_up("%s: read gave %zd", name, n);
		for (size_t i = 0; i < BODY_BYTES; i++) {
			if (data[i] != byte_at(k, i))
				give_up("%s: byte %zu", name, i);
		}
		fs_forget(o->fs, a.ino, 1);
	}
}

static size_t count_objects(struct opened *o)
{
	struct backend_result result;
	size_t n;

	must(backend_list_wait(o->backend, "accounts/", NULL, 100000, &result), "list");
	n = result.n_entries;
	backend_result_done(&result);
	return n;
}

/* Bodies are small: every object is a pack that has a record. */
static void check_objects(struct opened *o)
{
	uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
	struct pack_live_figures figures;

	do {
		must(pack_live_sum(o->node, ACCOUNT, &figures), "sum");
		if (count_objects(o) == figures.packs)
			return;
		usleep(10000);
	} while (clock_monotonic_ms() < until_ms);
	give_up("%zu objects, %llu packs", count_objects(o), (unsigned long long)figures.packs);
}

static void verify(void)
{
	struct packer_options options = {.min_bytes_live = 0};
	struct packer_figures figures = {0};
	uint64_t evicted;
	struct opened o;

	open_all(&o);
	check_records(&o, "after the crash");
	check_bodies(&o);
	must(packer_pack_account(o.node, ACCOUNT, &options, &figures), "packing");
	check_records(&o, "packed");
	must(node_flush(o.node, PATIENCE_MS), "flush");
	must(node_evict(o.node, 0, &evicted), "evict");
	check_bodies(&o);
	check_objects(&o);
	close_all(&o);
	_exit(0);
}

static int in_child(void (*run)(const char *rule), const char *rule)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		run(rule);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void verify_rule(const char *rule)
{
	(void)rule;
	verify();
}

static const char *const rules[] = {
	"pack.noted",
	"pack.noted:2",
	"pack.put",
	"pack.put:2",
	"pack.recorded",
	"pack.recorded:2",
	"pack.recorded:4",
	"pack.complete",
	"pack.complete:2",
	"rewrite.recorded",
	"rewrite.recorded:10",
	"rewrite.recorded:20",
	"reaper.shipped",
	"reaper.remove",
	"reaper.removed",
};

START_TEST(test_failpoint)
{
	char command[96];
	int status;

	snprintf(directory, sizeof(directory), "/tmp/mailfs-pack-kill-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	status = in_child(work, rules[_i]);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		"%s was not reached: status %x", rules[_i], (unsigned int)status);
	status = in_child(verify_rule, "");
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: status %x", rules[_i],
		(unsigned int)status);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("pack_kill");
	TCase *tc = tcase_create("pack_kill");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_failpoint, 0, (int)(sizeof(rules) / sizeof(rules[0])));
	suite_add_tcase(suite, tc);
	return suite;
}
