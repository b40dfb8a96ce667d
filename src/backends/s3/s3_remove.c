/*
 * s3_remove.c: remove and remove_many.
 */
#include <config.h>
#include "backends/s3/s3_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_BYTES 64 /* of the document around a key */

static void remove_done(struct s3_request *r)
{
	int error = r->answer.error;

	s3_call_complete(r->owner, error == -ENOENT ? 0 : error);
}

static void begin_remove(struct s3_call *call)
{
	if (s3_call_ask(call, "DELETE", call->key, remove_done))
		s3_loop_begin(call->request);
}

void s3_remove(struct backend *b, const char *key, const struct backend_call *call)
{
	struct s3_call *c = s3_call_new((struct s3_backend *)(void *)b, key, begin_remove, call);

	if (c != NULL)
		s3_call_submit(c);
}

static void remove_many_done(struct s3_request *r)
{
	const struct s3_answer *a = &r->answer;
	struct s3_xml_deletion deletion;
	int error = a->error;

	if (error == 0)
		error = s3_xml_read_deletion(a->data, a->data_bytes, &deletion);
	if (error == 0 && deletion.n_failed > 0)
		error = -EIO;
	s3_call_complete(r->owner, error == -ENOENT ? -EIO : error);
}

/* No key has a character that XML would want to be escaped. */
static int write_document(struct s3_call *call)
{
	size_t size = FRAME_BYTES * (call->n_keys + 2) + 1;
	struct s3_text t;

	for (size_t i = 0; i < call->n_keys; i++)
		size += strlen(call->keys[i]) + strlen(call->s3->location.prefix);
	call->body = malloc(size);
	if (call->body == NULL)
		return -ENOMEM;
	s3_text_init(&t, call->body, size);
	s3_text_add(&t, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
			"<Quiet>true</Quiet>");
	for (size_t i = 0; i < call->n_keys; i++)
		s3_text_add_format(&t, "<Object><Key>%s%s</Key></Object>",
			call->s3->location.prefix, call->keys[i]);
	s3_text_add(&t, "</Delete>");
	call->body_part = (struct iovec){t.data, t.used_bytes};
	return t.is_cut ? -ENAMETOOLONG : 0;
}

/* The store wants Content-MD5 with this one, over plain HTTP too. */
static int add_md5(struct s3_request *r, const struct iovec *part)
{
	uint8_t md5[S3_DIGEST_MD5_BYTES];
	char text[S3_REQUEST_HASH_BYTES];
	int error;

	if (r->s3->location.is_tls)
		return 0; /* it is there already */
	error = s3_digest_md5(part, 1, md5);
	if (error < 0)
		return error;
	s3_text_base64(md5, sizeof(md5), text);
	s3_request_add_header(r, "content-md5", text);
	return 0;
}

static void begin_remove_many(struct s3_call *call)
{
	int error = write_document(call);

	if (error == 0)
		error = s3_request_digest(call->s3, &call->body_part, 1, call->digest);
	if (error < 0) {
		s3_call_complete(call, error);
		return;
	}
	if (!s3_call_ask(call, "POST", NULL, remove_many_done))
		return;
	s3_request_add_query(call->request, "delete", "");
	s3_request_set_body(call->request, &call->body_part, 1, call->digest);
	call->request->max_data_bytes = S3_MAX_DOCUMENT_BYTES;
	error = add_md5(call->request, &call->body_part);
	if (error < 0)
		s3_call_complete(call, error);
	else
		s3_loop_begin(call->request);
}

void s3_remove_many(
	struct backend *b, const char *const *keys, size_t n_keys, const struct backend_call *call)
{
	struct s3_call *c =
		s3_call_new((struct s3_backend *)(void *)b, "", begin_remove_many, call);

	if (c == NULL)
		return;
	c->keys = keys;
	c->n_keys = n_keys;
	s3_call_submit(c);
}
