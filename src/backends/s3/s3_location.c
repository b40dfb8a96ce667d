#include <config.h>
#include "backends/s3/s3_location.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "util/message.h"
#include "util/parse_number.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789"
#define HOST_CHARACTERS LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-_"
#define AWS_DOMAIN "amazonaws.com"

static int take_bucket(const char *rest, size_t size, struct s3_location *ret, char **ret_message)
{
	if (size < 3 || size > S3_LOCATION_BUCKET_MAX_BYTES)
		return message_set(ret_message, -EINVAL,
			"s3://%s: the name of a bucket has 3 to 63 characters: write "
			"s3://BUCKET/PREFIX",
			rest);
	memcpy(ret->bucket, rest, size);
	ret->bucket[size] = '\0';
	if (ret->bucket[strspn(ret->bucket, LOWER ".-")] != '\0' ||
		strspn(ret->bucket, LOWER) == 0 || strstr(ret->bucket, "..") != NULL ||
		strchr(".-", ret->bucket[size - 1]) != NULL)
		return message_set(ret_message, -EINVAL,
			"s3://%s: '%s' is no name of a bucket: it has lower-case letters, digits, "
			"'-' and '.', and begins and ends with a letter or digit",
			rest, ret->bucket);
	return 0;
}

static int take_prefix(
	const char *rest, const char *prefix, struct s3_location *ret, char **ret_message)
{
	size_t size = strlen(prefix);

	if (size > 1 && prefix[size - 1] == '/')
		size--;
	if (size > S3_LOCATION_PREFIX_MAX_BYTES)
		return message_set(ret_message, -EINVAL,
			"s3://%s: the prefix is longer than %d characters", rest,
			S3_LOCATION_PREFIX_MAX_BYTES);
	memcpy(ret->prefix, prefix, size);
	ret->prefix[size] = '\0';
	if (size == 0)
		return 0;
	if (!backend_key_is_valid(ret->prefix))
		return message_set(ret_message, -EINVAL,
			"s3://%s: '%s' is no prefix: it is made of components of letters, digits, "
			"'.', '_' and '-', at most %d characters each, joined by '/'; none is "
			"empty, '.' or '..'",
			rest, ret->prefix, BACKEND_KEY_COMPONENT_MAX_BYTES);
	strcat(ret->prefix, "/");
	return 0;
}

static bool host_is_valid(const char *host)
{
	size_t size = *host == '[' ? strspn(host + 1, LOWER "ABCDEF:.") + 1
				   : strspn(host, HOST_CHARACTERS);
	uint64_t port = 1;

	if (*host == '[' && host[size++] != ']')
		return false;
	if (size == 0)
		return false;
	if (host[size] == ':')
		return parse_number_u64(host + size + 1, 65535, &port) == 0 && port > 0;
	return host[size] == '\0';
}

/* "https://HOST[:PORT][/]" */
static int take_endpoint(const char *endpoint, struct s3_location *l, char host[],
	size_t host_bytes, char **ret_message)
{
	const char *from;
	size_t size;

	if (strncmp(endpoint, "https://", 8) != 0 && strncmp(endpoint, "http://", 7) != 0)
		return message_set(ret_message, -EINVAL,
			"endpoint=%s: write https://HOST[:PORT] or http://HOST[:PORT]", endpoint);
	l->is_tls = endpoint[4] == 's';
	from = endpoint + (l->is_tls ? 8 : 7);
	size = strlen(from);
	if (size > 0 && from[size - 1] == '/')
		size--;
	if (size < host_bytes) {
		memcpy(host, from, size);
		host[size] = '\0';
	}
	if (size >= host_bytes || !host_is_valid(host))
		return message_set(ret_message, -EINVAL,
			"endpoint=%s: '%.*s' is no HOST[:PORT]; a bucket or path stands in the "
			"s3:// URL",
			endpoint, (int)(size < 256 ? size : 256), from);
	return 0;
}

/* The standard port is not in a Host header. */
static void cut_default_port(char *host, bool is_tls)
{
	const char *port = is_tls ? ":443" : ":80";
	size_t size = strlen(host), port_bytes = strlen(port);

	if (size > port_bytes && strcmp(host + size - port_bytes, port) == 0)
		host[size - port_bytes] = '\0';
}

/* A certificate for *.host does not cover a bucket with a dot. */
static bool wants_virtual_host(const struct s3_location *l, const struct s3_options *options)
{
	if (options->path_style || options->virtual_host)
		return options->virtual_host;
	return l->is_aws && strchr(l->bucket, '.') == NULL;
}

int s3_location_set_region(struct s3_location *l, const struct s3_options *options,
	const char *region, char **ret_message)
{
	char host[256];
	size_t size = strlen(region);
	int r = 0;

	if (size == 0 || size >= sizeof(l->region) || region[strspn(region, LOWER "-_")] != '\0')
		return message_set(ret_message, -EINVAL,
			"region=%s is no name of a region: it is like eu-central-1", region);
	memcpy(l->region, region, size + 1);
	l->is_aws = options->endpoint == NULL;
	l->is_tls = true;
	if (l->is_aws)
		snprintf(host, sizeof(host), "s3.%s.%s%s", region, AWS_DOMAIN,
			strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
	else
		r = take_endpoint(options->endpoint, l, host, sizeof(host), ret_message);
	if (r < 0)
		return r;
	cut_default_port(host, l->is_tls);
	if (wants_virtual_host(l, options)) {
		snprintf(l->host, sizeof(l->host), "%s.%s", l->bucket, host);
		l->base_path[0] = '\0';
	} else {
		snprintf(l->host, sizeof(l->host), "%s", host);
		snprintf(l->base_path, sizeof(l->base_path), "/%s", l->bucket);
	}
	return 0;
}

int s3_location_parse(const char *rest, const struct s3_options *options, const char *region,
	struct s3_location *ret, char **ret_message)
{
	size_t bucket_bytes = strcspn(rest, "/");
	const char *prefix = rest + bucket_bytes + (rest[bucket_bytes] == '/');
	int r = take_bucket(rest, bucket_bytes, ret, ret_message);

	if (r == 0)
		r = take_prefix(rest, prefix, ret, ret_message);
	if (r == 0)
		r = s3_location_set_region(ret, options, region, ret_message);
	return r;
}
