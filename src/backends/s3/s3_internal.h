/*
 * s3_internal.h: what the files of the S3 driver share.
 *
 * One thread, the loop's, makes all requests (libcurl's multi interface) and runs all of the code
 * of the calls; a second one (s3_keeper.h) renews credentials that expire.
 */
#ifndef MAILFS_BACKENDS_S3_S3_INTERNAL_H
#define MAILFS_BACKENDS_S3_S3_INTERNAL_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "backends/backend.h"
#include "backends/call_queue.h"
#include "backends/s3/s3_concurrency.h"
#include "backends/s3/s3_credentials.h"
#include "backends/s3/s3_keeper.h"
#include "backends/s3/s3_location.h"
#include "backends/s3/s3_options.h"
#include "backends/s3/s3_request.h"

#define S3_MAX_PUT_BYTES (UINT64_C(5) << 30)
#define S3_MAX_OBJECT_BYTES (UINT64_C(5) << 40)
#define S3_MAX_DELETE_KEYS 1000
#define S3_MAX_LIST_KEYS 1000
/* Unconditional puts from here on go in parts. */
#define S3_MULTIPART_THRESHOLD_BYTES (UINT64_C(64) << 20)
#define S3_MULTIPART_MIN_PART_BYTES (UINT64_C(16) << 20)
#define S3_MULTIPART_MAX_PARTS 10000
#define S3_MULTIPART_IN_FLIGHT 4
#define S3_MAX_DOCUMENT_BYTES (4 << 20)
/* What runs at the shutdown may go on for so long. */
#define S3_SHUTDOWN_GRACE_MS 2000

/* What is found out about the store as it is used. */
enum s3_match_form {
	S3_MATCH_UNKNOWN,
	S3_MATCH_QUOTED, /* If-Match: "etag", as RFC 9110 has it */
	S3_MATCH_BARE,   /* If-Match: etag (Ceph's radosgw) */
};

enum s3_etag_form {
	S3_ETAG_UNKNOWN,
	S3_ETAG_MD5,   /* of the content, when it was put in one part */
	S3_ETAG_OTHER, /* something else */
};

struct s3_loop {
	CURLM *multi;
	struct call_queue *queue;
	pthread_t thread;
	bool has_thread;
	/* The loop's thread only. */
	struct list_node active; /* requests at libcurl */
	struct list_node parked; /* requests that wait for new credentials */
	struct list_node failed; /* requests to be answered with answer.error */
	struct list_node idle;   /* requests to be used again */
	unsigned int n_calls;    /* taken and not complete, and what they left */
	uint64_t closed_ms;      /* when the shutdown was seen; 0: not yet */
	bool is_cancelled;       /* the grace is over */
	struct s3_concurrency concurrency;
	struct s3_credentials credentials;
	uint64_t generation;     /* of the credentials */
	uint64_t key_generation; /* of those the signing key was made from; 0: none */
	char key_date[9];
	char key_region[S3_LOCATION_REGION_MAX_BYTES + 1];
	uint8_t key[S3_DIGEST_SHA256_BYTES];
};

struct s3_backend {
	struct backend base; /* first */
	struct s3_options options;
	struct s3_location location; /* as it is before calls are made */
	struct s3_keeper *keeper;
	struct s3_loop loop;
	enum s3_match_form match_form; /* the loop's thread only */
	_Atomic(enum s3_etag_form) etag_form;
};

struct s3_call;
typedef void s3_call_begin_fn(struct s3_call *call);

/* One call of the interface; `done` of its request leads it on. */
struct s3_call {
	struct queued_call queued; /* first */
	struct backend_call call;
	struct s3_backend *s3;
	s3_call_begin_fn *begin;
	struct s3_request *request; /* the loop's, while it is in flight */
	struct backend_result result;
	const char *key; /* list: the prefix */
	/* put */
	const struct iovec *parts;
	int n_parts;
	struct backend_condition condition;
	char digest[S3_REQUEST_HASH_BYTES];
	uint8_t md5[S3_DIGEST_MD5_BYTES];
	bool has_md5;
	bool is_bare;   /* If-Match without quotes is what was tried */
	bool is_second; /* the other form is tried */
	struct s3_upload *upload;
	/* get */
	uint64_t offset;
	size_t size_bytes; /* list: how many entries */
	/* remove_many */
	const char *const *keys;
	size_t n_keys;
	char *body; /* owned */
	struct iovec body_part;
	/* list */
	char *token; /* owned */
	/* copy */
	char target[BACKEND_KEY_MAX_BYTES + 1];
	/* check */
	struct s3_check *check;
	char text[]; /* the key */
};

/* ---- s3_call.c */

/* The call for a driver's function; on no memory or after the shutdown it is complete already and
 * NULL comes back. */
struct s3_call *s3_call_new(struct s3_backend *s3, const char *key, s3_call_begin_fn *begin,
	const struct backend_call *call);
void s3_call_submit(struct s3_call *call);

/* Frees it. The result is call->result with this error; on an error its data is dropped. */
void s3_call_complete(struct s3_call *call, int error);

/* A request about the call's key (or NULL: the bucket), in call->request, with the call's
 * deadline, answered by `done`. False: there was no memory, the call is complete. */
bool s3_call_ask(
	struct s3_call *call, const char *method, const char *key, s3_request_done_fn *done);

/* ---- s3_loop.c */

int s3_loop_start(struct s3_backend *s3);
void s3_loop_stop(struct s3_backend *s3);
void s3_loop_free(struct s3_loop *loop);

/* A request from the pool, reset; NULL without memory. */
struct s3_request *s3_loop_take_request(struct s3_backend *s3, const char *method, const char *key);
void s3_loop_give_back(struct s3_request *r);
void s3_loop_begin(struct s3_request *r);

/* ---- the calls */

void s3_put(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
	const struct backend_condition *condition, const struct backend_call *call);
void s3_get(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	const struct backend_call *call);
void s3_head(struct backend *b, const char *key, const struct backend_call *call);
void s3_copy(struct backend *b, const char *from, const char *to, const struct backend_call *call);
void s3_remove(struct backend *b, const char *key, const struct backend_call *call);
void s3_remove_many(
	struct backend *b, const char *const *keys, size_t n_keys, const struct backend_call *call);
void s3_list(struct backend *b, const char *prefix, const char *continuation, size_t max_entries,
	const struct backend_call *call);

/* Goes on with a put in parts (s3_multipart.c). */
void s3_multipart_begin(struct s3_call *call);

/* Headers of every new object. */
void s3_put_add_storage_headers(struct s3_request *r, const char *key);

/* Whether bucket, credentials and region are right (s3_check.c). Blocks. Adopts the bucket's
 * region when none was given. */
int s3_check(struct s3_backend *s3, bool is_region_given, char **ret_message);

#endif
