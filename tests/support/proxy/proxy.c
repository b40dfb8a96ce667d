#include <config.h>
#include "proxy/proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "proxy/proxy_connection.h"
#include "util/clock.h"

#define MAX_EVENTS 64
#define BACKLOG 1024

struct proxy {
	struct proxy_loop loop; /* the thread's, but for what its lock guards */
	pthread_t thread;
	int wake_fd;
	int hold_fd;   /* bound to the port as long as we live, so that nobody else gets it */
	int listen_fd; /* the thread's; -1: refuses */
	uint16_t port;

	/* under loop.lock */
	struct lock_condition changed;
	bool shall_refuse, refuses, shall_stop;
};

/* Port 0: a free one. */
static int bind_to(uint16_t port, uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		bind(fd, (struct sockaddr *)&address, size) < 0 ||
		getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static int listen_on(uint16_t port)
{
	int fd = bind_to(port, &port);

	if (fd >= 0 && listen(fd, BACKLOG) < 0) {
		close(fd);
		return -EADDRINUSE;
	}
	return fd;
}

static void watch(struct proxy *p, int fd, void *tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};

	(void)epoll_ctl(p->loop.epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* What the other threads asked for; false: stop. */
static bool obey(struct proxy *p)
{
	bool goes_on, refuse;
	uint64_t n;

	(void)!read(p->wake_fd, &n, sizeof(n));
	lock_acquire(&p->loop.lock);
	goes_on = !p->shall_stop;
	refuse = p->shall_refuse || p->shall_stop;
	lock_release(&p->loop.lock);
	if (refuse && p->listen_fd >= 0) {
		close(p->listen_fd);
		p->listen_fd = -1;
		proxy_connection_reset_all(&p->loop);
	} else if (!refuse && p->listen_fd < 0) {
		p->listen_fd = listen_on(p->port);
		if (p->listen_fd >= 0)
			watch(p, p->listen_fd, &p->listen_fd);
	}
	lock_acquire(&p->loop.lock);
	p->refuses = p->listen_fd < 0;
	lock_condition_broadcast(&p->changed);
	lock_release(&p->loop.lock);
	return goes_on;
}

static void accept_all(struct proxy *p)
{
	int fd;

	while ((fd = accept4(p->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		proxy_connection_open(&p->loop, fd);
}

static int wait_for_events(struct proxy *p, struct epoll_event *events)
{
	uint64_t next_ns = proxy_connection_run_delayed(&p->loop), now_ns = clock_monotonic_ns();
	uint64_t left_ns = next_ns > now_ns ? next_ns - now_ns : 0;
	struct timespec timeout = {
		.tv_sec = (time_t)(left_ns / 1000000000), .tv_nsec = (long)(left_ns % 1000000000)};

	return epoll_pwait2(p->loop.epoll_fd, events, MAX_EVENTS,
		next_ns == UINT64_MAX ? NULL : &timeout, NULL);
}

static void *run(void *arg)
{
	struct proxy *p = arg;
	struct epoll_event events[MAX_EVENTS];
	bool goes_on = true;

	while (goes_on) {
		int n = wait_for_events(p, events);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &p->wake_fd)
				goes_on = obey(p);
			else if (events[i].data.ptr == &p->listen_fd && p->listen_fd >= 0)
				accept_all(p);
			else if (events[i].data.ptr != &p->listen_fd)
				proxy_connection_event(events[i].data.ptr, events[i].events);
		}
		proxy_connection_free_ended(&p->loop);
	}
	proxy_connection_free_ended(&p->loop);
	return NULL;
}

static void wake(struct proxy *p)
{
	uint64_t one = 1;

	(void)!write(p->wake_fd, &one, sizeof(one));
}

static void discard(struct proxy *p)
{
	if (p->listen_fd >= 0)
		close(p->listen_fd);
	if (p->hold_fd >= 0)
		close(p->hold_fd);
	if (p->wake_fd >= 0)
		close(p->wake_fd);
	if (p->loop.epoll_fd >= 0)
		close(p->loop.epoll_fd);
	lock_condition_done(&p->changed);
	lock_done(&p->loop.lock);
	free(p);
}

int proxy_new(const struct proxy_protocol *protocol, uint16_t upstream_port, struct proxy **ret)
{
	struct proxy *p = calloc(1, sizeof(*p));
	int r = 0;

	if (p == NULL)
		return -ENOMEM;
	p->loop.protocol = protocol;
	p->loop.upstream_port = upstream_port;
	list_init(&p->loop.connections);
	list_init(&p->loop.delayed);
	list_init(&p->loop.ended);
	lock_init(&p->loop.lock);
	lock_condition_init(&p->changed);
	p->loop.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->hold_fd = bind_to(0, &p->port);
	p->listen_fd = p->hold_fd < 0 ? p->hold_fd : listen_on(p->port);
	if (p->loop.epoll_fd < 0 || p->wake_fd < 0 || p->listen_fd < 0)
		r = p->listen_fd < 0 ? p->listen_fd : -EMFILE;
	if (r == 0) {
		watch(p, p->wake_fd, &p->wake_fd);
		watch(p, p->listen_fd, &p->listen_fd);
		r = -pthread_create(&p->thread, NULL, run, p);
	}
	if (r < 0) {
		discard(p);
		return r;
	}
	*ret = p;
	return 0;
}

uint16_t proxy_port(const struct proxy *p)
{
	return p->port;
}

int proxy_set_rules(struct proxy *p, const char *text, char **ret_message)
{
	struct proxy_rules rules;
	int r = proxy_rules_parse(text, &rules, ret_message);

	if (r < 0)
		return r;
	lock_acquire(&p->loop.lock);
	p->loop.rules = rules;
	p->loop.n_hits = 0;
	lock_release(&p->loop.lock);
	return 0;
}

uint64_t proxy_hits(struct proxy *p)
{
	uint64_t n;

	lock_acquire(&p->loop.lock);
	n = p->loop.n_hits;
	lock_release(&p->loop.lock);
	return n;
}

uint64_t proxy_requests(struct proxy *p)
{
	uint64_t n;

	lock_acquire(&p->loop.lock);
	n = p->loop.n_requests;
	lock_release(&p->loop.lock);
	return n;
}

void proxy_refuse(struct proxy *p, bool refuse)
{
	lock_acquire(&p->loop.lock);
	p->shall_refuse = refuse;
	wake(p);
	while (p->refuses != refuse)
		lock_condition_wait(&p->changed, &p->loop.lock);
	lock_release(&p->loop.lock);
}

void proxy_free(struct proxy *p)
{
	if (p == NULL)
		return;
	lock_acquire(&p->loop.lock);
	p->shall_stop = true;
	lock_release(&p->loop.lock);
	wake(p);
	pthread_join(p->thread, NULL);
	discard(p);
}
