#include <config.h>
#include "proxy/proxy_connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "proxy/proxy.h"
#include "util/clock.h"

#define READ_BYTES 65536

enum ending {
	GOES_ON,
	CLOSES, /* when all is sent */
	RESETS, /* the same, with a RST */
};

struct proxy_connection {
	struct list_node node;
	struct proxy_loop *loop;
	struct proxy_endpoint client, server;
	struct list_node exchanges;
	enum ending ending;
};

/* A request that was not answered yet. */
struct exchange {
	struct list_node node; /* of the connection */
	struct list_node delay_node;
	struct proxy_connection *connection;
	struct proxy_request request;
	struct proxy_rule rule; /* PROXY_PASS without one */
	uint64_t due_ns;
	struct proxy_buffer message;
};

static void exchange_free(struct exchange *x)
{
	list_remove(&x->node);
	list_remove(&x->delay_node);
	proxy_buffer_clear(&x->message);
	free(x);
}

static void close_fd(int *fd, bool reset)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (*fd < 0)
		return;
	if (reset)
		(void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(*fd);
	*fd = -1;
}

/* Closing alone does not do: a process that the test is just starting may have the descriptor too,
 * and then epoll goes on telling of it. */
static void unwatch(struct proxy_endpoint *e)
{
	if (e->fd >= 0)
		(void)epoll_ctl(e->connection->loop->epoll_fd, EPOLL_CTL_DEL, e->fd, NULL);
}

/* The structure lives on in loop->ended. */
static void end(struct proxy_connection *c, bool reset)
{
	while (!list_is_empty(&c->exchanges))
		exchange_free(LIST_ENTRY(c->exchanges.next, struct exchange, node));
	unwatch(&c->client);
	unwatch(&c->server);
	close_fd(&c->client.fd, reset);
	close_fd(&c->server.fd, reset);
	list_remove(&c->node);
	list_append(&c->loop->ended, &c->node);
}

static bool is_open(const struct proxy_connection *c)
{
	return c->client.fd >= 0;
}

static void watch(struct proxy_endpoint *e, int operation)
{
	struct epoll_event event = {
		.events = EPOLLIN | (e->out.size > 0 ? (uint32_t)EPOLLOUT : 0), .data.ptr = e};

	(void)epoll_ctl(e->connection->loop->epoll_fd, operation, e->fd, &event);
}

static void end_if_all_is_sent(struct proxy_connection *c)
{
	if (c->ending != GOES_ON && c->client.out.size == 0 && c->server.out.size == 0)
		end(c, c->ending == RESETS);
}

/* Sends what the socket takes. */
static void flush(struct proxy_endpoint *e)
{
	bool was_waiting = e->out.size > 0;
	size_t sent = 0;

	while (sent < e->out.size) {
		ssize_t n = send(e->fd, e->out.data + sent, e->out.size - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			end(e->connection, true);
			return;
		}
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	proxy_buffer_consume(&e->out, sent);
	if (was_waiting || e->out.size > 0)
		watch(e, EPOLL_CTL_MOD);
	end_if_all_is_sent(e->connection);
}

static void send_to(struct proxy_endpoint *e, const struct proxy_buffer *message, size_t size)
{
	proxy_buffer_append(&e->out, message->data, size);
	flush(e);
}

static void refuse(struct exchange *x)
{
	struct proxy_connection *c = x->connection;
	struct proxy_buffer answer = {0};

	c->loop->protocol->refuse(&x->request, (int)x->rule.status, &answer);
	exchange_free(x);
	send_to(&c->client, &answer, answer.size);
	proxy_buffer_clear(&answer);
}

/* The time of a request has come: it is passed on, or what its rule says. */
static void pass_on(struct exchange *x)
{
	struct proxy_connection *c = x->connection;
	struct proxy_buffer message = x->message;

	x->message = (struct proxy_buffer){0};
	if (x->rule.action == PROXY_STATUS && !x->rule.after) {
		refuse(x);
	} else if (x->rule.action == PROXY_RESET && !x->rule.after) {
		end(c, true);
	} else if (x->rule.action == PROXY_CUT_REQUEST) {
		c->ending = RESETS;
		send_to(&c->server, &message, message.size / 2);
	} else if (x->rule.action != PROXY_HANG || x->rule.after) {
		if (x->rule.action == PROXY_SPOIL_REQUEST)
			c->loop->protocol->alter(&x->request, x->rule.action, &message);
		send_to(&c->server, &message, message.size);
	}
	proxy_buffer_clear(&message);
}

static void choose_rule(struct proxy_loop *loop, struct exchange *x)
{
	const struct proxy_rule *rule;

	lock_acquire(&loop->lock);
	loop->n_requests++;
	rule = proxy_rules_choose(&loop->rules, x->request.operation);
	if (rule != NULL) {
		loop->n_hits++;
		x->rule = *rule;
	}
	lock_release(&loop->lock);
}

static void take_request(struct proxy_connection *c, const uint8_t *data, size_t size)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (x == NULL || c->loop->protocol->identify(data, size, &x->request) < 0) {
		free(x);
		end(c, true);
		return;
	}
	x->connection = c;
	list_append(&c->exchanges, &x->node);
	list_init(&x->delay_node);
	proxy_buffer_append(&x->message, data, size);
	choose_rule(c->loop, x);
	if (x->rule.delay_ms == 0) {
		pass_on(x);
	} else {
		x->due_ns = clock_monotonic_ns() + x->rule.delay_ms * 1000000;
		list_append(&c->loop->delayed, &x->delay_node);
	}
}

static struct exchange *find_exchange(struct proxy_connection *c, uint64_t id)
{
	for (struct list_node *n = c->exchanges.next; n != &c->exchanges; n = n->next) {
		struct exchange *x = LIST_ENTRY(n, struct exchange, node);

		if (x->request.id == id)
			return x;
	}
	return NULL;
}

static void pass_answer(struct exchange *x, struct proxy_buffer *answer)
{
	struct proxy_connection *c = x->connection;
	enum proxy_action action = x->rule.action;

	if (action == PROXY_HANG)
		return; /* and x waits until the client has had enough */
	if (action == PROXY_RESET) {
		end(c, true);
		return;
	}
	if (action == PROXY_STATUS) {
		refuse(x);
		return;
	}
	if (action == PROXY_CUT_ANSWER) {
		c->ending = RESETS;
		answer->size /= 2;
	} else if (c->loop->protocol->alter(&x->request, action, answer)) {
		c->ending = CLOSES;
	}
	exchange_free(x);
	send_to(&c->client, answer, answer->size);
}

static void take_answer(struct proxy_connection *c, const uint8_t *data, size_t size)
{
	struct proxy_buffer answer = {0};
	struct exchange *x;
	uint64_t id;

	if (!c->loop->protocol->identify_answer(data, size, &id))
		return;
	x = find_exchange(c, id);
	if (x == NULL)
		return;
	if (x->rule.action == PROXY_PASS || x->rule.action == PROXY_SPOIL_REQUEST) {
		proxy_buffer_append(&c->client.out, data, size);
		exchange_free(x);
		flush(&c->client);
		return;
	}
	proxy_buffer_append(&answer, data, size);
	pass_answer(x, &answer);
	proxy_buffer_clear(&answer);
}

/* Takes all whole messages from what came in. */
static void take_messages(struct proxy_endpoint *e)
{
	struct proxy_connection *c = e->connection;
	bool is_client = e == &c->client;
	size_t at = 0;

	while (is_open(c) && c->ending == GOES_ON && at < e->in.size) {
		const struct proxy_request *request = NULL;
		ssize_t size;

		if (!is_client && !list_is_empty(&c->exchanges))
			request = &LIST_ENTRY(c->exchanges.next, struct exchange, node)->request;
		if (!is_client && request == NULL) {
			at = e->in.size; /* nobody waits for it */
			break;
		}
		size = c->loop->protocol->frame(e->in.data + at, e->in.size - at, request);
		if (size < 0 || e->in.size - at > PROXY_MAX_MESSAGE_BYTES) {
			end(c, true);
			return;
		}
		if (size == 0)
			break;
		(is_client ? take_request : take_answer)(c, e->in.data + at, (size_t)size);
		at += (size_t)size;
	}
	proxy_buffer_consume(&e->in, at);
}

/* A peer is gone. What the server said last is still told, for an answer may end in this way. */
static void take_end(struct proxy_endpoint *e)
{
	struct proxy_connection *c = e->connection;

	if (e == &c->client || c->ending != GOES_ON) {
		end(c, false);
		return;
	}
	c->ending = CLOSES;
	send_to(&c->client, &e->in, e->in.size);
}

void proxy_connection_event(struct proxy_endpoint *e, uint32_t events)
{
	struct proxy_connection *c = e->connection;
	ssize_t n;

	if (is_open(c) && (events & EPOLLOUT) != 0)
		flush(e);
	if (!is_open(c) || (events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	n = recv(e->fd, proxy_buffer_reserve(&e->in, READ_BYTES), READ_BYTES, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		end(c, true);
	} else if (n == 0) {
		take_end(e);
	} else {
		e->in.size += (size_t)n;
		take_messages(e);
	}
}

static int connect_upstream(const struct proxy_loop *loop)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(loop->upstream_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	/* On the loopback interface it is there at once, or it is not. */
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != EINPROGRESS) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

void proxy_connection_open(struct proxy_loop *loop, int client_fd)
{
	struct proxy_connection *c = calloc(1, sizeof(*c));
	int server_fd = c == NULL ? -ENOMEM : connect_upstream(loop), on = 1;

	if (server_fd < 0) {
		close_fd(&client_fd, true);
		free(c);
		return;
	}
	c->loop = loop;
	c->client = (struct proxy_endpoint){.connection = c, .fd = client_fd};
	c->server = (struct proxy_endpoint){.connection = c, .fd = server_fd};
	list_init(&c->exchanges);
	list_append(&loop->connections, &c->node);
	(void)setsockopt(client_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(server_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	watch(&c->client, EPOLL_CTL_ADD);
	watch(&c->server, EPOLL_CTL_ADD);
}

uint64_t proxy_connection_run_delayed(struct proxy_loop *loop)
{
	uint64_t now_ns = clock_monotonic_ns(), next_ns;
	struct exchange *due;

	do {
		next_ns = UINT64_MAX;
		due = NULL;
		for (struct list_node *n = loop->delayed.next; n != &loop->delayed; n = n->next) {
			struct exchange *x = LIST_ENTRY(n, struct exchange, delay_node);

			if (x->due_ns < next_ns) {
				next_ns = x->due_ns;
				due = x;
			}
		}
		if (next_ns > now_ns)
			break;
		list_remove(&due->delay_node);
		pass_on(due);
	} while (true);
	return next_ns;
}

void proxy_connection_reset_all(struct proxy_loop *loop)
{
	while (!list_is_empty(&loop->connections))
		end(LIST_ENTRY(loop->connections.next, struct proxy_connection, node), true);
}

void proxy_connection_free_ended(struct proxy_loop *loop)
{
	struct list_node *node;

	while ((node = list_take_first(&loop->ended)) != NULL) {
		struct proxy_connection *c = LIST_ENTRY(node, struct proxy_connection, node);

		proxy_buffer_clear(&c->client.in);
		proxy_buffer_clear(&c->client.out);
		proxy_buffer_clear(&c->server.in);
		proxy_buffer_clear(&c->server.out);
		free(c);
	}
}
