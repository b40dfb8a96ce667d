#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/fault_backend.h"
#include "backends/memory_backend.h"
#include "util/clock.h"
#include "util/uuid.h"
#include "volume/volume.h"
#include "volume/volume_json.h"

#define GOOD_UUID "\"uuid\":\"00112233-4455-4677-8899-aabbccddeeff\""
#define GOOD_DEPTH "\"account_depth\":1"
#define GOOD_CREATED "\"created\":\"2026-01-31T12:00:00Z\""
#define GOOD_KIND "\"mailfs\":\"volume\""
#define GOOD_VERSION "\"format_version\":1"
#define REST GOOD_UUID "," GOOD_DEPTH "," GOOD_CREATED

static struct backend *backend;

static void set_up(void)
{
	struct fault_rules rules = {.n = 0};

	ck_assert_int_eq(memory_backend_new(&backend), 0);
	ck_assert_int_eq(fault_backend_new(backend, &rules, &backend), 0);
}

static void tear_down(void)
{
	backend_free(backend);
}

static void put_text(const char *key, const char *text)
{
	struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
	struct backend_result result;

	ck_assert_int_eq(backend_put_wait(backend, key, &part, 1, NULL, &result), 0);
}

static void check_open(int error, const char *expected)
{
	struct volume volume = {.account_depth = 77};
	char *message = NULL;

	ck_assert_int_eq(volume_open(backend, &volume, &message), error);
	ck_assert_ptr_nonnull(message);
	ck_assert_msg(strstr(message, expected) != NULL, "%s", message);
	ck_assert_uint_eq(volume.account_depth, 77);
	free(message);
}

static void check_format(uint32_t depth, int error, const char *expected)
{
	struct volume volume = {.account_depth = 77};
	char *message = NULL;

	ck_assert_int_eq(volume_format(backend, depth, &volume, &message), error);
	ck_assert_ptr_nonnull(message);
	ck_assert_msg(strstr(message, expected) != NULL, "%s", message);
	ck_assert_uint_eq(volume.account_depth, 77);
	free(message);
}

START_TEST(test_format_and_open)
{
	struct volume made, opened;
	char *message = NULL;

	ck_assert_int_eq(volume_format(backend, (uint32_t)_i, &made, &message), 0);
	ck_assert_int_eq(volume_open(backend, &opened, &message), 0);
	ck_assert_str_eq(made.uuid, opened.uuid);
	ck_assert_uint_eq(opened.account_depth, (unsigned int)_i);
	ck_assert_uint_eq(opened.format_version, VOLUME_FORMAT_VERSION);
	ck_assert_int_eq(made.created_ms, opened.created_ms);
	ck_assert_int_lt(llabs(clock_realtime_ms() - opened.created_ms), 60000);
	check_format(1, -EEXIST, "a volume already");
}
END_TEST

START_TEST(test_format_refuses)
{
	check_format(3, -EINVAL, "depth 3");
	put_text("some/object", "x");
	check_format(1, -ENOTEMPTY, "some/object");
}
END_TEST

START_TEST(test_format_passes_errors_on)
{
	ck_assert_int_eq(fault_backend_set(backend, "head:error=EACCES", NULL), 0);
	check_format(1, -EACCES, "cannot look");
	ck_assert_int_eq(fault_backend_set(backend, "list:error=EIO", NULL), 0);
	check_format(1, -EIO, "cannot look");
	ck_assert_int_eq(fault_backend_set(backend, "put:error=EROFS", NULL), 0);
	check_format(1, -EROFS, "cannot write");
	ck_assert_int_eq(fault_backend_set(backend, "put:error=EEXIST", NULL), 0);
	check_format(1, -EEXIST, "at the same time");
}
END_TEST

START_TEST(test_format_without_conditional_puts)
{
	struct volume made, opened;
	char *message = NULL;

	ck_assert_int_eq(fault_backend_set(backend, "put:nth=1:error=EOPNOTSUPP", NULL), 0);
	ck_assert_int_eq(volume_format(backend, 1, &made, &message), 0);
	ck_assert_int_eq(volume_open(backend, &opened, &message), 0);
	ck_assert_str_eq(opened.uuid, made.uuid);
	ck_assert_int_eq(volume_format(backend, 1, &made, &message), -EEXIST);
	free(message);
}
END_TEST

START_TEST(test_open_errors)
{
	check_open(-ENOENT, "mailfs-admin format");
	ck_assert_int_eq(fault_backend_set(backend, "get:error=EHOSTUNREACH", NULL), 0);
	check_open(-EHOSTUNREACH, "cannot read");
}
END_TEST

START_TEST(test_unknown_fields_are_ignored)
{
	struct volume volume;
	char *message = NULL;

	put_text("volume.json", " {" GOOD_KIND "," GOOD_VERSION ",\"chunk\":[1,{}]," REST "}\n");
	ck_assert_int_eq(volume_open(backend, &volume, &message), 0);
	ck_assert_str_eq(volume.uuid, "00112233-4455-4677-8899-aabbccddeeff");
	ck_assert_uint_eq(volume.account_depth, 1);
	ck_assert_int_eq(volume.created_ms, 1769860800000);
}
END_TEST

static const struct {
	const char *text;
	int error;
	const char *expected;
} bad[] = {
	{"", -EBADMSG, "not JSON"},
	{"{", -EBADMSG, "not JSON"},
	{"\xff\xfe", -EBADMSG, "not JSON"},
	{"hello", -EBADMSG, "not JSON"},
	{"[]", -EBADMSG, "not a JSON object"},
	{"{}", -EBADMSG, "\"mailfs\""},
	{"{" GOOD_KIND "," GOOD_VERSION "," REST "} x", -EBADMSG, "not JSON"},
	{"{\"mailfs\":\"node\"," GOOD_VERSION "," REST "}", -EBADMSG, "\"mailfs\""},
	{"{\"mailfs\":1," GOOD_VERSION "," REST "}", -EBADMSG, "\"mailfs\""},
	{"{" GOOD_KIND "," REST "}", -EBADMSG, "format_version"},
	{"{" GOOD_KIND ",\"format_version\":\"1\"," REST "}", -EBADMSG, "format_version"},
	{"{" GOOD_KIND ",\"format_version\":1.0," REST "}", -EBADMSG, "format_version"},
	{"{" GOOD_KIND ",\"format_version\":0," REST "}", -EBADMSG, "format_version"},
	{"{" GOOD_KIND ",\"format_version\":-1," REST "}", -EBADMSG, "format_version"},
	{"{" GOOD_KIND ",\"format_version\":2}", -EPROTONOSUPPORT, "newer mailfs"},
	{"{" GOOD_KIND ",\"format_version\":2,\"uuid\":7}", -EPROTONOSUPPORT, "version 2"},
	{"{" GOOD_KIND "," GOOD_VERSION "," GOOD_VERSION "," REST "}", -EBADMSG, "not JSON"},
	{"{" GOOD_KIND "," GOOD_VERSION "," GOOD_DEPTH "," GOOD_CREATED "}", -EBADMSG, "uuid"},
	{"{" GOOD_KIND "," GOOD_VERSION ",\"uuid\":null," GOOD_DEPTH "," GOOD_CREATED "}", -EBADMSG,
		"uuid"},
	{"{" GOOD_KIND "," GOOD_VERSION ",\"uuid\":\"x\"," GOOD_DEPTH "," GOOD_CREATED "}",
		-EBADMSG, "canonical"},
	{"{" GOOD_KIND "," GOOD_VERSION
	 ",\"uuid\":\"00112233-4455-4677-8899-aabbccddeeff\\u0000\"," GOOD_DEPTH "," GOOD_CREATED
	 "}",
		-EBADMSG, "not JSON"},
	{"{" GOOD_KIND "," GOOD_VERSION "," GOOD_UUID "," GOOD_CREATED "}", -EBADMSG,
		"account_depth"},
	{"{" GOOD_KIND "," GOOD_VERSION "," GOOD_UUID ",\"account_depth\":3," GOOD_CREATED "}",
		-EBADMSG, "0, 1 or 2"},
	{"{" GOOD_KIND "," GOOD_VERSION "," GOOD_UUID ",\"account_depth\":true," GOOD_CREATED "}",
		-EBADMSG, "account_depth"},
	{"{" GOOD_KIND "," GOOD_VERSION "," GOOD_UUID "," GOOD_DEPTH "}", -EBADMSG, "created"},
	{"{" GOOD_KIND "," GOOD_VERSION "," GOOD_UUID "," GOOD_DEPTH ",\"created\":5}", -EBADMSG,
		"created"},
	{"{" GOOD_KIND "," GOOD_VERSION "," GOOD_UUID "," GOOD_DEPTH
	 ",\"created\":\"2026-02-30T00:00:00Z\"}",
		-EBADMSG, "created"},
	{"{" GOOD_KIND "," GOOD_VERSION "," GOOD_UUID "," GOOD_DEPTH
	 ",\"created\":\"2026-01-31T12:00:00\"}",
		-EBADMSG, "created"},
};

START_TEST(test_bad_volume)
{
	put_text("volume.json", bad[_i].text);
	check_open(bad[_i].error, bad[_i].expected);
	check_format(1, -EEXIST, "already");
}
END_TEST

START_TEST(test_too_large_volume)
{
	char *text = malloc(VOLUME_JSON_MAX_BYTES + 10);

	ck_assert_ptr_nonnull(text);
	memset(text, ' ', VOLUME_JSON_MAX_BYTES + 9);
	text[VOLUME_JSON_MAX_BYTES + 9] = '\0';
	put_text("volume.json", text);
	free(text);
	check_open(-EBADMSG, "larger");
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("volume");
	TCase *tc = tcase_create("volume");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, test_format_and_open, 0, VOLUME_MAX_ACCOUNT_DEPTH + 1);
	tcase_add_test(tc, test_format_refuses);
	tcase_add_test(tc, test_format_passes_errors_on);
	tcase_add_test(tc, test_format_without_conditional_puts);
	tcase_add_test(tc, test_open_errors);
	tcase_add_test(tc, test_unknown_fields_are_ignored);
	tcase_add_loop_test(tc, test_bad_volume, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tc, test_too_large_volume);
	suite_add_tcase(suite, tc);
	return suite;
}
