/*
 * proxy_connection.h: one client's connection and its twin to the server; of the proxy only.
 *
 * Everything here runs on the proxy's thread.
 */
#ifndef MAILFS_TESTS_SUPPORT_PROXY_PROXY_CONNECTION_H
#define MAILFS_TESTS_SUPPORT_PROXY_PROXY_CONNECTION_H

#include <stdint.h>
#include "proxy/proxy_protocol.h"
#include "util/list.h"
#include "util/lock.h"

/* What all connections of a proxy share. */
struct proxy_loop {
	const struct proxy_protocol *protocol;
	uint16_t upstream_port;
	int epoll_fd;
	struct list_node connections;
	struct list_node delayed; /* exchanges that wait for their time, in no order */
	struct list_node ended;   /* connections to be freed once no event can name them */

	struct lock lock; /* of all below */
	struct proxy_rules rules;
	uint64_t n_hits, n_requests;
};

/* One of the two sockets; what epoll's data points to. */
struct proxy_endpoint {
	struct proxy_connection *connection;
	int fd;
	struct proxy_buffer in, out;
};

/* Takes over the client's socket, which does not block. Without a server it is reset. */
void proxy_connection_open(struct proxy_loop *loop, int client_fd);

void proxy_connection_event(struct proxy_endpoint *endpoint, uint32_t events);

/* Passes on what has waited long enough. Returns when the next one is due, in
 * clock_monotonic_ns(), or UINT64_MAX. */
uint64_t proxy_connection_run_delayed(struct proxy_loop *loop);

/* With a RST each. */
void proxy_connection_reset_all(struct proxy_loop *loop);

void proxy_connection_free_ended(struct proxy_loop *loop);

#endif
