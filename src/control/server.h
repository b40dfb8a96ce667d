/*
 * server.h: the daemon answers HTTP/1.1 with JSON on a unix socket in its state directory.
 *
 *   GET  /v1/status   who it is, what it has done, how it is (status.h)
 *   POST /v1/flush    {"timeout_ms": N}: all bodies to the backend; answers when that is so
 *   POST /v1/evict    {"keep_bytes": N}: drop local copies of bodies beyond that
 *   GET  /metrics     the figures for Prometheus
 *
 * Errors are {"error": "a sentence", "errno": "ENOENT"} with a fitting HTTP status. Each
 * connection has a thread of its own, up to CONTROL_MAX_CONNECTIONS, so that long work holds up
 * nobody. Whoever may connect to the socket (mode 0600) may do all of it.
 */
#ifndef MAILFS_CONTROL_SERVER_H
#define MAILFS_CONTROL_SERVER_H

#include "control/status.h"

#define CONTROL_MAX_CONNECTIONS 32
#define CONTROL_MAX_BODY_BYTES 4096
#define CONTROL_DEFAULT_FLUSH_TIMEOUT_MS 60000
#define CONTROL_MAX_FLUSH_TIMEOUT_MS (24 * 60 * 60 * 1000)

struct control_server;

/* Listens on `socket_path`, replacing what a dead daemon left there, and starts the server's
 * thread. `subject` and what it points to stay the caller's and outlive the server. */
int control_server_start(const char *socket_path, const struct control_subject *subject,
	struct control_server **ret, char **ret_message);

/* Ends waiting requests soon, joins the threads and removes the socket. NULL is allowed. */
void control_server_stop(struct control_server *server);

#endif
