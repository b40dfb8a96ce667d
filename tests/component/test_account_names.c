#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "fs/account_names.h"
#include "node_fixture.h"

#define INO_ACCOUNT_BITS 40
#define MANY 3000

static struct node_fixture f;

static void set_up(void)
{
	node_fixture_init(&f);
}

static void clean_up(void)
{
	node_fixture_close(&f);
	node_fixture_done(&f);
}

static uint32_t account_of(uint64_t ino)
{
	return (uint32_t)(ino >> INO_ACCOUNT_BITS);
}

static void check_found(const char *name, uint64_t directory)
{
	uint32_t account = UINT32_MAX;

	ck_assert_msg(account_names_find(f.fs, name, &account) == 0, "no %s", name);
	ck_assert_uint_eq(account, account_of(directory));
}

static void check_none(const char *name, int error)
{
	uint32_t account;

	ck_assert_msg(account_names_find(f.fs, name, &account) == error, "%s", name);
}

/* Names with their numbers, in a text. */
struct listing {
	char text[256];
	size_t n, max;
};

static bool note(void *arg, const char *name, uint32_t account)
{
	struct listing *l = arg;
	size_t used = strlen(l->text);

	(void)snprintf(l->text + used, sizeof(l->text) - used, "%s=%u;", name, account);
	return ++l->n < l->max;
}

static struct listing list(size_t max)
{
	struct listing l = {.max = max};

	ck_assert_int_eq(account_names_list(f.fs, note, &l), 0);
	return l;
}

static void check_listed(const struct listing *l, const char *name, uint64_t directory)
{
	char entry[64];

	snprintf(entry, sizeof(entry), "%s=%u;", name, account_of(directory));
	ck_assert_msg(strstr(l->text, entry) != NULL, "no %s in %s", entry, l->text);
}

START_TEST(test_users)
{
	uint64_t anna, bert;
	struct listing l;

	node_fixture_open(&f);
	ck_assert_uint_eq(list(100).n, 0);
	anna = node_fixture_mkdir(f.fs, FS_ROOT_INO, "anna");
	bert = node_fixture_mkdir(f.fs, FS_ROOT_INO, "bert");
	(void)node_fixture_mkdir(f.fs, anna, "Maildir");
	(void)node_fixture_create(f.fs, FS_ROOT_INO, "a-file");
	check_found("anna", anna);
	check_found("/bert/", bert);
	check_found("/", FS_ROOT_INO);
	check_none("nobody", -ENOENT);
	check_none("a-file", -ENOENT);
	check_none("anna/Maildir", -EINVAL);
	check_none("", -EINVAL);
	l = list(100);
	ck_assert_uint_eq(l.n, 2);
	check_listed(&l, "anna", anna);
	check_listed(&l, "bert", bert);
	ck_assert_uint_eq(list(1).n, 1);
	ck_assert_int_eq(fs_rmdir(f.fs, FS_ROOT_INO, "bert"), 0);
	check_none("bert", -ENOENT);
	ck_assert_uint_eq(list(100).n, 1);
}
END_TEST

START_TEST(test_domains)
{
	uint64_t one, other, anna, too, directory;
	const char *name;
	char long_name[FS_NAME_MAX_BYTES + 2];
	struct listing l;

	f.options.account_depth = 2;
	node_fixture_open(&f);
	one = node_fixture_mkdir(f.fs, FS_ROOT_INO, "one.example");
	other = node_fixture_mkdir(f.fs, FS_ROOT_INO, "other.example");
	(void)node_fixture_mkdir(f.fs, FS_ROOT_INO, "empty.example");
	anna = node_fixture_mkdir(f.fs, one, "anna");
	too = node_fixture_mkdir(f.fs, other, "anna");
	check_found("one.example/anna", anna);
	check_found("other.example//anna", too);
	ck_assert_int_eq(account_names_entry(f.fs, "other.example/anna", &directory, &name), 0);
	ck_assert_uint_eq(directory, other);
	ck_assert_str_eq(name, "anna");
	ck_assert_int_eq(account_names_entry(f.fs, "/", &directory, &name), -EINVAL);
	ck_assert_int_eq(account_names_entry(f.fs, "one.example/no", &directory, &name), -ENOENT);
	check_none("one.example", -EINVAL);
	check_none("one.example/bert", -ENOENT);
	check_none("no.example/anna", -ENOENT);
	check_none("one.example/anna/Maildir", -EINVAL);
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	check_none(long_name, -ENOENT);
	l = list(100);
	ck_assert_uint_eq(l.n, 2);
	check_listed(&l, "one.example/anna", anna);
	check_listed(&l, "other.example/anna", too);
	ck_assert_uint_eq(list(1).n, 1);
}
END_TEST

START_TEST(test_one_for_all)
{
	f.options.account_depth = 0;
	node_fixture_open(&f);
	(void)node_fixture_mkdir(f.fs, FS_ROOT_INO, "anna");
	check_found("/", FS_ROOT_INO);
	check_none("anna", -EINVAL);
	ck_assert_uint_eq(list(100).n, 0);
}
END_TEST

static bool count(void *arg, const char *name, uint32_t account)
{
	(void)name;
	*(uint64_t *)arg += account;
	return true;
}

START_TEST(test_many)
{
	uint64_t expected = 0, sum = 0;
	char name[16];

	node_fixture_open(&f);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "u%d", i);
		expected += account_of(node_fixture_mkdir(f.fs, FS_ROOT_INO, name));
	}
	ck_assert_int_eq(account_names_list(f.fs, count, &sum), 0);
	ck_assert_uint_eq(sum, expected);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("account_names");
	TCase *tc = tcase_create("account_names");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, clean_up);
	tcase_add_test(tc, test_users);
	tcase_add_test(tc, test_domains);
	tcase_add_test(tc, test_one_for_all);
	tcase_add_test(tc, test_many);
	suite_add_tcase(suite, tc);
	return suite;
}
