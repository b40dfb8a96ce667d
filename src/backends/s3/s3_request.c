#include <config.h>
#include "backends/s3/s3_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "backends/s3/s3_answer.h"
#include "backends/s3/s3_internal.h"
#include "util/clock.h"

#define AUTHORIZATION_MAX_BYTES 1024
#define RECEIVE_BUFFER_BYTES 131072L
#define SEND_BUFFER_BYTES 131072L

static size_t take_line(char *line, size_t one, size_t size, void *arg)
{
	struct s3_request *r = arg;

	(void)one;
	r->head_bytes += size;
	if (r->head_bytes > S3_REQUEST_MAX_HEAD_BYTES) {
		r->sink_error = -EPROTO;
		return 0;
	}
	s3_answer_take_line(&r->answer, line, size);
	return size;
}

static size_t take_data(char *data, size_t one, size_t size, void *arg)
{
	struct s3_request *r = arg;
	int error = s3_answer_take_data(&r->answer, data, size, r->max_data_bytes);

	(void)one;
	if (error == 0 && r->md5 != NULL)
		error = s3_digest_stream_add(r->md5, data, size);
	if (error == 0)
		return size;
	r->sink_error = error;
	return 0;
}

static size_t give_data(char *to, size_t one, size_t room, void *arg)
{
	struct s3_request *r = arg;
	size_t given = 0;

	room *= one;
	while (given < room && r->part < r->n_parts) {
		const struct iovec *part = &r->parts[r->part];
		size_t left = part->iov_len - r->part_offset;
		size_t n = left < room - given ? left : room - given;

		if (n > 0)
			memcpy(to + given, (const char *)part->iov_base + r->part_offset, n);
		given += n;
		r->part_offset += n;
		if (r->part_offset == part->iov_len) {
			r->part++;
			r->part_offset = 0;
		}
	}
	return given;
}

/* libcurl begins again, on another connection. */
static int rewind_data(void *arg, curl_off_t offset, int origin)
{
	struct s3_request *r = arg;

	if (origin != SEEK_SET || offset != 0)
		return CURL_SEEKFUNC_CANTSEEK;
	r->part = 0;
	r->part_offset = 0;
	return CURL_SEEKFUNC_OK;
}

/* libcurl sends a request anew when a connection that was used before is closed without an answer:
 * the store may have got the first one all the same. */
static int before_sending(
	void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct s3_request *r = arg;

	(void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
	if (r->n_sent++ > 0 && r->is_once) {
		r->sink_error = -ECONNRESET;
		return CURL_PREREQFUNC_ABORT;
	}
	return CURL_PREREQFUNC_OK;
}

/* Programs that libfuse starts have nothing to do with it. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)arg, (void)purpose;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void set_up_handle(struct s3_request *r)
{
	const struct s3_options *o = &r->s3->options;
	CURL *e = r->easy;
	bool wants_2 = r->s3->location.is_tls && o->http_version != 1;

	curl_easy_setopt(e, CURLOPT_PRIVATE, r);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	/* Or the loop would wait for a name server for as long as getaddrinfo() does. */
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
		wants_2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_PIPEWAIT, wants_2 && o->http_version == 2 ? 1L : 0L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)S3_REQUEST_CONNECT_TIMEOUT_MS);
	curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)S3_REQUEST_STALL_TIMEOUT_S);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER_BYTES);
	curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER_BYTES);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_line);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_data);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(e, CURLOPT_READFUNCTION, give_data);
	curl_easy_setopt(e, CURLOPT_READDATA, r);
	curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, rewind_data);
	curl_easy_setopt(e, CURLOPT_SEEKDATA, r);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, before_sending);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, r);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	if (o->ca_file != NULL)
		curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file);
	/* The environment's http_proxy is not for us: what is not asked for is not used. */
	curl_easy_setopt(e, CURLOPT_PROXY, o->proxy != NULL ? o->proxy : "");
}

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
	set_up_handle(r);
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
	if (loop->key_generation == loop->generation && memcmp(loop->key_date, time, 8) == 0 &&
		strcmp(loop->key_region, s3->location.region) == 0)
		return 0;
	error = s3_sign_key(
		loop->credentials.secret_key, time, s3->location.region, "s3", loop->key);
	if (error < 0)
		return error;
	loop->key_generation = loop->generation;
	memcpy(loop->key_date, time, 8);
	memcpy(loop->key_region, s3->location.region, sizeof(loop->key_region));
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

static void set_method(struct s3_request *r)
{
	bool is_head = strcmp(r->method, "HEAD") == 0;
	bool has_body =
		r->parts != NULL || strcmp(r->method, "PUT") == 0 || strcmp(r->method, "POST") == 0;

	curl_easy_setopt(r->easy, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, NULL);
	if (is_head) {
		curl_easy_setopt(r->easy, CURLOPT_NOBODY, 1L);
	} else if (has_body) {
		curl_easy_setopt(r->easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(r->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body_bytes);
	}
	if (!is_head && strcmp(r->method, "GET") != 0)
		curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, r->method);
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
	r->head_bytes = 0;
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
	set_method(r);
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
	/* A store says in a document what it does not have; something between us and it does not.
	 */
	if (a->status == 404 && a->document.code[0] == '\0' && strcmp(r->method, "GET") == 0)
		a->error = -EPROTO;
	if (a->error == 0 && r->md5 != NULL)
		a->error = s3_digest_stream_end(r->md5, a->md5);
}
