/*
 * test_s3_documents.c: what the store says in XML, and the table of its errors.
 */
#include <config.h>
#include "check_main.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/s3/s3_errors.h"
#include "backends/s3/s3_xml.h"

#define ROOT(text) \
	"<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\">" text "</ListBucketResult>"
#define ENTRY(key, size)                                                         \
	"<Contents><Key>" key                                                    \
	"</Key><LastModified>2013-05-24T00:00:01.250Z</LastModified><Size>" size \
	"</Size></Contents>"

static int read_list(const char *text, struct backend_result *result, char **token)
{
	*result = (struct backend_result){.error = 0};
	*token = NULL;
	return s3_xml_read_list(text, strlen(text), "p/", result, token);
}

START_TEST(test_list)
{
	static const char text[] = ROOT("<IsTruncated>true</IsTruncated>" ENTRY(
		"p%2Fa/b", "7") ENTRY("p/", "0") ENTRY("other", "1") ENTRY("p/a%20b", "1")
			ENTRY("p/c", "0") "<NextContinuationToken>t&amp;1</NextContinuationToken>");
	struct backend_result result;
	char *token;

	ck_assert_int_eq(read_list(text, &result, &token), 0);
	ck_assert_str_eq(token, "t&1");
	ck_assert_uint_eq(result.n_entries, 2);
	ck_assert_str_eq(result.entries[0].key, "a/b");
	ck_assert_uint_eq(result.entries[0].size_bytes, 7);
	ck_assert_int_eq(result.entries[0].modified_ms, 1369353601250);
	ck_assert_str_eq(result.entries[1].key, "c");
	free(token);
	backend_result_done(&result);
	ck_assert_int_eq(read_list(ROOT("<IsTruncated>false</IsTruncated>"), &result, &token), 0);
	ck_assert_uint_eq(result.n_entries, 0);
	ck_assert_ptr_null(token);
}
END_TEST

static const char *const bad_lists[] = {
	"",
	"no XML",
	"<html><body>It works</body></html>",
	ROOT("<IsTruncated>true</IsTruncated>"),
	ROOT("<Contents><Key>p/a</Key></Contents>"),
	ROOT("<Contents><Size>1</Size></Contents>"),
	ROOT(ENTRY("p/a", "-1")),
	ROOT(ENTRY("p/a", "99999999999999999999")),
	ROOT(ENTRY("p/%zz", "1")),
	ROOT(ENTRY("p/%00", "1")),
	"<ListBucketResult><Contents>",
	"<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult>&a;</ListBucketResult>",
	"<a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a>",
};

START_TEST(test_bad_lists)
{
	struct backend_result result;
	char *token;

	ck_assert_int_eq(read_list(bad_lists[_i], &result, &token), -EPROTO);
	ck_assert_ptr_null(token);
	backend_result_done(&result);
}
END_TEST

START_TEST(test_texts_that_are_too_long)
{
	static char text[3 * S3_XML_MAX_TEXT_BYTES];
	struct s3_xml_error error;

	strcpy(text, "<Error><Code>NoSuchKey</Code><Message>");
	memset(text + strlen(text), 'm', S3_XML_MAX_TEXT_BYTES);
	strcat(text, "</Message></Error>");
	ck_assert_int_eq(s3_xml_read_error(text, strlen(text), &error), 0);
	ck_assert_str_eq(error.code, "NoSuchKey");
	ck_assert_uint_eq(strlen(error.message), sizeof(error.message) - 1);
	text[strlen(text) - strlen("</Message></Error>")] = '\0';
	strcat(text, "m</Message></Error>");
	ck_assert_int_eq(s3_xml_read_error(text, strlen(text), &error), -EPROTO);
}
END_TEST

START_TEST(test_deletion)
{
	static const char good[] = "<DeleteResult xmlns=\"x\"></DeleteResult>";
	static const char bad[] = "<DeleteResult><Error><Key>a</Key><Code>NoSuchKey</Code></Error>"
				  "<Error><Key>b</Key><Code>AccessDenied</Code></Error>"
				  "<Error><Key>c</Key></Error></DeleteResult>";
	struct s3_xml_deletion deletion;

	ck_assert_int_eq(s3_xml_read_deletion(good, strlen(good), &deletion), 0);
	ck_assert_uint_eq(deletion.n_failed, 0);
	ck_assert_int_eq(s3_xml_read_deletion(bad, strlen(bad), &deletion), 0);
	ck_assert_uint_eq(deletion.n_failed, 2);
	ck_assert_str_eq(deletion.code, "AccessDenied");
	ck_assert_int_eq(s3_xml_read_deletion("<a/>", 4, &deletion), -EPROTO);
}
END_TEST

START_TEST(test_uploads)
{
	static const char begun[] = "<InitiateMultipartUploadResult><UploadId>2~a/b</UploadId>"
				    "</InitiateMultipartUploadResult>";
	static const char done[] = "<CompleteMultipartUploadResult><ETag>&quot;a-2&quot;</ETag>"
				   "</CompleteMultipartUploadResult>";
	static const char failed[] = "<Error><Code>InternalError</Code></Error>";
	char id[16], etag[BACKEND_VERSION_MAX_BYTES];
	struct s3_xml_error error;

	ck_assert_int_eq(s3_xml_read_upload_id(begun, strlen(begun), id, sizeof(id)), 0);
	ck_assert_str_eq(id, "2~a/b");
	ck_assert_int_eq(s3_xml_read_upload_id(begun, strlen(begun), id, 4), -EPROTO);
	ck_assert_int_eq(s3_xml_read_upload_id(done, strlen(done), id, sizeof(id)), -EPROTO);
	ck_assert_int_eq(s3_xml_read_completion(done, strlen(done), etag, &error), 0);
	ck_assert_str_eq(etag, "a-2");
	ck_assert_int_eq(s3_xml_read_completion(failed, strlen(failed), etag, &error), -EIO);
	ck_assert_str_eq(error.code, "InternalError");
	ck_assert_int_eq(s3_xml_read_completion(begun, strlen(begun), etag, &error), -EPROTO);
}
END_TEST

static const struct {
	long status;
	const char *code;
	int error;
} answers[] = {
	{404, "NoSuchKey", -ENOENT},
	{404, "", -ENOENT},
	{404, "NoSuchBucket", -ENXIO},
	{412, "PreconditionFailed", -EEXIST},
	{412, "", -EEXIST},
	{409, "ConditionalRequestConflict", -EBUSY},
	{403, "AccessDenied", -EACCES},
	{403, "RequestTimeTooSkewed", -EACCES},
	{403, "QuotaExceeded", -ENOSPC},
	{400, "ExpiredToken", -EACCES},
	{400, "EntityTooLarge", -EFBIG},
	{400, "BadDigest", -EIO},
	{400, "Unheard", -EINVAL},
	{416, "InvalidRange", -ERANGE},
	{416, "", -ERANGE},
	{301, "PermanentRedirect", -ENXIO},
	{301, "", -ENXIO},
	{500, "InternalError", -EIO},
	{500, "", -EIO},
	{502, "", -EIO},
	{503, "SlowDown", -EBUSY},
	{503, "", -EIO}, /* it may have been done */
	{504, "", -EIO},
	{501, "NotImplemented", -EOPNOTSUPP},
	{304, "", -EPROTO},
	{0, "", -EPROTO},
};

START_TEST(test_answers)
{
	struct s3_error e = s3_errors_of_answer(answers[_i].status, answers[_i].code);

	ck_assert_int_eq(e.error, answers[_i].error);
	ck_assert(e.is_slow_down == (answers[_i].status == 503));
	ck_assert(e.is_expired == (strcmp(answers[_i].code, "ExpiredToken") == 0));
	ck_assert(e.is_region == (answers[_i].status == 301));
}
END_TEST

START_TEST(test_curl_errors)
{
	ck_assert_int_eq(s3_errors_of_curl(CURLE_COULDNT_CONNECT), -ECONNREFUSED);
	ck_assert_int_eq(s3_errors_of_curl(CURLE_COULDNT_RESOLVE_HOST), -EHOSTUNREACH);
	ck_assert_int_eq(s3_errors_of_curl(CURLE_OPERATION_TIMEDOUT), -ETIMEDOUT);
	ck_assert_int_eq(s3_errors_of_curl(CURLE_GOT_NOTHING), -ECONNRESET);
	ck_assert_int_eq(s3_errors_of_curl(CURLE_PARTIAL_FILE), -EIO);
	ck_assert_int_eq(s3_errors_of_curl(CURLE_PEER_FAILED_VERIFICATION), -EACCES);
	ck_assert_int_eq(s3_errors_of_curl(CURLE_READ_ERROR), -EIO);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("s3_documents");
	TCase *tc = tcase_create("documents");

	tcase_add_test(tc, test_list);
	tcase_add_loop_test(tc, test_bad_lists, 0, (int)(sizeof(bad_lists) / sizeof(bad_lists[0])));
	tcase_add_test(tc, test_texts_that_are_too_long);
	tcase_add_test(tc, test_deletion);
	tcase_add_test(tc, test_uploads);
	tcase_add_loop_test(tc, test_answers, 0, (int)(sizeof(answers) / sizeof(answers[0])));
	tcase_add_test(tc, test_curl_errors);
	suite_add_tcase(suite, tc);
	return suite;
}
