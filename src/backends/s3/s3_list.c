/*
 * s3_list.c: list, by as many requests as it takes.
 */
#include <config.h>
#include "backends/s3/s3_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"

#define NUMBER_BYTES 24

static void ask_for_page(struct s3_call *call);

/* The keys of a listing ascend; so none comes twice. */
static bool ascends(const struct backend_result *result, size_t from)
{
	for (size_t i = from > 0 ? from : 1; i < result->n_entries; i++) {
		if (strcmp(result->entries[i - 1].key, result->entries[i].key) >= 0)
			return false;
	}
	return true;
}

/* Keys that do not begin with what was asked for are none of the answer. */
static bool all_begin_with(const struct backend_result *result, size_t from, const char *prefix)
{
	size_t size = strlen(prefix);

	for (size_t i = from; i < result->n_entries; i++) {
		if (strncmp(result->entries[i].key, prefix, size) != 0)
			return false;
	}
	return true;
}

static int take_page(struct s3_call *call, const struct s3_answer *a)
{
	struct backend_result *result = &call->result;
	size_t before = result->n_entries;
	CLEANUP_FREE char *token = NULL;
	int r;

	if (a->error < 0)
		return a->error == -ENOENT ? -EIO : a->error;
	r = s3_xml_read_list(a->data, a->data_bytes, call->s3->location.prefix, result, &token);
	if (r < 0)
		return r;
	if (result->n_entries > call->size_bytes || !ascends(result, before) ||
		!all_begin_with(result, before, call->key))
		return -EPROTO;
	free(call->token);
	call->token = TAKE_PTR(token);
	return 0;
}

static void page_done(struct s3_request *r)
{
	struct s3_call *call = r->owner;
	int error = take_page(call, &r->answer);

	if (error == 0 && call->token != NULL && call->result.n_entries < call->size_bytes) {
		ask_for_page(call);
		return;
	}
	if (error == 0)
		call->result.continuation = TAKE_PTR(call->token);
	s3_call_complete(call, error);
}

static void ask_for_page(struct s3_call *call)
{
	size_t left = call->size_bytes - call->result.n_entries;
	char prefix[S3_LOCATION_KEY_MAX_BYTES + 1], number[NUMBER_BYTES];
	struct s3_request *r;

	if (!s3_call_ask(call, "GET", NULL, page_done))
		return;
	r = call->request;
	snprintf(prefix, sizeof(prefix), "%s%s", call->s3->location.prefix, call->key);
	snprintf(number, sizeof(number), "%zu", left < S3_MAX_LIST_KEYS ? left : S3_MAX_LIST_KEYS);
	if (call->token != NULL)
		s3_request_add_query(r, "continuation-token", call->token);
	s3_request_add_query(r, "encoding-type", "url");
	s3_request_add_query(r, "list-type", "2");
	s3_request_add_query(r, "max-keys", number);
	s3_request_add_query(r, "prefix", prefix);
	r->max_data_bytes = S3_MAX_DOCUMENT_BYTES;
	s3_loop_begin(r);
}

static void begin_without_memory(struct s3_call *call)
{
	s3_call_complete(call, -ENOMEM);
}

void s3_list(struct backend *b, const char *prefix, const char *continuation, size_t max_entries,
	const struct backend_call *call)
{
	struct s3_call *c = s3_call_new((struct s3_backend *)(void *)b, prefix, ask_for_page, call);

	if (c == NULL)
		return;
	c->size_bytes = max_entries;
	if (continuation != NULL) {
		c->token = strdup(continuation);
		if (c->token == NULL)
			c->begin = begin_without_memory;
	}
	s3_call_submit(c);
}
