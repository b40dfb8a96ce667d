#include <config.h>
#include "backends/registry.h"

#include <errno.h>
#include <string.h>
#include "backends/file/file_backend.h"
#include "backends/memory_backend.h"
#include "backends/nfs/nfs_backend.h"
#include "backends/open_options.h"
#include "backends/s3/s3_backend.h"
#include "util/message.h"

static int open_file(
	const char *rest, const char *const *options, struct backend **ret, char **ret_message)
{
	int r = open_options_take(NULL, 0, "file", options, NULL, ret_message);

	if (r < 0)
		return r;
	if (rest[0] != '/')
		return message_set(ret_message, -EINVAL,
			"file://%s names a host: write file:///directory, with three slashes",
			rest);
	return file_backend_open(rest, ret, ret_message);
}

static int open_memory(
	const char *rest, const char *const *options, struct backend **ret, char **ret_message)
{
	int r = open_options_take(NULL, 0, "memory", options, NULL, ret_message);

	if (r < 0)
		return r;
	if (!backend_key_is_valid(rest))
		return message_set(
			ret_message, -EINVAL, "memory://%s: the name is malformed", rest);
	r = memory_backend_open(rest, ret);
	if (r < 0)
		return message_set(
			ret_message, r, "cannot open memory://%s: %s", rest, strerror(-r));
	return 0;
}

static bool has_none(const char *option)
{
	(void)option;
	return false;
}

static const struct driver {
	const char *scheme;
	int (*open)(const char *rest, const char *const *options, struct backend **ret,
		char **ret_message);
	bool (*has_option)(const char *option);
} drivers[] = {
	{"file://", open_file, has_none},
	{"memory://", open_memory, has_none},
	{"nfs://", nfs_backend_open, nfs_backend_has_option},
	{"s3://", s3_backend_open, s3_backend_has_option},
};

static const struct driver *find_driver(const char *url)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (strncmp(url, drivers[i].scheme, strlen(drivers[i].scheme)) == 0)
			return &drivers[i];
	}
	return NULL;
}

bool backend_url_has_option(const char *url, const char *option)
{
	const struct driver *driver = find_driver(url);

	return driver != NULL && driver->has_option(option);
}

int backend_open_url(
	const char *url, const char *const *options, struct backend **ret, char **ret_message)
{
	const struct driver *driver = find_driver(url);

	if (driver != NULL)
		return driver->open(url + strlen(driver->scheme), options, ret, ret_message);
	if (url[0] == '/')
		return message_set(ret_message, -EINVAL,
			"%s is a path and not a URL: write file://%s", url, url);
	return message_set(ret_message, -EINVAL,
		"%s is no backend URL that is understood: write file:///directory, "
		"nfs://server/directory or s3://BUCKET/PREFIX",
		url);
}
