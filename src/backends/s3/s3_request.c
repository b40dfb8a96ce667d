#include <config.h>
#include "backends/s3/s3_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/s3/s3_answer.h"
#include "backends/s3/s3_handle.h"
#include "backends/s3/s3_internal.h"
#include "util/clock.h"

#define AUTHORIZATION_MAX_BYTES 1024

int s3_request_new(struct s3_backend *s3, struct s3_request **ret)
{
	struct s3_request *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->s3 = s3;
	list_init(&r->node);
	r->easy = curl_easy_init();
	if (r->easy == NULL) {
		free(r);
		return -ENOMEM;
	}
	s3_handle_set_up(r);
	*ret = r;
	return 0;
}

static void drop_sent(struct s3_request *r)
{
	curl_slist_free_all(r->sent_headers);
	r->sent_headers = NULL;
	s3_digest_stream_free(r->md5);
	r->md5 = NULL;
}

void s3_request_free(struct s3_request *r)
{
	if (r == NULL)
		return;
	curl_easy_cleanup(r->easy);
	drop_sent(r);
	s3_answer_reset(&r->answer);
	free(r);
}

void s3_request_reset(struct s3_request *r, const char *method, const char *key)
{
	const struct s3_location *l = &r->s3->location;

	drop_sent(r);
	s3_answer_reset(&r->answer);
	r->method = method;
	if (key != NULL)
		snprintf(r->path, sizeof(r->path), "%s/%s%s", l->base_path, l->prefix, key);
	else
		snprintf(r->path, sizeof(r->path), "%s/", l->base_path);
	s3_text_init(&r->query, r->query_data, sizeof(r->query_data));
	r->n_headers = 0;
	r->values_bytes = 0;
	r->parts = NULL;
	r->n_parts = 0;
	r->body_bytes = 0;
	r->payload_hash[0] = '\0';
	r->max_data_bytes = S3_REQUEST_MAX_ERROR_BYTES;
	r->deadline_ms = 0;
	r->wants_md5 = r->is_once = r->was_parked = false;
	r->done = NULL;
	r->owner = NULL;
}

void s3_request_add_header(struct s3_request *r, const char *name, const char *value)
{
	size_t size = strlen(value) + 1;

	/* Room is left for those that signing needs. */
	if (r->n_headers + 5 > S3_REQUEST_MAX_HEADERS ||
		size > sizeof(r->values) - r->values_bytes) {
		r->query.is_cut = true;
		return;
	}
	memcpy(r->values + r->values_bytes, value, size);
	r->headers[r->n_headers++] = (struct s3_header){name, r->values + r->values_bytes};
	r->values_bytes += size;
}

void s3_request_add_query(struct s3_request *r, const char *name, const char *value)
{
	if (r->query.used_bytes > 0)
		s3_text_add(&r->query, "&");
	s3_text_add_encoded(&r->query, name, false);
	s3_text_add(&r->query, "=");
	s3_text_add_encoded(&r->query, value, false);
}

int s3_request_digest(const struct s3_backend *s3, const struct iovec *parts, int n_parts,
	char ret[S3_REQUEST_HASH_BYTES])
{
	uint8_t hash[S3_DIGEST_SHA256_BYTES];
	int r;

	if (s3->location.is_tls) {
		r = s3_digest_md5(parts, n_parts, hash);
		if (r == 0)
			s3_text_base64(hash, S3_DIGEST_MD5_BYTES, ret);
	} else {
		r = s3_digest_sha256(parts, n_parts, hash);
		if (r == 0)
			s3_text_hex(hash, sizeof(hash), ret);
	}
	return r;
}

void s3_request_set_body(
	struct s3_request *r, const struct iovec *parts, int n_parts, const char *digest)
{
	r->parts = parts;
	r->n_parts = n_parts;
	r->body_bytes = backend_parts_size_bytes(parts, n_parts);
	if (r->s3->location.is_tls)
		s3_request_add_header(r, "content-md5", digest);
	else
		snprintf(r->payload_hash, sizeof(r->payload_hash), "%s", digest);
}

/* "name: value"; without a value libcurl's own header of that name is left out. */
static int append_header(struct s3_request *r, const char *name, const char *value)
{
	char line[S3_CREDENTIALS_TOKEN_BYTES + 64];
	struct curl_slist *list;

	if (snprintf(line, sizeof(line), *value == '\0' ? "%s:" : "%s: %s", name, value) >=
		(int)sizeof(line))
		return -ENAMETOOLONG;
	list = curl_slist_append(r->sent_headers, line);
	if (list == NULL)
		return -ENOMEM;
	r->sent_headers = list;
	return 0;
}

/* SHA-256 of nothing. */
static const char empty_hash[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static int update_key(struct s3_backend *s3, const char *time)
{
	struct s3_loop *loop = &s3->loop;
	int error;

	s3_keeper_read(s3->keeper, &loop->generation, &loop->credentials);
	if (loop->key_generation == loop->generation && memcmp(loop->key_date, time, 8) == 0)
		return 0;
	error = s3_sign_key(
		loop->credentials.secret_key, time, s3->location.region, "s3", loop->key);
	if (error < 0)
		return error;
	loop->key_generation = loop->generation;
	memcpy(loop->key_date, time, 8);
	return 0;
}

/* All headers of the request, with those of the signature, into sent_headers. */
static int sign(struct s3_request *r)
{
	struct s3_backend *s3 = r->s3;
	struct s3_header headers[S3_REQUEST_MAX_HEADERS];
	char time[S3_TEXT_TIME_BYTES], authorization[AUTHORIZATION_MAX_BYTES];
	const char *hash = r->payload_hash[0] != '\0' ? r->payload_hash
			   : s3->location.is_tls      ? S3_SIGN_UNSIGNED_PAYLOAD
						      : empty_hash;
	size_t n = r->n_headers;
	int error;

	s3_text_time(clock_realtime_ms() / 1000, time);
	error = update_key(s3, time);
	memcpy(headers, r->headers, n * sizeof(headers[0]));
	headers[n++] = (struct s3_header){"host", s3->location.host};
	headers[n++] = (struct s3_header){"x-amz-content-sha256", hash};
	headers[n++] = (struct s3_header){"x-amz-date", time};
	if (s3->loop.credentials.token[0] != '\0')
		headers[n++] =
			(struct s3_header){"x-amz-security-token", s3->loop.credentials.token};
	s3_sign_sort_headers(headers, n);
	if (error == 0)
		error = s3_sign(&(struct s3_sign_input){r->method, r->path, r->query.data, headers,
					n, hash, time, s3->location.region, "s3"},
			s3->loop.credentials.access_key, s3->loop.key, authorization,
			sizeof(authorization));
	r->generation = s3->loop.generation;
	for (size_t i = 0; i < n && error == 0; i++)
		error = append_header(r, headers[i].name, headers[i].value);
	if (error == 0)
		error = append_header(r, "Authorization", authorization);
	if (error == 0)
		error = append_header(r, "Expect", "");
	return error == 0 ? append_header(r, "Accept", "") : error;
}

int s3_request_prepare(struct s3_request *r)
{
	const struct s3_location *l = &r->s3->location;
	uint64_t now_ms = clock_monotonic_ms();
	char url[S3_LOCATION_HOST_MAX_BYTES + S3_LOCATION_PATH_MAX_BYTES +
		 S3_REQUEST_QUERY_MAX_BYTES + 16];
	int error;

	if (r->query.is_cut)
		return -ENAMETOOLONG;
	if (r->deadline_ms <= now_ms)
		return -ETIMEDOUT;
	drop_sent(r);
	s3_answer_reset(&r->answer);
	r->part = 0;
	r->part_offset = 0;
	r->sink_error = 0;
	r->n_sent = 0;
	r->md5 = r->wants_md5 ? s3_digest_stream_new() : NULL;
	if (r->wants_md5 && r->md5 == NULL)
		return -ENOMEM;
	error = sign(r);
	if (error < 0)
		return error;
	snprintf(url, sizeof(url), "%s://%s%s%s%s", l->is_tls ? "https" : "http", l->host, r->path,
		r->query.used_bytes > 0 ? "?" : "", r->query.data);
	s3_handle_set_method(r);
	curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, (long)(r->deadline_ms - now_ms));
	curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->sent_headers);
	/* It copies the text. */
	return curl_easy_setopt(r->easy, CURLOPT_URL, url) == CURLE_OK ? 0 : -ENOMEM;
}

void s3_request_judge(struct s3_request *r, CURLcode code)
{
	struct s3_answer *a = &r->answer;

	a->curl = code;
	if (code != CURLE_OK) {
		a->error = r->sink_error != 0 ? r->sink_error : s3_errors_of_curl((int)code);
		return;
	}
	s3_answer_judge(a, strcmp(r->method, "HEAD") != 0);
	if (a->error == 0 && r->md5 != NULL)
		a->error = s3_digest_stream_end(r->md5, a->md5);
}
