/*
 * Random changes of names against a model of the tree in memory: results, attributes, listings,
 * inode numbers over restarts, and what becomes of inodes without names.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "node_fixture.h"

#define MAX_INODES 4000
#define NAMES 7
#define STEPS 3000
#define EXCHANGE 2u /* RENAME_EXCHANGE */
#define NOREPLACE 1u

struct item {
	uint64_t ino;
	uint32_t type; /* S_IFMT */
	uint32_t nlink;
	uint64_t refs;    /* that the kernel would hold */
	int parent;       /* directories */
	int names[NAMES]; /* directories: index of an item by number of the name; -1: none */
	int account;
	struct timespec ctime;
};

static const struct fs_caller caller = {.uid = 1000, .gid = 1000};
static struct node_fixture fixture;
static struct item items[MAX_INODES];
static int n_items;
static unsigned int seed;

static int random_below(int n)
{
	return (int)((unsigned int)rand_r(&seed) % (unsigned int)n);
}

static const char *name_of(int n)
{
	static const char *const names[NAMES] = {
		"a", "b", "u.1", "dovecot.index.log", "..c", "\xff\x01", ".temp.x"};

	return names[n];
}

static bool is_directory(const struct item *item)
{
	return item->type == S_IFDIR;
}

static bool is_empty(const struct item *directory)
{
	for (int i = 0; i < NAMES; i++) {
		if (directory->names[i] >= 0)
			return false;
	}
	return true;
}

static uint32_t expected_links(const struct item *item)
{
	uint32_t n = 2;

	if (!is_directory(item) || item->nlink == 0)
		return item->nlink;
	for (int i = 0; i < NAMES; i++)
		n += item->names[i] >= 0 && is_directory(&items[item->names[i]]);
	return n;
}

static int compare(const struct timespec *a, const struct timespec *b)
{
	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? -1 : 1;
	return a->tv_nsec < b->tv_nsec ? -1 : a->tv_nsec > b->tv_nsec;
}

static void check_item(struct item *item, const char *when)
{
	struct fs_attributes a;
	int r = fs_getattr(fixture.fs, item->ino, &a);

	if (item->nlink == 0 && item->refs == 0) {
		ck_assert_msg(r == -ENOENT, "%s: an unused inode is still there", when);
		return;
	}
	ck_assert_msg(r == 0, "%s: getattr gave %d", when, r);
	ck_assert_uint_eq(a.ino, item->ino);
	ck_assert_uint_eq(a.mode & S_IFMT, item->type);
	ck_assert_msg(a.nlink == expected_links(item), "%s: nlink %u, not %u", when, a.nlink,
		expected_links(item));
}

/* ctime has moved exactly when the inode was changed; of directories mtime as well. */
static void expect_time(int index, bool changed)
{
	struct item *item = &items[index];
	struct fs_attributes a;

	if (item->nlink == 0 && item->refs == 0)
		return;
	ck_assert_int_eq(fs_getattr(fixture.fs, item->ino, &a), 0);
	ck_assert_int_eq(compare(&a.ctime, &item->ctime), changed ? 1 : 0);
	if (changed && is_directory(item) && item->nlink > 0 && item->parent >= 0)
		ck_assert_int_le(compare(&a.mtime, &a.ctime), 0);
	item->ctime = a.ctime;
}

static int add_item(int parent, const struct fs_attributes *a, int account)
{
	struct item *item = &items[n_items];

	*item = (struct item){
		.ino = a->ino,
		.type = a->mode & S_IFMT,
		.nlink = 1,
		.refs = 1,
		.parent = parent,
		.account = account,
		.ctime = a->ctime,
	};
	for (int i = 0; i < NAMES; i++)
		item->names[i] = -1;
	return n_items++;
}

/* A directory, now and then one that is removed but still referred to. */
static int pick_directory(void)
{
	int i;

	do
		i = 1 + random_below(n_items - 1); /* the root account is not part of the play */
	while (!is_directory(&items[i]) || (items[i].nlink == 0 && items[i].refs == 0) ||
		(items[i].nlink == 0 && random_below(4) != 0));
	return i;
}

/* ---- steps */
static void create(int step)
{
	int parent = pick_directory(), n = random_below(NAMES), kind = random_below(5), r;
	struct item *p = &items[parent];
	int expected = p->nlink == 0 ? -ENOENT : p->names[n] >= 0 ? -EEXIST : 0;
	struct fs_attributes a;

	if (n_items == MAX_INODES)
		return;
	if (kind == 0)
		r = fs_mkdir(fixture.fs, &caller, p->ino, name_of(n), 0755, &a);
	else if (kind == 1)
		r = fs_symlink(fixture.fs, &caller, "to/nowhere", p->ino, name_of(n), &a);
	else
		r = fs_mknod(fixture.fs, &caller, p->ino, name_of(n),
			(kind == 2 ? S_IFIFO : S_IFREG) | 0644, 0, &a);
	ck_assert_msg(r == expected, "%d: create gave %d, not %d", step, r, expected);
	if (r == 0) {
		for (int i = 0; i < n_items; i++)
			ck_assert_msg(items[i].ino != a.ino, "%d: a number came twice", step);
		p->names[n] = add_item(parent, &a, p->account);
	}
	expect_time(parent, r == 0);
}

static void lookup(int step)
{
	int parent = pick_directory(), n = random_below(NAMES);
	struct item *p = &items[parent];
	int child = p->nlink == 0 ? -1 : p->names[n];
	struct fs_attributes a;
	int r = fs_lookup(fixture.fs, p->ino, name_of(n), &a);

	ck_assert_msg(r == (child < 0 ? -ENOENT : 0), "%d: lookup gave %d", step, r);
	if (r == 0) {
		ck_assert_uint_eq(a.ino, items[child].ino);
		items[child].refs++;
	}
}

static void lose_name(int index)
{
	struct item *item = &items[index];

	item->nlink = is_directory(item) ? 0 : item->nlink - 1;
}

static void unlink_or_rmdir(int step)
{
	int parent = pick_directory(), n = random_below(NAMES), child;
	struct item *p = &items[parent];
	bool directory = random_below(2) == 0;
	int expected = 0, r;

	child = p->nlink == 0 ? -1 : p->names[n];
	if (child < 0)
		expected = -ENOENT;
	else if (is_directory(&items[child]) != directory)
		expected = directory ? -ENOTDIR : -EISDIR;
	else if (directory && !is_empty(&items[child]))
		expected = -ENOTEMPTY;
	r = directory ? fs_rmdir(fixture.fs, p->ino, name_of(n))
		      : fs_unlink(fixture.fs, p->ino, name_of(n));
	ck_assert_msg(r == expected, "%d: removal gave %d, not %d", step, r, expected);
	if (r == 0) {
		p->names[n] = -1;
		lose_name(child);
		check_item(&items[child], "after removal");
	}
	expect_time(parent, r == 0);
	if (child >= 0)
		expect_time(child, r == 0);
}

static void add_link(int step)
{
	int parent = pick_directory(), n = random_below(NAMES), child = random_below(n_items), r;
	struct item *p = &items[parent], *c = &items[child];
	int expected = 0;

	if (c->nlink == 0 && c->refs == 0)
		return;
	if (p->account != c->account)
		expected = -EXDEV;
	else if (is_directory(c))
		expected = -EPERM;
	else if (c->nlink == 0 || p->nlink == 0)
		expected = -ENOENT;
	else if (p->names[n] >= 0)
		expected = -EEXIST;
	r = node_fixture_link(fixture.fs, c->ino, p->ino, name_of(n));
	ck_assert_msg(r == expected, "%d: link gave %d, not %d (nlink %u, in %u)", step, r,
		expected, c->nlink, p->nlink);
	if (r == 0) {
		p->names[n] = child;
		c->nlink++;
		c->refs++;
	}
	expect_time(parent, r == 0);
	expect_time(child, r == 0);
}

static bool is_above(int above, int directory)
{
	for (; directory >= 0; directory = items[directory].parent) {
		if (directory == above)
			return true;
	}
	return false;
}

static int expect_rename(int from, int a, int to, int b, unsigned int flags)
{
	int source, target;

	if (flags == (EXCHANGE | NOREPLACE))
		return -EINVAL;
	if (items[from].account != items[to].account)
		return -EXDEV;
	if (items[from].nlink == 0 || items[to].nlink == 0)
		return -ENOENT;
	source = items[from].names[a];
	target = items[to].names[b];
	if (source < 0 || ((flags & EXCHANGE) && target < 0))
		return -ENOENT;
	if (target >= 0 && (flags & NOREPLACE))
		return -EEXIST;
	if (from != to && is_directory(&items[source]) && is_above(source, to))
		return -EINVAL;
	if (from != to && (flags & EXCHANGE) && is_directory(&items[target]) &&
		is_above(target, from))
		return -EINVAL;
	if (target < 0 || source == target || (flags & EXCHANGE))
		return 0;
	if (is_directory(&items[source]) && !is_directory(&items[target]))
		return -ENOTDIR;
	if (!is_directory(&items[source]) && is_directory(&items[target]))
		return -EISDIR;
	return is_directory(&items[target]) && !is_empty(&items[target]) ? -ENOTEMPTY : 0;
}

static void apply_rename(int from, int a, int to, int b, unsigned int flags)
{
	int source = items[from].names[a], target = items[to].names[b];

	items[from].names[a] = flags & EXCHANGE ? target : -1;
	items[to].names[b] = source;
	if (is_directory(&items[source]))
		items[source].parent = to;
	if (target >= 0 && (flags & EXCHANGE) && is_directory(&items[target]))
		items[target].parent = from;
	if (target >= 0 && !(flags & EXCHANGE))
		lose_name(target);
}

static void rename_one(int step)
{
	int from = pick_directory(), to = random_below(3) ? pick_directory() : from;
	int a = random_below(NAMES), b = random_below(NAMES), source, target, expected, r;
	unsigned int flags = random_below(3) == 0 ? (unsigned int)random_below(4) : 0;
	bool changes;

	expected = expect_rename(from, a, to, b, flags);
	source = items[from].names[a];
	target = items[to].names[b];
	r = node_fixture_rename(
		fixture.fs, items[from].ino, name_of(a), items[to].ino, name_of(b), flags);
	ck_assert_msg(
		r == expected, "%d: rename (flags %u) gave %d, not %d", step, flags, r, expected);
	changes = r == 0 && source != target;
	if (changes)
		apply_rename(from, a, to, b, flags);
	expect_time(from, changes);
	if (to != from)
		expect_time(to, changes);
	if (source >= 0 && source != from && source != to)
		expect_time(source, changes);
	if (target >= 0 && target != from && target != to && target != source)
		expect_time(target, changes);
}

static void forget(void)
{
	struct item *item = &items[random_below(n_items)];
	uint64_t count;

	if (item->refs == 0 || item->ino == FS_ROOT_INO)
		return;
	count = random_below(2) ? item->refs : 1;
	item->refs -= count;
	fs_forget(fixture.fs, item->ino, count);
	check_item(item, "after forget");
}

/* ---- listings */
struct listing {
	int directory;
	int room;
	int seen[NAMES];
	int dots;
	uint64_t next;
	bool took;
};

static bool take(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	struct listing *l = arg;
	int n = 0, child;

	if (l->room-- <= 0)
		return false;
	l->next = next;
	l->took = true;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		l->dots++;
		return true;
	}
	while (n < NAMES && strcmp(name, name_of(n)) != 0)
		n++;
	ck_assert_int_lt(n, NAMES);
	l->seen[n]++;
	child = items[l->directory].names[n];
	ck_assert_int_ge(child, 0);
	ck_assert_uint_eq(ino, items[child].ino);
	ck_assert_uint_eq(mode & S_IFMT, items[child].type);
	if (attributes != NULL) {
		ck_assert_uint_eq(attributes->nlink, expected_links(&items[child]));
		items[child].refs++;
	}
	return true;
}

static void list(int step)
{
	struct listing l = {.directory = pick_directory()};
	struct item *d = &items[l.directory];
	bool plus = random_below(2) == 0;

	do {
		l.took = false;
		l.room = 1 + random_below(4);
		ck_assert_int_eq(fs_readdir(fixture.fs, d->ino, l.next, plus, take, &l), 0);
	} while (l.took);
	ck_assert_int_eq(l.dots, d->nlink == 0 ? 0 : 2);
	for (int i = 0; i < NAMES; i++)
		ck_assert_msg(l.seen[i] == (d->nlink > 0 && d->names[i] >= 0),
			"%d: '%s' was listed %d times", step, name_of(i), l.seen[i]);
}

/* ---- the whole */
static void check_all(const char *when)
{
	for (int i = 0; i < n_items; i++)
		check_item(&items[i], when);
}

/* The kernel has forgotten all: what had no name is gone. */
static void reopen(void)
{
	struct fs_attributes a;

	node_fixture_reopen(&fixture);
	for (int i = 0; i < n_items; i++)
		items[i].refs = i == 0;
	check_all("after reopening");
	for (int i = 0; i < n_items; i++) {
		for (int n = 0; n < NAMES; n++) {
			if (items[i].nlink == 0 || items[i].names[n] < 0)
				continue;
			ck_assert_int_eq(fs_lookup(fixture.fs, items[i].ino, name_of(n), &a), 0);
			ck_assert_uint_eq(a.ino, items[items[i].names[n]].ino);
			items[items[i].names[n]].refs++;
		}
	}
}

static void one_step(int step)
{
	int what = random_below(100);

	if (what < 27)
		create(step);
	else if (what < 37)
		lookup(step);
	else if (what < 52)
		unlink_or_rmdir(step);
	else if (what < 60)
		add_link(step);
	else if (what < 80)
		rename_one(step);
	else if (what < 90)
		list(step);
	else if (what < 99)
		forget();
	else if (random_below(3) == 0)
		reopen();
	else
		check_all("in between");
}

static void begin(unsigned int first_seed)
{
	struct fs_attributes root;

	seed = first_seed;
	n_items = 0;
	node_fixture_init(&fixture);
	node_fixture_open(&fixture);
	ck_assert_int_eq(fs_getattr(fixture.fs, FS_ROOT_INO, &root), 0);
	add_item(-1, &root, 0);
	for (int i = 0; i < 2; i++) { /* accounts */
		struct fs_attributes a;

		ck_assert_int_eq(
			fs_mkdir(fixture.fs, &caller, FS_ROOT_INO, name_of(i), 0755, &a), 0);
		items[0].names[i] = add_item(0, &a, i + 1);
	}
	items[0].nlink = 1;
	expect_time(0, true);
}

static void run_model(unsigned int first_seed)
{
	begin(first_seed);
	for (int step = 0; step < STEPS; step++)
		one_step(step);
	reopen();
	node_fixture_done(&fixture);
}

START_TEST(test_model)
{
	run_model((unsigned int)_i + 1);
}
END_TEST

/* ---- a listing while its directory changes */
#define STAYING 200

struct changing {
	uint64_t directory;
	int room, staying[STAYING], others;
	uint64_t next;
	bool took;
	int n_changes;
};

static bool take_changing(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	struct changing *l = arg;
	int n;

	(void)ino;
	(void)mode;
	(void)attributes;
	if (l->room-- <= 0)
		return false;
	l->next = next;
	l->took = true;
	if (sscanf(name, "stays%d", &n) == 1)
		l->staying[n]++;
	else
		l->others++;
	return true;
}

/* Files come, go and are renamed; some to names that were there and went. */
static void change(struct changing *l)
{
	char name[32], other[32];
	int n = l->n_changes++;

	snprintf(name, sizeof(name), "comes%d", n);
	node_fixture_create(fixture.fs, l->directory, name);
	snprintf(name, sizeof(name), "comes%d", n / 2);
	snprintf(other, sizeof(other), "renamed%d", n / 2);
	if (n % 2 == 0)
		(void)node_fixture_rename(fixture.fs, l->directory, name, l->directory, other, 0);
	else
		(void)fs_unlink(fixture.fs, l->directory, other);
}

/* What is there all the time comes exactly once, and the listing ends although for each entry it
 * gives, others are made and renamed. */
START_TEST(test_listing_while_changing)
{
	struct changing l = {0};
	char name[32];
	int steps = 0;

	seed = (unsigned int)_i + 1;
	node_fixture_init(&fixture);
	node_fixture_open(&fixture);
	l.directory = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
	for (int i = 0; i < STAYING; i++) {
		snprintf(name, sizeof(name), "stays%d", i);
		node_fixture_create(fixture.fs, l.directory, name);
		change(&l);
	}
	do {
		l.took = false;
		l.room = 1 + random_below(20);
		ck_assert_int_eq(
			fs_readdir(fixture.fs, l.directory, l.next, false, take_changing, &l), 0);
		for (int i = random_below(30); i > 0; i--)
			change(&l);
		ck_assert_int_lt(++steps, 10 * STAYING);
	} while (l.took);
	for (int i = 0; i < STAYING; i++)
		ck_assert_msg(l.staying[i] == 1, "stays%d came %d times", i, l.staying[i]);
	node_fixture_done(&fixture);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("names_model");
	TCase *tc = tcase_create("names_model");
	const char *rounds = getenv("MAILFS_TEST_ROUNDS");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, test_model, 0, rounds != NULL ? atoi(rounds) : 5);
	tcase_add_loop_test(tc, test_listing_while_changing, 0, 5);
	suite_add_tcase(suite, tc);
	return suite;
}
