/*
 * s3_digest.h: SHA-256, HMAC and MD5, by OpenSSL. -EIO when it gives none (e.g. MD5 forbidden).
 */
#ifndef MAILFS_BACKENDS_S3_S3_DIGEST_H
#define MAILFS_BACKENDS_S3_S3_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define S3_DIGEST_SHA256_BYTES 32
#define S3_DIGEST_MD5_BYTES 16

/* Of the parts in sequence. */
int s3_digest_sha256(const struct iovec *parts, int n_parts, uint8_t ret[S3_DIGEST_SHA256_BYTES]);
int s3_digest_md5(const struct iovec *parts, int n_parts, uint8_t ret[S3_DIGEST_MD5_BYTES]);

int s3_digest_hmac_sha256(const void *key, size_t key_bytes, const void *data, size_t size_bytes,
	uint8_t ret[S3_DIGEST_SHA256_BYTES]);

/* MD5 of what comes in pieces. */
struct s3_digest_stream;

/* NULL when there is no memory or no MD5. */
struct s3_digest_stream *s3_digest_stream_new(void);
int s3_digest_stream_add(struct s3_digest_stream *s, const void *data, size_t size_bytes);
int s3_digest_stream_end(struct s3_digest_stream *s, uint8_t ret[S3_DIGEST_MD5_BYTES]);
/* NULL is allowed. */
void s3_digest_stream_free(struct s3_digest_stream *s);

#endif
