#include <config.h>
#include "check_main.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "cache/change_set.h"

#define LIMIT_BYTES (UINT64_C(8) << 20)

static struct change_set *set;
static struct change_cut *cut;
static int n_at_cut;

static void set_up(void)
{
	set = change_set_new(LIMIT_BYTES);
	ck_assert_ptr_nonnull(set);
	n_at_cut = 0;
}

static void tear_down(void)
{
	change_cut_free(cut);
	cut = NULL;
	change_set_free(set);
}

static void note_at_cut(void *arg)
{
	ck_assert_ptr_eq(arg, &n_at_cut);
	n_at_cut++;
}

static void take(void)
{
	change_cut_free(cut);
	ck_assert_int_eq(change_set_cut(set, note_at_cut, &n_at_cut, &cut), 0);
}

static void note(enum store_table table, struct key key)
{
	struct change_list list = {0};

	change_list_add(&list, table, &key);
	change_set_enter(set);
	change_set_note(set, &list);
	change_set_leave(set);
	change_list_done(&list);
}

static uint64_t ino(uint32_t account, uint64_t local)
{
	return key_ino_compose(account, local);
}

static void check_change(
	const struct account_changes *a, size_t i, enum store_table table, struct key key)
{
	ck_assert_uint_lt(i, a->n_changes);
	ck_assert_uint_eq(a->changes[i].table, table);
	ck_assert_uint_eq(a->changes[i].key_bytes, key.size_bytes);
	ck_assert_mem_eq(a->changes[i].key, key.bytes, key.size_bytes);
}

START_TEST(test_each_key_once_and_sorted)
{
	for (int i = 0; i < 3; i++) {
		note(STORE_DATA, key_data(ino(7, 5), 1));
		note(STORE_META, key_inode(ino(7, 5)));
		note(STORE_META, key_inode(ino(7, 4)));
		note(STORE_META, key_inode(ino(3, 9)));
	}
	take();
	ck_assert_int_eq(n_at_cut, 1);
	ck_assert_uint_eq(cut->n_accounts, 2);
	ck_assert_uint_eq(cut->accounts[0].account, 3);
	ck_assert_uint_eq(cut->accounts[0].n_changes, 1);
	check_change(&cut->accounts[0], 0, STORE_META, key_inode(ino(3, 9)));
	ck_assert_uint_eq(cut->accounts[1].account, 7);
	ck_assert_uint_eq(cut->accounts[1].n_changes, 3);
	check_change(&cut->accounts[1], 0, STORE_META, key_inode(ino(7, 4)));
	check_change(&cut->accounts[1], 1, STORE_META, key_inode(ino(7, 5)));
	check_change(&cut->accounts[1], 2, STORE_DATA, key_data(ino(7, 5), 1));
	take();
	ck_assert_uint_eq(cut->n_accounts, 0);
}
END_TEST

/* What was on the stack before is no part of a short key. */
static void __attribute__((noinline)) dirty_stack(int byte)
{
	volatile unsigned char bytes[4096];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)byte;
}

START_TEST(test_short_keys_once)
{
	for (int i = 0; i < 3; i++) {
		dirty_stack(0x11 * (i + 1));
		note(STORE_META, key_account(7));
	}
	take();
	ck_assert_uint_eq(cut->n_accounts, 1);
	ck_assert_uint_eq(cut->accounts[0].n_changes, 1);
}
END_TEST

START_TEST(test_the_node_section_is_not_shipped)
{
	note(STORE_META, key_node_ino(KEY_NODE_ORPHAN, ino(7, 5)));
	take();
	ck_assert_uint_eq(cut->n_accounts, 0);
}
END_TEST

START_TEST(test_ranges_come_first)
{
	struct key from = key_data(ino(2, 5), 10), to = key_data(ino(2, 5), 20);
	struct change_list list = {0};

	note(STORE_META, key_inode(ino(2, 1)));
	change_list_add_range(&list, STORE_DATA, &from, &to);
	change_set_enter(set);
	change_set_note(set, &list);
	change_set_note(set, &list);
	change_set_leave(set);
	change_list_done(&list);
	take();
	ck_assert_uint_eq(cut->n_accounts, 1);
	ck_assert_uint_eq(cut->accounts[0].n_changes, 2);
	check_change(&cut->accounts[0], 0, STORE_DATA, from);
	ck_assert_uint_eq(cut->accounts[0].changes[0].to_bytes, to.size_bytes);
	ck_assert_mem_eq(cut->accounts[0].changes[0].to, to.bytes, to.size_bytes);
	ck_assert_uint_eq(cut->accounts[0].changes[1].to_bytes, 0);
}
END_TEST

START_TEST(test_what_is_given_back_comes_again)
{
	struct change_cut *first;

	note(STORE_META, key_inode(ino(2, 1)));
	note(STORE_META, key_inode(ino(2, 2)));
	change_set_note_account(set, 9);
	ck_assert_int_eq(change_set_cut(set, note_at_cut, &n_at_cut, &first), 0);
	note(STORE_META, key_inode(ino(2, 2)));
	note(STORE_META, key_inode(ino(2, 3)));
	note(STORE_META, key_inode(ino(9, 3)));
	change_set_give_back(set, first);
	take();
	ck_assert_uint_eq(cut->n_accounts, 2);
	ck_assert_uint_eq(cut->accounts[0].n_changes, 3);
	for (size_t i = 0; i < 3; i++)
		check_change(&cut->accounts[0], i, STORE_META, key_inode(ino(2, i + 1)));
	ck_assert_uint_eq(cut->accounts[1].account, 9);
	ck_assert(cut->accounts[1].is_whole);
	ck_assert_uint_eq(cut->accounts[1].n_changes, 0);
}
END_TEST

/* The largest goes, the others stay as they are. */
START_TEST(test_the_ceiling)
{
	uint64_t n = 0;

	for (uint64_t i = 1; i <= 100; i++)
		note(STORE_META, key_inode(ino(4, i)));
	while (n < 200000) {
		note(STORE_DATA, key_data(ino(5, 1), n++));
		if (n % 1000 == 0)
			ck_assert_uint_le(change_set_bytes(set), LIMIT_BYTES + (1 << 20));
	}
	ck_assert_uint_lt(change_set_bytes(set), LIMIT_BYTES / 2);
	note(STORE_META, key_inode(ino(4, 101)));
	take();
	ck_assert_uint_eq(cut->n_accounts, 2);
	ck_assert_uint_eq(cut->accounts[0].account, 4);
	ck_assert_uint_eq(cut->accounts[0].n_changes, 101);
	ck_assert_uint_eq(cut->accounts[1].account, 5);
	ck_assert(cut->accounts[1].is_whole);
}
END_TEST

/* Two keys of each operation: a cut has both or none. */
#define N_THREADS 4
#define N_OPERATIONS 20000

static void *operate(void *arg)
{
	uint32_t account = (uint32_t)(uintptr_t)arg;

	for (uint64_t i = 1; i <= N_OPERATIONS; i++) {
		struct key one = key_inode(ino(account, i)), other = key_symlink(ino(account, i));
		struct change_list list = {0};

		change_list_add(&list, STORE_META, &one);
		change_set_enter(set);
		change_set_note(set, &list);
		change_list_done(&list);
		change_list_add(&list, STORE_META, &other);
		change_set_note(set, &list);
		change_set_leave(set);
		change_list_done(&list);
	}
	return NULL;
}

static size_t count_changes(void)
{
	size_t n = 0;

	take();
	for (size_t i = 0; i < cut->n_accounts; i++) {
		ck_assert_uint_eq(cut->accounts[i].n_changes % 2, 0);
		n += cut->accounts[i].n_changes;
	}
	return n;
}

START_TEST(test_a_cut_has_whole_operations)
{
	pthread_t threads[N_THREADS];
	size_t n = 0;

	change_set_free(set);
	set = change_set_new(UINT64_MAX);
	for (uintptr_t i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, operate, (void *)(i + 1)), 0);
	for (int i = 0; i < 200; i++)
		n += count_changes();
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	n += count_changes();
	ck_assert_uint_eq(n, 2 * N_THREADS * N_OPERATIONS);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("change_set");
	TCase *tc = tcase_create("change_set");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_each_key_once_and_sorted);
	tcase_add_test(tc, test_short_keys_once);
	tcase_add_test(tc, test_the_node_section_is_not_shipped);
	tcase_add_test(tc, test_ranges_come_first);
	tcase_add_test(tc, test_what_is_given_back_comes_again);
	tcase_add_test(tc, test_the_ceiling);
	tcase_add_test(tc, test_a_cut_has_whole_operations);
	suite_add_tcase(suite, tc);
	return suite;
}
