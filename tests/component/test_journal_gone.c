/*
 * What was noted of an account that has left this node is not written into the journal as the
 * removal of all that it had.
 */
#include <config.h>
#include "check_main.h"

#include "cache/adoption.h"
#include "cache/change_set.h"
#include "cache/cut.h"
#include "cache/node_private.h"
#include "journal_model.h"
#include "node_fixture.h"
#include "replication/journal.h"

#define FLUSH_MS 30000

/* With 1 the account is to be taken whole. */
START_TEST(test_an_account_that_has_gone)
{
	struct journal_options options = {.node = {{1, 2, 3}},
		.incarnation = 7,
		.commit_interval_ms = 3600000,
		.commit_timeout_ms = FLUSH_MS,
		.max_in_flight = 4};
	struct journal_model model = {.n = 0};
	struct journal *journal;
	struct node_fixture f;
	struct key inode, block;
	char *message = NULL;
	uint64_t user, ino;
	uint32_t account;

	node_fixture_init(&f);
	f.options.journal = true;
	f.options.commit_interval_ms = 3600000; /* no uploads */
	node_fixture_open(&f);
	ck_assert_int_eq(journal_open(f.node, f.backend, &options, &journal, &message), 0);
	user = node_fixture_mkdir(f.fs, FS_ROOT_INO, "user");
	ino = node_fixture_create(f.fs, user, "list");
	account = key_ino_account(ino);
	inode = key_inode(ino);
	block = key_data(ino, 0);
	ck_assert_int_eq(node_fixture_write(f.fs, ino, 0, "content", 7), 0);
	ck_assert_int_eq(journal_flush(journal, FLUSH_MS), 0);
	ck_assert_int_eq(node_fixture_write(f.fs, ino, 0, "x", 1), 0);
	if (_i == 1)
		change_set_note_account(f.node->changes, account);
	ck_assert_int_eq(adoption_expect(f.node, &account, 1), 0);
	ck_assert_int_eq(journal_flush(journal, FLUSH_MS), 0);
	ck_assert(journal_model_replay(&model, f.backend, &options.node, options.incarnation));
	ck_assert_ptr_nonnull(journal_model_find(&model, STORE_META, &inode));
	ck_assert_ptr_nonnull(journal_model_find(&model, STORE_DATA, &block));
	ck_assert(!cut_is_needed(f.node));
	(void)journal_close(journal, 0);
	journal_model_done(&model);
	node_fixture_done(&f);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("journal_gone");
	TCase *tc = tcase_create("journal_gone");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_an_account_that_has_gone, 0, 2);
	suite_add_tcase(suite, tc);
	return suite;
}
