#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "config/mount_options.h"
#include "util/text_list.h"
#include "config/option_list.h"

#define MAX_WORDS 16

static struct mount_options options;
static char *message;

/* Parses "mailfs" and the words of the line, which are separated by single spaces. */
static int parse(const char *line)
{
	char copy[1024], *rest = copy, *argv[MAX_WORDS + 1] = {NULL};
	int argc = 0, r;

	ck_assert_int_lt(snprintf(copy, sizeof(copy), "mailfs %s", line), sizeof(copy));
	while (rest != NULL && argc < MAX_WORDS)
		argv[argc++] = strsep(&rest, " ");
	free(message);
	message = NULL;
	r = mount_options_parse(argc, argv, &options, &message);
	ck_assert_int_le(r, 0);
	if (r < 0)
		ck_assert_ptr_nonnull(message);
	else
		ck_assert_ptr_null(message);
	return r;
}

static void parse_good(const char *line)
{
	ck_assert_msg(parse(line) == 0, "%s: %s", line, message);
}

static void parse_bad(const char *line, const char *part_of_message)
{
	ck_assert_int_eq(parse(line), -EINVAL);
	ck_assert_msg(strstr(message, part_of_message) != NULL, "'%s' not in: %s", part_of_message,
		message);
}

static void clean_up(void)
{
	mount_options_done(&options);
	free(message);
	message = NULL;
}

START_TEST(test_plain)
{
	parse_good("file:///v /mnt");
	ck_assert_str_eq(options.url, "file:///v");
	ck_assert_str_eq(options.mountpoint, "/mnt");
	ck_assert_ptr_null(options.state_directory);
	ck_assert_str_eq(options.fuse_options, "default_permissions");
	ck_assert_int_eq(options.action, MOUNT_ACTION_MOUNT);
	ck_assert_int_eq(options.ack, MOUNT_ACK_DEFAULT);
	ck_assert_int_eq(options.log_level, LOG_LEVEL_INFO);
	ck_assert_uint_eq(options.commit_interval_ms, 1000);
	ck_assert_uint_eq(options.commit_window_ms, 2);
	ck_assert_uint_eq(options.commit_timeout_ms, 600000);
	ck_assert_uint_eq(options.retention_ms, 0);
	ck_assert_uint_eq(options.umount_timeout_ms, 30000);
	ck_assert_uint_eq(options.cache_size_bytes, 0);
	ck_assert_uint_eq(options.memory_bytes, 0);
	ck_assert_uint_eq(options.threads, 0);
	ck_assert(!options.strict_sync && !options.foreground && !options.debug);
}
END_TEST

START_TEST(test_every_option)
{
	parse_good("-f file:///v -o state=/s,ack=local,cache_size=10G,memory=64M /mnt "
		   "-o commit_interval=250ms,umount_timeout=2m,sync=strict,threads=9,"
		   "log_level=warning,commit_window=0ms,commit_timeout=5s,retention=7d,"
		   "ack_accounts=/a,backlog_size=1G,backlog_age=2h");
	ck_assert_str_eq(options.ack_accounts, "/a");
	ck_assert_uint_eq(options.backlog_size_bytes, UINT64_C(1) << 30);
	ck_assert_uint_eq(options.backlog_age_ms, 2 * 60 * 60 * 1000);
	ck_assert_str_eq(options.mountpoint, "/mnt");
	ck_assert_str_eq(options.state_directory, "/s");
	ck_assert_int_eq(options.ack, MOUNT_ACK_LOCAL);
	ck_assert_uint_eq(options.cache_size_bytes, UINT64_C(10) << 30);
	ck_assert_uint_eq(options.memory_bytes, 64 << 20);
	ck_assert_uint_eq(options.commit_interval_ms, 250);
	ck_assert_uint_eq(options.commit_window_ms, 0);
	ck_assert_uint_eq(options.commit_timeout_ms, 5000);
	ck_assert_uint_eq(options.retention_ms, UINT64_C(7) * 24 * 60 * 60 * 1000);
	ck_assert_uint_eq(options.umount_timeout_ms, 120000);
	ck_assert_uint_eq(options.threads, 9);
	ck_assert_int_eq(options.log_level, LOG_LEVEL_WARNING);
	ck_assert(options.strict_sync && options.foreground && !options.debug);
}
END_TEST

START_TEST(test_the_last_one_counts)
{
	parse_good("u m -o state=/a,ack=remote,sync=strict -o state=/b,ack=local,sync=mail");
	ck_assert_str_eq(options.state_directory, "/b");
	ck_assert_int_eq(options.ack, MOUNT_ACK_LOCAL);
	ck_assert(!options.strict_sync);
}
END_TEST

START_TEST(test_kernel_options_are_handed_on)
{
	parse_good("u m -o rw,nodev,nosuid,noexec,allow_other,noatime,sync");
	ck_assert_str_eq(options.fuse_options,
		"default_permissions,rw,nodev,nosuid,noexec,allow_other,noatime,sync");
}
END_TEST

START_TEST(test_commas_in_values)
{
	parse_good("u m -o state=/a\\,b\\\\c,context=s0:c1\\,c2");
	ck_assert_str_eq(options.state_directory, "/a,b\\c");
	ck_assert_str_eq(options.fuse_options, "default_permissions,context=s0:c1\\,c2");
	parse_bad("u m -o state=/a\\", "backslash");
}
END_TEST

START_TEST(test_what_fstab_passes_is_swallowed)
{
	parse_good("u m -o _netdev,nofail,fail,auto,noauto,user,user=joe,nouser,users,owner,group,"
		   "defaults,relatime,norelatime,strictatime,lazytime,nodiratime,diratime,"
		   "comment=a=b,x-systemd.mount-timeout=10min,x-,,default_permissions,");
	ck_assert_str_eq(options.fuse_options, "default_permissions");
}
END_TEST

START_TEST(test_unknown_options)
{
	parse_bad("u m -o remount", "unmount it");
	parse_bad("u m -x", "'-x'");
	parse_bad("u m --frob", "'--frob'");
	parse_bad("u m -fx", "'-x'");
	parse_bad("u m -o", "'-o'");
	parse_good("u m -o sloppy,frob,state=/s");
	ck_assert_str_eq(options.state_directory, "/s");
	ck_assert(options.sloppy);
	mount_options_done(&options);
	parse_good("u m -o cachesize=1G,nodevil,state=/s,allow_other=1");
	ck_assert_uint_eq(text_list_length(options.backend_options), 3);
	ck_assert_str_eq(options.backend_options[0], "cachesize=1G");
	ck_assert_str_eq(options.backend_options[1], "nodevil");
	ck_assert_str_eq(options.backend_options[2], "allow_other=1");
}
END_TEST

START_TEST(test_bad_values)
{
	parse_bad("u m -o state", "state=DIR");
	parse_bad("u m -o state=", "state=DIR");
	parse_bad("u m -o ack=maybe", "local|remote");
	parse_bad("u m -o commit_window=2s", "commit_window=DURATION up to 1s");
	parse_bad("u m -o commit_timeout=0s", "commit_timeout=DURATION from 1ms");
	parse_bad("u m -o commit_timeout=2h", "to 1h");
	parse_bad("u m -o retention=forever", "retention=DURATION");
	parse_bad("u m -o cache_size=lots", "cache_size=SIZE");
	parse_bad("u m -o cache_size=0", "cache_size=SIZE");
	parse_bad("u m -o cache_size=99999999T", "cache_size=SIZE");
	parse_bad("u m -o memory=-1", "memory=SIZE");
	parse_bad("u m -o commit_interval=2h", "commit_interval=DURATION");
	parse_bad("u m -o umount_timeout=2x", "umount_timeout=DURATION");
	parse_bad("u m -o sync=never", "mail|strict");
	parse_bad("u m -o threads=0", "threads=1 to 256");
	parse_bad("u m -o threads=257", "threads=1 to 256");
	parse_bad("u m -o log_level=loud", "log_level=");
}
END_TEST

START_TEST(test_wrong_number_of_words)
{
	parse_bad("-f", "no URL");
	parse_bad("file:///v", "no mountpoint");
	parse_bad("u m more", "'more'");
	parse_bad("u ", "mountpoint is empty");
}
END_TEST

START_TEST(test_flags)
{
	parse_good("u m -d");
	ck_assert(options.debug && options.foreground);
	ck_assert_int_eq(options.log_level, LOG_LEVEL_DEBUG);
	mount_options_done(&options);
	parse_good("-h");
	ck_assert_int_eq(options.action, MOUNT_ACTION_HELP);
	mount_options_done(&options);
	parse_good("--version");
	ck_assert_int_eq(options.action, MOUNT_ACTION_VERSION);
	ck_assert_ptr_nonnull(strstr(mount_options_help(), "cache_size"));
}
END_TEST

START_TEST(test_relative_state)
{
	char here[PATH_MAX], expected[PATH_MAX + 16];

	ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
	snprintf(expected, sizeof(expected), "%s/s/t", here);
	parse_good("u m -o state=s/t");
	ck_assert_str_eq(options.state_directory, expected);
}
END_TEST

START_TEST(test_the_list_has_a_ceiling)
{
	char *list = NULL, *word = malloc(OPTION_LIST_MAX_BYTES / 4 + 1);

	ck_assert_ptr_nonnull(word);
	memset(word, 'x', OPTION_LIST_MAX_BYTES / 4);
	word[OPTION_LIST_MAX_BYTES / 4] = '\0';
	ck_assert_int_eq(option_list_append(&list, word), 0);
	ck_assert_int_eq(option_list_append(&list, word), 0);
	ck_assert_int_eq(option_list_append(&list, word), -E2BIG);
	ck_assert_uint_eq(strlen(list), OPTION_LIST_MAX_BYTES / 2 + 1);
	free(list);
	free(word);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("mount_options");
	TCase *tc = tcase_create("mount_options");

	tcase_add_checked_fixture(tc, NULL, clean_up);
	tcase_add_test(tc, test_plain);
	tcase_add_test(tc, test_every_option);
	tcase_add_test(tc, test_the_last_one_counts);
	tcase_add_test(tc, test_kernel_options_are_handed_on);
	tcase_add_test(tc, test_commas_in_values);
	tcase_add_test(tc, test_what_fstab_passes_is_swallowed);
	tcase_add_test(tc, test_unknown_options);
	tcase_add_test(tc, test_bad_values);
	tcase_add_test(tc, test_wrong_number_of_words);
	tcase_add_test(tc, test_flags);
	tcase_add_test(tc, test_relative_state);
	tcase_add_test(tc, test_the_list_has_a_ceiling);
	suite_add_tcase(suite, tc);
	return suite;
}
