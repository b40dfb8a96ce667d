#include <config.h>
#include "slow_store.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "load.h"
#include "proxy/proxy_protocol.h"
#include "util/clock.h"
#include "util/list.h"

#define MAX_EVENTS 64
#define READ_BYTES 65536
#define MD5_BYTES 16
/* How often it looks whether it shall stop. */
#define STOP_POLL_NS 50000000

static const char no_entries[] =
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
	"<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>slow</Name>"
	"<Prefix></Prefix><KeyCount>0</KeyCount><MaxKeys>1</MaxKeys><IsTruncated>false</"
	"IsTruncated>"
	"</ListBucketResult>";

struct client {
	int fd;
	struct proxy_buffer in;
	struct list_node node; /* of `waiting`: there is a request to answer */
	uint64_t due_ns;
	char operation[PROXY_OPERATION_BYTES];
	bool has_range;
};

struct slow_store {
	pthread_t thread;
	atomic_bool shall_stop;
	int listen_fd, epoll_fd;
	uint16_t port;
	uint64_t delay_ns;
	struct list_node waiting; /* the first to be answered first */
	struct proxy_buffer object;
	char etag[2 * MD5_BYTES + 1];
};

static void send_all(struct client *c, const void *data, size_t size)
{
	const uint8_t *from = data;

	/* The answers are smaller than a socket's buffer. */
	while (size > 0) {
		ssize_t n = send(c->fd, from, size, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		from += n;
		size -= (size_t)n;
	}
}

/* Whatever range was asked for, it is all of the object. */
static void answer(struct slow_store *s, struct client *c)
{
	struct proxy_buffer message = {0};
	bool is_get = strcmp(c->operation, "get") == 0, is_list = strcmp(c->operation, "list") == 0;
	const char *status = is_get && c->has_range ? "206 Partial Content" : "200 OK";
	size_t size = is_get ? s->object.size : is_list ? strlen(no_entries) : 0;
	char head[512], range[64] = "";
	int n;

	if (is_get && c->has_range)
		snprintf(
			range, sizeof(range), "Content-Range: bytes 0-%zu/%zu\r\n", size - 1, size);
	n = snprintf(head, sizeof(head),
		"HTTP/1.1 %s\r\nETag: \"%s\"\r\nContent-Length: %zu\r\n%s"
		"Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n",
		status, s->etag, size, range);
	proxy_buffer_append(&message, head, (size_t)n);
	if (size > 0)
		proxy_buffer_append(
			&message, is_get ? (const char *)s->object.data : no_entries, size);
	send_all(c, message.data, message.size);
	proxy_buffer_clear(&message);
}

static void keep(struct slow_store *s, const uint8_t *body, size_t size)
{
	unsigned char digest[MD5_BYTES];

	proxy_buffer_clear(&s->object);
	proxy_buffer_append(&s->object, body, size);
	EVP_Digest(body, size, digest, NULL, EVP_md5(), NULL);
	for (int i = 0; i < MD5_BYTES; i++)
		snprintf(s->etag + 2 * i, 3, "%02x", digest[i]);
}

static void client_free(struct client *c)
{
	list_remove(&c->node);
	close(c->fd);
	proxy_buffer_clear(&c->in);
	free(c);
}

/* A client has no second request under way: there is no pipelining. */
static void take_request(struct slow_store *s, struct client *c)
{
	const uint8_t *data = c->in.data, *head;
	ssize_t size = proxy_http.frame(data, c->in.size, NULL);
	struct proxy_request request;

	if (size <= 0)
		return;
	if (proxy_http.identify(data, (size_t)size, &request) < 0)
		load_fail("slow store", "cannot understand a request");
	memcpy(c->operation, request.operation, sizeof(c->operation));
	head = memmem(data, c->in.size, "\r\n\r\n", 4);
	c->has_range = memmem(data, (size_t)(head - data), "\r\nrange:", 8) != NULL ||
		       memmem(data, (size_t)(head - data), "\r\nRange:", 8) != NULL;
	if (strcmp(c->operation, "put") == 0)
		keep(s, head + 4, (size_t)(data + size - head - 4));
	proxy_buffer_consume(&c->in, (size_t)size);
	c->due_ns = clock_monotonic_ns() + s->delay_ns;
	list_append(&s->waiting, &c->node);
}

static void receive(struct slow_store *s, struct client *c)
{
	ssize_t n = recv(c->fd, proxy_buffer_reserve(&c->in, READ_BYTES), READ_BYTES, 0);

	if (n <= 0) {
		client_free(c);
		return;
	}
	c->in.size += (size_t)n;
	take_request(s, c);
}

static void accept_one(struct slow_store *s)
{
	struct client *c = calloc(1, sizeof(*c));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
	int on = 1;

	if (c == NULL)
		load_fail("slow store", "out of memory");
	list_init(&c->node);
	c->fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (c->fd < 0)
		load_fail("slow store", strerror(errno));
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

/* Answers what is due; how long until the next, in ns. */
static uint64_t answer_due(struct slow_store *s)
{
	uint64_t now_ns = clock_monotonic_ns();

	while (!list_is_empty(&s->waiting)) {
		struct client *c = LIST_ENTRY(s->waiting.next, struct client, node);

		if (c->due_ns > now_ns)
			return c->due_ns - now_ns;
		list_remove(&c->node);
		answer(s, c);
	}
	return STOP_POLL_NS;
}

static void *run(void *arg)
{
	struct slow_store *s = arg;
	struct epoll_event events[MAX_EVENTS];

	while (!atomic_load(&s->shall_stop)) {
		uint64_t left_ns = answer_due(s);
		struct timespec timeout = {.tv_nsec = (long)left_ns};
		int n = epoll_pwait2(s->epoll_fd, events, MAX_EVENTS, &timeout, NULL);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				accept_one(s);
			else
				receive(s, events[i].data.ptr);
		}
	}
	return NULL;
}

struct slow_store *slow_store_new(uint32_t delay_ms)
{
	struct slow_store *s = calloc(1, sizeof(*s));
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	struct epoll_event event = {.events = EPOLLIN};

	if (s == NULL)
		load_fail("slow store", "out of memory");
	list_init(&s->waiting);
	s->delay_ns = (uint64_t)delay_ms * 1000000;
	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->listen_fd < 0 || s->epoll_fd < 0 ||
		bind(s->listen_fd, (struct sockaddr *)&address, size) < 0 ||
		listen(s->listen_fd, 2 * LOAD_MAX_CONCURRENCY) < 0 ||
		getsockname(s->listen_fd, (struct sockaddr *)&address, &size) < 0 ||
		epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->listen_fd, &event) < 0 ||
		pthread_create(&s->thread, NULL, run, s) != 0)
		load_fail("slow store", strerror(errno));
	s->port = ntohs(address.sin_port);
	return s;
}

uint16_t slow_store_port(const struct slow_store *s)
{
	return s->port;
}

void slow_store_free(struct slow_store *s)
{
	atomic_store(&s->shall_stop, true);
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
	close(s->epoll_fd);
	proxy_buffer_clear(&s->object);
	free(s);
}
