/*
 * s3_answer.h: an answer while it comes in: status line, headers, data. For s3_request.c only.
 */
#ifndef MAILFS_BACKENDS_S3_S3_ANSWER_H
#define MAILFS_BACKENDS_S3_S3_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include "backends/s3/s3_request.h"

/* Before a new question; the data that the last one left is freed. */
void s3_answer_reset(struct s3_answer *a);

/* One line of the head, with or without the CR and LF at its end. A status line begins anew. */
void s3_answer_take_line(struct s3_answer *a, const char *line, size_t size_bytes);

/* Data of the body. -EPROTO: more than announced or than max_bytes; -ENOMEM. What is said beside
 * an error is cut at S3_REQUEST_MAX_ERROR_BYTES. */
int s3_answer_take_data(
	struct s3_answer *a, const void *data, size_t size_bytes, uint64_t max_bytes);

/* All came: sets error, meaning and document from the status. has_body: not for HEAD. */
void s3_answer_judge(struct s3_answer *a, bool has_body);

#endif
