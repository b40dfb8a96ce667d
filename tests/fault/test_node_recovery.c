/*
 * What a node makes of a store that is not as it should be: of changes that were given up, of what
 * a crash left, and of records that are damaged. It opens, serves all the rest, and loses nothing.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cache/body_evictor.h"
#include "cache/node_private.h"
#include "cache/transaction.h"
#include "node_fixture.h"
#include "util/clock.h"

#define BODY_BYTES 50000

static struct node_fixture fixture;
static uint64_t user;

static void begin(void)
{
	node_fixture_init(&fixture);
	fixture.options.commit_interval_ms = 0;
	node_fixture_open(&fixture);
	user = node_fixture_mkdir(fixture.fs, FS_ROOT_INO, "user");
}

static struct node_figures figures(void)
{
	struct node_figures f;

	node_get_figures(fixture.node, &f);
	return f;
}

static uint64_t make_body(const char *name, int byte)
{
	uint64_t ino = node_fixture_create(fixture.fs, user, name);
	uint8_t data[BODY_BYTES];

	memset(data, byte, sizeof(data));
	ck_assert_int_eq(node_fixture_write(fixture.fs, ino, 0, data, sizeof(data)), 0);
	return ino;
}

static void flush(void)
{
	ck_assert_int_eq(node_flush(fixture.node, 20000), 0);
}

/* ---- the sum of what is local */

START_TEST(test_sum_changes_with_the_commit)
{
	struct transaction t;
	uint64_t ino;

	begin();
	ino = make_body("u.1", 1);
	flush();
	ck_assert_uint_eq(figures().body_cache_bytes, BODY_BYTES);
	ck_assert_int_eq(transaction_begin(fixture.node, &t), 0);
	ck_assert_int_eq(body_evictor_note(&t, ino, 1000), 0);
	ck_assert_uint_eq(figures().body_cache_bytes, BODY_BYTES);
	transaction_abort(&t);
	ck_assert_uint_eq(figures().body_cache_bytes, BODY_BYTES);
	ck_assert_int_eq(transaction_begin(fixture.node, &t), 0);
	ck_assert_int_eq(body_evictor_note(&t, ino, 1000), 0);
	ck_assert_int_eq(transaction_commit(&t), 0);
	ck_assert_uint_eq(figures().body_cache_bytes, 1000);
	node_fixture_reopen(&fixture);
	ck_assert_uint_eq(figures().body_cache_bytes, 1000);
	node_fixture_done(&fixture);
}
END_TEST

/* A body without a name that a crash left is removed before the others are added up. */
START_TEST(test_sum_after_a_crash)
{
	begin();
	make_body("u.1", 1);
	make_body("u.2", 2);
	flush();
	ck_assert_int_eq(fs_unlink(fixture.fs, user, "u.1"), 0);
	node_fixture_reopen(&fixture);
	ck_assert_uint_eq(figures().body_cache_bytes, BODY_BYTES);
	node_fixture_done(&fixture);
}
END_TEST

/* ---- damaged records */

static const enum key_type node_types[] = {KEY_NODE_GARBAGE, KEY_NODE_LRU, KEY_NODE_LOCAL,
	KEY_NODE_ORPHAN, KEY_NODE_PENDING, KEY_NODE_TORN, KEY_NODE_UPLOAD};
#define N_NODE_TYPES ((int)(sizeof(node_types) / sizeof(node_types[0])))

static void put_raw(const struct key *key, const void *value, size_t value_bytes)
{
	struct store *store = fixture.node->store;
	struct store_batch *batch = store_batch_new(store);

	store_batch_put(batch, STORE_META, key, value, value_bytes);
	ck_assert_int_eq(store_write(store, batch), 0);
	store_batch_free(batch);
}

static bool has_raw(const struct key *key)
{
	struct store_value value;

	if (store_get(fixture.node->store, STORE_META, key, &value) < 0)
		return false;
	store_value_done(&value);
	return true;
}

static int read_body(uint64_t ino, int byte)
{
	uint8_t data[BODY_BYTES], expected[BODY_BYTES];
	ssize_t n = node_fixture_read(fixture.fs, ino, 0, data, sizeof(data));

	if (n < 0)
		return (int)n;
	memset(expected, byte, sizeof(expected));
	ck_assert_int_eq(n, BODY_BYTES);
	ck_assert_mem_eq(data, expected, sizeof(data));
	return 0;
}

static void evict_all(void)
{
	uint64_t evicted;

	ck_assert_int_eq(node_evict(fixture.node, 0, &evicted), 0);
}

/* Keys of a wrong length before and behind all others of the type, and a value that is none. */
static void damage_type(enum key_type type, uint64_t ino)
{
	struct key first = key_node(type), last = key_node(type);
	struct key of_inode = key_node_ino(type, ino);

	first.bytes[first.size_bytes++] = 0;
	memset(last.bytes + last.size_bytes, 0xff, 30);
	last.size_bytes += 30;
	put_raw(&first, "?", 1);
	put_raw(&last, "?", 1);
	put_raw(&of_inode, "??", 2);
	fixture.options.commit_interval_ms = 0;
	node_fixture_reopen(&fixture);
	ck_assert(has_raw(&first));
	ck_assert(has_raw(&last));
}

/* One clean body, one that was changed after it had been put, one that has no name. */
START_TEST(test_damaged_node_record)
{
	uint64_t clean, dirty;
	uint8_t data[BODY_BYTES];

	begin();
	clean = make_body("u.1", 1);
	dirty = make_body("u.2", 2);
	make_body("u.3", 3);
	flush();
	fixture.options.commit_interval_ms = 600000;
	node_fixture_reopen(&fixture);
	memset(data, 4, sizeof(data));
	ck_assert_int_eq(node_fixture_write(fixture.fs, dirty, 0, data, sizeof(data)), 0);
	ck_assert_int_eq(fs_unlink(fixture.fs, user, "u.3"), 0);
	damage_type(node_types[_i], dirty);
	evict_all();
	ck_assert_int_eq(read_body(clean, 1), 0);
	ck_assert_int_eq(read_body(dirty, 4), 0);
	make_body("u.4", 5);
	flush();
	evict_all();
	ck_assert_uint_eq(figures().body_cache_bytes, 0);
	ck_assert_int_eq(read_body(clean, 1), 0);
	ck_assert_int_eq(read_body(dirty, 4), 0);
	node_fixture_reopen(&fixture);
	ck_assert_int_eq(read_body(clean, 1), 0);
	ck_assert_int_eq(read_body(dirty, 4), 0);
	node_fixture_done(&fixture);
}
END_TEST

static bool count_entry(void *arg, const char *name, uint64_t ino, mode_t mode, uint64_t offset,
	const struct fs_attributes *attributes)
{
	unsigned int *n = arg;

	(void)ino;
	(void)mode;
	(void)offset;
	if (name[0] == 'u')
		*n += attributes != NULL ? 10 : 1;
	return true;
}

/* The record of one file's inode, or of its extent, or of its name: the others do not notice. */
START_TEST(test_damaged_file)
{
	uint64_t bad, good;
	struct fs_attributes a;
	struct key keys[3];
	unsigned int n = 0;

	begin();
	bad = make_body("u.1", 1);
	good = make_body("u.2", 2);
	flush();
	keys[0] = key_inode(bad);
	keys[1] = key_extent(bad, 0);
	keys[2] = key_name(user, "u.1");
	put_raw(&keys[_i], "??", 2);
	node_fixture_reopen(&fixture);
	evict_all();
	ck_assert_uint_eq(figures().body_cache_bytes, _i == 2 ? 0 : BODY_BYTES);
	ck_assert_int_eq(fs_lookup(fixture.fs, user, "u.1", &a), _i == 1 ? 0 : -EBADMSG);
	if (_i == 0)
		ck_assert_int_eq(read_body(bad, 1), -EBADMSG);
	else
		ck_assert_int_eq(read_body(bad, 1), 0);
	ck_assert_int_eq(read_body(good, 2), 0);
	ck_assert_int_eq(fs_readdir(fixture.fs, user, 0, true, count_entry, &n), 0);
	ck_assert_uint_eq(n, _i == 0 ? 11 : 20);
	make_body("u.3", 3);
	flush();
	node_fixture_done(&fixture);
}
END_TEST

/* A body that cannot be uploaded, since it is damaged here, is not lost and delays nobody. */
START_TEST(test_damaged_before_upload)
{
	uint64_t end_ms = clock_monotonic_ms() + 60000;
	struct key key;

	begin();
	node_fixture_close(&fixture);
	fixture.options.commit_interval_ms = 600000;
	node_fixture_open(&fixture);
	key = key_inode(make_body("u.1", 1));
	put_raw(&key, "??", 2);
	fixture.options.commit_interval_ms = 0;
	node_fixture_reopen(&fixture);
	for (unsigned int i = 0; i < 3; i++) {
		char name[] = "u.2";

		name[2] = (char)('2' + i);
		make_body(name, 2);
		while (figures().objects_put < i + 1 && clock_monotonic_ms() < end_ms)
			usleep(1000);
		ck_assert_uint_eq(figures().objects_put, i + 1);
	}
	ck_assert_uint_eq(figures().dirty_files, 1);
	ck_assert_int_eq(node_flush(fixture.node, 300), -EBADMSG);
	node_fixture_done(&fixture);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("node_recovery");
	TCase *tc = tcase_create("node_recovery");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_sum_changes_with_the_commit);
	tcase_add_test(tc, test_sum_after_a_crash);
	tcase_add_loop_test(tc, test_damaged_node_record, 0, N_NODE_TYPES);
	tcase_add_loop_test(tc, test_damaged_file, 0, 3);
	tcase_add_test(tc, test_damaged_before_upload);
	suite_add_tcase(suite, tc);
	return suite;
}
