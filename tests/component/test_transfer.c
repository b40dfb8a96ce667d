/*
 * test_transfer.c: accounts that come from the backend alone, as they are and as they were, go to a
 * directory on disk and to another filesystem, with everything that belongs to them.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "backends/memory_backend.h"
#include "backends/read_only_backend.h"
#include "check_main.h"
#include "journal_kit.h"
#include "transfer/fs_calls.h"
#include "transfer/transfer.h"
#include "transfer/tree_node.h"
#include "transfer/tree_times.h"
#include "util/clock.h"
#include "util/file_io.h"

#define STORE "test-transfer"

static struct journal_kit kit;
static char scratch[64];
static const struct fs_caller caller = {0};
static unsigned int n_problems;
static char last_problem[512];

static void setup(void)
{
	snprintf(scratch, sizeof(scratch), "/tmp/mailfs-transfer-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(scratch));
	journal_kit_init(&kit, STORE);
	n_problems = 0;
}

static void teardown(void)
{
	journal_kit_done(&kit);
	ck_assert_int_eq(file_io_remove_tree(scratch), 0);
}

static void problem(void *arg, const struct transfer_problem *p)
{
	(void)arg;
	n_problems++;
	snprintf(last_problem, sizeof(last_problem), "%s: %s: %d", p->path, p->what, p->error);
}

/* ---- a tree with everything in it */

static void write_file(uint64_t ino, uint64_t at, size_t n, char with)
{
	char *data = malloc(n);

	memset(data, with, n);
	ck_assert_int_eq(node_fixture_write(kit.fixture.fs, ino, at, data, n), 0);
	free(data);
}

static void make_tree(uint64_t top)
{
	struct fs *fs = kit.fixture.fs;
	uint64_t deep, ino, directory = node_fixture_mkdir(fs, top, "Maildir");
	struct fs_attributes a;
	const struct fs_attributes odd = {.mode = 01750,
		.uid = 1000,
		.gid = 2000,
		.atime = {1000000000, 123456789},
		.mtime = {1100000000, 987654321}};
	char name[32];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "u.%d", i);
		ino = node_fixture_create(fs, directory, name);
		write_file(ino, 0, 100 + (size_t)i * 3000, (char)('a' + i % 26));
	}
	ck_assert_int_eq(fs_setxattr(fs, ino, "user.mark", "\1\2\0\3", 4, 0), 0);
	ck_assert_int_eq(fs_setxattr(fs, ino, "user.none", "", 0, 0), 0);
	ino = node_fixture_create(fs, directory, "sparse");
	write_file(ino, 1 << 20, 10, 'x');
	ck_assert_int_eq(node_fixture_truncate(fs, ino, 5 << 20), 0);
	(void)node_fixture_create(fs, directory, "empty \xff");
	ino = node_fixture_create(fs, directory, "linked");
	write_file(ino, 0, 5000, 'l');
	deep = node_fixture_mkdir(fs, node_fixture_mkdir(fs, directory, "deep"), "er");
	ck_assert_int_eq(node_fixture_link(fs, ino, deep, "another"), 0);
	ck_assert_int_eq(node_fixture_link(fs, ino, top, "first"), 0);
	ck_assert_int_eq(fs_symlink(fs, &caller, "../somewhere", deep, "symlink", &a), 0);
	ck_assert_int_eq(fs_mknod(fs, &caller, deep, "fifo", S_IFIFO | 0640, 0, &a), 0);
	ck_assert_int_eq(fs_setxattr(fs, deep, "user.directory", "yes", 3, 0), 0);
	ck_assert_int_eq(
		fs_calls_setattr(fs, deep,
			FS_SET_MODE | FS_SET_UID | FS_SET_GID | FS_SET_ATIME | FS_SET_MTIME, &odd),
		0);
}

/* ---- comparing a tree of ours with one on disk */

static void compare_content(struct fs *fs, const struct fs_attributes *a, const char *path)
{
	size_t n = a->size_bytes;
	char *ours = malloc(n + 1), *theirs = malloc(n + 1);
	int fd = open(path, O_RDONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(node_fixture_read(fs, a->ino, 0, ours, n), (ssize_t)n);
	ck_assert_int_eq(file_io_read_at(fd, theirs, n + 1, 0), (ssize_t)n);
	ck_assert_int_eq(memcmp(ours, theirs, n), 0);
	(void)close(fd);
	free(ours);
	free(theirs);
}

static void compare_xattrs(struct fs *fs, uint64_t ino, const char *path)
{
	char names[4096], theirs[4096], ours[4096];
	ssize_t n = fs_listxattr(fs, ino, names, sizeof(names));

	ck_assert_int_eq(llistxattr(path, theirs, sizeof(theirs)), n);
	for (char *name = names; name < names + n; name += strlen(name) + 1) {
		ssize_t size = fs_getxattr(fs, ino, name, ours, sizeof(ours));

		ck_assert_int_eq(lgetxattr(path, name, theirs, sizeof(theirs)), size);
		ck_assert_int_eq(memcmp(ours, theirs, (size_t)size), 0);
	}
}

static void compare_one(struct fs *fs, const struct fs_attributes *a, const char *path)
{
	struct stat st;
	char ours[256], theirs[256] = "";

	ck_assert_msg(lstat(path, &st) == 0, "%s", path);
	ck_assert_uint_eq(st.st_mode, a->mode);
	ck_assert_int_eq(st.st_mtim.tv_sec, a->mtime.tv_sec);
	ck_assert_msg(st.st_mtim.tv_nsec == a->mtime.tv_nsec, "%s", path);
	if (geteuid() == 0) {
		ck_assert_uint_eq(st.st_uid, a->uid);
		ck_assert_uint_eq(st.st_gid, a->gid);
	}
	if (!S_ISDIR(a->mode))
		ck_assert_uint_eq(st.st_nlink, a->nlink);
	if (S_ISREG(a->mode)) {
		ck_assert_uint_eq((uint64_t)st.st_size, a->size_bytes);
		compare_content(fs, a, path);
	}
	if (S_ISLNK(a->mode)) {
		ck_assert_int_eq(fs_readlink(fs, a->ino, ours, sizeof(ours)), 0);
		ck_assert_int_gt(readlink(path, theirs, sizeof(theirs) - 1), 0);
		ck_assert_str_eq(ours, theirs);
	}
	compare_xattrs(fs, a->ino, path);
}

struct comparison {
	struct fs *fs;
	const char *path;
	unsigned int n;
};

static void compare_tree(struct fs *fs, uint64_t directory, const char *path, unsigned int *n);

static bool compare_entry(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	struct comparison *c = arg;
	struct fs_attributes a;
	char path[4096];

	(void)mode;
	(void)next;
	(void)attributes;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return true;
	snprintf(path, sizeof(path), "%s/%s", c->path, name);
	ck_assert_int_eq(fs_getattr(c->fs, ino, &a), 0);
	compare_one(c->fs, &a, path);
	c->n++;
	if (S_ISDIR(a.mode))
		compare_tree(c->fs, ino, path, &c->n);
	return true;
}

static void compare_tree(struct fs *fs, uint64_t directory, const char *path, unsigned int *n)
{
	struct comparison c = {.fs = fs, .path = path};

	ck_assert_int_eq(fs_readdir(fs, directory, 0, false, compare_entry, &c), 0);
	*n += c.n;
}

/* ---- opening what the backend has */

struct opened {
	struct backend *backend;
	struct tree_node *tree;
};

static struct opened open_tree(int64_t not_after_ms)
{
	struct opened o;
	struct tree_node_options options = {.volume = kit.volume,
		.account_depth = 1,
		.parent_directory = scratch,
		.not_after_ms = not_after_ms};
	char *message;
	int r;

	ck_assert_int_eq(memory_backend_open(STORE, &o.backend), 0);
	ck_assert_int_eq(read_only_backend_new(o.backend, &o.backend), 0);
	options.backend = o.backend;
	r = tree_node_open(&options, &o.tree, &message);
	ck_assert_msg(r == 0, "%d %s", r, message);
	return o;
}

static void close_tree(struct opened *o)
{
	tree_node_close(o->tree);
	backend_free(o->backend);
}

static uint32_t load(struct opened *o, const char *name, struct tree_node_state *state)
{
	uint32_t account;
	char *message = NULL;
	int r = tree_node_find(o->tree, name, &account, &message);

	ck_assert_msg(r == 0, "%s: %d %s", name, r, message);
	r = tree_node_load(o->tree, account, state, &message);
	ck_assert_msg(r == 0, "%s: %d %s", name, r, message);
	return account;
}

static struct transfer_figures transfer(struct opened *o, uint32_t account, struct sink *sink)
{
	struct transfer_options options = {.source = tree_node_fs(o->tree),
		.directory = (uint64_t)account << 40 | 1,
		.sink = sink,
		.problem = problem};
	struct transfer_figures figures;

	ck_assert_int_eq(transfer_run(&options, &figures), 0);
	return figures;
}

static void expect_no_change(size_t before)
{
	struct backend_result result;

	ck_assert_int_eq(backend_list_wait(kit.fixture.backend, "", NULL, 10000, &result), 0);
	ck_assert_uint_eq(result.n_entries, before);
	backend_result_done(&result);
}

static size_t count_objects(void)
{
	struct backend_result result;
	size_t n;

	ck_assert_int_eq(backend_list_wait(kit.fixture.backend, "", NULL, 10000, &result), 0);
	n = result.n_entries;
	backend_result_done(&result);
	return n;
}

/* ---- tests */

/* From segments only, from bodies that were put, and from a checkpoint. */
START_TEST(test_export)
{
	uint64_t top = node_fixture_mkdir(kit.fixture.fs, FS_ROOT_INO, "user");
	struct tree_node_state state;
	struct transfer_figures figures;
	struct opened o;
	struct sink *sink;
	char path[128];
	unsigned int n = 0;
	uint64_t evicted;
	size_t objects;

	make_tree(top);
	if (_i > 0) {
		ck_assert_int_eq(node_flush(kit.fixture.node, 20000), 0);
		ck_assert_int_eq(node_evict(kit.fixture.node, 0, &evicted), 0);
	}
	(void)journal_kit_write(&kit, _i > 1 ? 3 : 0);
	objects = count_objects();
	o = open_tree(0);
	snprintf(path, sizeof(path), "%s/out", scratch);
	ck_assert_int_eq(sink_disk_open(path, &sink), 0);
	figures = transfer(&o, load(&o, "/user/", &state), sink);
	sink->ops->free(sink);
	ck_assert_msg(n_problems == 0, "%s", last_problem);
	compare_tree(kit.fixture.fs, top, path, &n);
	ck_assert_uint_eq(n, 50);
	ck_assert_uint_eq(figures.files, 43);
	ck_assert_uint_eq(figures.links, 2);
	ck_assert_uint_eq(figures.directories, 3);
	ck_assert_int_eq(sink_disk_open(path, &sink), -ENOTEMPTY);
	close_tree(&o);
	expect_no_change(objects);
	snprintf(path, sizeof(path), "rmdir %s/mailfs-tree-* 2>/dev/null", scratch);
	ck_assert_int_ne(system(path), 0);
}
END_TEST

/* The same into another filesystem of ours. */
START_TEST(test_into_fs)
{
	uint64_t there, top = node_fixture_mkdir(kit.fixture.fs, FS_ROOT_INO, "user");
	struct node_fixture target;
	struct tree_node_state state;
	struct fs_attributes a;
	struct opened o;
	struct sink *sink;

	make_tree(top);
	(void)journal_kit_write(&kit, 0);
	node_fixture_init(&target);
	node_fixture_open(&target);
	there = node_fixture_mkdir(target.fs, FS_ROOT_INO, "kept");
	o = open_tree(0);
	ck_assert_int_eq(sink_fs_open(target.fs, there, _i == 1, &sink), 0);
	ck_assert_uint_eq(transfer(&o, load(&o, "user", &state), sink).files, 43);
	sink->ops->free(sink);
	ck_assert_msg(n_problems == 0, "%s", last_problem);
	ck_assert_int_eq(fs_getattr(target.fs, there, &a), 0);
	ck_assert_uint_eq(a.mode & 07777, _i == 1 ? 0700 : 0755);
	/* And out again. */
	{
		struct transfer_options options = {
			.source = target.fs, .directory = there, .problem = problem};
		struct transfer_figures figures;
		char path[128];
		unsigned int n = 0;

		snprintf(path, sizeof(path), "%s/out", scratch);
		ck_assert_int_eq(sink_disk_open(path, &options.sink), 0);
		ck_assert_int_eq(transfer_run(&options, &figures), 0);
		options.sink->ops->free(options.sink);
		compare_tree(_i == 1 ? target.fs : kit.fixture.fs, _i == 1 ? there : top, path, &n);
		ck_assert_uint_eq(n, 50);
	}
	close_tree(&o);
	node_fixture_done(&target);
}
END_TEST

/* A body that is gone: this file is not there, and is named; all others are. */
START_TEST(test_lost_body)
{
	uint64_t evicted, top = node_fixture_mkdir(kit.fixture.fs, FS_ROOT_INO, "user");
	struct backend_result result;
	struct transfer_figures figures;
	struct tree_node_state state;
	struct opened o;
	struct sink *sink;
	char path[128], file[1024];

	make_tree(top);
	ck_assert_int_eq(node_flush(kit.fixture.node, 20000), 0);
	ck_assert_int_eq(node_evict(kit.fixture.node, 0, &evicted), 0);
	(void)journal_kit_write(&kit, 0);
	ck_assert_int_eq(backend_list_wait(kit.fixture.backend, "accounts/", NULL, 1, &result), 0);
	ck_assert_int_eq(backend_remove_wait(kit.fixture.backend, result.entries[0].key), 0);
	backend_result_done(&result);
	o = open_tree(0);
	snprintf(path, sizeof(path), "%s/out", scratch);
	ck_assert_int_eq(sink_disk_open(path, &sink), 0);
	figures = transfer(&o, load(&o, "user", &state), sink);
	sink->ops->free(sink);
	ck_assert_uint_ge(n_problems, 1);
	ck_assert_uint_eq(figures.files, 43 - n_problems);
	last_problem[strcspn(last_problem, ":")] = '\0';
	snprintf(file, sizeof(file), "%s/%s", path, last_problem);
	ck_assert_int_eq(access(file, F_OK), -1);
	close_tree(&o);
}
END_TEST

/* As it was after each of some segments; checkpoints among them; then without the old segments. */
START_TEST(test_at)
{
	enum { CUTS = 6 };
	uint64_t top = node_fixture_mkdir(kit.fixture.fs, FS_ROOT_INO, "user");
	struct position positions[CUTS];
	int64_t times[CUTS];
	char name[32], key[POSITION_SEGMENT_KEY_BYTES], *message = NULL;
	struct tree_node_state state;
	struct fs_attributes a;
	struct opened o;
	uint32_t account;

	for (int i = 0; i < CUTS; i++) {
		snprintf(name, sizeof(name), "u.%d", i);
		write_file(node_fixture_create(kit.fixture.fs, top, name), 0, 1000, 'x');
		positions[i] = journal_kit_write(&kit, i == 1 || i == 4 ? 3 : 0);
		times[i] = clock_realtime_ms();
		clock_sleep_ms(20);
	}
	for (int i = 0; i < CUTS; i++) {
		o = open_tree(times[i] + 5);
		account = load(&o, "user", &state);
		ck_assert_int_le(state.time_ms, times[i]);
		ck_assert(!state.is_early);
		for (int k = 0; k < CUTS; k++) {
			snprintf(name, sizeof(name), "u.%d", k);
			ck_assert_int_eq(fs_lookup(tree_node_fs(o.tree),
						 (uint64_t)account << 40 | 1, name, &a),
				k <= i ? 0 : -ENOENT);
		}
		close_tree(&o);
	}
	/* The keeper removes what newer checkpoints include: the state falls back to the first. */
	for (int i = 0; i <= 3; i++) {
		position_segment_key(&positions[i], 0, key);
		ck_assert_int_eq(backend_remove_wait(kit.fixture.backend, key), 0);
	}
	o = open_tree(times[2] + 5);
	account = load(&o, "user", &state);
	ck_assert_int_le(state.time_ms, times[1]);
	ck_assert_int_eq(
		fs_lookup(tree_node_fs(o.tree), (uint64_t)account << 40 | 1, "u.1", &a), 0);
	ck_assert_int_eq(
		fs_lookup(tree_node_fs(o.tree), (uint64_t)account << 40 | 1, "u.2", &a), -ENOENT);
	close_tree(&o);
	/* Nothing is that old. */
	o = open_tree(times[0] - 100000);
	ck_assert_int_eq(tree_node_find(o.tree, "user", &account, &message), 0);
	ck_assert_int_eq(tree_node_load(o.tree, account, &state, &message), -ENOENT);
	ck_assert_ptr_nonnull(strstr(message, "checkpoints: "));
	free(message);
	ck_assert_int_eq(tree_node_find(o.tree, "nobody", &account, &message), -ENOENT);
	ck_assert_ptr_nonnull(strstr(message, "no account 'nobody'"));
	free(message);
	close_tree(&o);
}
END_TEST

START_TEST(test_times)
{
	static const struct {
		const char *text;
		int64_t ms; /* 0: none */
	} cases[] = {
		{"2026-01-31T12:00:00Z", INT64_C(1769860800000)},
		{"2026-01-31T12:00:00.25Z", INT64_C(1769860800250)},
		{"2026-01-31 12:00Z", INT64_C(1769860800000)},
		{"2026-01-31T13:00:00+01:00", INT64_C(1769860800000)},
		{"2026-01-31T11:30:00-0030", INT64_C(1769860800000)},
		{"2026-01-31Z", INT64_C(1769817600000)},
		{"-2h", INT64_C(10000000000) - 7200000},
		{"", 0},
		{"yesterday", 0},
		{"-", 0},
		{"-2h30", 0},
		{"2026-01-31T12:00:00Zx", 0},
		{"2026-13-31", 0},
		{"2026-01-31T12:00:00+1", 0},
		{"2026-01-31T12:00:00+25:00", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t ms = 0;
		int r = tree_times_parse(cases[i].text, INT64_C(10000000000), &ms);

		ck_assert_msg(r == (cases[i].ms == 0 ? -EINVAL : 0), "%s: %d", cases[i].text, r);
		if (r == 0)
			ck_assert_msg(ms == cases[i].ms, "%s: %lld", cases[i].text, (long long)ms);
	}
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("transfer");
	TCase *tc = tcase_create("transfer");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_export, 0, 3);
	tcase_add_loop_test(tc, test_into_fs, 0, 2);
	tcase_add_test(tc, test_lost_body);
	tcase_add_test(tc, test_at);
	tcase_add_test(tc, test_times);
	suite_add_tcase(suite, tc);
	return suite;
}
