/*
 * s3_xml_documents.c: the documents that are understood, by means of s3_xml.c.
 */
#include <config.h>
#include "backends/s3/s3_xml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/s3/s3_text.h"
#include "util/cleanup.h"
#include "util/parse_number.h"

/* Cut where it does not fit. */
static void copy_text(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text);
}

static int error_element(void *arg, const char *path, char *text)
{
	struct s3_xml_error *error = arg;

	if (strcmp(path, "Error/Code") == 0)
		copy_text(error->code, sizeof(error->code), text);
	else if (strcmp(path, "Error/Message") == 0)
		copy_text(error->message, sizeof(error->message), text);
	else if (strcmp(path, "Error/Region") == 0)
		copy_text(error->region, sizeof(error->region), text);
	return 0;
}

int s3_xml_read_error(const char *data, size_t size_bytes, struct s3_xml_error *ret)
{
	struct s3_xml_error error = {.code = ""};
	int r = s3_xml_read(data, size_bytes, error_element, &error);

	if (r < 0)
		return r;
	*ret = error;
	return 0;
}

struct list_reader {
	struct backend_result *result;
	const char *prefix;
	char key[S3_XML_MAX_TEXT_BYTES + 1];
	uint64_t size_bytes;
	int64_t modified_ms;
	bool has_size, is_list, is_truncated;
	char *token;
};

/* Others may keep objects of other names below the prefix: they are none of ours. */
static int end_of_contents(struct list_reader *l)
{
	size_t prefix_bytes = strlen(l->prefix);
	const char *key = l->key + prefix_bytes;
	int r = 0;

	if (l->key[0] == '\0' || !l->has_size)
		return -EPROTO;
	if (strncmp(l->key, l->prefix, prefix_bytes) == 0 && backend_key_is_valid(key))
		r = backend_result_add_entry(l->result, key, l->size_bytes, l->modified_ms);
	l->key[0] = '\0';
	l->has_size = false;
	l->modified_ms = 0;
	return r;
}

static int contents_element(struct list_reader *l, const char *name, char *text)
{
	if (strcmp(name, "Key") == 0) {
		if (s3_text_decode(text) < 0)
			return -EPROTO;
		copy_text(l->key, sizeof(l->key), text);
	} else if (strcmp(name, "Size") == 0) {
		l->has_size = parse_number_u64(text, INT64_MAX, &l->size_bytes) == 0;
	} else if (strcmp(name, "LastModified") == 0) {
		if (s3_text_parse_time(text, &l->modified_ms) < 0)
			return -EPROTO;
	}
	return 0;
}

static int list_element(void *arg, const char *path, char *text)
{
	static const char root[] = "ListBucketResult";
	static const char contents[] = "ListBucketResult/Contents";
	struct list_reader *l = arg;

	if (strncmp(path, contents, sizeof(contents) - 1) == 0) {
		path += sizeof(contents) - 1;
		return *path == '\0'  ? end_of_contents(l)
		       : *path == '/' ? contents_element(l, path + 1, text)
				      : 0;
	}
	if (strcmp(path, root) == 0) {
		l->is_list = true;
	} else if (strcmp(path, "ListBucketResult/IsTruncated") == 0) {
		l->is_truncated = strcmp(text, "true") == 0;
	} else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0) {
		free(l->token);
		l->token = strdup(text);
		if (l->token == NULL)
			return -ENOMEM;
	}
	return 0;
}

int s3_xml_read_list(const char *data, size_t size_bytes, const char *prefix,
	struct backend_result *result, char **ret_token)
{
	struct list_reader *l = calloc(1, sizeof(*l));
	int r;

	if (l == NULL)
		return -ENOMEM;
	l->result = result;
	l->prefix = prefix;
	r = s3_xml_read(data, size_bytes, list_element, l);
	if (r == 0 && (!l->is_list || (l->is_truncated && l->token == NULL)))
		r = -EPROTO;
	if (r == 0)
		*ret_token = l->is_truncated ? TAKE_PTR(l->token) : NULL;
	free(l->token);
	free(l);
	return r;
}

struct deletion_reader {
	struct s3_xml_deletion deletion;
	char code[64];
	bool is_deletion;
};

static int deletion_element(void *arg, const char *path, char *text)
{
	struct deletion_reader *d = arg;

	if (strcmp(path, "DeleteResult") == 0) {
		d->is_deletion = true;
	} else if (strcmp(path, "DeleteResult/Error/Code") == 0) {
		copy_text(d->code, sizeof(d->code), text);
	} else if (strcmp(path, "DeleteResult/Error") == 0) {
		if (strcmp(d->code, "NoSuchKey") != 0 && d->deletion.n_failed++ == 0)
			memcpy(d->deletion.code, d->code, sizeof(d->code));
		d->code[0] = '\0';
	}
	return 0;
}

int s3_xml_read_deletion(const char *data, size_t size_bytes, struct s3_xml_deletion *ret)
{
	struct deletion_reader reader = {.code = ""};
	int r = s3_xml_read(data, size_bytes, deletion_element, &reader);

	if (r == 0 && !reader.is_deletion)
		r = -EPROTO;
	if (r < 0)
		return r;
	*ret = reader.deletion;
	return 0;
}

struct text_wanted {
	const char *path;
	char *to;
	size_t size_bytes;
};

static int wanted_element(void *arg, const char *path, char *text)
{
	struct text_wanted *w = arg;

	if (strcmp(path, w->path) != 0)
		return 0;
	if (strlen(text) >= w->size_bytes)
		return -EPROTO;
	copy_text(w->to, w->size_bytes, text);
	return 0;
}

int s3_xml_read_upload_id(const char *data, size_t size_bytes, char *ret, size_t ret_size_bytes)
{
	struct text_wanted w = {"InitiateMultipartUploadResult/UploadId", ret, ret_size_bytes};
	int r;

	ret[0] = '\0';
	r = s3_xml_read(data, size_bytes, wanted_element, &w);
	return r < 0 ? r : ret[0] == '\0' ? -EPROTO : 0;
}

static void unquote(char *text)
{
	size_t size = strlen(text);

	if (size >= 2 && text[0] == '"' && text[size - 1] == '"') {
		memmove(text, text + 1, size - 2);
		text[size - 2] = '\0';
	}
}

struct completion_reader {
	char *etag; /* of BACKEND_VERSION_MAX_BYTES */
	bool is_completion;
};

static int completion_element(void *arg, const char *path, char *text)
{
	struct completion_reader *c = arg;

	if (strcmp(path, "CompleteMultipartUploadResult") == 0 ||
		strcmp(path, "CopyObjectResult") == 0)
		c->is_completion = true;
	if (strcmp(path, "CompleteMultipartUploadResult/ETag") != 0 &&
		strcmp(path, "CopyObjectResult/ETag") != 0)
		return 0;
	if (strlen(text) >= BACKEND_VERSION_MAX_BYTES)
		return -EPROTO;
	copy_text(c->etag, BACKEND_VERSION_MAX_BYTES, text);
	unquote(c->etag);
	return 0;
}

int s3_xml_read_completion(const char *data, size_t size_bytes,
	char ret_etag[BACKEND_VERSION_MAX_BYTES], struct s3_xml_error *ret_error)
{
	struct completion_reader c = {.etag = ret_etag};
	int r;

	ret_etag[0] = '\0';
	r = s3_xml_read(data, size_bytes, completion_element, &c);
	if (r < 0 || c.is_completion)
		return r;
	r = s3_xml_read_error(data, size_bytes, ret_error);
	return r < 0 ? r : ret_error->code[0] != '\0' ? -EIO : -EPROTO;
}
