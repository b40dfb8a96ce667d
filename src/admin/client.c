#include <config.h>
#include "admin/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include "util/cleanup.h"
#include "util/message.h"

struct growing_body {
	char *data;
	size_t size_bytes;
};

static size_t collect(char *data, size_t size, size_t n, void *arg)
{
	struct growing_body *body = arg;
	char *grown;

	if (body->size_bytes + size * n > CLIENT_ANSWER_MAX_BYTES)
		return 0;
	grown = realloc(body->data, body->size_bytes + size * n + 1);
	if (grown == NULL)
		return 0;
	memcpy(grown + body->size_bytes, data, size * n);
	body->data = grown;
	body->size_bytes += size * n;
	body->data[body->size_bytes] = '\0';
	return size * n;
}

static int explain(CURLcode code, const char *socket_path, uint64_t timeout_ms, char **ret_message)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_CONNECT:
		return message_set(ret_message, -ECONNREFUSED,
			"no mailfs answers at '%s'; has it ended?", socket_path);
	case CURLE_OPERATION_TIMEDOUT:
		return message_set(ret_message, -ETIMEDOUT,
			"the mailfs at '%s' did not answer within %.1f s", socket_path,
			(double)timeout_ms / 1000);
	default:
		return message_set(ret_message, -EIO, "cannot ask the mailfs at '%s': %s",
			socket_path, curl_easy_strerror(code));
	}
}

/* A socket's path for libcurl: through a descriptor of its directory when it is too long for a
 * socket address. */
static int short_path(const char *socket_path, char text[PATH_MAX], int *ret_directory)
{
	const char *slash = strrchr(socket_path, '/');

	if (slash == NULL || strlen(socket_path) < sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		(void)snprintf(text, PATH_MAX, "%s", socket_path);
		return 0;
	}
	(void)snprintf(text, PATH_MAX, "%.*s", (int)(slash - socket_path), socket_path);
	*ret_directory = open(text, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_directory < 0)
		return -errno;
	(void)snprintf(text, PATH_MAX, "/proc/self/fd/%d%s", *ret_directory, slash);
	return 0;
}

static CURLcode perform(CURL *curl, const char *short_socket_path,
	const struct client_request *request, struct growing_body *body, long *ret_status)
{
	char url[128];
	CURLcode code;

	(void)snprintf(url, sizeof(url), "http://localhost%s", request->path);
	(void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, short_socket_path);
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	if (request->body != NULL)
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
	code = curl_easy_perform(curl);
	if (code == CURLE_OK)
		code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	return code;
}

int client_ask(const char *socket_path, const struct client_request *request,
	struct client_answer *ret, char **ret_message)
{
	struct growing_body body = {0};
	char path[PATH_MAX];
	CLEANUP_CLOSE int directory = -1;
	CURL *curl;
	int r = short_path(socket_path, path, &directory);

	if (r < 0)
		return message_set(
			ret_message, r, "cannot reach '%s': %s", socket_path, strerror(-r));
	curl = curl_easy_init();
	if (curl == NULL)
		return message_set(ret_message, -ENOMEM, "out of memory");
	r = explain(perform(curl, path, request, &body, &ret->http_status), socket_path,
		request->timeout_ms, ret_message);
	curl_easy_cleanup(curl);
	if (r == 0 && body.data == NULL)
		r = message_set(
			ret_message, -EIO, "the mailfs at '%s' gave an empty answer", socket_path);
	if (r < 0)
		free(body.data);
	else
		ret->body = body.data;
	return r;
}
