#include <config.h>
#include "backends/s3/s3_digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

static int digest(const EVP_MD *type, const struct iovec *parts, int n_parts, uint8_t *ret)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int good = context != NULL && EVP_DigestInit_ex(context, type, NULL);

	for (int i = 0; i < n_parts && good; i++)
		good = EVP_DigestUpdate(context, parts[i].iov_base, parts[i].iov_len);
	good = good && EVP_DigestFinal_ex(context, ret, NULL);
	EVP_MD_CTX_free(context);
	return good ? 0 : -EIO;
}

int s3_digest_sha256(const struct iovec *parts, int n_parts, uint8_t ret[S3_DIGEST_SHA256_BYTES])
{
	return digest(EVP_sha256(), parts, n_parts, ret);
}

int s3_digest_md5(const struct iovec *parts, int n_parts, uint8_t ret[S3_DIGEST_MD5_BYTES])
{
	return digest(EVP_md5(), parts, n_parts, ret);
}

int s3_digest_hmac_sha256(const void *key, size_t key_bytes, const void *data, size_t size_bytes,
	uint8_t ret[S3_DIGEST_SHA256_BYTES])
{
	if (HMAC(EVP_sha256(), key, (int)key_bytes, data, size_bytes, ret, NULL) == NULL)
		return -EIO;
	return 0;
}

struct s3_digest_stream {
	EVP_MD_CTX *context;
};

struct s3_digest_stream *s3_digest_stream_new(void)
{
	struct s3_digest_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->context = EVP_MD_CTX_new();
	if (s->context != NULL && EVP_DigestInit_ex(s->context, EVP_md5(), NULL))
		return s;
	s3_digest_stream_free(s);
	return NULL;
}

int s3_digest_stream_add(struct s3_digest_stream *s, const void *data, size_t size_bytes)
{
	return EVP_DigestUpdate(s->context, data, size_bytes) ? 0 : -EIO;
}

int s3_digest_stream_end(struct s3_digest_stream *s, uint8_t ret[S3_DIGEST_MD5_BYTES])
{
	return EVP_DigestFinal_ex(s->context, ret, NULL) ? 0 : -EIO;
}

void s3_digest_stream_free(struct s3_digest_stream *s)
{
	if (s == NULL)
		return;
	EVP_MD_CTX_free(s->context);
	free(s);
}
