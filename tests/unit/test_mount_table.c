#include <config.h>
#include "check_main.h"

#include <errno.h>
#include "util/mount_table.h"

START_TEST(test_a_line)
{
	struct mount_entry entry;

	ck_assert_int_eq(
		mount_table_parse("36 35 98:7 /root /mnt\\040a\\134b rw,noatime master:1 shared:2 -"
				  " fuse.mailfs file:///v\\0401 rw,user_id=0\n",
			&entry),
		0);
	ck_assert_uint_eq(entry.major, 98);
	ck_assert_uint_eq(entry.minor, 7);
	ck_assert_str_eq(entry.mountpoint, "/mnt a\\b");
	ck_assert_str_eq(entry.fstype, "fuse.mailfs");
	ck_assert_str_eq(entry.source, "file:///v 1");
	mount_entry_done(&entry);
}
END_TEST

START_TEST(test_lines_that_are_none)
{
	static const char *const lines[] = {"", "\n", "36 35 98:7 /root /mnt rw",
		"36 35 98 /root /mnt rw - fuse x rw", "36 35 98:7 - fuse x rw",
		"36 35 98:7 /root /mnt rw - fuse"};
	struct mount_entry entry;

	for (unsigned int i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		ck_assert_int_eq(mount_table_parse(lines[i], &entry), -EINVAL);
}
END_TEST

START_TEST(test_the_real_table)
{
	struct mount_entry entry;

	ck_assert_int_eq(mount_table_find("/proc", &entry), 0);
	ck_assert_str_eq(entry.fstype, "proc");
	ck_assert_int_ge(mount_table_count(entry.major, entry.minor), 1);
	mount_entry_done(&entry);
	ck_assert_int_eq(mount_table_find("/no/such/mountpoint", &entry), -ENOENT);
	ck_assert_int_eq(
		mount_table_find_source("fuse.mailfs", "file:///no/such/store", &entry), -ENOENT);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("mount_table");
	TCase *tc = tcase_create("mount_table");

	tcase_add_test(tc, test_a_line);
	tcase_add_test(tc, test_lines_that_are_none);
	tcase_add_test(tc, test_the_real_table);
	suite_add_tcase(suite, tc);
	return suite;
}
