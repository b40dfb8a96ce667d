#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/nfs/nfs_settings.h"

static struct nfs_settings read_url(const char *rest, const char *const *options)
{
	struct nfs_settings s;
	char *message = NULL;
	int r = nfs_settings_read(rest, options, &s, &message);

	ck_assert_msg(r == 0, "%s: %s", rest, message != NULL ? message : "?");
	return s;
}

/* The error, whose message must hold the words. */
static int refusal(const char *rest, const char *option, const char *words)
{
	const char *options[] = {option, NULL};
	struct nfs_settings s;
	char *message = NULL;
	int r = nfs_settings_read(rest, options, &s, &message);

	ck_assert_int_lt(r, 0);
	ck_assert_ptr_nonnull(message);
	ck_assert_msg(strstr(message, words) != NULL, "%s: %s", rest, message);
	free(message);
	return r;
}

START_TEST(test_plain)
{
	struct nfs_settings s = read_url("server.example/export/mail", NULL);

	ck_assert_str_eq(s.server, "server.example");
	ck_assert_str_eq(s.path, "/export/mail");
	ck_assert_uint_eq(s.nfs_port, 0);
	ck_assert_uint_eq(s.mount_port, 0);
	ck_assert_uint_eq(s.uid, UINT32_MAX);
	ck_assert_uint_eq(s.gid, UINT32_MAX);
	ck_assert_uint_eq(s.answer_timeout_ms, NFS_DEFAULT_ANSWER_TIMEOUT_MS);
}
END_TEST

START_TEST(test_server_and_port)
{
	struct nfs_settings s = read_url("10.1.2.3:20490/x", NULL);

	ck_assert_str_eq(s.server, "10.1.2.3");
	ck_assert_uint_eq(s.nfs_port, 20490);
	s = read_url("[fe80::1]/x", NULL);
	ck_assert_str_eq(s.server, "fe80::1");
	ck_assert_uint_eq(s.nfs_port, 0);
	s = read_url("[::1]:65535/x", NULL);
	ck_assert_str_eq(s.server, "::1");
	ck_assert_uint_eq(s.nfs_port, 65535);
}
END_TEST

START_TEST(test_paths)
{
	struct nfs_settings s = read_url("h/", NULL);

	ck_assert_str_eq(s.path, "/");
	s = read_url("h/a/b//?version=3", NULL);
	ck_assert_str_eq(s.path, "/a/b");
	s = read_url("h/with%20blank/%3f%25%C3%a4", NULL);
	ck_assert_str_eq(s.path, "/with blank/?%\xc3\xa4");
}
END_TEST

START_TEST(test_arguments)
{
	struct nfs_settings s = read_url("h/x?version=3&nfsport=1&mountport=2&uid=3&gid=0&"
					 "timeout=5000&auto-traverse-mounts=0",
		NULL);

	ck_assert_uint_eq(s.nfs_port, 1);
	ck_assert_uint_eq(s.mount_port, 2);
	ck_assert_uint_eq(s.uid, 3);
	ck_assert_uint_eq(s.gid, 0);
	ck_assert_uint_eq(s.answer_timeout_ms, 5000);
	s = read_url("h:7/x?", NULL);
	ck_assert_uint_eq(s.nfs_port, 7);
}
END_TEST

START_TEST(test_options_win)
{
	const char *options[] = {"nfs_uid=1000", "nfs_gid=1001", "nfs_timeout=250", "nfs_port=2049",
		"nfs_mountport=892", "nfs_version=3", NULL};
	struct nfs_settings s = read_url("h:1/x?uid=1&gid=2&timeout=3000", options);

	ck_assert_uint_eq(s.uid, 1000);
	ck_assert_uint_eq(s.gid, 1001);
	ck_assert_uint_eq(s.answer_timeout_ms, 250);
	ck_assert_uint_eq(s.nfs_port, 2049);
	ck_assert_uint_eq(s.mount_port, 892);
	ck_assert(nfs_settings_has_option("nfs_uid=1"));
	ck_assert(nfs_settings_has_option("nfs_timeout"));
	ck_assert(!nfs_settings_has_option("uid=1"));
	ck_assert(!nfs_settings_has_option("nfs_ui=1"));
}
END_TEST

START_TEST(test_malformed)
{
	static const char *const bad[] = {"", "server", "/path", "server?version=3", ":2049/x",
		"h:/x", "h:0/x", "h:65536/x", "h:12x/x", "h:123456789/x", "[::1/x", "[::1]x/y",
		"[]/x", "h/%", "h/%4", "h/%zz", "h/a%00b"};
	char long_path[NFS_PATH_BYTES + 8] = "h/", long_server[NFS_SERVER_BYTES + 8];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(refusal(bad[i], NULL, "write nfs://SERVER"), -EINVAL);
	memset(long_path + 2, 'p', sizeof(long_path) - 3);
	long_path[sizeof(long_path) - 1] = '\0';
	ck_assert_int_eq(refusal(long_path, NULL, "too long"), -EINVAL);
	memset(long_server, 's', sizeof(long_server));
	memcpy(long_server + sizeof(long_server) - 3, "/x", 3);
	ck_assert_int_eq(refusal(long_server, NULL, "too long"), -EINVAL);
}
END_TEST

START_TEST(test_refused_values)
{
	ck_assert_int_eq(refusal("h/x?version=4", NULL, "file:///"), -EOPNOTSUPP);
	ck_assert_int_eq(refusal("h/x", "nfs_version=4", "file:///"), -EOPNOTSUPP);
	ck_assert_int_eq(refusal("h/x?version=2", NULL, "only version 3"), -EOPNOTSUPP);
	ck_assert_int_eq(refusal("h/x?version=five", NULL, "version=3"), -EINVAL);
	ck_assert_int_eq(refusal("h/x?uid=-1", NULL, "uid"), -EINVAL);
	ck_assert_int_eq(refusal("h/x?timeout=99", NULL, "timeout"), -EINVAL);
	ck_assert_int_eq(refusal("h/x?timeout", NULL, "needs a value"), -EINVAL);
	ck_assert_int_eq(refusal("h/x?colour=red", NULL, "auto-traverse-mounts"), -EINVAL);
	ck_assert_int_eq(refusal("h/x", "nfs_colour=red", "nfs_mountport"), -EINVAL);
	ck_assert_int_eq(refusal("h/x?uid=1&uid=1&uid=1&uid=1&uid=1&uid=1&uid=1&uid=1&uid=1&uid=1&"
				 "uid=1&uid=1&uid=1&uid=1&uid=1&uid=1&uid=1",
				 NULL, "too many"),
		-EINVAL);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("nfs_settings");
	TCase *tc = tcase_create("nfs_settings");

	tcase_add_test(tc, test_plain);
	tcase_add_test(tc, test_server_and_port);
	tcase_add_test(tc, test_paths);
	tcase_add_test(tc, test_arguments);
	tcase_add_test(tc, test_options_win);
	tcase_add_test(tc, test_malformed);
	tcase_add_test(tc, test_refused_values);
	suite_add_tcase(suite, tc);
	return suite;
}
