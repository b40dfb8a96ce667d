/*
 * s3_multipart.c: a large unconditional put, in parts.
 *
 * begin -> parts, up to S3_MULTIPART_IN_FLIGHT at a time -> complete (-> look, if the
 * store does not give an ETag); or, after the first failure (or when it is cancelled), when no part
 * is in flight any more -> abort. An upload whose abort fails stays in the store until a lifecycle
 * rule of the bucket removes it.
 */
#include <config.h>
#include "backends/s3/s3_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/clock.h"

#define UPLOAD_ID_BYTES 1024
#define NUMBER_BYTES 16
#define ABORT_TIMEOUT_MS 10000
#define PART_FRAME_BYTES 96 /* of the document around an ETag */

struct s3_upload {
	struct s3_call *call;
	char id[UPLOAD_ID_BYTES];
	uint64_t size_bytes, part_bytes;
	unsigned int n_parts, n_begun, n_in_flight;
	int error; /* the first */
	char (*etags)[BACKEND_VERSION_MAX_BYTES];
};

/* One part in flight. */
struct s3_part {
	struct s3_upload *upload;
	unsigned int number; /* from 0 */
	int n_slices;
	struct iovec slices[];
};

static void begin_parts(struct s3_upload *u);

static void end(struct s3_upload *u)
{
	struct s3_call *call = u->call;
	int error = u->error;

	free(u->etags);
	free(u);
	s3_call_complete(call, error);
}

static void abort_done(struct s3_request *r)
{
	r->s3->loop.n_calls--;
	s3_loop_give_back(r);
}

/* The call is over; its request goes on by itself. */
static void abort_upload(struct s3_upload *u)
{
	struct s3_call *call = u->call;
	struct s3_request *r = call->request;

	s3_request_reset(r, "DELETE", call->key);
	s3_request_add_query(r, "uploadId", u->id);
	r->deadline_ms = clock_monotonic_ms() + ABORT_TIMEOUT_MS;
	r->done = abort_done;
	call->request = NULL;
	call->s3->loop.n_calls++;
	s3_loop_begin(r);
	end(u);
}

/* The store did not say what the ETag is; the object does. */
static void look_done(struct s3_request *r)
{
	struct s3_call *call = r->owner;
	struct s3_upload *u = call->upload;
	const struct s3_answer *a = &r->answer;

	u->error = a->error;
	if (u->error == 0 && (a->etag[0] == '\0' || !a->has_length))
		u->error = -EPROTO;
	/* Absent, or of another size: somebody has changed it since. */
	if (u->error == -ENOENT || (u->error == 0 && a->length_bytes != u->size_bytes))
		u->error = -EIO;
	memcpy(call->result.version.text, a->etag, sizeof(a->etag));
	end(u);
}

static void complete_done(struct s3_request *r)
{
	struct s3_call *call = r->owner;
	struct s3_upload *u = call->upload;
	const struct s3_answer *a = &r->answer;
	struct s3_xml_error document;

	u->error = a->error == -ENOENT ? -EIO : a->error;
	if (u->error == 0)
		u->error = s3_xml_read_completion(
			a->data, a->data_bytes, call->result.version.text, &document);
	/* After an answer that got lost it may be complete; then there is nothing to abort. */
	if (u->error < 0)
		abort_upload(u);
	else if (call->result.version.text[0] != '\0')
		end(u);
	else if (s3_call_ask(call, "HEAD", call->key, look_done))
		s3_loop_begin(call->request);
}

static int write_document(struct s3_upload *u)
{
	struct s3_call *call = u->call;
	size_t size = (PART_FRAME_BYTES + BACKEND_VERSION_MAX_BYTES) * (u->n_parts + 2);
	struct s3_text t;

	call->body = malloc(size);
	if (call->body == NULL)
		return -ENOMEM;
	s3_text_init(&t, call->body, size);
	s3_text_add(&t, "<CompleteMultipartUpload "
			"xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (unsigned int i = 0; i < u->n_parts; i++)
		s3_text_add_format(&t,
			"<Part><PartNumber>%u</PartNumber><ETag>&quot;%s&quot;</ETag></Part>",
			i + 1, u->etags[i]);
	s3_text_add(&t, "</CompleteMultipartUpload>");
	call->body_part = (struct iovec){t.data, t.used_bytes};
	return t.is_cut ? -ENAMETOOLONG
			: s3_request_digest(call->s3, &call->body_part, 1, call->digest);
}

static void complete_upload(struct s3_upload *u)
{
	struct s3_call *call = u->call;

	u->error = write_document(u);
	if (u->error < 0) {
		abort_upload(u);
		return;
	}
	/* It has its request, so there is memory. */
	if (!s3_call_ask(call, "POST", call->key, complete_done))
		return;
	s3_request_add_query(call->request, "uploadId", u->id);
	s3_request_set_body(call->request, &call->body_part, 1, call->digest);
	s3_loop_begin(call->request);
}

static bool etag_is_sound(const char *etag)
{
	return etag[0] != '\0' && etag[strcspn(etag, "<>&\"")] == '\0';
}

static void part_done(struct s3_request *r)
{
	struct s3_part *part = r->owner;
	struct s3_upload *u = part->upload;
	const struct s3_answer *a = &r->answer;
	int error = a->error == -ENOENT ? -EIO : a->error;

	if (error == 0 && !etag_is_sound(a->etag))
		error = -EPROTO;
	if (error == 0)
		memcpy(u->etags[part->number], a->etag, sizeof(a->etag));
	if (u->error == 0)
		u->error = error;
	free(part);
	s3_loop_give_back(r);
	u->n_in_flight--;
	begin_parts(u);
}

/* The slices of the caller's buffers from `offset` on. */
static void slice(const struct s3_call *call, uint64_t offset, uint64_t size, struct s3_part *to)
{
	for (int i = 0; i < call->n_parts && size > 0; i++) {
		size_t length = call->parts[i].iov_len;
		size_t skipped = offset < length ? (size_t)offset : length;
		size_t n = length - skipped < size ? length - skipped : (size_t)size;

		offset -= skipped;
		size -= n;
		if (n > 0)
			to->slices[to->n_slices++] =
				(struct iovec){(char *)call->parts[i].iov_base + skipped, n};
	}
}

static struct s3_part *new_part(struct s3_upload *u)
{
	const struct s3_call *call = u->call;
	struct s3_part *part =
		calloc(1, sizeof(*part) + (size_t)call->n_parts * sizeof(part->slices[0]));
	uint64_t offset = u->n_begun * u->part_bytes, left = u->size_bytes - offset;

	if (part == NULL)
		return NULL;
	part->upload = u;
	part->number = u->n_begun;
	slice(call, offset, left < u->part_bytes ? left : u->part_bytes, part);
	return part;
}

static int begin_part(struct s3_upload *u)
{
	struct s3_call *call = u->call;
	struct s3_part *part = new_part(u);
	char number[NUMBER_BYTES], digest[S3_REQUEST_HASH_BYTES];
	struct s3_request *r;
	int error = part == NULL ? -ENOMEM : 0;

	if (error == 0)
		error = s3_request_digest(call->s3, part->slices, part->n_slices, digest);
	r = error == 0 ? s3_loop_take_request(call->s3, "PUT", call->key) : NULL;
	if (r == NULL) {
		free(part);
		return error < 0 ? error : -ENOMEM;
	}
	snprintf(number, sizeof(number), "%u", part->number + 1);
	s3_request_add_query(r, "partNumber", number);
	s3_request_add_query(r, "uploadId", u->id);
	s3_request_set_body(r, part->slices, part->n_slices, digest);
	r->deadline_ms = call->queued.deadline_ms;
	r->done = part_done;
	r->owner = part;
	r->cancellation = call->queued.cancellation;
	s3_loop_begin(r);
	u->n_begun++;
	u->n_in_flight++;
	return 0;
}

static void begin_parts(struct s3_upload *u)
{
	while (u->error == 0 && u->n_begun < u->n_parts && u->n_in_flight < S3_MULTIPART_IN_FLIGHT)
		u->error = begin_part(u);
	if (u->n_in_flight > 0)
		return;
	if (u->error < 0)
		abort_upload(u);
	else
		complete_upload(u);
}

static void initiate_done(struct s3_request *r)
{
	struct s3_call *call = r->owner;
	struct s3_upload *u = call->upload;
	const struct s3_answer *a = &r->answer;

	u->error = a->error == -ENOENT ? -EIO : a->error;
	if (u->error == 0)
		u->error = s3_xml_read_upload_id(a->data, a->data_bytes, u->id, sizeof(u->id));
	if (u->error < 0)
		end(u);
	else
		begin_parts(u);
}

static struct s3_upload *new_upload(struct s3_call *call)
{
	struct s3_upload *u = calloc(1, sizeof(*u));
	uint64_t part_bytes;

	if (u == NULL)
		return NULL;
	u->call = call;
	u->size_bytes = backend_parts_size_bytes(call->parts, call->n_parts);
	part_bytes = (u->size_bytes + S3_MULTIPART_MAX_PARTS - 1) / S3_MULTIPART_MAX_PARTS;
	u->part_bytes =
		part_bytes > S3_MULTIPART_MIN_PART_BYTES ? part_bytes : S3_MULTIPART_MIN_PART_BYTES;
	u->n_parts = (unsigned int)((u->size_bytes + u->part_bytes - 1) / u->part_bytes);
	u->etags = calloc(u->n_parts, sizeof(u->etags[0]));
	if (u->etags != NULL)
		return u;
	free(u);
	return NULL;
}

void s3_multipart_begin(struct s3_call *call)
{
	struct s3_upload *u = new_upload(call);

	if (u == NULL) {
		s3_call_complete(call, -ENOMEM);
		return;
	}
	call->upload = u;
	call->request = s3_loop_take_request(call->s3, "POST", call->key);
	if (call->request == NULL) {
		u->error = -ENOMEM;
		end(u);
		return;
	}
	s3_request_add_query(call->request, "uploads", "");
	s3_put_add_storage_headers(call->request, call->key);
	call->request->deadline_ms = call->queued.deadline_ms;
	call->request->done = initiate_done;
	call->request->owner = call;
	call->request->cancellation = call->queued.cancellation;
	s3_loop_begin(call->request);
}
