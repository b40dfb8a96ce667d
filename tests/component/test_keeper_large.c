/*
 * One large account: what its checkpoint costs, what that does to commits meanwhile, and how fast
 * an empty node has the account from it. MAILFS_TEST_MAILS says how many mails (2000);
 * MAILFS_TEST_DELAY how many ms each call of the store takes (0). Prints what it measured.
 */
#include <config.h>
#include "check_main.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cache/packer.h"
#include "keeper_kit.h"
#include "util/clock.h"

#define DEFAULT_MAILS 2000
#define MAIL_BYTES 2000
#define INDEX_BYTES 300 /* for each mail: dovecot.index.cache and its kin */
#define COMMITS 200
#define ROUNDS_AT_MOST 1000

static unsigned int n_mails;
static _Atomic bool is_over;

static unsigned int number(const char *name, unsigned int otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? (unsigned int)atoi(text) : otherwise;
}

static int pack(void *arg, uint32_t account)
{
	struct packer_options options = {.only_dirty = true};
	struct packer_figures figures = {0};

	(void)arg;
	return packer_pack_account(keeper_kit.fixture.node, account, &options, &figures);
}

static void fill(char *data, size_t n, unsigned int *seed)
{
	static const char words[] =
		"from to subject received mailing list the of and a 0123456789 ";

	for (size_t i = 0; i < n; i++)
		data[i] = words[(size_t)rand_r(seed) % (sizeof(words) - 1)];
}

static void make_account(uint64_t account)
{
	struct node_fixture *f = &keeper_kit.fixture;
	uint64_t cache = node_fixture_create(f->fs, account, "dovecot.index.cache");
	char data[MAIL_BYTES], name[32], final[32];
	unsigned int seed = 1;

	for (unsigned int i = 0; i < n_mails; i++) {
		uint64_t ino;

		snprintf(name, sizeof(name), ".temp.%u", i);
		ino = node_fixture_create(f->fs, account, name);
		fill(data, sizeof(data), &seed);
		ck_assert_int_eq(node_fixture_write(f->fs, ino, 0, data, sizeof(data)), 0);
		snprintf(final, sizeof(final), "u.%u", i + 1);
		ck_assert_int_eq(node_fixture_rename(f->fs, account, name, account, final, 0), 0);
		ck_assert_int_eq(node_fixture_write(f->fs, cache, (uint64_t)i * INDEX_BYTES, data,
					 INDEX_BYTES),
			0);
		fs_forget(f->fs, ino, 1);
	}
	keeper_kit_ship();
}

/* ---- commits of another account */

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* COMMITS of them, or for as long as something goes on. */
static void measure_commits(const char *when, uint64_t ino, bool until_over)
{
	uint64_t *times = calloc(ROUNDS_AT_MOST, sizeof(*times));
	size_t n = 0;

	while (until_over ? n < ROUNDS_AT_MOST && !is_over : n < COMMITS) {
		uint64_t begin = clock_monotonic_ns();

		ck_assert_int_eq(
			node_fixture_write(keeper_kit.fixture.fs, ino, 0, &begin, sizeof(begin)),
			0);
		keeper_kit_ship();
		times[n++] = clock_monotonic_ns() - begin;
		clock_sleep_ms(5);
	}
	qsort(times, n, sizeof(*times), compare_numbers);
	if (n > 0)
		fprintf(stderr, "# %zu commits %s: p50 %.1f ms, p99 %.1f ms, max %.1f ms\n", n,
			when, (double)times[n / 2] / 1e6, (double)times[n * 99 / 100] / 1e6,
			(double)times[n - 1] / 1e6);
	free(times);
}

static void *commit_meanwhile(void *arg)
{
	measure_commits("while a checkpoint is made", *(const uint64_t *)arg, true);
	return NULL;
}

/* ---- */

struct moment {
	uint64_t ms;
	struct timespec cpu; /* of all threads */
};

static struct moment now(void)
{
	struct moment m = {.ms = clock_monotonic_ms()};

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &m.cpu);
	return m;
}

/* What it took, and the time on processors, which other programs hardly change. */
static const char *since(const struct moment *begin)
{
	static char text[64];
	struct moment end = now();

	snprintf(text, sizeof(text), "%.2f s (%.2f s of CPU)", (double)(end.ms - begin->ms) / 1000,
		(double)(end.cpu.tv_sec - begin->cpu.tv_sec) +
			(double)(end.cpu.tv_nsec - begin->cpu.tv_nsec) / 1e9);
	return text;
}

static void make_checkpoint(uint64_t other)
{
	struct moment begin;
	uint32_t account = 1;
	struct keeper_figures figures;
	pthread_t thread;

	begin = now();
	ck_assert_int_eq(pack(NULL, account), 0);
	fprintf(stderr, "# packed in %s\n", since(&begin));
	ck_assert_int_eq(pthread_create(&thread, NULL, commit_meanwhile, &other), 0);
	begin = now();
	ck_assert_int_eq(keeper_kit_checkpoint(&account, 1), 0);
	figures = keeper_kit_figures();
	is_over = true;
	fprintf(stderr, "# checkpoint of %u mails: %s, %.1f MB\n", n_mails, since(&begin),
		(double)figures.checkpoint_bytes / 1e6);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(figures.checkpoints, 1);
	/* The bodies are in packs; what is left is names, inodes and the index. */
	ck_assert_uint_lt(figures.checkpoint_bytes, (uint64_t)n_mails * (MAIL_BYTES / 2 + 500));
}

static void restore(uint64_t account)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	struct node_fixture reader;
	struct fs_attributes a;
	struct moment begin;

	journal_kit_open_reader(KEEPER_KIT_STORE, &reader);
	begin = now();
	journal_kit_restore(&keeper_kit.restorer, &reader, 3, true, results);
	fprintf(stderr, "# restored in %s, %.1f MB\n", since(&begin),
		(double)results[1].result.stored_bytes / 1e6);
	ck_assert_msg(results[1].error == 0, "%s", results[1].message);
	ck_assert_int_eq(fs_open(reader.node, &reader.fs), 0);
	ck_assert_int_eq(fs_lookup(reader.fs, account, "u.1", &a), 0);
	ck_assert_uint_eq(a.size_bytes, MAIL_BYTES);
	node_fixture_done(&reader);
}

START_TEST(test_large_account)
{
	char rule[64];
	unsigned int delay_ms = number("MAILFS_TEST_DELAY", 0);
	uint64_t account, other;

	keeper_stop(keeper_kit.keeper);
	keeper_kit.keeping.pack = pack;
	ck_assert_int_eq(keeper_start(&keeper_kit.keeping, &keeper_kit.keeper), 0);
	n_mails = number("MAILFS_TEST_MAILS", DEFAULT_MAILS);
	account = keeper_kit_account_inode(0);
	other = node_fixture_create(keeper_kit.fixture.fs, keeper_kit_account_inode(1), "counter");
	make_account(account);
	snprintf(rule, sizeof(rule), "any:delay=%ums", delay_ms);
	keeper_kit_set_rules(delay_ms > 0 ? rule : "");
	measure_commits("alone", other, false);
	make_checkpoint(other);
	restore(account);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("keeper_large");
	TCase *tc = tcase_create("keeper_large");

	tcase_set_timeout(tc, 600);
	tcase_add_checked_fixture(tc, keeper_kit_set_up, keeper_kit_tear_down);
	tcase_add_test(tc, test_large_account);
	suite_add_tcase(suite, tc);
	return suite;
}
