/*
 * s3_handle.h: how libcurl is set up, and how it gets and gives a request's data. For
 * s3_request.c only.
 */
#ifndef MAILFS_BACKENDS_S3_S3_HANDLE_H
#define MAILFS_BACKENDS_S3_S3_HANDLE_H

#include "backends/s3/s3_request.h"

/* What stays as it is for all requests on this handle. */
void s3_handle_set_up(struct s3_request *r);

/* The method, and whether there is a body. */
void s3_handle_set_method(struct s3_request *r);

#endif
