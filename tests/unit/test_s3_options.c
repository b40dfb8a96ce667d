/*
 * test_s3_options.c: options and URLs, and the adjustment of how much is in flight.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/s3/s3_concurrency.h"
#include "backends/s3/s3_location.h"
#include "backends/s3/s3_options.h"

static int take(const char *a, const char *b, struct s3_options *o, char **message)
{
	const char *const list[] = {a, b, NULL};

	*message = NULL;
	return s3_options_take(list, o, message);
}

START_TEST(test_defaults)
{
	struct s3_options o;
	char *message = NULL;

	ck_assert_int_eq(s3_options_take(NULL, &o, &message), 0);
	ck_assert_uint_eq(o.connections, S3_OPTIONS_DEFAULT_CONNECTIONS);
	ck_assert_ptr_null(o.endpoint);
	ck_assert_ptr_null(s3_options_storage_class(&o, "accounts/0/1/body/2"));
	s3_options_done(&o);
}
END_TEST

static const struct {
	const char *a, *b, *expected;
} refused[] = {
	{"endpiont=x", NULL, "unknown option"},
	{"no_check_certificate", NULL, "unknown option"},
	{"endpoint", NULL, "needs a value"},
	{"path_style=1", NULL, "takes no value"},
	{"path_style", "virtual_host", "exclude"},
	{"connections=0", NULL, "connections=1..1024"},
	{"connections=1025", NULL, "connections=1..1024"},
	{"http_version=3", NULL, "http_version=1.1|2"},
	{"sse=rot13", NULL, "sse=AES256|aws:kms"},
	{"sse_kms_key_id=k", NULL, "sse=aws:kms"},
	{"sse=AES256", "sse_kms_key_id=k", "sse=aws:kms"},
	{"storage_class=GLACIER", NULL, "cannot be read at once"},
	{"storage_class_body=DEEP_ARCHIVE", NULL, "cannot be read at once"},
	{"storage_class=a\r\nb", NULL, "storage_class=NAME"},
};

START_TEST(test_refused_options)
{
	struct s3_options o;
	char *message;

	ck_assert_int_eq(take(refused[_i].a, refused[_i].b, &o, &message), -EINVAL);
	ck_assert_msg(strstr(message, refused[_i].expected) != NULL, "%s", message);
	free(message);
}
END_TEST

START_TEST(test_storage_classes)
{
	struct s3_options o;
	char *message;

	ck_assert_int_eq(
		take("storage_class=STANDARD_IA", "storage_class_pack=GLACIER_IR", &o, &message),
		0);
	ck_assert_str_eq(s3_options_storage_class(&o, "accounts/0a/1/body/x/y"), "STANDARD_IA");
	ck_assert_str_eq(s3_options_storage_class(&o, "accounts/0a/1/checkpoint/1"), "STANDARD_IA");
	ck_assert_str_eq(s3_options_storage_class(&o, "accounts/0a/1/pack/1"), "GLACIER_IR");
	ck_assert_ptr_null(s3_options_storage_class(&o, "accounts/0a/1/owner"));
	ck_assert_ptr_null(s3_options_storage_class(&o, "accounts/0a/1/bodyguard/1"));
	ck_assert_ptr_null(s3_options_storage_class(&o, "accounts/0a"));
	ck_assert_ptr_null(s3_options_storage_class(&o, "journal/n/1/2"));
	ck_assert_ptr_null(s3_options_storage_class(&o, "volume.json"));
	s3_options_done(&o);
	ck_assert_int_eq(take("storage_class_journal=X", NULL, &o, &message), 0);
	ck_assert_str_eq(s3_options_storage_class(&o, "journal/n/1/2"), "X");
	ck_assert_ptr_null(s3_options_storage_class(&o, "accounts/0a/1/body/x"));
	s3_options_done(&o);
}
END_TEST

static const struct {
	const char *rest, *a, *b, *region;
	const char *host, *base_path, *prefix; /* host NULL: refused, with prefix in the message */
	bool is_tls;
} places[] = {
	{"bucket", NULL, NULL, "eu-central-1", "bucket.s3.eu-central-1.amazonaws.com", "", "",
		true},
	{"bucket/", NULL, NULL, "cn-north-1", "bucket.s3.cn-north-1.amazonaws.com.cn", "", "",
		true},
	{"my.bucket/a", NULL, NULL, "r", "s3.r.amazonaws.com", "/my.bucket", "a/", true},
	{"bucket/a/b/", "path_style", NULL, "r", "s3.r.amazonaws.com", "/bucket", "a/b/", true},
	{"bucket/a", "endpoint=http://h:9000/", NULL, "r", "h:9000", "/bucket", "a/", false},
	{"bucket/a", "endpoint=http://h:80", NULL, "r", "h", "/bucket", "a/", false},
	{"bucket/a", "endpoint=https://h:443", "virtual_host", "r", "bucket.h", "", "a/", true},
	{"bucket", "endpoint=http://[::1]:8", NULL, "r", "[::1]:8", "/bucket", "", false},
	{"bucket", "endpoint=h:9000", NULL, "r", NULL, NULL, "write https://", false},
	{"bucket", "endpoint=http://", NULL, "r", NULL, NULL, "no HOST", false},
	{"bucket", "endpoint=http://h/x", NULL, "r", NULL, NULL, "no HOST", false},
	{"bucket", "endpoint=http://u:p@h", NULL, "r", NULL, NULL, "no HOST", false},
	{"bucket", "endpoint=http://h:0", NULL, "r", NULL, NULL, "no HOST", false},
	{"bucket", "endpoint=http://h:65536", NULL, "r", NULL, NULL, "no HOST", false},
	{"bucket", "endpoint=http://h\r\nX: y", NULL, "r", NULL, NULL, "no HOST", false},
	{"bucket", "endpoint=http://[::1", NULL, "r", NULL, NULL, "no HOST", false},
	{"", NULL, NULL, "r", NULL, NULL, "3 to 63 characters", false},
	{"ab", NULL, NULL, "r", NULL, NULL, "3 to 63 characters", false},
	{"/prefix", NULL, NULL, "r", NULL, NULL, "3 to 63 characters", false},
	{"Bucket", NULL, NULL, "r", NULL, NULL, "no name of a bucket", false},
	{"-bucket", NULL, NULL, "r", NULL, NULL, "no name of a bucket", false},
	{"bucket.", NULL, NULL, "r", NULL, NULL, "no name of a bucket", false},
	{"bu..cket", NULL, NULL, "r", NULL, NULL, "no name of a bucket", false},
	{"bucket/a//b", NULL, NULL, "r", NULL, NULL, "is no prefix", false},
	{"bucket/../b", NULL, NULL, "r", NULL, NULL, "is no prefix", false},
	{"bucket/a b", NULL, NULL, "r", NULL, NULL, "is no prefix", false},
	{"bucket//", NULL, NULL, "r", NULL, NULL, "is no prefix", false},
	{"bucket", NULL, NULL, "EU\r\n", NULL, NULL, "no name of a region", false},
	{"bucket", NULL, NULL, "", NULL, NULL, "no name of a region", false},
};

START_TEST(test_location)
{
	struct s3_options o;
	struct s3_location l = {.is_aws = false};
	char *message;
	int r;

	ck_assert_int_eq(take(places[_i].a, places[_i].b, &o, &message), 0);
	r = s3_location_parse(places[_i].rest, &o, places[_i].region, &l, &message);
	if (places[_i].host == NULL) {
		ck_assert_int_eq(r, -EINVAL);
		ck_assert_msg(strstr(message, places[_i].prefix) != NULL, "%s", message);
		free(message);
	} else {
		ck_assert_msg(r == 0, "%s", message);
		ck_assert_str_eq(l.host, places[_i].host);
		ck_assert_str_eq(l.base_path, places[_i].base_path);
		ck_assert_str_eq(l.prefix, places[_i].prefix);
		ck_assert(l.is_tls == places[_i].is_tls);
	}
	s3_options_done(&o);
}
END_TEST

START_TEST(test_longest_prefix)
{
	char rest[S3_LOCATION_PREFIX_MAX_BYTES + 16] = "bucket/";
	struct s3_options o;
	struct s3_location l;
	char *message = NULL;

	ck_assert_int_eq(s3_options_take(NULL, &o, &message), 0);
	for (int i = 0; i < S3_LOCATION_PREFIX_MAX_BYTES; i++)
		rest[7 + i] = i % 100 == 99 && i < S3_LOCATION_PREFIX_MAX_BYTES - 1 ? '/' : 'x';
	ck_assert_int_eq(s3_location_parse(rest, &o, "r", &l, &message), 0);
	ck_assert_uint_eq(strlen(l.prefix), S3_LOCATION_PREFIX_MAX_BYTES + 1);
	strcat(rest, "x");
	ck_assert_int_eq(s3_location_parse(rest, &o, "r", &l, &message), -EINVAL);
	ck_assert_ptr_nonnull(strstr(message, "longer than"));
	free(message);
	s3_options_done(&o);
}
END_TEST

START_TEST(test_concurrency)
{
	struct s3_concurrency c;
	uint64_t now_ms = 1000;
	int n = 0;

	s3_concurrency_init(&c, 64);
	ck_assert(!s3_concurrency_note(&c, false, now_ms));
	ck_assert(s3_concurrency_note(&c, true, now_ms));
	ck_assert_uint_eq(c.limit, 32);
	ck_assert(!s3_concurrency_note(&c, true, now_ms + S3_CONCURRENCY_PAUSE_MS - 1));
	ck_assert(s3_concurrency_note(&c, true, now_ms + S3_CONCURRENCY_PAUSE_MS));
	ck_assert_uint_eq(c.limit, 16);
	for (int i = 0; i < 20; i++)
		(void)s3_concurrency_note(&c, true, now_ms += S3_CONCURRENCY_PAUSE_MS);
	ck_assert_uint_eq(c.limit, 1);
	while (c.limit < 64 && n < 100000)
		n += 1 + 0 * s3_concurrency_note(&c, false, now_ms);
	ck_assert_int_eq(n, 63 * 64 / 2); /* 1 + 2 + … + 63 */
	ck_assert(!s3_concurrency_note(&c, false, now_ms));
	ck_assert_uint_eq(c.limit, 64);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("s3_options");
	TCase *tc = tcase_create("options");

	tcase_add_test(tc, test_defaults);
	tcase_add_loop_test(
		tc, test_refused_options, 0, (int)(sizeof(refused) / sizeof(refused[0])));
	tcase_add_test(tc, test_storage_classes);
	tcase_add_loop_test(tc, test_location, 0, (int)(sizeof(places) / sizeof(places[0])));
	tcase_add_test(tc, test_longest_prefix);
	tcase_add_test(tc, test_concurrency);
	suite_add_tcase(suite, tc);
	return suite;
}
