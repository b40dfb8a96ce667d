#include <config.h>
#include "backends/s3/s3_handle.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include "backends/s3/s3_answer.h"
#include "backends/s3/s3_internal.h"

#define RECEIVE_BUFFER_BYTES 131072L
#define SEND_BUFFER_BYTES 131072L
#define PEER_TIMEOUT_MS 15000
#define KEEPALIVE_IDLE_S 15L
#define KEEPALIVE_INTERVAL_S 5L

static size_t take_line(char *line, size_t one, size_t size, void *arg)
{
	struct s3_request *r = arg;

	(void)one;
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

/* A peer that is gone without a word is noticed before the stall timeout, on each connection. */
static int set_up_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	unsigned int timeout_ms = PEER_TIMEOUT_MS;

	(void)arg, (void)purpose;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	return CURL_SOCKOPT_OK;
}

void s3_handle_set_up(struct s3_request *r)
{
	const struct s3_options *o = &r->s3->options;
	CURL *e = r->easy;
	bool wants_2 = r->s3->location.is_tls && o->http_version != 1;

	curl_easy_setopt(e, CURLOPT_PRIVATE, r);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "mailfs/" PACKAGE_VERSION);
	curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, set_up_socket);
	/* A name server that does not answer must not hold up the loop at the end of a request. */
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
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
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (o->ca_file != NULL)
		curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file);
	/* The environment's http_proxy is not for us: what is not asked for is not used. */
	curl_easy_setopt(e, CURLOPT_PROXY, o->proxy != NULL ? o->proxy : "");
}

void s3_handle_set_method(struct s3_request *r)
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
