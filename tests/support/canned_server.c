#include <config.h>
#include "canned_server.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include "util/lock.h"

#define MAX_CONNECTIONS 256
#define POLL_MS 50

struct canned_server {
	canned_fn *answer;
	void *arg;
	struct lock lock; /* one request at a time */
	int fd;
	unsigned int port;
	atomic_bool is_stopping;
	pthread_t acceptor;
	unsigned int n_connections; /* the acceptor's until it has ended */
	pthread_t connections[MAX_CONNECTIONS];
};

struct connection {
	struct canned_server *server;
	int fd;
	struct canned_request request;
	struct canned_answer answer;
};

/* False at the end of the connection or of the test. */
static bool wait_readable(struct canned_server *s, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (!atomic_load(&s->is_stopping)) {
		if (poll(&p, 1, POLL_MS) > 0)
			return true;
	}
	return false;
}

static bool read_some(struct connection *c, char *to, size_t room, size_t *used)
{
	ssize_t n;

	if (!wait_readable(c->server, c->fd))
		return false;
	n = recv(c->fd, to + *used, room - *used - 1, 0);
	if (n <= 0)
		return false;
	*used += (size_t)n;
	to[*used] = '\0';
	return true;
}

static bool read_request(struct connection *c)
{
	struct canned_request *r = &c->request;
	size_t used = 0, length, head_bytes;
	char *end = NULL;

	/* Whoever begins with a TLS handshake is at the wrong address. */
	while (end == NULL && read_some(c, r->head, sizeof(r->head), &used) && r->head[0] != 0x16)
		end = strstr(r->head, "\r\n\r\n");
	if (end == NULL || sscanf(r->head, "%15s %4095s", r->method, r->target) != 2)
		return false;
	head_bytes = (size_t)(end - r->head) + 4;
	r->body_bytes = used - head_bytes;
	if (r->body_bytes >= sizeof(r->body))
		return false;
	memcpy(r->body, r->head + head_bytes, r->body_bytes);
	r->body[r->body_bytes] = r->head[head_bytes] = '\0';
	length = strtoul(canned_header(r, "Content-Length"), NULL, 10);
	while (r->body_bytes < length) {
		if (!read_some(c, r->body, sizeof(r->body), &r->body_bytes))
			return false;
	}
	return true;
}

static bool send_answer(struct connection *c)
{
	size_t sent = 0;

	while (sent < c->answer.size_bytes) {
		ssize_t n = send(
			c->fd, c->answer.data + sent, c->answer.size_bytes - sent, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		sent += (size_t)n;
	}
	return sent > 0 && !c->answer.closes;
}

static void *serve(void *arg)
{
	struct connection *c = arg;
	bool goes_on = true;

	while (goes_on && read_request(c)) {
		c->answer.size_bytes = 0;
		c->answer.closes = false;
		lock_acquire(&c->server->lock);
		c->server->answer(c->server->arg, &c->request, &c->answer);
		lock_release(&c->server->lock);
		goes_on = send_answer(c);
	}
	close(c->fd);
	free(c);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct canned_server *s = arg;

	while (s->n_connections < MAX_CONNECTIONS && wait_readable(s, s->fd)) {
		struct connection *c = calloc(1, sizeof(*c));

		ck_assert_ptr_nonnull(c);
		c->server = s;
		c->fd = accept(s->fd, NULL, NULL);
		ck_assert_int_ge(c->fd, 0);
		ck_assert_int_eq(
			pthread_create(&s->connections[s->n_connections++], NULL, serve, c), 0);
	}
	return NULL;
}

struct canned_server *canned_server_new(canned_fn *answer, void *arg)
{
	struct canned_server *s = calloc(1, sizeof(*s));
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	ck_assert_ptr_nonnull(s);
	s->answer = answer;
	s->arg = arg;
	lock_init(&s->lock);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(s->fd, 0);
	ck_assert_int_eq(bind(s->fd, (struct sockaddr *)(void *)&address, size), 0);
	ck_assert_int_eq(listen(s->fd, MAX_CONNECTIONS), 0);
	ck_assert_int_eq(getsockname(s->fd, (struct sockaddr *)(void *)&address, &size), 0);
	s->port = ntohs(address.sin_port);
	ck_assert_int_eq(pthread_create(&s->acceptor, NULL, accept_all, s), 0);
	return s;
}

unsigned int canned_server_port(const struct canned_server *s)
{
	return s->port;
}

void canned_server_hold(struct canned_server *s) NO_THREAD_SAFETY_ANALYSIS
{
	lock_acquire(&s->lock);
}

void canned_server_go_on(struct canned_server *s) NO_THREAD_SAFETY_ANALYSIS
{
	lock_release(&s->lock);
}

void canned_server_free(struct canned_server *s)
{
	atomic_store(&s->is_stopping, true);
	pthread_join(s->acceptor, NULL);
	for (unsigned int i = 0; i < s->n_connections; i++)
		pthread_join(s->connections[i], NULL);
	close(s->fd);
	lock_done(&s->lock);
	free(s);
}

void canned_answer_set(
	struct canned_answer *answer, const char *status, const char *headers, const char *body)
{
	int n = snprintf(answer->data, sizeof(answer->data),
		"HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status,
		headers != NULL ? headers : "", strlen(body), body);

	ck_assert_int_lt(n, CANNED_MAX_BYTES);
	answer->size_bytes = (size_t)n;
}

const char *canned_header(const struct canned_request *request, const char *name)
{
	static _Thread_local char value[8192];
	size_t size = strlen(name);

	value[0] = '\0';
	for (const char *line = strstr(request->head, "\r\n"); line != NULL;
		line = strstr(line, "\r\n")) {
		line += 2;
		if (strncasecmp(line, name, size) != 0 || line[size] != ':')
			continue;
		line += size + 1;
		line += strspn(line, " ");
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(line, "\r"), line);
		break;
	}
	return value;
}
