#include <config.h>
#include "backends/s3/s3_metadata.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/s3/s3_text.h"
#include "util/cleanup.h"
#include "util/file_io.h"
#include "util/message.h"

#define CONTAINER_HOST "http://169.254.170.2"
#define INSTANCE_ENDPOINT "http://169.254.169.254"
#define INSTANCE_PATH "/latest/meta-data/iam/security-credentials/"
#define TOKEN_SECONDS "21600"
#define HEADER_MAX_BYTES 4096
#define URL_MAX_BYTES 2048

struct answer {
	long status;
	size_t size_bytes;
	char text[S3_METADATA_MAX_BYTES + 1];
};

static size_t take_data(char *data, size_t one, size_t size, void *arg)
{
	struct answer *answer = arg;

	(void)one;
	if (size > S3_METADATA_MAX_BYTES - answer->size_bytes)
		return 0;
	memcpy(answer->text + answer->size_bytes, data, size);
	answer->size_bytes += size;
	answer->text[answer->size_bytes] = '\0';
	return size;
}

static void set_up(CURL *easy, const char *method, const char *url, struct answer *answer)
{
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)S3_METADATA_CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)S3_METADATA_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_data);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
}

/* header: "Name: value" or NULL. *ret_curl is the reason when no answer came (-EHOSTUNREACH). */
static int ask(const char *method, const char *url, const char *header, struct answer *answer,
	const char **ret_reason)
{
	struct curl_slist *headers = header == NULL ? NULL : curl_slist_append(NULL, header);
	CURL *easy = curl_easy_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;

	answer->size_bytes = 0;
	answer->text[0] = '\0';
	if (easy != NULL && (header == NULL || headers != NULL)) {
		set_up(easy, method, url, answer);
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
		code = curl_easy_perform(easy);
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer->status);
	}
	*ret_reason = curl_easy_strerror(code);
	curl_easy_cleanup(easy);
	curl_slist_free_all(headers);
	return code == CURLE_OK ? 0 : -EHOSTUNREACH;
}

static const char *string_of(json_t *root, const char *name)
{
	json_t *value = json_object_get(root, name);

	return json_is_string(value) ? json_string_value(value) : NULL;
}

int s3_metadata_parse(const char *text, struct s3_credentials *ret)
{
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const char *access_key = string_of(root, "AccessKeyId");
	const char *secret_key = string_of(root, "SecretAccessKey");
	const char *token = string_of(root, "Token");
	const char *expires = string_of(root, "Expiration");
	int64_t expires_ms = S3_CREDENTIALS_NEVER;
	int r = -EPROTO;

	if (access_key != NULL && secret_key != NULL &&
		(expires == NULL || s3_text_parse_time(expires, &expires_ms) == 0))
		r = s3_credentials_set(ret, access_key, secret_key, token);
	if (r == 0)
		ret->expires_ms = expires_ms;
	json_decref(root);
	return r;
}

static int refuse(const char *what, const char *url, const struct answer *answer, int error,
	const char *reason, char **ret_message)
{
	if (error == 0 && answer->status != 200)
		return message_set(ret_message, -EACCES, "%s at %s answered with HTTP status %ld",
			what, url, answer->status);
	if (error == 0)
		return message_set(ret_message, -EPROTO,
			"%s at %s gave something that is no credentials", what, url);
	return message_set(ret_message, error, "%s at %s: %s", what, url, reason);
}

static bool is_allowed_plain(const char *url)
{
	static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]",
		CONTAINER_HOST, "http://169.254.170.23", "http://[fd00:ec2::23]"};

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		size_t size = strlen(hosts[i]);

		if (strncmp(url, hosts[i], size) == 0 &&
			(url[size] == '\0' || url[size] == '/' || url[size] == ':'))
			return true;
	}
	return false;
}

static int container_url(char url[URL_MAX_BYTES], char **ret_message)
{
	const char *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	int n;

	if (relative != NULL && *relative != '\0')
		n = snprintf(url, URL_MAX_BYTES, CONTAINER_HOST "%s", relative);
	else if (full != NULL && *full != '\0')
		n = snprintf(url, URL_MAX_BYTES, "%s", full);
	else
		return message_set(
			ret_message, -ENOKEY, "AWS_CONTAINER_CREDENTIALS_FULL_URI is not set");
	if (n >= URL_MAX_BYTES || (strncmp(url, "https://", 8) != 0 && !is_allowed_plain(url)))
		return message_set(ret_message, -EINVAL,
			"AWS_CONTAINER_CREDENTIALS_FULL_URI=%s: it must be https, or http to this "
			"machine",
			full != NULL ? full : relative);
	return 0;
}

/* "Authorization: TOKEN"; empty when there is none to send. */
static int container_token(char header[HEADER_MAX_BYTES], char **ret_message)
{
	const char *file = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	CLEANUP_FREE char *text = NULL;
	size_t size_bytes;
	int r = 0, n;

	header[0] = '\0';
	if (file != NULL && *file != '\0')
		r = file_io_read_file(file, HEADER_MAX_BYTES / 2, &text, &size_bytes);
	if (r < 0)
		return message_set(ret_message, r,
			"cannot read AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=%s: %s", file,
			strerror(-r));
	if (text != NULL) {
		text[strcspn(text, "\r\n")] = '\0';
		token = text;
	}
	if (token == NULL || *token == '\0')
		return 0;
	n = snprintf(header, HEADER_MAX_BYTES, "Authorization: %s", token);
	if (n >= HEADER_MAX_BYTES || strpbrk(token, "\r\n") != NULL)
		return message_set(ret_message, -EINVAL,
			"AWS_CONTAINER_AUTHORIZATION_TOKEN is malformed or too long");
	return 0;
}

int s3_metadata_read_container(struct s3_credentials *ret, char **ret_message)
{
	static const char what[] = "the container's credentials service";
	struct answer answer = {.status = 0};
	char url[URL_MAX_BYTES], header[HEADER_MAX_BYTES];
	const char *reason;
	int r = container_url(url, ret_message);

	if (r == 0)
		r = container_token(header, ret_message);
	if (r < 0)
		return r;
	r = ask("GET", url, header[0] != '\0' ? header : NULL, &answer, &reason);
	if (r < 0 || answer.status != 200 || s3_metadata_parse(answer.text, ret) < 0)
		return refuse(what, url, &answer, r, reason, ret_message);
	explicit_bzero(&answer, sizeof(answer));
	return 0;
}

/* The role's name is the first line of the listing. */
static int read_role(
	const char *endpoint, const char *header, struct s3_credentials *ret, char **ret_message)
{
	static const char what[] = "the instance's metadata service";
	struct answer answer = {.status = 0};
	char url[URL_MAX_BYTES];
	const char *reason;
	int n, r;

	n = snprintf(url, sizeof(url), "%s" INSTANCE_PATH, endpoint);
	r = n < URL_MAX_BYTES ? ask("GET", url, header, &answer, &reason) : -ENAMETOOLONG;
	if (r == 0 && answer.status == 404)
		return message_set(ret_message, -ENOKEY, "%s has no role for this instance", what);
	answer.text[strcspn(answer.text, "\r\n")] = '\0';
	if (r < 0 || answer.status != 200 || answer.text[strcspn(answer.text, "/?# ")] != '\0' ||
		answer.text[0] == '\0')
		return refuse(what, url, &answer, r, r < 0 ? strerror(-r) : "", ret_message);
	n = snprintf(url, sizeof(url), "%s" INSTANCE_PATH "%s", endpoint, answer.text);
	r = n < URL_MAX_BYTES ? ask("GET", url, header, &answer, &reason) : -ENAMETOOLONG;
	if (r < 0 || answer.status != 200 || s3_metadata_parse(answer.text, ret) < 0)
		return refuse(what, url, &answer, r, r < 0 ? strerror(-r) : "", ret_message);
	explicit_bzero(&answer, sizeof(answer));
	return 0;
}

int s3_metadata_read_instance(struct s3_credentials *ret, char **ret_message)
{
	const char *disabled = getenv("AWS_EC2_METADATA_DISABLED");
	const char *endpoint = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	struct answer answer = {.status = 0};
	char url[URL_MAX_BYTES], header[HEADER_MAX_BYTES];
	const char *reason = "";
	int n;

	if (disabled != NULL && strcasecmp(disabled, "true") == 0)
		return message_set(ret_message, -ENOKEY, "AWS_EC2_METADATA_DISABLED is set");
	if (endpoint == NULL || *endpoint == '\0')
		endpoint = INSTANCE_ENDPOINT;
	n = snprintf(url, sizeof(url), "%s/latest/api/token", endpoint);
	if (n >= URL_MAX_BYTES ||
		ask("PUT", url, "X-aws-ec2-metadata-token-ttl-seconds: " TOKEN_SECONDS, &answer,
			&reason) < 0 ||
		answer.status != 200)
		return message_set(ret_message, -ENOKEY,
			"no metadata service of an instance at %s (%s)", endpoint, reason);
	answer.text[strcspn(answer.text, "\r\n")] = '\0';
	n = snprintf(header, sizeof(header), "X-aws-ec2-metadata-token: %s", answer.text);
	if (n >= HEADER_MAX_BYTES)
		return message_set(ret_message, -EPROTO,
			"the metadata service at %s gave a token that is too long", endpoint);
	return read_role(endpoint, header, ret, ret_message);
}
