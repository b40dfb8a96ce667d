/*
 * test_s3_sign.c: the published vectors of Signature Version 4: AWS's test suite (aws-sig-v4-test-
 * suite) and the examples for S3 in the documentation ("Signature Calculations for the
 * Authorization Header").
 */
#include <config.h>
#include "check_main.h"

#include <stdio.h>
#include <string.h>
#include "backends/s3/s3_sign.h"
#include "backends/s3/s3_text.h"

#define UNRESERVED "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define MAX_HEADERS 6

static const struct vector {
	const char *name, *method, *path, *query;
	struct s3_header headers[3]; /* beside host and x-amz-date */
	const char *body;
	const char *signature;
} suite_vectors[] = {
	{"get-vanilla", "GET", "/", "", {{0}}, "",
		"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-unreserved", "GET", "/" UNRESERVED, "", {{0}}, "",
		"07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
	{"get-utf8", "GET", "/%E1%88%B4", "", {{0}}, "",
		"8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
	{"get-vanilla-query-order-key-case", "GET", "/", "Param1=value1&Param2=value2", {{0}}, "",
		"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	{"get-vanilla-query-order-value", "GET", "/", "Param1=value1&Param1=value2", {{0}}, "",
		"5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
	{"get-vanilla-empty-query-key", "GET", "/", "Param1=value1", {{0}}, "",
		"a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
	{"get-vanilla-query-unreserved", "GET", "/", UNRESERVED "=" UNRESERVED, {{0}}, "",
		"9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
	{"get-vanilla-utf8-query", "GET", "/", "%E1%88%B4=bar", {{0}}, "",
		"2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
	{"get-header-value-trim", "GET", "/", "",
		{{"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}}, "",
		"acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	{"post-vanilla", "POST", "/", "", {{0}}, "",
		"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	{"post-vanilla-query", "POST", "/", "Param1=value1", {{0}}, "",
		"28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
	{"post-x-www-form-urlencoded", "POST", "/", "",
		{{"content-type", "application/x-www-form-urlencoded"}}, "Param1=value1",
		"ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
};

static const struct vector s3_vectors[] = {
	{"GET Object", "GET", "/test.txt", "", {{"range", "bytes=0-9"}}, "",
		"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
	{"PUT Object", "PUT", "/test%24file.text", "",
		{{"date", "Fri, 24 May 2013 00:00:00 GMT"},
			{"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
		"Welcome to Amazon S3.",
		"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
	{"GET Bucket Lifecycle", "GET", "/", "lifecycle=", {{0}}, "",
		"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
	{"List Objects", "GET", "/", "max-keys=2&prefix=J", {{0}}, "",
		"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

struct keys {
	const char *host, *time, *service, *access_key, *secret_key;
	bool signs_hash; /* x-amz-content-sha256 is a header */
};

static void check_vector(const struct vector *v, const struct keys *k)
{
	struct iovec body = {(void *)(uintptr_t)v->body, strlen(v->body)};
	struct s3_header headers[MAX_HEADERS] = {{"x-amz-date", k->time}, {"host", k->host}};
	uint8_t hash[S3_DIGEST_SHA256_BYTES], key[S3_DIGEST_SHA256_BYTES];
	char hex[2 * S3_DIGEST_SHA256_BYTES + 1], authorization[1024], expected[80];
	struct s3_sign_input in = {
		v->method, v->path, v->query, headers, 2, hex, k->time, "us-east-1", k->service};

	ck_assert_int_eq(s3_digest_sha256(&body, 1, hash), 0);
	s3_text_hex(hash, sizeof(hash), hex);
	if (*v->body == '\0')
		ck_assert_str_eq(hex, EMPTY);
	for (int i = 0; i < 3 && v->headers[i].name != NULL; i++)
		headers[in.n_headers++] = v->headers[i];
	if (k->signs_hash)
		headers[in.n_headers++] = (struct s3_header){"x-amz-content-sha256", hex};
	s3_sign_sort_headers(headers, in.n_headers);
	ck_assert_int_eq(s3_sign_key(k->secret_key, k->time, "us-east-1", k->service, key), 0);
	ck_assert_int_eq(s3_sign(&in, k->access_key, key, authorization, sizeof(authorization)), 0);
	snprintf(expected, sizeof(expected), "Signature=%s", v->signature);
	ck_assert_msg(strstr(authorization, expected) != NULL, "%s: %s", v->name, authorization);
}

START_TEST(test_suite_vectors)
{
	static const struct keys keys = {"example.amazonaws.com", "20150830T123600Z", "service",
		"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", false};

	check_vector(&suite_vectors[_i], &keys);
}
END_TEST

START_TEST(test_s3_vectors)
{
	static const struct keys keys = {"examplebucket.s3.amazonaws.com", "20130524T000000Z", "s3",
		"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", true};

	check_vector(&s3_vectors[_i], &keys);
}
END_TEST

START_TEST(test_header)
{
	static const struct s3_header headers[] = {{"host", "h"}, {"range", "bytes=0-9"}};
	static const uint8_t key[S3_DIGEST_SHA256_BYTES] = {1};
	static const char begin[] = "AWS4-HMAC-SHA256 Credential=ID/20130524/r/s3/aws4_request, "
				    "SignedHeaders=host;range, Signature=";
	struct s3_sign_input in = {
		"GET", "/", "", headers, 2, EMPTY, "20130524T000000Z", "r", "s3"};
	char authorization[256];

	ck_assert_int_eq(s3_sign(&in, "ID", key, authorization, sizeof(authorization)), 0);
	ck_assert(strncmp(authorization, begin, sizeof(begin) - 1) == 0);
	ck_assert_uint_eq(strlen(authorization), sizeof(begin) - 1 + 64);
	ck_assert_int_lt(s3_sign(&in, "ID", key, authorization, 100), 0);
}
END_TEST

static void check_encoded(const char *text, bool keep_slash, const char *expected)
{
	char data[64];
	struct s3_text t;

	s3_text_init(&t, data, sizeof(data));
	s3_text_add_encoded(&t, text, keep_slash);
	ck_assert(!t.is_cut);
	ck_assert_str_eq(data, expected);
}

START_TEST(test_encoding)
{
	check_encoded("a/b c", true, "a/b%20c");
	check_encoded("a/b", false, "a%2Fb");
	check_encoded("A-z_0.9~", false, "A-z_0.9~");
	check_encoded("+=,:;&?#%!*'()", false, "%2B%3D%2C%3A%3B%26%3F%23%25%21%2A%27%28%29");
	check_encoded("\xc3\xa4", true, "%C3%A4");
	check_encoded("", false, "");
}
END_TEST

START_TEST(test_text_that_does_not_fit)
{
	char data[8];
	struct s3_text t;

	s3_text_init(&t, data, sizeof(data));
	s3_text_add(&t, "1234567");
	ck_assert(!t.is_cut);
	s3_text_add(&t, "8");
	ck_assert(t.is_cut);
	ck_assert_str_eq(data, "1234567");
	s3_text_init(&t, data, sizeof(data));
	s3_text_add_encoded(&t, "a%%%", false);
	ck_assert(t.is_cut);
}
END_TEST

START_TEST(test_decoding)
{
	static const char *const bad[] = {"%", "%1", "%1g", "%00", "a%x1"};
	char text[32] = "a%2Fb+c%C3%a4";

	ck_assert_int_eq(s3_text_decode(text), 0);
	ck_assert_str_eq(text, "a/b c\xc3\xa4");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		strcpy(text, bad[i]);
		ck_assert_int_lt(s3_text_decode(text), 0);
	}
}
END_TEST

START_TEST(test_digits_and_times)
{
	uint8_t bytes[3] = {0};
	char text[S3_TEXT_TIME_BYTES];
	int64_t ms;

	ck_assert(s3_text_unhex("00fFa9", bytes, 3));
	ck_assert_uint_eq(bytes[1], 0xff);
	ck_assert(!s3_text_unhex("00ffa", bytes, 3) && !s3_text_unhex("00ffa9-2", bytes, 3));
	s3_text_hex(bytes, 3, text);
	ck_assert_str_eq(text, "00ffa9");
	s3_text_base64((const uint8_t *)"Man!", 4, text);
	ck_assert_str_eq(text, "TWFuIQ==");
	s3_text_time(1369353600, text);
	ck_assert_str_eq(text, "20130524T000000Z");
	ck_assert_int_eq(s3_text_parse_time("2013-05-24T00:00:01.250Z", &ms), 0);
	ck_assert_int_eq(ms, 1369353601250);
	ck_assert_int_eq(s3_text_parse_time("2013-05-24T00:00:01Z", &ms), 0);
	ck_assert_int_eq(ms, 1369353601000);
	ck_assert_int_lt(s3_text_parse_time("2013-05-24 00:00:01", &ms), 0);
	ck_assert_int_lt(s3_text_parse_time("yesterday", &ms), 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("s3_sign");
	TCase *tc = tcase_create("sign");

	tcase_add_loop_test(
		tc, test_suite_vectors, 0, (int)(sizeof(suite_vectors) / sizeof(suite_vectors[0])));
	tcase_add_loop_test(
		tc, test_s3_vectors, 0, (int)(sizeof(s3_vectors) / sizeof(s3_vectors[0])));
	tcase_add_test(tc, test_header);
	tcase_add_test(tc, test_encoding);
	tcase_add_test(tc, test_text_that_does_not_fit);
	tcase_add_test(tc, test_decoding);
	tcase_add_test(tc, test_digits_and_times);
	suite_add_tcase(suite, tc);
	return suite;
}
