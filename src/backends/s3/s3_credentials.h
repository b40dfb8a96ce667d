/*
 * s3_credentials.h: where access keys come from.
 *
 * In this order, the first that has some: the environment (AWS_ACCESS_KEY_ID,
 * AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), the shared credentials file, the container's metadata
 * service, the instance's. If a profile or file is asked for, only the file is looked at. Nothing
 * here is ever logged or put into a message. All functions may block on files and the network.
 * https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
 */
#ifndef MAILFS_BACKENDS_S3_S3_CREDENTIALS_H
#define MAILFS_BACKENDS_S3_S3_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define S3_CREDENTIALS_ACCESS_KEY_BYTES 129
#define S3_CREDENTIALS_SECRET_KEY_BYTES 257
#define S3_CREDENTIALS_TOKEN_BYTES 6145
#define S3_CREDENTIALS_FILE_MAX_BYTES 65536
#define S3_CREDENTIALS_NEVER INT64_MAX

enum s3_credentials_source {
	S3_CREDENTIALS_ENVIRONMENT,
	S3_CREDENTIALS_FILE,
	S3_CREDENTIALS_CONTAINER,
	S3_CREDENTIALS_INSTANCE,
};

struct s3_credentials {
	enum s3_credentials_source source;
	char access_key[S3_CREDENTIALS_ACCESS_KEY_BYTES];
	char secret_key[S3_CREDENTIALS_SECRET_KEY_BYTES];
	char token[S3_CREDENTIALS_TOKEN_BYTES]; /* "" when there is none */
	int64_t expires_ms;                     /* since 1970; S3_CREDENTIALS_NEVER */
};

/* profile and file: as in the options, NULL when not given. -ENOKEY when there are none anywhere
 * (*ret_message says where was looked); -EPERM when others may read the file; what reading it
 * said. */
int s3_credentials_find(
	const char *profile, const char *file, struct s3_credentials *ret, char **ret_message);

/* From one source again. */
int s3_credentials_find_in(enum s3_credentials_source source, const char *profile, const char *file,
	struct s3_credentials *ret, char **ret_message);

/* AWS_REGION, AWS_DEFAULT_REGION or the profile's in the configuration file (AWS_CONFIG_FILE,
 * ~/.aws/config); false when none says. */
bool s3_credentials_find_region(const char *profile, char *ret, size_t size_bytes);

/* ---- for the sources, s3_credentials_file.c and s3_metadata.c */

/* Fills in the fields; -EPROTO when something is empty or too long. token may be NULL. */
int s3_credentials_set(struct s3_credentials *c, const char *access_key, const char *secret_key,
	const char *token);

int s3_credentials_read_file(
	const char *profile, const char *file, struct s3_credentials *ret, char **ret_message);

/* The value of `name` in section `section` of an INI text; false when there is none. */
bool s3_credentials_ini_value(
	const char *text, const char *section, const char *name, char *ret, size_t size_bytes);

/* The profile that is meant: the option's, AWS_PROFILE, or "default". */
const char *s3_credentials_profile(const char *profile);

#endif
