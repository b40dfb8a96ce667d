#include <config.h>
#include "admin/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include "util/cleanup.h"
#include "util/message.h"

#define HTTP_OK 200

struct exchange {
	const struct client_request *request;
	CURL *curl;
	char *data; /* of the answer, as far as it was not taken */
	size_t size_bytes;
	char server[CLIENT_SERVER_BYTES];
};

/* Takes whole lines away. */
static void take_lines(struct exchange *x)
{
	char *line = x->data, *end;

	while ((end = strchr(line, '\n')) != NULL) {
		*end = '\0';
		x->request->take_line(x->request->arg, line);
		line = end + 1;
	}
	x->size_bytes -= (size_t)(line - x->data);
	memmove(x->data, line, x->size_bytes + 1);
}

static size_t collect(char *data, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	long status = 0;
	char *grown;

	if (x->size_bytes + size * n > CLIENT_ANSWER_MAX_BYTES)
		return 0;
	grown = realloc(x->data, x->size_bytes + size * n + 1);
	if (grown == NULL)
		return 0;
	memcpy(grown + x->size_bytes, data, size * n);
	x->data = grown;
	x->size_bytes += size * n;
	x->data[x->size_bytes] = '\0';
	(void)curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	if (x->request->take_line != NULL && status == HTTP_OK)
		take_lines(x);
	return size * n;
}

static size_t note_header(char *data, size_t size, size_t n, void *arg)
{
	static const char name[] = "Server: ";
	const size_t name_bytes = sizeof(name) - 1;
	struct exchange *x = arg;

	if (size * n > name_bytes && strncasecmp(data, name, name_bytes) == 0) {
		(void)snprintf(x->server, sizeof(x->server), "%.*s", (int)(size * n - name_bytes),
			data + name_bytes);
		x->server[strcspn(x->server, "\r\n")] = '\0';
	}
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

static void set_time_limit(CURL *curl, const struct client_request *request)
{
	if (request->take_line == NULL) {
		(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
		return;
	}
	(void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)(request->timeout_ms / 1000));
}

static CURLcode perform(struct exchange *x, const char *short_socket_path, long *ret_status)
{
	const struct client_request *request = x->request;
	CURL *curl = x->curl;
	char url[128];
	CURLcode code;

	(void)snprintf(url, sizeof(url), "http://localhost%s", request->path);
	(void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, short_socket_path);
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, note_header);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
	set_time_limit(curl, request);
	if (request->body != NULL)
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
	code = curl_easy_perform(curl);
	/* The daemon ended in the middle: whoever takes lines misses the last one. */
	if (request->take_line != NULL && (code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR))
		code = CURLE_OK;
	if (code == CURLE_OK)
		code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	return code;
}

static int exchange(struct exchange *x, const char *short_socket_path, const char *socket_path,
	long *ret_status, char **ret_message)
{
	int r;

	x->curl = curl_easy_init();
	if (x->curl == NULL)
		return message_set(ret_message, -ENOMEM, "out of memory");
	r = explain(perform(x, short_socket_path, ret_status), socket_path, x->request->timeout_ms,
		ret_message);
	curl_easy_cleanup(x->curl);
	if (r == 0 && x->data == NULL)
		r = message_set(
			ret_message, -EIO, "the mailfs at '%s' gave an empty answer", socket_path);
	return r;
}

int client_ask(const char *socket_path, const struct client_request *request,
	struct client_answer *ret, char **ret_message)
{
	struct exchange x = {.request = request};
	char path[PATH_MAX];
	CLEANUP_CLOSE int directory = -1;
	int r = short_path(socket_path, path, &directory);

	if (r < 0)
		return message_set(
			ret_message, r, "cannot reach '%s': %s", socket_path, strerror(-r));
	r = exchange(&x, path, socket_path, &ret->http_status, ret_message);
	if (r < 0) {
		free(x.data);
		return r;
	}
	memcpy(ret->server, x.server, sizeof(ret->server));
	ret->body = x.data;
	return 0;
}
