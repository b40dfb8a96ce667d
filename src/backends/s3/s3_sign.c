#include <config.h>
#include "backends/s3/s3_sign.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "backends/s3/s3_text.h"

#define DATE_BYTES 8
#define SECRET_MAX_BYTES 256
#define CANONICAL_MAX_BYTES 24576
#define SCOPE_MAX_BYTES 160
#define ALGORITHM "AWS4-HMAC-SHA256"
#define HEX_BYTES (2 * S3_DIGEST_SHA256_BYTES + 1)

int s3_sign_key(const char *secret, const char *time, const char *region, const char *service,
	uint8_t ret[S3_DIGEST_SHA256_BYTES])
{
	const char *const steps[] = {region, service, "aws4_request"};
	char first[SECRET_MAX_BYTES + 8];
	uint8_t next[S3_DIGEST_SHA256_BYTES];
	int n = snprintf(first, sizeof(first), "AWS4%s", secret);
	int r = n < (int)sizeof(first) ? 0 : -ENAMETOOLONG;

	if (r == 0)
		r = s3_digest_hmac_sha256(first, (size_t)n, time, DATE_BYTES, ret);
	for (int i = 0; i < 3 && r == 0; i++) {
		r = s3_digest_hmac_sha256(
			ret, S3_DIGEST_SHA256_BYTES, steps[i], strlen(steps[i]), next);
		memcpy(ret, next, sizeof(next));
	}
	explicit_bzero(first, sizeof(first));
	return r;
}

/* Without blanks around it, and one blank for several inside. */
static void add_trimmed(struct s3_text *t, const char *value)
{
	bool pending = false, begun = false;

	for (; *value != '\0'; value++) {
		if (*value == ' ' || *value == '\t') {
			pending = begun;
			continue;
		}
		s3_text_add_format(t, "%s%c", pending ? " " : "", *value);
		pending = false;
		begun = true;
	}
}

static void add_names(struct s3_text *t, const struct s3_sign_input *in)
{
	for (size_t i = 0; i < in->n_headers; i++) {
		if (i > 0)
			s3_text_add(t, ";");
		s3_text_add(t, in->headers[i].name);
	}
}

static int hash_canonical_request(const struct s3_sign_input *in, char hex[HEX_BYTES])
{
	char data[CANONICAL_MAX_BYTES];
	uint8_t hash[S3_DIGEST_SHA256_BYTES];
	struct s3_text t;
	int r;

	s3_text_init(&t, data, sizeof(data));
	s3_text_add_format(&t, "%s\n%s\n%s\n", in->method, in->path, in->query);
	for (size_t i = 0; i < in->n_headers; i++) {
		s3_text_add(&t, in->headers[i].name);
		s3_text_add(&t, ":");
		if (strpbrk(in->headers[i].value, " \t") != NULL)
			add_trimmed(&t, in->headers[i].value);
		else
			s3_text_add(&t, in->headers[i].value);
		s3_text_add(&t, "\n");
	}
	s3_text_add(&t, "\n");
	add_names(&t, in);
	s3_text_add(&t, "\n");
	s3_text_add(&t, in->payload_hash);
	if (t.is_cut)
		return -ENAMETOOLONG;
	r = s3_digest_sha256(&(struct iovec){data, t.used_bytes}, 1, hash);
	if (r == 0)
		s3_text_hex(hash, sizeof(hash), hex);
	return r;
}

int s3_sign(const struct s3_sign_input *in, const char *access_key,
	const uint8_t key[S3_DIGEST_SHA256_BYTES], char *ret, size_t size_bytes)
{
	char scope_data[SCOPE_MAX_BYTES], text_data[SCOPE_MAX_BYTES + 128], hex[HEX_BYTES];
	uint8_t signature[S3_DIGEST_SHA256_BYTES];
	struct s3_text scope, text, header;
	int r = hash_canonical_request(in, hex);

	if (r < 0)
		return r;
	s3_text_init(&scope, scope_data, sizeof(scope_data));
	s3_text_add_format(
		&scope, "%.*s/%s/%s/aws4_request", DATE_BYTES, in->time, in->region, in->service);
	s3_text_init(&text, text_data, sizeof(text_data));
	s3_text_add_format(&text, ALGORITHM "\n%s\n%s\n%s", in->time, scope_data, hex);
	if (scope.is_cut || text.is_cut)
		return -ENAMETOOLONG;
	r = s3_digest_hmac_sha256(
		key, S3_DIGEST_SHA256_BYTES, text_data, text.used_bytes, signature);
	if (r < 0)
		return r;
	s3_text_hex(signature, sizeof(signature), hex);
	s3_text_init(&header, ret, size_bytes);
	s3_text_add_format(
		&header, ALGORITHM " Credential=%s/%s, SignedHeaders=", access_key, scope_data);
	add_names(&header, in);
	s3_text_add_format(&header, ", Signature=%s", hex);
	return header.is_cut ? -ENAMETOOLONG : 0;
}

/* There are few, and most are in order. */
void s3_sign_sort_headers(struct s3_header *headers, size_t n_headers)
{
	for (size_t i = 1; i < n_headers; i++) {
		struct s3_header moved = headers[i];
		size_t to = i;

		for (; to > 0 && strcmp(headers[to - 1].name, moved.name) > 0; to--)
			headers[to] = headers[to - 1];
		headers[to] = moved;
	}
}
