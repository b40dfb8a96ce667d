/*
 * proxy_http.c: HTTP/1.1 without pipelining, for the proxy; requests are named as S3's operations.
 */
#include <config.h>
#include "proxy/proxy_protocol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_HEAD_BYTES 65536
#define MAX_LINE_BYTES 4096
#define EXTRA_LENGTH 100

/* Without pipelining an answer belongs to the one request that waits. */
#define THE_ID 1

/* Size of the head with its empty line; 0: not whole yet. */
static size_t head_size(const uint8_t *data, size_t size)
{
	const uint8_t *end = memmem(data, size, "\r\n\r\n", 4);

	return end == NULL ? 0 : (size_t)(end - data) + 4;
}

/* Where the value of a header field stands, and its size; NULL: there is none. */
static const char *find_field(const uint8_t *data, size_t head, const char *name, size_t *ret_size)
{
	const char *line = (const char *)data, *end = line + head;
	size_t name_size = strlen(name);

	while (line < end) {
		const char *next = memmem(line, (size_t)(end - line), "\r\n", 2);

		if (next == NULL)
			break;
		if ((size_t)(next - line) > name_size && line[name_size] == ':' &&
			strncasecmp(line, name, name_size) == 0) {
			const char *value = line + name_size + 1;

			while (value < next && *value == ' ')
				value++;
			*ret_size = (size_t)(next - value);
			return value;
		}
		line = next + 2;
	}
	return NULL;
}

static bool is_chunked(const uint8_t *data, size_t head)
{
	size_t size;
	const char *value = find_field(data, head, "Transfer-Encoding", &size);

	return value != NULL && size >= 7 && strncasecmp(value + size - 7, "chunked", 7) == 0;
}

/* -1: it says nothing. */
static ssize_t content_length(const uint8_t *data, size_t head)
{
	char text[24] = "";
	size_t size;
	const char *value = find_field(data, head, "Content-Length", &size);

	if (value == NULL || size == 0 || size >= sizeof(text))
		return -1;
	memcpy(text, value, size);
	return (ssize_t)strtoul(text, NULL, 10);
}

/* Size of the whole chunked body behind the head, its content appended to `content` if not NULL;
 * 0: not whole yet. */
static ssize_t chunked_size(const uint8_t *body, size_t size, struct proxy_buffer *content)
{
	size_t at = 0;

	for (;;) {
		const uint8_t *line = body + at;
		const uint8_t *end = memmem(line, size - at, "\r\n", 2);
		unsigned long chunk;

		if (end == NULL)
			return size - at > MAX_LINE_BYTES ? -EPROTO : 0;
		chunk = strtoul((const char *)line, NULL, 16);
		at = (size_t)(end - body) + 2;
		if (chunk > size || at + chunk + 2 > size)
			return 0;
		if (content != NULL)
			proxy_buffer_append(content, body + at, chunk);
		at += chunk + 2;
		if (chunk == 0)
			return (ssize_t)at;
	}
}

static unsigned int status_of(const uint8_t *data, size_t size)
{
	char text[4] = "";

	if (size < 12 || memcmp(data, "HTTP/1.", 7) != 0)
		return 0;
	memcpy(text, data + 9, 3);
	return (unsigned int)strtoul(text, NULL, 10);
}

static bool has_no_body(unsigned int status)
{
	return status / 100 == 1 || status == 204 || status == 304;
}

static ssize_t http_frame(const uint8_t *data, size_t size, const struct proxy_request *request)
{
	size_t head = head_size(data, size);
	ssize_t body;

	if (head == 0)
		return size > MAX_HEAD_BYTES ? -EPROTO : 0;
	if (request != NULL) {
		unsigned int status = status_of(data, size);

		if (status == 0)
			return -EPROTO;
		if (request->is_bare || has_no_body(status))
			return (ssize_t)head;
	}
	if (is_chunked(data, head)) {
		body = chunked_size(data + head, size - head, NULL);
		return body <= 0 ? body : (ssize_t)head + body;
	}
	body = content_length(data, head);
	if (body < 0 && request != NULL)
		return 0; /* lasts until the server closes */
	if (body < 0)
		body = 0;
	return size - head < (size_t)body ? 0 : (ssize_t)head + body;
}

static int http_identify(const uint8_t *data, size_t size, struct proxy_request *ret)
{
	static const struct {
		const char *method, *query, *operation;
	} table[] = {
		{"GET ", "list-type=", "list"},
		{"GET ", NULL, "get"},
		{"PUT ", NULL, "put"},
		{"HEAD ", NULL, "head"},
		{"DELETE ", NULL, "remove"},
		{"POST ", "delete", "remove_many"},
		{"POST ", NULL, "post"},
	};
	const uint8_t *end = memmem(data, size, "\r\n", 2);
	size_t line = end == NULL ? 0 : (size_t)(end - data);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t method = strlen(table[i].method);
		const uint8_t *query = memchr(data, '?', line);

		if (line < method || memcmp(data, table[i].method, method) != 0)
			continue;
		if (table[i].query != NULL &&
			(query == NULL || memmem(query, line - (size_t)(query - data),
						  table[i].query, strlen(table[i].query)) == NULL))
			continue;
		ret->id = THE_ID;
		ret->is_bare = method == 5 && data[0] == 'H';
		strcpy(ret->operation, table[i].operation);
		return 0;
	}
	return -EPROTO;
}

static bool http_identify_answer(const uint8_t *data, size_t size, uint64_t *ret_id)
{
	*ret_id = THE_ID;
	return status_of(data, size) / 100 != 1; /* 100 Continue: the request is whole anyway */
}

static void http_refuse(const struct proxy_request *request, int status, struct proxy_buffer *ret)
{
	const char *code = status == 503   ? "SlowDown"
			   : status == 429 ? "TooManyRequests"
			   : status == 403 ? "AccessDenied"
					   : "InternalError";
	char text[512], body[256];
	int n = snprintf(body, sizeof(body),
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>%s</Code>"
		"<Message>said by the test's proxy</Message></Error>",
		code);

	n = snprintf(text, sizeof(text),
		"HTTP/1.1 %d %s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s",
		status, code, n, request->is_bare ? "" : body);
	proxy_buffer_append(ret, text, (size_t)n);
}

/* A body in chunks becomes one with a length. */
static void make_plain(struct proxy_buffer *message)
{
	size_t head = head_size(message->data, message->size), value_size, line;
	struct proxy_buffer content = {0};
	char field[64];
	const char *value;

	if (!is_chunked(message->data, head))
		return;
	chunked_size(message->data + head, message->size - head, &content);
	proxy_buffer_replace(message, head, message->size - head, content.data, content.size);
	value = find_field(message->data, head, "Transfer-Encoding", &value_size);
	line = strlen("Transfer-Encoding: ");
	snprintf(field, sizeof(field), "Content-Length: %zu", content.size);
	proxy_buffer_replace(message, (size_t)((const uint8_t *)value - message->data) - line,
		line + value_size, field, strlen(field));
	proxy_buffer_clear(&content);
}

/* Announces another size than there is. */
static void set_length(struct proxy_buffer *message, size_t head, size_t length)
{
	char text[24];
	size_t size;
	const char *value = find_field(message->data, head, "Content-Length", &size);

	if (value == NULL)
		return;
	snprintf(text, sizeof(text), "%zu", length);
	proxy_buffer_replace(message, (size_t)((const uint8_t *)value - message->data), size, text,
		strlen(text));
}

static bool http_alter(
	const struct proxy_request *request, enum proxy_action action, struct proxy_buffer *message)
{
	size_t head, body;

	if (request->is_bare && action != PROXY_SPOIL_REQUEST)
		return action == PROXY_LONG_LENGTH; /* it has no body to do anything to */
	make_plain(message);
	head = head_size(message->data, message->size);
	body = message->size - head;
	switch (action) {
	case PROXY_SPOIL_REQUEST:
	case PROXY_CORRUPT:
		if (body > 0)
			message->data[head + body / 2] ^= 1;
		return false;
	case PROXY_SHORT_ANSWER:
		message->size -= body - body / 2;
		set_length(message, head, body / 2);
		return false;
	case PROXY_SHORT_LENGTH:
		set_length(message, head, body / 2);
		return false;
	case PROXY_LONG_LENGTH:
		set_length(message, head, body + EXTRA_LENGTH);
		return true;
	default:
		return false;
	}
}

const struct proxy_protocol proxy_http = {
	.frame = http_frame,
	.identify = http_identify,
	.identify_answer = http_identify_answer,
	.refuse = http_refuse,
	.alter = http_alter,
};
