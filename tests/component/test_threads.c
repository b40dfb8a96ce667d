/*
 * Many threads on one fs, for ThreadSanitizer and for what only shows when things happen at the
 * same time: contents, names and references, while bodies are uploaded, evicted and fetched.
 *
 * Check's assertions are not for threads: a thread notes what is wrong, the test asserts at the
 * end.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "node_fixture.h"

#define WORKERS 6
#define FILES 24
#ifdef MAILFS_SANITIZED
#define STEPS 300
#else
#define STEPS 1500
#endif
#define MAIL_MAX_BYTES 40000

static const struct fs_caller caller = {0};
static struct node_fixture fixture;
static uint64_t user, shared;
static atomic_bool stop;
static _Atomic(const char *) wrong; /* the first thing that was */

static void check(bool good, const char *what)
{
	const char *none = NULL;

	if (!good)
		atomic_compare_exchange_strong(&wrong, &none, what);
}

struct worker {
	pthread_t thread;
	unsigned int seed, n;
	uint64_t directory; /* its own */
	uint64_t inos[FILES];
	size_t sizes[FILES];
};

static size_t random_below(struct worker *w, size_t n)
{
	return (size_t)rand_r(&w->seed) % n;
}

/* A byte of a file follows from its inode, its length and its place. */
static uint8_t byte_at(uint64_t ino, size_t size, size_t at)
{
	return (uint8_t)(ino * 31 + size * 7 + at * 13 + at / 251);
}

static void write_whole(struct worker *w, unsigned int i)
{
	uint8_t *data = malloc(MAIL_MAX_BYTES);
	size_t size = 1 + random_below(w, random_below(w, 3) ? 3000 : MAIL_MAX_BYTES);

	for (size_t at = 0; at < size; at++)
		data[at] = byte_at(w->inos[i], size, at);
	if (size < w->sizes[i])
		check(node_fixture_truncate(fixture.fs, w->inos[i], size) == 0, "truncate");
	for (size_t at = 0; at < size; at += 8192)
		check(node_fixture_write(fixture.fs, w->inos[i], at, data + at,
			      size - at < 8192 ? size - at : 8192) == 0,
			"write");
	w->sizes[i] = size;
	free(data);
}

static void verify(struct worker *w, unsigned int i)
{
	uint8_t *data = malloc(MAIL_MAX_BYTES);
	ssize_t n = node_fixture_read(fixture.fs, w->inos[i], 0, data, MAIL_MAX_BYTES);

	check(n == (ssize_t)w->sizes[i], "a read gave another length");
	for (size_t at = 0; n > 0 && at < (size_t)n; at++)
		check(data[at] == byte_at(w->inos[i], w->sizes[i], at), "a wrong byte");
	free(data);
}

/* The file is replaced: tmp, rename over, forget the old one. */
static void replace(struct worker *w, unsigned int i)
{
	struct fs_attributes a;
	char name[32];
	uint64_t old = w->inos[i];

	snprintf(name, sizeof(name), "u.%u", i + 1);
	check(fs_mknod(fixture.fs, &caller, w->directory, ".temp.x", S_IFREG | 0600, 0, &a) == 0,
		"mknod");
	w->inos[i] = a.ino;
	w->sizes[i] = 0;
	write_whole(w, i);
	check(node_fixture_rename(fixture.fs, w->directory, ".temp.x", w->directory, name, 0) == 0,
		"rename");
	if (old != 0)
		fs_forget(fixture.fs, old, 1);
}

/* Names that all threads make and remove in one directory: only certain results are possible. */
static void play_in_shared(struct worker *w)
{
	struct fs_attributes a;
	char name[16], other[16];
	int r;

	snprintf(name, sizeof(name), "n%zu", random_below(w, 8));
	snprintf(other, sizeof(other), "n%zu", random_below(w, 8));
	r = fs_mknod(fixture.fs, &caller, shared, name, S_IFREG | 0600, 0, &a);
	check(r == 0 || r == -EEXIST, "mknod in the shared directory");
	if (r == 0) {
		check(node_fixture_write(fixture.fs, a.ino, 0, name, 2) == 0, "write to orphan");
		r = node_fixture_link(fixture.fs, a.ino, shared, other);
		check(r == 0 || r == -EEXIST || r == -ENOENT, "link");
		fs_forget(fixture.fs, a.ino, r == 0 ? 2 : 1);
	}
	r = node_fixture_rename(
		fixture.fs, shared, name, shared, other, random_below(w, 3) == 0 ? 2 : 0);
	check(r == 0 || r == -ENOENT, "rename in the shared directory");
	r = fs_lookup(fixture.fs, shared, other, &a);
	check(r == 0 || r == -ENOENT, "lookup");
	if (r == 0) {
		r = fs_unlink(fixture.fs, shared, other);
		check(r == 0 || r == -ENOENT, "unlink");
		check(fs_getattr(fixture.fs, a.ino, &a) == 0, "getattr of what we refer to");
		fs_forget(fixture.fs, a.ino, 1);
	}
}

static bool take(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	(void)arg;
	(void)mode;
	(void)next;
	check(name[0] == '.' || attributes != NULL, "no attributes");
	if (attributes != NULL)
		fs_forget(fixture.fs, ino, 1);
	return true;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	for (i = 0; i < FILES; i++)
		replace(w, i);
	for (int step = 0; step < STEPS && atomic_load(&wrong) == NULL; step++) {
		i = (unsigned int)random_below(w, FILES);
		switch (random_below(w, 8)) {
		case 0:
			replace(w, i);
			break;
		case 1:
			write_whole(w, i);
			break;
		case 2:
			check(node_fixture_fsync(fixture.fs, w->inos[i]) == 0, "fsync");
			break;
		case 3:
			play_in_shared(w);
			break;
		case 4:
			check(fs_readdir(fixture.fs, shared, 0, true, take, NULL) == 0, "readdir");
			break;
		default:
			verify(w, i);
		}
	}
	for (i = 0; i < FILES; i++)
		verify(w, i);
	return NULL;
}

static void *disturb(void *arg)
{
	struct node_figures figures;
	uint64_t evicted;
	int r;

	(void)arg;
	while (!atomic_load(&stop)) {
		r = node_flush(fixture.node, 20);
		check(r == 0 || r == -ETIMEDOUT, "flush");
		check(node_evict(fixture.node, 100000, &evicted) == 0, "evict");
		node_get_figures(fixture.node, &figures);
		check(figures.backend_error == 0 && figures.store_error == 0, "figures");
	}
	return NULL;
}

static void begin(uint64_t cache_size_bytes)
{
	node_fixture_init(&fixture);
	fixture.options.commit_interval_ms = 5;
	fixture.options.cache_size_bytes = cache_size_bytes;
	node_fixture_open(&fixture);
	user = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
	shared = node_fixture_mkdir(fixture.fs, user, "shared");
	atomic_store(&stop, false);
	atomic_store(&wrong, NULL);
}

static void check_after_restart(struct worker *workers)
{
	struct fs_attributes a;

	node_fixture_reopen(&fixture);
	for (unsigned int n = 0; n < WORKERS; n++) {
		for (unsigned int i = 0; i < FILES; i++)
			verify(&workers[n], i);
		ck_assert_int_eq(fs_getattr(fixture.fs, workers[n].directory, &a), 0);
	}
	ck_assert_msg(atomic_load(&wrong) == NULL, "after restart: %s", atomic_load(&wrong));
}

START_TEST(test_all_at_once)
{
	struct worker workers[WORKERS] = {0};
	pthread_t disturber;
	char name[16];

	begin(_i == 0 ? 0 : 300000);
	for (unsigned int n = 0; n < WORKERS; n++) {
		snprintf(name, sizeof(name), "w%u", n);
		workers[n].seed = n + 10 * (unsigned int)_i;
		workers[n].directory = node_fixture_mkdir(fixture.fs, user, name);
		ck_assert_int_eq(pthread_create(&workers[n].thread, NULL, work, &workers[n]), 0);
	}
	ck_assert_int_eq(pthread_create(&disturber, NULL, disturb, NULL), 0);
	for (unsigned int n = 0; n < WORKERS; n++)
		pthread_join(workers[n].thread, NULL);
	atomic_store(&stop, true);
	pthread_join(disturber, NULL);
	ck_assert_msg(atomic_load(&wrong) == NULL, "%s", atomic_load(&wrong));
	ck_assert_int_eq(node_flush(fixture.node, 20000), 0);
	check_after_restart(workers);
	node_fixture_done(&fixture);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("threads");
	TCase *tc = tcase_create("threads");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, test_all_at_once, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
