/*
 * s3_metadata.h: credentials from the metadata service of a container or an instance (IMDSv2).
 *
 * Blocking, with short timeouts; proxies are not used. -ENOKEY: there is no such service here.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 */
#ifndef MAILFS_BACKENDS_S3_S3_METADATA_H
#define MAILFS_BACKENDS_S3_S3_METADATA_H

#include "backends/s3/s3_credentials.h"

#define S3_METADATA_MAX_BYTES 16384
#define S3_METADATA_CONNECT_TIMEOUT_MS 1000
#define S3_METADATA_TIMEOUT_MS 3000

/* AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI (https, or http to this machine or the
 * services' fixed addresses), AWS_CONTAINER_AUTHORIZATION_TOKEN or _TOKEN_FILE. */
int s3_metadata_read_container(struct s3_credentials *ret, char **ret_message);

/* AWS_EC2_METADATA_DISABLED, AWS_EC2_METADATA_SERVICE_ENDPOINT. */
int s3_metadata_read_instance(struct s3_credentials *ret, char **ret_message);

/* The JSON document of both. -EPROTO. */
int s3_metadata_parse(const char *text, struct s3_credentials *ret);

#endif
