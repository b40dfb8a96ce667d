#include <config.h>
#include "backends/s3/s3_credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/s3/s3_metadata.h"
#include "util/cleanup.h"
#include "util/message.h"

int s3_credentials_set(
	struct s3_credentials *c, const char *access_key, const char *secret_key, const char *token)
{
	size_t access_bytes = strlen(access_key), secret_bytes = strlen(secret_key);
	size_t token_bytes = token == NULL ? 0 : strlen(token);

	if (access_bytes == 0 || access_bytes >= sizeof(c->access_key) || secret_bytes == 0 ||
		secret_bytes >= sizeof(c->secret_key) || token_bytes >= sizeof(c->token))
		return -EPROTO;
	/* They go into a header. */
	if (strpbrk(access_key, "\r\n /,") != NULL ||
		(token != NULL && strpbrk(token, "\r\n ") != NULL))
		return -EPROTO;
	memcpy(c->access_key, access_key, access_bytes + 1);
	memcpy(c->secret_key, secret_key, secret_bytes + 1);
	memcpy(c->token, token_bytes > 0 ? token : "", token_bytes + 1);
	c->expires_ms = S3_CREDENTIALS_NEVER;
	return 0;
}

const char *s3_credentials_profile(const char *profile)
{
	if (profile == NULL)
		profile = getenv("AWS_PROFILE");
	return profile != NULL && *profile != '\0' ? profile : "default";
}

static int find_in_environment(struct s3_credentials *ret, char **ret_message)
{
	const char *access_key = getenv("AWS_ACCESS_KEY_ID");
	const char *secret_key = getenv("AWS_SECRET_ACCESS_KEY");

	if (access_key == NULL || *access_key == '\0')
		return message_set(ret_message, -ENOKEY, "AWS_ACCESS_KEY_ID is not set");
	if (secret_key == NULL || *secret_key == '\0')
		return message_set(ret_message, -EINVAL,
			"AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not: set both or "
			"none");
	if (s3_credentials_set(ret, access_key, secret_key, getenv("AWS_SESSION_TOKEN")) < 0)
		return message_set(ret_message, -EINVAL,
			"AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_SESSION_TOKEN is "
			"malformed or too long");
	return 0;
}

int s3_credentials_find_in(enum s3_credentials_source source, const char *profile, const char *file,
	struct s3_credentials *ret, char **ret_message)
{
	int r = -ENOKEY;

	switch (source) {
	case S3_CREDENTIALS_ENVIRONMENT:
		r = find_in_environment(ret, ret_message);
		break;
	case S3_CREDENTIALS_FILE:
		r = s3_credentials_read_file(profile, file, ret, ret_message);
		break;
	case S3_CREDENTIALS_CONTAINER:
		r = s3_metadata_read_container(ret, ret_message);
		break;
	case S3_CREDENTIALS_INSTANCE:
		r = s3_metadata_read_instance(ret, ret_message);
		break;
	}
	if (r == 0)
		ret->source = source;
	return r;
}

/* Appends what one source said; `all` is freed and made anew. */
static void gather(char **all, char **one)
{
	char *joined = NULL;

	if (*one != NULL && asprintf(&joined, "%s%s%s", *all != NULL ? *all : "",
				    *all != NULL ? "; " : "", *one) >= 0) {
		free(*all);
		*all = joined;
	}
	free(*one);
	*one = NULL;
}

int s3_credentials_find(
	const char *profile, const char *file, struct s3_credentials *ret, char **ret_message)
{
	CLEANUP_FREE char *looked = NULL;
	bool only_file = profile != NULL || file != NULL;
	int first = only_file ? S3_CREDENTIALS_FILE : S3_CREDENTIALS_ENVIRONMENT;
	int last = only_file ? S3_CREDENTIALS_FILE : S3_CREDENTIALS_INSTANCE;

	for (int source = first; source <= last; source++) {
		char *message = NULL;
		int r = s3_credentials_find_in(
			(enum s3_credentials_source)source, profile, file, ret, &message);

		if (r != -ENOKEY) {
			if (r < 0)
				*ret_message = TAKE_PTR(message);
			free(message);
			return r;
		}
		gather(&looked, &message);
	}
	return message_set(ret_message, -ENOKEY,
		"no credentials for S3 (%s): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
		"write them into the credentials file",
		looked != NULL ? looked : "looked everywhere");
}
