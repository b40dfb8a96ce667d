/*
 * server.h: the daemon answers HTTP/1.1 with JSON on a unix socket in its state directory.
 *
 *   GET  /v1/status    who it is, what it has done, how it is (status.h)
 *   POST /v1/accounts  {"accounts": ["user", ...]} or {"limit": N}: how they are
 *   POST /v1/flush     {"accounts": [...], "checkpoint": false, "timeout_ms": N}: all that changed
 *                      in them, or in all, to the backend
 *   POST /v1/evict     {"accounts": [...] or "idle_ms": N, "force": false, "timeout_ms": N}: what
 *                      is here of them goes
 *                      {"keep_bytes": N}: drop local copies of bodies beyond that
 *   POST /v1/warm      {"accounts": [...], "timeout_ms": N}: brings them, or all, here
 *   GET  /metrics      the figures for Prometheus
 *
 * flush, evict of accounts, and warm answer with lines while they work (stream.h). Errors are
 * {"error": "a sentence", "errno": "ENOENT"} with a fitting HTTP status. Each connection has a
 * thread of its own, up to CONTROL_MAX_CONNECTIONS, so that long work holds up nobody. Whoever may
 * connect to the socket (mode 0600) may do all of it.
 */
#ifndef MAILFS_CONTROL_SERVER_H
#define MAILFS_CONTROL_SERVER_H

#include "control/status.h"

#define CONTROL_MAX_CONNECTIONS 32
#define CONTROL_MAX_BODY_BYTES (256 * 1024)
#define CONTROL_DEFAULT_FLUSH_TIMEOUT_MS 60000
#define CONTROL_MAX_TIMEOUT_MS (7 * 24 * 60 * 60 * 1000)

/* Each answer's Server header, so that a client of another version knows. */
#define CONTROL_SERVER_NAME "mailfs/" PACKAGE_VERSION

/* Listed by /v1/accounts. */
#define CONTROL_DEFAULT_ACCOUNTS 1000
#define CONTROL_MAX_ACCOUNTS 10000

struct control_server;

/* Listens on `socket_path`, replacing what a dead daemon left there, and starts the server's
 * thread. `subject` and what it points to stay the caller's and outlive the server. */
int control_server_start(const char *socket_path, const struct control_subject *subject,
	struct control_server **ret, char **ret_message);

/* Ends waiting requests soon, joins the threads and removes the socket. NULL is allowed. */
void control_server_stop(struct control_server *server);

#endif
