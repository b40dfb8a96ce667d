/*
 * s3_put.c: put, in one request; with conditions.
 */
#include <config.h>
#include "backends/s3/s3_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void begin_put(struct s3_call *call);

void s3_put_add_storage_headers(struct s3_request *r, const char *key)
{
	const struct s3_options *o = &r->s3->options;
	const char *storage_class = s3_options_storage_class(o, key);

	if (storage_class != NULL)
		s3_request_add_header(r, "x-amz-storage-class", storage_class);
	if (o->sse != NULL)
		s3_request_add_header(r, "x-amz-server-side-encryption", o->sse);
	if (o->sse_kms_key_id != NULL)
		s3_request_add_header(
			r, "x-amz-server-side-encryption-aws-kms-key-id", o->sse_kms_key_id);
}

/* Learns from the first put what the store's ETags are; later ones must then be right. */
static int check_etag(struct s3_call *call, const struct s3_answer *a)
{
	uint8_t md5[S3_DIGEST_MD5_BYTES];
	enum s3_etag_form form = atomic_load(&call->s3->etag_form);
	bool is_md5;

	if (!call->has_md5 || a->is_kms || form == S3_ETAG_OTHER)
		return 0;
	is_md5 = s3_text_unhex(a->etag, md5, sizeof(md5)) &&
		 memcmp(md5, call->md5, sizeof(md5)) == 0;
	if (form == S3_ETAG_UNKNOWN)
		atomic_store(&call->s3->etag_form, is_md5 ? S3_ETAG_MD5 : S3_ETAG_OTHER);
	else if (!is_md5)
		return -EIO;
	return 0;
}

/* The swap was refused. Was that for the version, or for the form it was written in? */
static void compare_done(struct s3_request *r)
{
	struct s3_call *call = r->owner;
	const struct s3_answer *a = &r->answer;

	if (a->error < 0) {
		s3_call_complete(call, a->error == -ENOENT ? -ESTALE : a->error);
		return;
	}
	if (strcmp(a->etag, call->condition.version.text) != 0) {
		s3_call_complete(call, -ESTALE);
		return;
	}
	call->is_second = true;
	call->is_bare = !call->is_bare;
	begin_put(call);
}

static int refusal_of(const struct s3_call *call, const struct s3_answer *a)
{
	if (call->condition.type == BACKEND_IF_VERSION && (a->status == 412 || a->error == -ENOENT))
		return -ESTALE;
	if (call->condition.type != BACKEND_IF_ABSENT && a->status == 412)
		return -EIO;
	/* A put of an object says nothing of its absence. */
	return a->error == -ENOENT ? -EIO : a->error;
}

static void put_done(struct s3_request *r)
{
	struct s3_call *call = r->owner;
	const struct s3_answer *a = &r->answer;
	struct s3_backend *s3 = call->s3;
	bool is_swap = call->condition.type == BACKEND_IF_VERSION;
	int error = a->error;

	if (is_swap && a->status == 412 && s3->match_form == S3_MATCH_UNKNOWN && !call->is_second) {
		if (s3_call_ask(call, "HEAD", call->key, compare_done))
			s3_loop_begin(call->request);
		return;
	}
	if (error < 0) {
		s3_call_complete(call, refusal_of(call, a));
		return;
	}
	if (is_swap)
		s3->match_form = call->is_bare ? S3_MATCH_BARE : S3_MATCH_QUOTED;
	error = a->etag[0] == '\0' ? -EPROTO : check_etag(call, a);
	memcpy(call->result.version.text, a->etag, sizeof(a->etag));
	s3_call_complete(call, error);
}

static void add_condition(struct s3_call *call)
{
	char match[BACKEND_VERSION_MAX_BYTES + 2];
	const char *version = call->condition.version.text;

	if (call->condition.type == BACKEND_IF_ABSENT)
		s3_request_add_header(call->request, "if-none-match", "*");
	if (call->condition.type != BACKEND_IF_VERSION)
		return;
	if (!call->is_second)
		call->is_bare = call->s3->match_form == S3_MATCH_BARE;
	snprintf(match, sizeof(match), call->is_bare ? "%s" : "\"%s\"", version);
	s3_request_add_header(call->request, "if-match", match);
}

static void begin_put(struct s3_call *call)
{
	if (!s3_call_ask(call, "PUT", call->key, put_done))
		return;
	s3_request_set_body(call->request, call->parts, call->n_parts, call->digest);
	call->request->is_once = call->condition.type != BACKEND_ALWAYS;
	add_condition(call);
	s3_put_add_storage_headers(call->request, call->key);
	s3_loop_begin(call->request);
}

static void begin_refused(struct s3_call *call)
{
	s3_call_complete(call, -EFBIG);
}

static void begin_without_digest(struct s3_call *call)
{
	s3_call_complete(call, -EIO);
}

/* A version has no quotes and no control characters, or it is none of ours: never matched. */
static bool version_is_sound(const struct backend_condition *condition)
{
	if (condition->type != BACKEND_IF_VERSION)
		return true;
	for (const char *c = condition->version.text; *c != '\0'; c++) {
		if (*c <= ' ' || *c > '~' || *c == '"' || *c == ',')
			return false;
	}
	return condition->version.text[0] != '\0';
}

static void begin_stale(struct s3_call *call)
{
	s3_call_complete(call, -ESTALE);
}

/* In the caller's thread, so that the loop is not held up by a large body. */
static void compute_digests(struct s3_call *c)
{
	if (s3_request_digest(c->s3, c->parts, c->n_parts, c->digest) < 0) {
		c->begin = begin_without_digest;
		return;
	}
	c->has_md5 =
		(c->s3->location.is_tls || atomic_load(&c->s3->etag_form) == S3_ETAG_UNKNOWN) &&
		s3_digest_md5(c->parts, c->n_parts, c->md5) == 0;
}

void s3_put(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
	const struct backend_condition *condition, const struct backend_call *call)
{
	struct s3_call *c = s3_call_new((struct s3_backend *)(void *)b, key, begin_put, call);
	uint64_t size_bytes = backend_parts_size_bytes(parts, n_parts);

	if (c == NULL)
		return;
	c->parts = parts;
	c->n_parts = n_parts;
	c->condition = *condition;
	if (!version_is_sound(condition))
		c->begin = begin_stale;
	else if (condition->type != BACKEND_ALWAYS && size_bytes > S3_MAX_PUT_BYTES)
		c->begin = begin_refused; /* parts cannot be put under a condition everywhere */
	else if (condition->type == BACKEND_ALWAYS && size_bytes >= S3_MULTIPART_THRESHOLD_BYTES)
		c->begin = s3_multipart_begin;
	else
		compute_digests(c);
	s3_call_submit(c);
}
