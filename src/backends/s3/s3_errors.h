/*
 * s3_errors.h: what an answer of the store, or of libcurl instead of one, means.
 *
 * The errno says whether another attempt may help, and whether the store may have done what was
 * asked: see the table in backends/retry_backend.c. In doubt it may.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 */
#ifndef MAILFS_BACKENDS_S3_S3_ERRORS_H
#define MAILFS_BACKENDS_S3_S3_ERRORS_H

#include <stdbool.h>

struct s3_error {
	int error;
	bool is_slow_down; /* fewer requests at a time, please */
	bool is_expired;   /* new credentials may help */
	bool is_region;    /* the bucket is in another region, or elsewhere */
	const char *hint;  /* a sentence for the user on what to do, or NULL */
};

/* status: of HTTP, 300 to 599; code: of the <Error> document, "" when there is none (HEAD). 412
 * gives -EEXIST; for a compare-and-swap the caller makes it -ESTALE. */
struct s3_error s3_errors_of_answer(long status, const char *code);

/* curl: a CURLcode other than CURLE_OK. */
int s3_errors_of_curl(int curl);

#endif
