/*
 * A node with a replicator, written to at the wrong moment: while an object of the same body is on
 * its way, and between the two requests of one append.
 */
#include <config.h>
#include "check_main.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/fault_backend.h"
#include "cache/cut.h"
#include "cache/record.h"
#include "test_machine.h"
#include "util/clock.h"

#define INTERVAL_MS 50
#define PATIENCE_MS 30000

static uint64_t look_up(struct test_machine *m, uint64_t parent, const char *name)
{
	struct fs_attributes a;

	ck_assert_int_eq(fs_lookup(m->fixture.fs, parent, name, &a), 0);
	return a.ino;
}

/* ---- a body that is written while its object is on the way */

#define LARGE_BYTES 300000 /* an object of its own */

/* The first put of a body takes its time, and no other comes there. */
static void slow_down_bodies(struct test_machine *m)
{
	struct fault_rules rules;
	char *message = NULL;

	ck_assert_int_eq(fault_rules_parse("put:key=accounts*:nth=1:delay=400ms;"
					   "put:key=accounts*:error=EIO",
				 &rules, &message),
		0);
	(void)test_machine_close(m, PATIENCE_MS);
	ck_assert_int_eq(fault_backend_new(m->fixture.backend, &rules, &m->fixture.backend), 0);
	m->fixture.options.backend = m->fixture.backend;
	test_machine_open(m);
}

static void *flush_bodies(void *arg)
{
	struct test_machine *m = arg;

	(void)node_flush(m->fixture.node, 2000);
	return NULL;
}

START_TEST(test_written_while_it_is_put)
{
	uint8_t *data = calloc(1, LARGE_BYTES), *found = calloc(1, LARGE_BYTES);
	uint64_t account, ino, end_ms;
	struct test_machine *m, *next;
	pthread_t flush;

	ck_assert_int_eq(uuid_generate(&test_machine_volume), 0);
	snprintf(test_machine_store, sizeof(test_machine_store), "replicator-writes-put");
	m = test_machine_new(INTERVAL_MS);
	slow_down_bodies(m);
	account = node_fixture_mkdir(m->fixture.fs, FS_ROOT_INO, "user");
	ino = node_fixture_create(m->fixture.fs, account, "u.1");
	memset(data, 'x', LARGE_BYTES);
	ck_assert_int_eq(node_fixture_write(m->fixture.fs, ino, 0, data, LARGE_BYTES), 0);
	ck_assert_int_eq(pthread_create(&flush, NULL, flush_bodies, m), 0);
	clock_sleep_ms(150);
	memset(data + 16, 'y', 16);
	ck_assert_int_eq(node_fixture_write(m->fixture.fs, ino, 16, data + 16, 16), 0);
	ck_assert_int_eq(test_machine_wait(m), 0); /* the block, before the extent */
	end_ms = clock_monotonic_ms() + PATIENCE_MS;
	for (struct node_figures f = {0}; f.objects_put == 0;) {
		ck_assert_uint_lt(clock_monotonic_ms(), end_ms);
		clock_sleep_ms(10);
		node_get_figures(m->fixture.node, &f);
	}
	pthread_join(flush, NULL);
	ck_assert_int_eq(test_machine_wait(m), 0); /* the extent */
	next = test_machine_new(INTERVAL_MS);
	test_machine_load_all(next);
	ino = look_up(next, look_up(next, FS_ROOT_INO, "user"), "u.1");
	ck_assert_int_eq(
		node_fixture_read(next->fixture.fs, ino, 0, found, LARGE_BYTES), LARGE_BYTES);
	ck_assert_int_eq(memcmp(found, data, LARGE_BYTES), 0);
	test_machine_remove(m);
	test_machine_remove(next);
	free(data);
	free(found);
}
END_TEST

/* ---- an append that the kernel sends in two requests */

#define PAGE_BYTES 4096
#define WRITER 77

struct append {
	struct test_machine *machine;
	uint64_t ino;
};

static void append_by(struct append *a, uint64_t at, size_t n)
{
	static const uint8_t data[PAGE_BYTES];

	ck_assert_int_eq(
		node_fixture_write_by(a->machine->fixture.fs, WRITER, a->ino, at, data, n), 0);
}

static void *append_second_half(void *arg)
{
	clock_sleep_ms(10);
	append_by(arg, PAGE_BYTES, 100);
	return NULL;
}

static int take_size(void *arg, const struct cut_record *record)
{
	struct append *a = arg;
	struct key key = key_inode(a->ino);
	struct inode inode;

	if (record->value == NULL || record->key_bytes != key.size_bytes ||
		memcmp(record->key, key.bytes, key.size_bytes) != 0)
		return 0;
	ck_assert_int_eq(
		record_decode_inode(a->ino, record->value, record->value_bytes, &inode), 0);
	ck_assert_uint_eq(inode.size_bytes, PAGE_BYTES + 100);
	return 0;
}

/* A cut never has the first half alone. */
START_TEST(test_half_an_append)
{
	struct append a;
	uint64_t account;
	pthread_t thread;
	struct cut *cut;

	ck_assert_int_eq(uuid_generate(&test_machine_volume), 0);
	snprintf(test_machine_store, sizeof(test_machine_store), "replicator-writes-half");
	a.machine = test_machine_new(3600000); /* no other cut */
	(void)test_machine_close(a.machine, PATIENCE_MS);
	a.machine->fixture.options.torn_settle_ms = PATIENCE_MS;
	test_machine_open(a.machine);
	account = node_fixture_mkdir(a.machine->fixture.fs, FS_ROOT_INO, "user");
	a.ino = node_fixture_create(a.machine->fixture.fs, account, "dovecot.index.log");
	append_by(&a, 0, 4000);
	append_by(&a, 4000, PAGE_BYTES - 4000);
	ck_assert_int_eq(pthread_create(&thread, NULL, append_second_half, &a), 0);
	ck_assert_int_eq(cut_take(a.machine->fixture.node, &cut), 0);
	pthread_join(thread, NULL);
	for (size_t i = 0; i < cut_n_accounts(cut); i++)
		ck_assert_int_eq(cut_each(cut, i, take_size, &a), 0);
	cut_done(cut);
	test_machine_remove(a.machine);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("replicator_writes");
	TCase *tc = tcase_create("replicator_writes");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_written_while_it_is_put);
	tcase_add_test(tc, test_half_an_append);
	suite_add_tcase(suite, tc);
	return suite;
}
