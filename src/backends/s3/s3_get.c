/*
 * s3_get.c: get and head. What the store says about a range must be what was asked for.
 */
#include <config.h>
#include "backends/s3/s3_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "util/cleanup.h"

#define RANGE_BYTES 64

/* Fields that both calls have. */
static int take_version(struct s3_call *call, const struct s3_answer *a)
{
	if (a->error < 0)
		return a->error;
	if (a->etag[0] == '\0' || !a->has_length || a->is_encoded)
		return -EPROTO;
	memcpy(call->result.version.text, a->etag, sizeof(a->etag));
	return 0;
}

static void head_done(struct s3_request *r)
{
	struct s3_call *call = r->owner;
	int error = take_version(call, &r->answer);

	call->result.object_size_bytes = r->answer.length_bytes;
	call->result.modified_ms = r->answer.modified_ms;
	s3_call_complete(call, error);
}

static void begin_head(struct s3_call *call)
{
	if (s3_call_ask(call, "HEAD", call->key, head_done))
		s3_loop_begin(call->request);
}

/* The answer to a get of no bytes, or from where the object ends. */
static void end_done(struct s3_request *r)
{
	struct s3_call *call = r->owner;
	int error = take_version(call, &r->answer);

	call->result.object_size_bytes = r->answer.length_bytes;
	if (error == 0 && call->offset > r->answer.length_bytes)
		error = -ERANGE;
	/* When there was nothing at the offset, and now there is, it was replaced meanwhile. */
	if (error == 0 && call->offset < r->answer.length_bytes && call->size_bytes > 0)
		error = -EIO;
	s3_call_complete(call, error);
}

static void ask_for_size(struct s3_call *call)
{
	if (s3_call_ask(call, "HEAD", call->key, end_done))
		s3_loop_begin(call->request);
}

static bool is_whole(const struct s3_call *call)
{
	return call->offset == 0 && call->size_bytes >= S3_MAX_OBJECT_BYTES;
}

static int check_range(const struct s3_call *call, const struct s3_answer *a)
{
	uint64_t last;

	if (!a->has_range || a->range_total_bytes <= call->offset)
		return -EPROTO;
	last = a->range_total_bytes - 1;
	if (call->size_bytes - 1 < last - call->offset)
		last = call->offset + call->size_bytes - 1;
	if (a->range_first != call->offset || a->range_last != last ||
		a->data_bytes != last - call->offset + 1)
		return -EPROTO;
	return 0;
}

/* The ETag of an object put in one part is the MD5 of its content, at stores that showed it. */
static int check_content(const struct s3_call *call, const struct s3_answer *a)
{
	uint8_t md5[S3_DIGEST_MD5_BYTES];

	if (atomic_load(&call->s3->etag_form) != S3_ETAG_MD5 || a->is_kms ||
		!s3_text_unhex(a->etag, md5, sizeof(md5)))
		return 0;
	return memcmp(md5, a->md5, sizeof(md5)) == 0 ? 0 : -EIO;
}

static int check_get(struct s3_call *call, struct s3_answer *a)
{
	int error = take_version(call, a);
	bool is_part = a->status == 206;

	if (error < 0)
		return error;
	if (is_part ? is_whole(call) : a->status != 200 || call->offset != 0)
		return -EPROTO; /* of the whole where a range was asked for, or the opposite */
	if (is_part)
		error = check_range(call, a);
	else if (a->data_bytes != a->length_bytes)
		error = -EPROTO;
	call->result.object_size_bytes = is_part ? a->range_total_bytes : a->length_bytes;
	if (error == 0 && a->data_bytes == call->result.object_size_bytes)
		error = check_content(call, a);
	return error;
}

static void get_done(struct s3_request *r)
{
	struct s3_call *call = r->owner;
	struct s3_answer *a = &r->answer;
	int error;

	if (a->error == -ERANGE && a->status == 416) {
		ask_for_size(call);
		return;
	}
	error = check_get(call, a);
	if (error == 0 && a->data_bytes > 0) {
		call->result.data_size_bytes = a->data_bytes;
		call->result.data = TAKE_PTR(a->data);
		a->data_bytes = a->capacity_bytes = 0;
	}
	s3_call_complete(call, error);
}

static void add_range(struct s3_request *r, uint64_t offset, uint64_t size_bytes)
{
	char range[RANGE_BYTES];

	if (size_bytes > INT64_MAX - offset)
		snprintf(range, sizeof(range), "bytes=%" PRIu64 "-", offset);
	else
		snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, offset,
			offset + size_bytes - 1);
	s3_request_add_header(r, "range", range);
}

static void begin_get(struct s3_call *call)
{
	struct s3_request *r;

	if (call->size_bytes == 0) {
		ask_for_size(call);
		return;
	}
	if (!s3_call_ask(call, "GET", call->key, get_done))
		return;
	r = call->request;
	if (!is_whole(call))
		add_range(r, call->offset, call->size_bytes);
	r->max_data_bytes =
		call->size_bytes < S3_MAX_OBJECT_BYTES ? call->size_bytes : S3_MAX_OBJECT_BYTES;
	r->wants_md5 = call->offset == 0 && atomic_load(&call->s3->etag_form) == S3_ETAG_MD5;
	s3_loop_begin(r);
}

void s3_get(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	const struct backend_call *call)
{
	struct s3_call *c = s3_call_new((struct s3_backend *)(void *)b, key, begin_get, call);

	if (c == NULL)
		return;
	c->offset = offset;
	c->size_bytes = size_bytes;
	s3_call_submit(c);
}

void s3_head(struct backend *b, const char *key, const struct backend_call *call)
{
	struct s3_call *c = s3_call_new((struct s3_backend *)(void *)b, key, begin_head, call);

	if (c != NULL)
		s3_call_submit(c);
}
