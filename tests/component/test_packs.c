/*
 * Small bodies on a node with a journal: packed, evicted, fetched by ranges, rewritten, and gone.
 *
 * PACKS_SEEDS=N in the environment runs the random test with so many seeds.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/fault_backend.h"
#include "cache/account_check.h"
#include "cache/body_map.h"
#include "cache/body_object.h"
#include "cache/body_uploader.h"
#include "cache/node_private.h"
#include "cache/pack.h"
#include "cache/pack_live.h"
#include "cache/packer.h"
#include "node_fixture.h"
#include "util/clock.h"

#define ACCOUNT 1
#define FILES 24
#define MAX_BYTES 400000
#define DEFAULT_SEEDS 6
#define STEPS 700
#define PATIENCE_MS 20000

static struct node_fixture fixture;
static uint64_t account_ino;

/* ---- a journal that says yes, or nothing */

struct journal {
	pthread_mutex_t mutex;
	bool holds; /* answers wait */
	int error;
	unsigned int asked, n_waiting;
	struct {
		void (*done)(void *arg, int error);
		void *arg;
	} waiting[8];
};
static struct journal journal = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void journal_wait_fake(
	void *arg, uint64_t lsn, void (*done)(void *arg, int error), void *done_arg)
{
	struct journal *j = arg;
	bool holds;
	int error;

	(void)lsn;
	pthread_mutex_lock(&j->mutex);
	j->asked++;
	holds = j->holds;
	error = j->error;
	if (holds) {
		ck_assert_uint_lt(j->n_waiting, 8);
		j->waiting[j->n_waiting].done = done;
		j->waiting[j->n_waiting++].arg = done_arg;
	}
	pthread_mutex_unlock(&j->mutex);
	if (!holds)
		done(done_arg, error);
}

static unsigned int journal_asked(void)
{
	unsigned int asked;

	pthread_mutex_lock(&journal.mutex);
	asked = journal.asked;
	pthread_mutex_unlock(&journal.mutex);
	return asked;
}

static void journal_answer(int error)
{
	unsigned int n;

	pthread_mutex_lock(&journal.mutex);
	journal.holds = false;
	journal.error = error;
	n = journal.n_waiting;
	journal.n_waiting = 0;
	pthread_mutex_unlock(&journal.mutex);
	for (unsigned int i = 0; i < n; i++)
		journal.waiting[i].done(journal.waiting[i].arg, error);
}

static void set_journal(bool holds, uint64_t retention_ms)
{
	struct node_replication replication = {
		.wait = journal_wait_fake, .arg = &journal, .retention_ms = retention_ms};

	pthread_mutex_lock(&journal.mutex);
	journal.holds = holds;
	journal.error = 0;
	journal.asked = 0;
	pthread_mutex_unlock(&journal.mutex);
	node_set_replication(fixture.node, &replication);
}

/* ---- the node */

static void begin(uint64_t cache_bytes)
{
	struct fs_attributes a;

	node_fixture_init(&fixture);
	fixture.options.journal = true;
	fixture.options.commit_interval_ms = 50;
	fixture.options.cache_size_bytes = cache_bytes;
	node_fixture_open(&fixture);
	account_ino = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
	ck_assert_int_eq(fs_getattr(fixture.fs, account_ino, &a), 0);
	ck_assert_uint_eq(key_ino_account(account_ino), ACCOUNT);
}

/* With faults between node and store. */
static void begin_faulty(void)
{
	struct fault_rules none = {.n = 0};

	node_fixture_init(&fixture);
	ck_assert_int_eq(fault_backend_new(fixture.backend, &none, &fixture.backend), 0);
	fixture.options.backend = fixture.backend;
	fixture.options.journal = true;
	fixture.options.commit_interval_ms = 50;
	node_fixture_open(&fixture);
	account_ino = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
}

static void set_faults(const char *rules)
{
	char *message = NULL;

	ck_assert_int_eq(fault_backend_set(fixture.backend, rules, &message), 0);
}

static int pack_with(const struct packer_options *options, struct packer_figures *ret)
{
	*ret = (struct packer_figures){0};
	return packer_pack_account(fixture.node, ACCOUNT, options, ret);
}

static struct packer_figures pack(void)
{
	struct packer_options options = {.min_bytes_live = 0};
	struct packer_figures figures;

	ck_assert_int_eq(pack_with(&options, &figures), 0);
	return figures;
}

static size_t objects_like(const char *middle)
{
	struct backend_result result;
	size_t n = 0;

	ck_assert_int_eq(backend_list_wait(fixture.backend, "accounts/", NULL, 100000, &result), 0);
	for (size_t i = 0; i < result.n_entries; i++)
		n += strstr(result.entries[i].key, middle) != NULL;
	backend_result_done(&result);
	return n;
}

static void wait_for_objects(const char *middle, size_t n)
{
	uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;

	while (objects_like(middle) != n && clock_monotonic_ms() < until_ms)
		usleep(10000);
	ck_assert_uint_eq(objects_like(middle), n);
}

static int seen(void *arg, const struct inode *inode, const struct upload *local)
{
	(void)arg;
	(void)inode;
	(void)local;
	return 0;
}

/* The records of packs are exactly what the extents say. The uploader may change something between
 * two looks of one check: what is broken stays broken. */
static void check_account(const char *when)
{
	char *message = NULL;
	int r = -EBADMSG;

	for (int i = 0; i < 20 && r == -EBADMSG; i++) {
		if (i > 0)
			usleep(50000);
		free(message);
		message = NULL;
		r = account_check(fixture.node, ACCOUNT, seen, NULL, &message);
	}
	ck_assert_msg(r == 0, "%s: %d %s", when, r, message != NULL ? message : "");
}

static struct pack_live_figures live(void)
{
	struct pack_live_figures figures;

	ck_assert_int_eq(pack_live_sum(fixture.node, ACCOUNT, &figures), 0);
	return figures;
}

static void evict(void)
{
	uint64_t evicted;

	ck_assert_int_eq(node_evict(fixture.node, 0, &evicted), 0);
}

/* ---- bodies */

static uint8_t byte_at(unsigned int seed, size_t i)
{
	/* Text of a kind, so that it can be compressed. */
	return (uint8_t)('a' + (seed * 31 + i / 7 + (i % 7) * seed) % 26);
}

static uint64_t make_body(unsigned int number, size_t bytes)
{
	uint8_t *data = malloc(bytes + 1);
	char name[16];
	uint64_t ino;

	snprintf(name, sizeof(name), "u.%u", number);
	ino = node_fixture_create(fixture.fs, account_ino, name);
	for (size_t i = 0; i < bytes; i++)
		data[i] = byte_at(number, i);
	ck_assert_int_eq(node_fixture_write(fixture.fs, ino, 0, data, bytes), 0);
	free(data);
	return ino;
}

static int body_is_right(uint64_t ino, unsigned int number, size_t bytes)
{
	uint8_t *data = malloc(bytes + 1);
	ssize_t n = node_fixture_read(fixture.fs, ino, 0, data, bytes + 1);

	for (ssize_t i = 0; i < n; i++)
		ck_assert_uint_eq(data[i], byte_at(number, (size_t)i));
	free(data);
	ck_assert(n < 0 || (size_t)n == bytes);
	return n < 0 ? (int)n : 0;
}

static void remove_body(unsigned int number, uint64_t ino)
{
	char name[16];

	snprintf(name, sizeof(name), "u.%u", number);
	ck_assert_int_eq(fs_unlink(fixture.fs, account_ino, name), 0);
	fs_forget(fixture.fs, ino, 1);
}

START_TEST(test_one_pack)
{
	uint64_t inos[50];
	struct packer_figures figures;
	struct node_figures before, after;

	begin(0);
	for (unsigned int i = 0; i < 50; i++)
		inos[i] = make_body(i + 1, 3000);
	usleep(300000); /* much longer than the delay of uploads */
	ck_assert_uint_eq(objects_like("/"), 0);
	figures = pack();
	ck_assert_uint_eq(figures.packs, 1);
	ck_assert_uint_eq(figures.bodies, 50);
	ck_assert_uint_eq(objects_like("/pack/"), 1);
	ck_assert_uint_eq(objects_like("/body/"), 0);
	ck_assert_uint_eq(live().live_bodies, 50);
	ck_assert_uint_eq(live().live_bytes, live().total_bytes);
	check_account("packed");
	ck_assert_uint_eq(pack().packs, 0); /* all is clean */
	evict();
	node_get_figures(fixture.node, &before);
	ck_assert_int_eq(body_is_right(inos[7], 8, 3000), 0);
	node_get_figures(fixture.node, &after);
	ck_assert_uint_eq(after.objects_fetched - before.objects_fetched, 1);
	/* Of one body only, compressed. */
	ck_assert_uint_lt(after.objects_fetched_bytes - before.objects_fetched_bytes, 1500);
	for (unsigned int i = 0; i < 50; i++)
		ck_assert_int_eq(body_is_right(inos[i], i + 1, 3000), 0);
	node_fixture_reopen(&fixture);
	for (unsigned int i = 0; i < 50; i++)
		ck_assert_int_eq(body_is_right(inos[i], i + 1, 3000), 0);
	check_account("opened again");
	node_fixture_done(&fixture);
}
END_TEST

/* Runs from BODY_MAP_SMALL_BYTES on become objects by themselves; the rest of the same body waits.
 */
START_TEST(test_large_body)
{
	static uint8_t data[BODY_MAP_SMALL_BYTES + 4096];
	uint64_t ino, small;

	begin(0);
	memset(data, 'x', sizeof(data));
	ino = make_body(1, 0);
	small = make_body(2, 5000);
	ck_assert_int_eq(node_fixture_write(fixture.fs, ino, 0, data, sizeof(data)), 0);
	ck_assert_int_eq(node_fixture_write(fixture.fs, ino, 1 << 20, data, 8192), 0);
	wait_for_objects("/body/", 1);
	ck_assert_uint_eq(objects_like("/pack/"), 0);
	ck_assert_int_eq(node_flush(fixture.node, PATIENCE_MS), 0);
	ck_assert_uint_eq(live().live_bodies, 2);
	evict();
	check_account("packed");
	ck_assert_int_eq(node_fixture_read(fixture.fs, ino, 1 << 20, data, 8192), 8192);
	for (size_t i = 0; i < 8192; i++)
		ck_assert_uint_eq(data[i], 'x');
	ck_assert_int_eq(body_is_right(small, 2, 5000), 0);
	node_fixture_done(&fixture);
}
END_TEST

struct hurry {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool is_done;
	int error;
};

static void hurried(void *arg, int error)
{
	struct hurry *h = arg;

	pthread_mutex_lock(&h->mutex);
	h->is_done = true;
	h->error = error;
	pthread_cond_signal(&h->changed);
	pthread_mutex_unlock(&h->mutex);
}

static int hurry(uint64_t ino)
{
	struct hurry h = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

	body_uploader_hurry(fixture.node, ino, hurried, &h);
	pthread_mutex_lock(&h.mutex);
	while (!h.is_done)
		pthread_cond_wait(&h.changed, &h.mutex);
	pthread_mutex_unlock(&h.mutex);
	return h.error;
}

START_TEST(test_hurry)
{
	uint64_t small, large;

	begin_faulty();
	node_fixture_close(&fixture);
	fixture.options.commit_interval_ms = 3600000;
	node_fixture_open(&fixture);
	small = make_body(1, 5000);
	large = make_body(2, 300000);
	ck_assert_int_eq(hurry(small), 0);
	ck_assert_uint_eq(objects_like("/"), 0);
	ck_assert_int_eq(hurry(large), 0);
	ck_assert_uint_eq(objects_like("/body/"), 1);
	ck_assert_int_eq(hurry(large), 0); /* nothing to do */
	large = make_body(3, 300000);
	set_faults("put:error=EIO");
	ck_assert_int_eq(hurry(large), -EIO);
	set_faults("");
	wait_for_objects("/body/", 2); /* it went on */
	/* 4 MiB are full: no delay. */
	(void)make_body(4, BODY_MAP_OBJECT_MAX_BYTES + 5000);
	wait_for_objects("/body/", 3);
	node_fixture_done(&fixture);
}
END_TEST

/* What changes while its pack is being put stays dirty. */
START_TEST(test_changed_meanwhile)
{
	struct packer_options options = {.min_bytes_live = 0};
	struct packer_figures figures;
	uint64_t inos[4];

	begin_faulty();
	for (unsigned int i = 0; i < 4; i++)
		inos[i] = make_body(i + 1, 4000);
	set_faults("put:key=*pack*:error=EIO");
	ck_assert_int_eq(pack_with(&options, &figures), -EIO);
	ck_assert_uint_eq(live().packs, 0);
	check_account("the put failed");
	set_faults("put:key=*pack*:error=EIO:after"); /* it is there, but nobody knows */
	ck_assert_int_eq(pack_with(&options, &figures), -EIO);
	set_faults("");
	ck_assert_uint_eq(pack().bodies, 4);
	check_account("packed");
	/* Garbage that nothing ever referred to does not wait for the journal. */
	wait_for_objects("/pack/", 1);
	ck_assert_int_eq(node_fixture_write(fixture.fs, inos[0], 100, "changed", 7), 0);
	remove_body(2, inos[1]);
	check_account("changed");
	ck_assert_uint_eq(live().live_bodies, 3); /* the old content of the first has blocks left */
	ck_assert_uint_eq(pack().bodies, 1);
	ck_assert_uint_eq(live().live_bodies, 3);
	check_account("packed again");
	evict();
	ck_assert_int_eq(body_is_right(inos[2], 3, 4000), 0);
	node_fixture_done(&fixture);
}
END_TEST

START_TEST(test_min_bytes)
{
	struct packer_options options = {.min_bytes_live = 20000};
	struct packer_figures figures;

	begin(0);
	(void)make_body(1, 5000);
	ck_assert_int_eq(pack_with(&options, &figures), 0);
	ck_assert_uint_eq(figures.packs, 0);
	(void)make_body(2, 20000);
	ck_assert_int_eq(pack_with(&options, &figures), 0);
	ck_assert_uint_eq(figures.bodies, 2);
	node_fixture_done(&fixture);
}
END_TEST

START_TEST(test_rewriting)
{
	enum { N = 60 };
	uint64_t inos[N];
	struct packer_figures figures;

	begin(0);
	set_journal(false, 0);
	for (unsigned int i = 0; i < N; i++)
		inos[i] = make_body(i + 1, 2000 + i * 100);
	(void)pack();
	for (unsigned int i = 0; i < N; i++) {
		if (i % 3 != 0)
			remove_body(i + 1, inos[i]);
	}
	check_account("two thirds removed");
	ck_assert_uint_eq(live().live_bodies, N / 3);
	evict();
	figures = pack();
	ck_assert_uint_eq(figures.rewritten, 1);
	ck_assert_uint_eq(figures.bodies, 0);
	ck_assert_uint_eq(live().packs, 1);
	ck_assert_uint_eq(live().live_bytes, live().total_bytes);
	check_account("rewritten");
	ck_assert_int_eq(node_flush(fixture.node, PATIENCE_MS), 0);
	wait_for_objects("/pack/", 1);
	for (unsigned int i = 0; i < N; i += 3)
		ck_assert_int_eq(body_is_right(inos[i], i + 1, 2000 + i * 100), 0);
	for (unsigned int i = 0; i < N; i += 3)
		remove_body(i + 1, inos[i]);
	ck_assert_uint_eq(live().packs, 0);
	ck_assert_int_eq(node_flush(fixture.node, PATIENCE_MS), 0);
	wait_for_objects("/pack/", 0);
	node_fixture_done(&fixture);
}
END_TEST

/* Many small packs become one. */
START_TEST(test_small_packs)
{
	uint64_t inos[PACKER_SMALL_PACKS];

	begin(0);
	set_journal(false, 0);
	for (unsigned int i = 0; i < PACKER_SMALL_PACKS; i++) {
		inos[i] = make_body(i + 1, 3000);
		(void)pack();
	}
	ck_assert_uint_eq(live().packs, 1);
	ck_assert_uint_eq(live().live_bodies, PACKER_SMALL_PACKS);
	evict();
	for (unsigned int i = 0; i < PACKER_SMALL_PACKS; i++)
		ck_assert_int_eq(body_is_right(inos[i], i + 1, 3000), 0);
	check_account("one pack");
	ck_assert_int_eq(node_flush(fixture.node, PATIENCE_MS), 0);
	wait_for_objects("/pack/", 1);
	node_fixture_done(&fixture);
}
END_TEST

/* What is dirty over an old content keeps it where it is: a replay could not tell what is newer. */
START_TEST(test_dirty_is_not_moved)
{
	uint64_t inos[4];
	struct packer_figures figures = {0};
	struct packer_options options = {.min_bytes_live = UINT64_MAX};

	begin(0);
	for (unsigned int i = 0; i < 4; i++)
		inos[i] = make_body(i + 1, 20000);
	(void)pack();
	for (unsigned int i = 1; i < 4; i++)
		remove_body(i + 1, inos[i]);
	ck_assert_int_eq(node_fixture_write(fixture.fs, inos[0], 10, "new", 3), 0);
	ck_assert_int_eq(pack_with(&options, &figures), 0); /* rewrites only */
	ck_assert_uint_eq(figures.packs, 1);
	ck_assert_uint_eq(live().packs, 1);
	ck_assert_uint_eq(live().live_bodies, 1);
	check_account("not moved");
	node_fixture_done(&fixture);
}
END_TEST

/* ---- garbage */

START_TEST(test_garbage_waits)
{
	uint64_t ino, large;

	begin(0);
	ino = make_body(1, 3000);
	large = make_body(2, 300000);
	(void)pack();
	wait_for_objects("/body/", 1);
	set_journal(true, 0);
	remove_body(1, ino);
	remove_body(2, large);
	for (uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
		journal_asked() == 0 && clock_monotonic_ms() < until_ms;)
		usleep(10000);
	ck_assert_uint_gt(journal_asked(), 0);
	usleep(200000);
	ck_assert_uint_eq(objects_like("/"), 2);
	journal_answer(-ETIMEDOUT); /* it asks again */
	for (uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
		journal_asked() < 2 && clock_monotonic_ms() < until_ms;)
		usleep(10000);
	ck_assert_uint_gt(journal_asked(), 1);
	ck_assert_uint_eq(objects_like("/"), 2);
	journal_answer(0);
	wait_for_objects("/", 0);
	node_fixture_done(&fixture);
}
END_TEST

/* Without an answer, the next process waits anew; without replication nothing goes. */
START_TEST(test_garbage_over_restart)
{
	uint64_t ino;

	begin(0);
	ino = make_body(1, 3000);
	(void)pack();
	set_journal(true, 0);
	remove_body(1, ino);
	usleep(300000);
	node_set_replication(fixture.node, NULL);
	journal_answer(-ECANCELED);
	node_fixture_reopen(&fixture);
	usleep(300000);
	ck_assert_int_eq(node_flush(fixture.node, PATIENCE_MS), 0);
	ck_assert_uint_eq(objects_like("/pack/"), 1);
	set_journal(false, 0);
	wait_for_objects("/pack/", 0);
	node_fixture_done(&fixture);
}
END_TEST

START_TEST(test_retention)
{
	uint64_t ino, removed_ms;

	begin(0);
	ino = make_body(1, 3000);
	(void)pack();
	set_journal(false, 3000);
	removed_ms = clock_monotonic_ms();
	remove_body(1, ino);
	ck_assert_int_eq(node_flush(fixture.node, PATIENCE_MS), 0);
	ck_assert_uint_eq(objects_like("/pack/"), 1);
	node_fixture_reopen(&fixture); /* the time is remembered */
	set_journal(false, 3000);
	wait_for_objects("/pack/", 0);
	ck_assert_uint_ge(clock_monotonic_ms() - removed_ms, 3000);
	node_fixture_done(&fixture);
}
END_TEST

/* ---- when the cache is full */

START_TEST(test_pressure)
{
	enum { N = 100, BYTES = 20000 };
	uint64_t inos[N], until_ms = clock_monotonic_ms() + PATIENCE_MS;
	struct node_figures figures;

	begin(N * BYTES / 4);
	for (unsigned int i = 0; i < N; i++)
		inos[i] = make_body(i + 1, BYTES);
	do {
		usleep(20000);
		node_get_figures(fixture.node, &figures);
	} while ((figures.bodies_evicted < N / 4 || figures.packs_put == 0) &&
		 clock_monotonic_ms() < until_ms);
	ck_assert_uint_ge(figures.bodies_evicted, N / 4);
	ck_assert_uint_gt(figures.packs_put, 0);
	ck_assert_uint_eq(objects_like("/body/"), 0);
	for (unsigned int i = 0; i < N; i++)
		ck_assert_int_eq(body_is_right(inos[i], i + 1, BYTES), 0);
	check_account("under pressure");
	node_fixture_done(&fixture);
}
END_TEST

/* ---- damage */

START_TEST(test_damaged_pack)
{
	uint64_t inos[2];

	begin_faulty();
	inos[0] = make_body(1, 3000);
	inos[1] = make_body(2, 3000);
	(void)pack();
	evict();
	set_faults("get:times=1:corrupt;get:times=1:truncate=10;get:times=1:error=ENOENT");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(body_is_right(inos[0], 1, 3000), -EIO);
	ck_assert_int_eq(body_is_right(inos[0], 1, 3000), 0);
	ck_assert_int_eq(body_is_right(inos[1], 2, 3000), 0);
	node_fixture_done(&fixture);
}
END_TEST

/* ---- at random, against a model */

struct model {
	uint64_t ino; /* 0: there is none */
	unsigned int number;
	size_t size;
	uint8_t data[MAX_BYTES];
};
static struct model models[FILES];
static unsigned int seed, next_number;
static bool is_faulty;

static size_t random_below(size_t n)
{
	return n == 0 ? 0 : (size_t)rand_r(&seed) % n;
}

static void make_model(struct model *m)
{
	memset(m, 0, sizeof(*m));
	m->number = ++next_number;
	m->ino = make_body(m->number, 0);
}

static void remove_model(struct model *m)
{
	remove_body(m->number, m->ino);
	m->ino = 0;
}

/* What needs old content may fail with faults, but not for ever. */
static bool is_done(int r, int *failures)
{
	ck_assert_msg(r == 0 || (is_faulty && r == -EIO && ++*failures < 200), "it gave %d", r);
	return r == 0;
}

static void write_model(struct model *m)
{
	int failures = 0;
	static const size_t most[] = {300, 5000, 20000, 60000, 250000};
	static uint8_t buffer[MAX_BYTES];
	size_t offset = random_below(3) == 0 ? m->size : random_below(m->size + 20000);
	size_t n = 1 + random_below(most[random_below(5)]);
	bool text = random_below(2) == 0;

	if (offset >= MAX_BYTES)
		offset = 0;
	n = n < MAX_BYTES - offset ? n : MAX_BYTES - offset;
	for (size_t i = 0; i < n; i++)
		buffer[i] = text ? byte_at(seed, i) : (uint8_t)rand_r(&seed);
	while (!is_done(node_fixture_write(fixture.fs, m->ino, offset, buffer, n), &failures))
		;
	memcpy(m->data + offset, buffer, n);
	m->size = offset + n > m->size ? offset + n : m->size;
}

static void cut_model(struct model *m)
{
	size_t offset = random_below(m->size + 1), n = 1 + random_below(50000);
	size_t end = offset + n < m->size ? offset + n : m->size;
	int failures = 0;

	if (random_below(2) == 0) {
		while (!is_done(node_fixture_truncate(fixture.fs, m->ino, offset), &failures))
			;
		memset(m->data + offset, 0, MAX_BYTES - offset);
		m->size = offset;
		return;
	}
	while (!is_done(node_fixture_fallocate(fixture.fs, m->ino,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, n),
		&failures))
		;
	if (offset < end)
		memset(m->data + offset, 0, end - offset);
}

/* With faults a read may fail, but gives nothing wrong; and in the end it works. */
static void verify_model(const struct model *m, int step)
{
	static uint8_t buffer[MAX_BYTES + 1];
	size_t at = 0;
	int failures = 0;

	while (at < m->size) {
		ssize_t n =
			node_fixture_read(fixture.fs, m->ino, at, buffer, 1 + random_below(131072));

		if (n < 0 && is_faulty && ++failures < 200)
			continue;
		ck_assert_msg(n > 0, "step %d: read gave %zd", step, n);
		for (ssize_t i = memcmp(buffer, m->data + at, (size_t)n) == 0 ? n : 0; i < n; i++)
			ck_assert_msg(buffer[i] == m->data[at + (size_t)i],
				"step %d: byte %zu of u.%u is %02x, not %02x", step, at + (size_t)i,
				m->number, buffer[i], m->data[at + (size_t)i]);
		at += (size_t)n;
	}
}

static void pack_at_random(int step)
{
	struct packer_options options = {.only_dirty = random_below(3) == 0};
	struct packer_figures figures = {0};
	int r = random_below(4) == 0 ? packer_pack_all(fixture.node, &options, &figures)
				     : pack_with(&options, &figures);

	ck_assert_msg(r == 0 || (is_faulty && r == -EIO), "step %d: packing gave %d", step, r);
	check_account("after packing");
}

static void one_step(int step)
{
	struct model *m = &models[random_below(FILES)];
	size_t what = random_below(100);

	if (what < 6 || m->ino == 0) {
		if (m->ino != 0)
			remove_model(m);
		make_model(m);
		write_model(m);
	} else if (what < 45) {
		write_model(m);
	} else if (what < 60) {
		cut_model(m);
	} else if (what < 75) {
		verify_model(m, step);
	} else if (what < 87) {
		pack_at_random(step);
	} else if (what < 95) {
		evict();
		check_account("after eviction");
	} else if (what < 97 && !is_faulty) {
		ck_assert_int_eq(node_flush(fixture.node, PATIENCE_MS), 0);
		check_account("after a flush");
	} else {
		node_fixture_reopen(&fixture);
		set_journal(false, 0);
	}
}

/* Every object on the backend is one that an extent leads to. */
static void check_no_orphans(void)
{
	struct pack_live_figures figures;
	struct extent_list list;
	size_t bodies = 0;

	for (int i = 0; i < FILES; i++) {
		if (models[i].ino == 0)
			continue;
		ck_assert_int_eq(body_map_load_extents(fixture.node, models[i].ino, 0,
					 BODY_MAP_TO_THE_END, &list),
			0);
		for (size_t k = 0; k < list.n; k++) {
			size_t first = 0;

			while (!record_same_content(&list.extents[first], &list.extents[k]))
				first++;
			bodies += first == k && list.extents[k].kind == OBJECT_BODY;
		}
		extent_list_done(&list);
	}
	figures = live();
	wait_for_objects("/body/", bodies);
	wait_for_objects("/pack/", figures.packs);
}

static void run_random(unsigned int first_seed)
{
	seed = first_seed;
	next_number = 0;
	memset(models, 0, sizeof(models));
	set_journal(false, 0);
	for (int step = 0; step < STEPS; step++)
		one_step(step);
	is_faulty = false;
	if (fixture.options.backend != NULL && first_seed >= 1000)
		set_faults("");
	ck_assert_int_eq(node_flush(fixture.node, PATIENCE_MS), 0);
	(void)pack();
	ck_assert_int_eq(node_flush(fixture.node, PATIENCE_MS), 0);
	check_account("at the end");
	check_no_orphans();
	evict();
	for (int i = 0; i < FILES; i++) {
		if (models[i].ino != 0)
			verify_model(&models[i], STEPS);
	}
	node_fixture_done(&fixture);
}

START_TEST(test_random)
{
	begin(random_below(2) == 0 ? 0 : 500000);
	run_random((unsigned int)_i + 1);
}
END_TEST

START_TEST(test_random_with_faults)
{
	char rules[200];

	begin_faulty();
	snprintf(rules, sizeof(rules),
		"put:p=0.1:seed=%d:error=EIO;put:p=0.1:seed=%d:error=EIO:after;"
		"get:p=0.1:seed=%d:error=EIO;remove:p=0.1:seed=%d:error=EIO",
		_i + 1, _i + 2, _i + 3, _i + 4);
	set_faults(rules);
	is_faulty = true;
	run_random((unsigned int)_i + 1000);
}
END_TEST

static int n_seeds(void)
{
	const char *text = getenv("PACKS_SEEDS");

	return text != NULL && atoi(text) > 0 ? atoi(text) : DEFAULT_SEEDS;
}

Suite *test_suite(void)
{
	Suite *suite = suite_create("packs");
	TCase *tc = tcase_create("packs");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, test_one_pack);
	tcase_add_test(tc, test_large_body);
	tcase_add_test(tc, test_hurry);
	tcase_add_test(tc, test_changed_meanwhile);
	tcase_add_test(tc, test_min_bytes);
	tcase_add_test(tc, test_rewriting);
	tcase_add_test(tc, test_small_packs);
	tcase_add_test(tc, test_dirty_is_not_moved);
	tcase_add_test(tc, test_garbage_waits);
	tcase_add_test(tc, test_garbage_over_restart);
	tcase_add_test(tc, test_retention);
	tcase_add_test(tc, test_pressure);
	tcase_add_test(tc, test_damaged_pack);
	tcase_add_loop_test(tc, test_random, 0, n_seeds());
	tcase_add_loop_test(tc, test_random_with_faults, 0, n_seeds());
	suite_add_tcase(suite, tc);
	return suite;
}
