/*
 * s3_location.h: from s3://BUCKET/PREFIX, endpoint and region to where requests go.
 */
#ifndef MAILFS_BACKENDS_S3_S3_LOCATION_H
#define MAILFS_BACKENDS_S3_S3_LOCATION_H

#include <stdbool.h>
#include "backends/backend.h"
#include "backends/s3/s3_options.h"

#define S3_LOCATION_BUCKET_MAX_BYTES 63
#define S3_LOCATION_PREFIX_MAX_BYTES 400
#define S3_LOCATION_REGION_MAX_BYTES 63
#define S3_LOCATION_HOST_MAX_BYTES 320
#define S3_LOCATION_KEY_MAX_BYTES (S3_LOCATION_PREFIX_MAX_BYTES + 1 + BACKEND_KEY_MAX_BYTES)
/* "/BUCKET/KEY", percent-encoded: neither has a character that needs it. */
#define S3_LOCATION_PATH_MAX_BYTES (S3_LOCATION_BUCKET_MAX_BYTES + 2 + S3_LOCATION_KEY_MAX_BYTES)

struct s3_location {
	char bucket[S3_LOCATION_BUCKET_MAX_BYTES + 1];
	char prefix[S3_LOCATION_PREFIX_MAX_BYTES + 2]; /* "" or ends with '/' */
	char region[S3_LOCATION_REGION_MAX_BYTES + 1];
	bool is_aws; /* no endpoint was given */
	bool is_tls;
	char host[S3_LOCATION_HOST_MAX_BYTES + 1]; /* the Host header: "name" or "name:port" */
	char base_path[S3_LOCATION_BUCKET_MAX_BYTES + 2]; /* "/BUCKET", or "" with virtual hosts */
};

/* rest: what follows s3://. -EINVAL with *ret_message for a malformed bucket, prefix, endpoint or
 * region. */
int s3_location_parse(const char *rest, const struct s3_options *options, const char *region,
	struct s3_location *ret, char **ret_message);

/* As if `region` had been given at the beginning. */
int s3_location_set_region(struct s3_location *l, const struct s3_options *options,
	const char *region, char **ret_message);

#endif
