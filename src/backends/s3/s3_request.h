/*
 * s3_request.h: one HTTP request to the store, on a libcurl handle that is used again.
 *
 * All functions are for the loop's thread. A request is taken from the backend's pool, filled in,
 * begun, and answered by `done`, which is called by the loop, never from within
 * s3_request_begin().
 */
#ifndef MAILFS_BACKENDS_S3_S3_REQUEST_H
#define MAILFS_BACKENDS_S3_S3_REQUEST_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "backends/backend.h"
#include "backends/s3/s3_errors.h"
#include "backends/s3/s3_location.h"
#include "backends/s3/s3_sign.h"
#include "backends/s3/s3_text.h"
#include "backends/s3/s3_xml.h"
#include "util/list.h"

#define S3_REQUEST_MAX_HEADERS 16
#define S3_REQUEST_QUERY_MAX_BYTES 8192
#define S3_REQUEST_VALUES_MAX_BYTES 2048
#define S3_REQUEST_MAX_ERROR_BYTES 16384
#define S3_REQUEST_MAX_HEAD_BYTES 32768 /* of an answer, with its trailers, which libcurl keeps */
#define S3_REQUEST_HASH_BYTES (2 * S3_DIGEST_SHA256_BYTES + 1)
#define S3_REQUEST_CONNECT_TIMEOUT_MS 10000
/* An answer that stands still this long has failed. */
#define S3_REQUEST_STALL_TIMEOUT_S 30

struct s3_backend;
struct s3_request;

typedef void s3_request_done_fn(struct s3_request *r);

struct s3_answer {
	int error;   /* 0: status is 2xx, and the data is whole */
	long status; /* 0: none came */
	CURLcode curl;
	char etag[BACKEND_VERSION_MAX_BYTES]; /* without its quotes; "" when there is none */
	bool has_length, has_range, is_encoded;
	bool is_kms; /* encrypted so that the ETag is no MD5 */
	uint64_t length_bytes;
	uint64_t range_first, range_last, range_total_bytes;
	int64_t modified_ms, date_ms; /* 0: not said */
	char region[S3_LOCATION_REGION_MAX_BYTES + 1];
	char *data; /* NUL-terminated behind its end; the request's */
	size_t data_bytes, capacity_bytes;
	uint8_t md5[S3_DIGEST_MD5_BYTES]; /* of the data, with wants_md5 */
	struct s3_error meaning;          /* of a status that is not 2xx */
	struct s3_xml_error document;     /* likewise */
};

struct s3_request {
	struct list_node node; /* of the loop's lists */
	struct s3_backend *s3;
	CURL *easy;
	/* The question. */
	const char *method; /* a literal */
	char path[S3_LOCATION_PATH_MAX_BYTES + 1];
	struct s3_text query; /* parameters in order of their names */
	char query_data[S3_REQUEST_QUERY_MAX_BYTES];
	struct s3_header headers[S3_REQUEST_MAX_HEADERS];
	size_t n_headers;
	char values[S3_REQUEST_VALUES_MAX_BYTES]; /* of the headers */
	size_t values_bytes;
	const struct iovec *parts; /* body; the owner's until `done` */
	int n_parts;
	uint64_t body_bytes;
	char payload_hash[S3_REQUEST_HASH_BYTES];
	uint64_t max_data_bytes;
	uint64_t deadline_ms;
	struct backend_cancellation *cancellation; /* NULL: nobody ends it before its time */
	bool wants_md5;
	bool is_once; /* sent twice it might be answered wrongly, so it must not be */
	s3_request_done_fn *done;
	void *owner;
	/* The request's own. */
	struct curl_slist *sent_headers;
	struct s3_digest_stream *md5;
	char *signing; /* Authorization and x-amz-date while it is prepared */
	int part;
	size_t part_offset;
	size_t head_bytes;
	int sink_error; /* why the answer was refused while it came in */
	unsigned int n_sent;
	uint64_t generation;      /* of the credentials it was signed with */
	uint64_t parked_attempts; /* of the keeper, when it began to wait for new ones */
	bool was_parked, is_active;
	/* What came back. */
	struct s3_answer answer;
};

/* -ENOMEM. */
int s3_request_new(struct s3_backend *s3, struct s3_request **ret);
void s3_request_free(struct s3_request *r);

/* Empty again, for another question about `key` (NULL: about the bucket). */
void s3_request_reset(struct s3_request *r, const char *method, const char *key);

/* Both are copied; what does not fit makes the request fail. The names in lower case. */
void s3_request_add_header(struct s3_request *r, const char *name, const char *value);
void s3_request_add_query(struct s3_request *r, const char *name, const char *value);

/* The body, with the digests the store checks it by: `sha256` (hexadecimal) when it goes over
 * plain HTTP, Content-MD5 otherwise. See s3_request_digest(). */
void s3_request_set_body(
	struct s3_request *r, const struct iovec *parts, int n_parts, const char *digest);

/* The digest for s3_request_set_body(); any thread. */
int s3_request_digest(const struct s3_backend *s3, const struct iovec *parts, int n_parts,
	char ret[S3_REQUEST_HASH_BYTES]);

/* Prepares the libcurl handle: signs, sets everything. Negative errno: not sent. */
int s3_request_prepare(struct s3_request *r);

/* After the transfer: fills in the answer's error from `code` and the status. */
void s3_request_judge(struct s3_request *r, CURLcode code);

#endif
