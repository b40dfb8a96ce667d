/*
 * s3_sign.h: AWS Signature Version 4.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 * libcurl has one of its own, which in the packaged version signs queries that are not sorted,
 * flags without '=', and some characters wrongly.
 */
#ifndef MAILFS_BACKENDS_S3_S3_SIGN_H
#define MAILFS_BACKENDS_S3_S3_SIGN_H

#include <stddef.h>
#include <stdint.h>
#include "backends/s3/s3_digest.h"

#define S3_SIGN_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

struct s3_header {
	const char *name; /* lower case */
	const char *value;
};

/* Everything as it goes over the wire. */
struct s3_sign_input {
	const char *method;
	const char *path;  /* percent-encoded, begins with '/' */
	const char *query; /* percent-encoded, parameters sorted, each with '='; "" for none */
	const struct s3_header *headers; /* sorted by name, "host" among them */
	size_t n_headers;
	const char *payload_hash; /* hexadecimal SHA-256, or S3_SIGN_UNSIGNED_PAYLOAD */
	const char *time;         /* as s3_text_time() */
	const char *region;
	const char *service;
};

/* The key for a day ("20130524…"), region and service. -EIO. */
int s3_sign_key(const char *secret, const char *time, const char *region, const char *service,
	uint8_t ret[S3_DIGEST_SHA256_BYTES]);

/* The value of the Authorization header. -ENAMETOOLONG, -EIO. */
int s3_sign(const struct s3_sign_input *in, const char *access_key,
	const uint8_t key[S3_DIGEST_SHA256_BYTES], char *ret, size_t size_bytes);

/* Sorts them by name, as s3_sign() needs them. */
void s3_sign_sort_headers(struct s3_header *headers, size_t n_headers);

#endif
