#include <config.h>
#include "backends/registry.h"

#include <errno.h>
#include <string.h>
#include "backends/file/file_backend.h"
#include "backends/memory_backend.h"
#include "util/message.h"

static int open_file(const char *rest, struct backend **ret, char **ret_message)
{
	if (rest[0] != '/')
		return message_set(ret_message, -EINVAL,
			"file://%s names a host: write file:///directory, with three slashes",
			rest);
	return file_backend_open(rest, ret, ret_message);
}

static int open_memory(const char *rest, struct backend **ret, char **ret_message)
{
	int r;

	if (!backend_key_is_valid(rest))
		return message_set(
			ret_message, -EINVAL, "memory://%s: the name is malformed", rest);
	r = memory_backend_open(rest, ret);
	if (r < 0)
		return message_set(
			ret_message, r, "cannot open memory://%s: %s", rest, strerror(-r));
	return 0;
}

static const struct {
	const char *scheme;
	int (*open)(const char *rest, struct backend **ret, char **ret_message);
} drivers[] = {
	{"file://", open_file},
	{"memory://", open_memory},
};

int backend_open_url(const char *url, struct backend **ret, char **ret_message)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		size_t size = strlen(drivers[i].scheme);

		if (strncmp(url, drivers[i].scheme, size) == 0)
			return drivers[i].open(url + size, ret, ret_message);
	}
	if (url[0] == '/')
		return message_set(ret_message, -EINVAL,
			"%s is a path and not a URL: write file://%s", url, url);
	return message_set(ret_message, -EINVAL,
		"%s is no backend URL that is understood: write file:///directory", url);
}
