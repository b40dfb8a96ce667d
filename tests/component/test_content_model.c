/*
 * Random changes of content against a model in memory, while bodies are uploaded, evicted, fetched
 * and the node is restarted.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fs/file_class.h"
#include "node_fixture.h"

#define FILES 6
#define MAX_BYTES 300000
#define STEPS 1500

struct model {
	uint64_t ino;
	size_t size;
	uint8_t data[MAX_BYTES];
};

static struct node_fixture fixture;
static struct model models[FILES];
static unsigned int seed;

static size_t random_below(size_t n)
{
	return n == 0 ? 0 : (size_t)rand_r(&seed) % n;
}

/* Small and large, at block boundaries and across them. */
static size_t random_length(void)
{
	static const size_t most[] = {300, 5000, 17000, 100000};

	return 1 + random_below(most[random_below(4)]);
}

static void write_some(struct model *m)
{
	uint8_t *buffer = malloc(MAX_BYTES);
	size_t offset = random_below(3) == 0 ? m->size : random_below(MAX_BYTES - 1);
	size_t n = random_length();

	if (offset >= MAX_BYTES)
		offset = MAX_BYTES - 1;
	if (n > MAX_BYTES - offset)
		n = MAX_BYTES - offset;
	for (size_t i = 0; i < n; i++)
		buffer[i] = (uint8_t)rand_r(&seed);
	ck_assert_int_eq(node_fixture_write(fixture.fs, m->ino, offset, buffer, n), 0);
	memcpy(m->data + offset, buffer, n);
	if (offset + n > m->size)
		m->size = offset + n;
	free(buffer);
}

static void resize(struct model *m)
{
	size_t size = random_below(MAX_BYTES);

	ck_assert_int_eq(node_fixture_truncate(fixture.fs, m->ino, size), 0);
	if (size < m->size)
		memset(m->data + size, 0, MAX_BYTES - size);
	m->size = size;
}

static void punch(struct model *m)
{
	size_t offset = random_below(MAX_BYTES - 1), n = random_length();
	size_t end = offset + n < m->size ? offset + n : m->size;

	ck_assert_int_eq(node_fixture_fallocate(fixture.fs, m->ino,
				 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, n),
		0);
	if (offset < end)
		memset(m->data + offset, 0, end - offset);
}

static void verify(const struct model *m, const char *when, int step)
{
	uint8_t *buffer = malloc(MAX_BYTES + 1);
	struct fs_attributes a;
	size_t at = 0;

	ck_assert_int_eq(fs_getattr(fixture.fs, m->ino, &a), 0);
	ck_assert_msg(a.size_bytes == m->size, "%s %d: size", when, step);
	while (at < m->size) {
		ssize_t n =
			node_fixture_read(fixture.fs, m->ino, at, buffer, 1 + random_below(131072));

		ck_assert_msg(n > 0, "%s %d: read gave %zd", when, step, n);
		/* Byte by byte only to say where: an assertion is slow. */
		for (ssize_t i = memcmp(buffer, m->data + at, (size_t)n) == 0 ? n : 0; i < n; i++)
			ck_assert_msg(buffer[i] == m->data[at + (size_t)i],
				"%s %d: byte %zu of inode %llx is %02x, not %02x", when, step,
				at + (size_t)i, (unsigned long long)m->ino, buffer[i],
				m->data[at + (size_t)i]);
		at += (size_t)n;
	}
	free(buffer);
}

static void evict(int step)
{
	uint64_t evicted;

	if (random_below(2) == 0)
		ck_assert_int_eq(node_flush(fixture.node, 20000), 0);
	ck_assert_int_eq(node_evict(fixture.node, 0, &evicted), 0);
	for (int i = 0; i < FILES; i++)
		verify(&models[i], "after eviction", step);
}

static void one_step(int step)
{
	struct model *m = &models[random_below(FILES)];
	size_t what = random_below(100);

	if (what < 50)
		write_some(m);
	else if (what < 65)
		resize(m);
	else if (what < 80)
		punch(m);
	else if (what < 93)
		verify(m, "in between", step);
	else if (what < 97)
		evict(step);
	else if (what < 98)
		node_fixture_reopen(&fixture);
	else
		ck_assert_int_eq(node_fixture_fsync(fixture.fs, m->ino), 0);
}

static void run(unsigned int first_seed, uint64_t delay_ms, uint64_t cache_bytes)
{
	uint64_t account;
	char name[16];

	seed = first_seed;
	memset(models, 0, sizeof(models));
	node_fixture_init(&fixture);
	fixture.options.commit_interval_ms = delay_ms;
	fixture.options.cache_size_bytes = cache_bytes;
	node_fixture_open(&fixture);
	account = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), i < FILES / 2 ? "u.%d" : "plain%d", i + 1);
		models[i].ino = node_fixture_create(fixture.fs, account, name);
	}
	for (int step = 0; step < STEPS; step++)
		one_step(step);
	node_fixture_reopen(&fixture);
	for (int i = 0; i < FILES; i++)
		verify(&models[i], "at the end", STEPS);
	node_fixture_done(&fixture);
}

START_TEST(test_uploads_at_once)
{
	run((unsigned int)_i + 1, 0, 0);
}
END_TEST

START_TEST(test_uploads_later)
{
	run((unsigned int)_i + 100, 20, 0);
}
END_TEST

START_TEST(test_small_cache)
{
	run((unsigned int)_i + 200, 0, 200000);
}
END_TEST

/* What was read stays, what was not read for longest goes first. */
START_TEST(test_last_use)
{
	enum { BODIES = 8, BYTES = 20000 };
	uint64_t account, inos[BODIES], evicted;
	struct node_figures before, after;
	char content[BYTES], name[16];

	node_fixture_init(&fixture);
	node_fixture_open(&fixture);
	account = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
	for (int i = 0; i < BODIES; i++) {
		snprintf(name, sizeof(name), "u.%d", i + 1);
		memset(content, 'a' + i, sizeof(content));
		inos[i] = node_fixture_create(fixture.fs, account, name);
		ck_assert_int_eq(
			node_fixture_write(fixture.fs, inos[i], 0, content, sizeof(content)), 0);
		ck_assert_int_eq(node_flush(fixture.node, 10000), 0); /* in this order */
	}
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(
			node_fixture_read(fixture.fs, inos[i], 0, content, sizeof(content)), BYTES);
	ck_assert_int_eq(node_evict(fixture.node, 3 * (BYTES + 8192), &evicted), 0);
	ck_assert_uint_gt(evicted, 0);
	node_get_figures(fixture.node, &before);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(
			node_fixture_read(fixture.fs, inos[i], 0, content, sizeof(content)), BYTES);
	node_get_figures(fixture.node, &after);
	ck_assert_uint_eq(after.objects_fetched, before.objects_fetched);
	ck_assert_int_eq(
		node_fixture_read(fixture.fs, inos[2], 0, content, sizeof(content)), BYTES);
	node_get_figures(fixture.node, &after);
	ck_assert_uint_gt(after.objects_fetched, before.objects_fetched);
	node_fixture_done(&fixture);
}
END_TEST

/* More runs with holes between them than an upload record has ranges: each is put, and once. */
START_TEST(test_many_runs)
{
	enum { RUNS = 100, APART = 1 << 16 };
	uint64_t account, ino, evicted;
	struct node_figures figures;
	char byte;

	node_fixture_init(&fixture);
	fixture.options.commit_interval_ms = _i == 0 ? 60000 : 0;
	node_fixture_open(&fixture);
	account = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
	ino = node_fixture_create(fixture.fs, account, "u.1");
	for (int i = 0; i < RUNS; i++) {
		byte = (char)i;
		ck_assert_int_eq(node_fixture_write(fixture.fs, ino,
					 (uint64_t)(i * 37 % RUNS) * APART, &byte, 1),
			0);
	}
	ck_assert_int_eq(node_flush(fixture.node, 20000), 0);
	node_get_figures(fixture.node, &figures);
	ck_assert_uint_eq(figures.dirty_files, 0);
	ck_assert_uint_ge(figures.objects_put, RUNS);
	if (_i == 0)
		ck_assert_uint_eq(figures.objects_put, RUNS);
	ck_assert_int_eq(node_evict(fixture.node, 0, &evicted), 0);
	ck_assert_uint_gt(evicted, 0);
	for (int i = 0; i < RUNS; i++) {
		ck_assert_int_eq(node_fixture_read(fixture.fs, ino,
					 (uint64_t)(i * 37 % RUNS) * APART, &byte, 1),
			1);
		ck_assert_int_eq(byte, (char)i);
	}
	node_fixture_done(&fixture);
}
END_TEST

/* ---- many small mails, as Maildir has them */
#define MAILS 300
#define MAIL_MAX_BYTES 6000

struct mail {
	uint64_t ino; /* 0: there is none */
	uint64_t directory;
	char name[64];
	size_t size;
	unsigned int content;
};

static struct mail mails[MAILS];
static unsigned int n_delivered;
static uint64_t tmp, new, cur;

static void fill_mail(const struct mail *mail, uint8_t *data)
{
	unsigned int content = mail->content;

	for (size_t i = 0; i < mail->size; i++)
		data[i] = (uint8_t)rand_r(&content);
}

/* Written in pieces into tmp/, synced, renamed or linked into new/. */
static void deliver(struct mail *mail)
{
	uint8_t data[MAIL_MAX_BYTES];

	snprintf(mail->name, sizeof(mail->name), "%u.M1P1.host", 1700000000 + n_delivered++);
	mail->size = 1 + random_below(MAIL_MAX_BYTES - 1);
	mail->content = n_delivered;
	mail->directory = new;
	fill_mail(mail, data);
	mail->ino = node_fixture_create(fixture.fs, tmp, mail->name);
	for (size_t at = 0, n; at < mail->size; at += n) {
		n = 1 + random_below(mail->size - at);
		ck_assert_int_eq(node_fixture_write(fixture.fs, mail->ino, at, data + at, n), 0);
	}
	ck_assert_int_eq(node_fixture_fsync(fixture.fs, mail->ino), 0);
	if (random_below(2) == 0) {
		ck_assert_int_eq(
			node_fixture_rename(fixture.fs, tmp, mail->name, new, mail->name, 0), 0);
		return;
	}
	ck_assert_int_eq(node_fixture_link(fixture.fs, mail->ino, new, mail->name), 0);
	ck_assert_int_eq(fs_unlink(fixture.fs, tmp, mail->name), 0);
}

static void set_flags(struct mail *mail)
{
	char name[64];

	snprintf(name, sizeof(name), "%.20s:2,%s", mail->name, random_below(2) ? "S" : "FS");
	if (mail->directory == cur && strcmp(name, mail->name) == 0)
		return;
	ck_assert_int_eq(
		node_fixture_rename(fixture.fs, mail->directory, mail->name, cur, name, 0), 0);
	mail->directory = cur;
	memcpy(mail->name, name, sizeof(name));
}

static void expunge(struct mail *mail)
{
	ck_assert_int_eq(fs_unlink(fixture.fs, mail->directory, mail->name), 0);
	fs_forget(fixture.fs, mail->ino, 100);
	mail->ino = 0;
}

static void verify_mail(const struct mail *mail, int step)
{
	uint8_t expected[MAIL_MAX_BYTES], data[MAIL_MAX_BYTES];
	struct fs_attributes a;

	fill_mail(mail, expected);
	ck_assert_int_eq(fs_lookup(fixture.fs, mail->directory, mail->name, &a), 0);
	ck_assert_uint_eq(a.ino, mail->ino);
	ck_assert_uint_eq(a.size_bytes, mail->size);
	ck_assert_int_eq(
		node_fixture_read(fixture.fs, a.ino, 0, data, sizeof(data)), (ssize_t)mail->size);
	ck_assert_msg(memcmp(data, expected, mail->size) == 0,
		"step %d: %s of %zu bytes has changed", step, mail->name, mail->size);
}

static void step_mail(struct mail *mail, int step)
{
	size_t what = random_below(20);

	if (mail->ino == 0)
		deliver(mail);
	else if (what < 8)
		verify_mail(mail, step);
	else if (what < 17)
		set_flags(mail);
	else
		expunge(mail);
}

START_TEST(test_mails)
{
	uint64_t account, evicted;

	seed = (unsigned int)_i + 300;
	memset(mails, 0, sizeof(mails));
	node_fixture_init(&fixture);
	fixture.options.commit_interval_ms = _i % 2 == 0 ? 0 : 30;
	fixture.options.cache_size_bytes = 100000; /* a tenth */
	node_fixture_open(&fixture);
	account = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
	tmp = node_fixture_mkdir(fixture.fs, account, "tmp");
	new = node_fixture_mkdir(fixture.fs, account, "new");
	cur = node_fixture_mkdir(fixture.fs, account, "cur");
	for (int step = 0; step < 6000; step++) {
		step_mail(&mails[random_below(MAILS)], step);
		if (random_below(1000) == 0)
			node_fixture_reopen(&fixture);
		if (random_below(500) == 0)
			ck_assert_int_eq(node_evict(fixture.node, 0, &evicted), 0);
	}
	ck_assert_int_eq(node_flush(fixture.node, 20000), 0);
	ck_assert_int_eq(node_evict(fixture.node, 0, &evicted), 0);
	node_fixture_reopen(&fixture);
	for (int i = 0; i < MAILS; i++) {
		if (mails[i].ino != 0)
			verify_mail(&mails[i], -1);
	}
	node_fixture_done(&fixture);
}
END_TEST

/* ---- a very long file with little in it */
static void expect_byte(uint64_t ino, uint64_t offset, int expected)
{
	uint8_t byte = 99;

	ck_assert_int_eq(node_fixture_read(fixture.fs, ino, offset, &byte, 1), 1);
	ck_assert_int_eq(byte, expected);
}

static void expect_seek(uint64_t ino, uint64_t offset, int whence, uint64_t expected)
{
	uint64_t found = 0;

	ck_assert_int_eq(fs_lseek(fixture.fs, ino, offset, whence, &found), 0);
	ck_assert_uint_eq(found, expected);
}

START_TEST(test_sparse_tebibyte)
{
	const uint64_t tebibyte = UINT64_C(1) << 40, middle = tebibyte / 2;
	const uint64_t block = UINT64_C(1) << (_i == 0 ? FILE_CLASS_BLOCK_SHIFT_BODY
						       : FILE_CLASS_BLOCK_SHIFT_ORDINARY);
	uint64_t account, ino, evicted, found;
	struct fs_attributes a;

	node_fixture_init(&fixture);
	node_fixture_open(&fixture);
	account = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
	ino = node_fixture_create(fixture.fs, account, _i == 0 ? "u.1" : "plain");
	ck_assert_int_eq(node_fixture_truncate(fixture.fs, ino, tebibyte), 0);
	ck_assert_int_eq(node_fixture_write(fixture.fs, ino, 0, "a", 1), 0);
	ck_assert_int_eq(node_fixture_write(fixture.fs, ino, middle, "b", 1), 0);
	ck_assert_int_eq(node_fixture_write(fixture.fs, ino, tebibyte - 1, "c", 1), 0);
	for (int round = 0; round < 2; round++) {
		expect_byte(ino, 0, 'a');
		expect_byte(ino, middle, 'b');
		expect_byte(ino, tebibyte - 1, 'c');
		expect_byte(ino, middle + (1 << 20), 0);
		expect_seek(ino, 1 << 20, SEEK_DATA, middle);
		expect_seek(ino, middle + 1, SEEK_HOLE, middle + block);
		ck_assert_int_eq(fs_getattr(fixture.fs, ino, &a), 0);
		ck_assert_uint_eq(a.allocated_bytes, 3 * block);
		ck_assert_int_eq(node_flush(fixture.node, 20000), 0);
		ck_assert_int_eq(node_evict(fixture.node, 0, &evicted), 0);
	}
	ck_assert_uint_lt(evicted, 1 << 20); /* holes are not counted as cached */
	ck_assert_int_eq(node_fixture_fallocate(fixture.fs, ino,
				 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1, tebibyte - 2),
		0);
	expect_byte(ino, middle, 0);
	expect_byte(ino, tebibyte - 1, 'c');
	ck_assert_int_eq(node_fixture_truncate(fixture.fs, ino, 100), 0);
	ck_assert_int_eq(node_fixture_truncate(fixture.fs, ino, tebibyte), 0);
	expect_byte(ino, 0, 'a');
	expect_byte(ino, tebibyte - 1, 0);
	ck_assert_int_eq(fs_lseek(fixture.fs, ino, 1 << 20, SEEK_DATA, &found), -ENXIO);
	ck_assert_int_eq(fs_unlink(fixture.fs, account, _i == 0 ? "u.1" : "plain"), 0);
	fs_forget(fixture.fs, ino, 1);
	ck_assert_int_eq(node_flush(fixture.node, 20000), 0);
	node_fixture_done(&fixture);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("content_model");
	TCase *tc = tcase_create("content_model");
	const char *rounds = getenv("MAILFS_TEST_ROUNDS");
	int n = rounds != NULL ? atoi(rounds) : 2;

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, test_uploads_at_once, 0, n);
	tcase_add_loop_test(tc, test_uploads_later, 0, n);
	tcase_add_loop_test(tc, test_small_cache, 0, n);
	tcase_add_loop_test(tc, test_mails, 0, n);
	tcase_add_loop_test(tc, test_sparse_tebibyte, 0, 2);
	tcase_add_loop_test(tc, test_many_runs, 0, 2);
	tcase_add_test(tc, test_last_use);
	suite_add_tcase(suite, tc);
	return suite;
}
