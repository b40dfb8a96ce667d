#include <config.h>
#include "backends/s3/s3_answer.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "util/parse_number.h"

#define VALUE_MAX_BYTES 256
#define FIRST_CAPACITY_BYTES 4096
/* Memory is taken at once for what is announced up to here; beyond, as it comes. */
#define TRUSTED_LENGTH_BYTES (UINT64_C(64) << 20)

void s3_answer_reset(struct s3_answer *a)
{
	free(a->data);
	*a = (struct s3_answer){.error = 0};
}

static void take_etag(struct s3_answer *a, const char *value)
{
	size_t size = strlen(value);

	if (size >= 2 && value[0] == '"' && value[size - 1] == '"') {
		value++;
		size -= 2;
	}
	/* A weak one, or one too long, is as good as none. */
	if (size > 0 && size < sizeof(a->etag) && memchr(value, '"', size) == NULL) {
		memcpy(a->etag, value, size);
		a->etag[size] = '\0';
	}
}

static void take_length(struct s3_answer *a, const char *value)
{
	a->has_length = parse_number_u64(value, INT64_MAX, &a->length_bytes) == 0;
}

/* "bytes 0-9/100" */
static void take_range(struct s3_answer *a, const char *value)
{
	char text[VALUE_MAX_BYTES];
	char *minus, *slash;

	snprintf(text, sizeof(text), "%s", value);
	minus = strchr(text, '-');
	slash = strchr(text, '/');
	if (strncmp(text, "bytes ", 6) != 0 || minus == NULL || slash == NULL || slash < minus)
		return;
	*minus = *slash = '\0';
	a->has_range = parse_number_u64(text + 6, INT64_MAX, &a->range_first) == 0 &&
		       parse_number_u64(minus + 1, INT64_MAX, &a->range_last) == 0 &&
		       parse_number_u64(slash + 1, INT64_MAX, &a->range_total_bytes) == 0;
}

static int64_t date_ms(const char *value)
{
	time_t time = curl_getdate(value, NULL);

	return time > 0 ? (int64_t)time * 1000 : 0;
}

static void take_modified(struct s3_answer *a, const char *value)
{
	a->modified_ms = date_ms(value);
}

static void take_date(struct s3_answer *a, const char *value)
{
	a->date_ms = date_ms(value);
}

static void take_region(struct s3_answer *a, const char *value)
{
	if (strlen(value) < sizeof(a->region))
		memcpy(a->region, value, strlen(value) + 1);
}

static void take_encoding(struct s3_answer *a, const char *value)
{
	a->is_encoded = strcasecmp(value, "identity") != 0 && strcmp(value, "aws-chunked") != 0;
}

static void take_encryption(struct s3_answer *a, const char *value)
{
	if (strcmp(value, "AES256") != 0)
		a->is_kms = true;
}

static void take_customer_key(struct s3_answer *a, const char *value)
{
	(void)value;
	a->is_kms = true;
}

static const struct {
	const char *name;
	void (*take)(struct s3_answer *a, const char *value);
} known[] = {
	{"ETag", take_etag},
	{"Content-Length", take_length},
	{"Content-Range", take_range},
	{"Content-Encoding", take_encoding},
	{"Last-Modified", take_modified},
	{"Date", take_date},
	{"x-amz-bucket-region", take_region},
	{"x-amz-server-side-encryption", take_encryption},
	{"x-amz-server-side-encryption-customer-algorithm", take_customer_key},
};

void s3_answer_take_line(struct s3_answer *a, const char *line, size_t size_bytes)
{
	const char *colon = memchr(line, ':', size_bytes);
	char value[VALUE_MAX_BYTES];
	size_t name_bytes, begin, end = size_bytes;

	if (size_bytes > 5 && strncmp(line, "HTTP/", 5) == 0) {
		const char *blank = memchr(line, ' ', size_bytes);

		s3_answer_reset(a);
		a->status = blank != NULL && size_bytes >= (size_t)(blank - line) + 4
				    ? strtol(blank + 1, NULL, 10)
				    : 0;
		return;
	}
	if (colon == NULL)
		return;
	name_bytes = begin = (size_t)(colon - line);
	do
		begin++;
	while (begin < end && (line[begin] == ' ' || line[begin] == '\t'));
	while (end > begin && strchr("\r\n \t", line[end - 1]) != NULL)
		end--;
	if (end - begin >= sizeof(value))
		return;
	memcpy(value, line + begin, end - begin);
	value[end - begin] = '\0';
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strlen(known[i].name) == name_bytes &&
			strncasecmp(line, known[i].name, name_bytes) == 0)
			known[i].take(a, value);
	}
}

static int grow(struct s3_answer *a, size_t needed_bytes)
{
	size_t capacity = a->capacity_bytes == 0 ? FIRST_CAPACITY_BYTES : 2 * a->capacity_bytes;
	char *grown;

	if (needed_bytes <= a->capacity_bytes)
		return 0;
	if (a->capacity_bytes == 0 && a->has_length && a->length_bytes <= TRUSTED_LENGTH_BYTES)
		capacity = a->length_bytes;
	if (capacity < needed_bytes)
		capacity = needed_bytes;
	grown = realloc(a->data, capacity + 1);
	if (grown == NULL)
		return -ENOMEM;
	a->data = grown;
	a->capacity_bytes = capacity;
	return 0;
}

int s3_answer_take_data(
	struct s3_answer *a, const void *data, size_t size_bytes, uint64_t max_bytes)
{
	bool is_good = a->status >= 200 && a->status < 300;

	if (!is_good) {
		size_t left = S3_REQUEST_MAX_ERROR_BYTES - a->data_bytes;

		size_bytes = size_bytes < left ? size_bytes : left;
	} else if (size_bytes > max_bytes - a->data_bytes) {
		return -EPROTO;
	}
	if (size_bytes == 0)
		return 0;
	if (grow(a, a->data_bytes + size_bytes) < 0)
		return -ENOMEM;
	memcpy(a->data + a->data_bytes, data, size_bytes);
	a->data_bytes += size_bytes;
	a->data[a->data_bytes] = '\0';
	return 0;
}

void s3_answer_judge(struct s3_answer *a, bool has_body)
{
	if (a->status >= 200 && a->status < 300) {
		if (has_body && a->has_length && a->data_bytes != a->length_bytes)
			a->error = -EIO;
		return;
	}
	if (a->data_bytes > 0)
		(void)s3_xml_read_error(a->data, a->data_bytes, &a->document);
	a->meaning = s3_errors_of_answer(a->status, a->document.code);
	a->error = a->meaning.error;
}
