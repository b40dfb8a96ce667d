/*
 * s3_copy.c: an object from another one, by the store itself.
 */
#include <config.h>
#include "backends/s3/s3_internal.h"

#include <errno.h>
#include <stdio.h>

/* The answer is 200 before the store knows: an <Error> may follow. */
static void copy_done(struct s3_request *r)
{
	struct s3_call *call = r->owner;
	const struct s3_answer *a = &r->answer;
	struct s3_xml_error document;
	int error = a->error;

	if (error == 0)
		error = s3_xml_read_completion(
			a->data, a->data_bytes, call->result.version.text, &document);
	s3_call_complete(call, error);
}

static void begin_copy(struct s3_call *call)
{
	const struct s3_location *l = &call->s3->location;
	char source[S3_LOCATION_PATH_MAX_BYTES + 1];

	if (!s3_call_ask(call, "PUT", call->target, copy_done))
		return;
	/* Neither bucket, prefix nor key has a character that needs encoding. */
	(void)snprintf(source, sizeof(source), "/%s/%s%s", l->bucket, l->prefix, call->key);
	s3_request_add_header(call->request, "x-amz-copy-source", source);
	s3_put_add_storage_headers(call->request, call->target);
	call->request->max_data_bytes = S3_REQUEST_MAX_ERROR_BYTES;
	s3_loop_begin(call->request);
}

void s3_copy(struct backend *b, const char *from, const char *to, const struct backend_call *call)
{
	struct s3_call *c = s3_call_new((struct s3_backend *)(void *)b, from, begin_copy, call);

	if (c == NULL)
		return;
	(void)snprintf(c->target, sizeof(c->target), "%s", to);
	s3_call_submit(c);
}
