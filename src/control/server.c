#include <config.h>
#include "control/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "control/actions.h"
#include "control/listen.h"
#include "control/stream.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/message.h"

#define IDLE_TIMEOUT_S 30
#define CONNECTION_MEMORY_BYTES 16384
#define FIRST_BODY_BYTES 1024

struct control_server {
	const struct control_subject *subject;
	struct MHD_Daemon *http;
	char *socket_path;
	_Atomic bool stopping;
};

static const struct route {
	const char *path;
	const char *method;
	control_action_fn *action;
} routes[] = {
	{"/v1/status", MHD_HTTP_METHOD_GET, control_action_status},
	{"/v1/accounts", MHD_HTTP_METHOD_POST, control_action_accounts},
	{"/v1/flush", MHD_HTTP_METHOD_POST, control_action_flush},
	{"/v1/evict", MHD_HTTP_METHOD_POST, control_action_evict},
	{"/v1/warm", MHD_HTTP_METHOD_POST, control_action_warm},
	{"/metrics", MHD_HTTP_METHOD_GET, control_action_metrics},
};

/* The body of one request while it comes in. */
struct upload {
	size_t size_bytes, room_bytes;
	bool too_long;
	char *data;
};

static struct MHD_Response *response_of(
	const struct control_server *server, struct control_answer *answer)
{
	struct MHD_Response *response;

	if (answer->work != NULL)
		return control_stream_new(answer->work, &server->stopping);
	if (answer->body == NULL)
		return NULL;
	response = MHD_create_response_from_buffer(
		strlen(answer->body), answer->body, MHD_RESPMEM_MUST_FREE);
	if (response == NULL)
		free(answer->body);
	return response;
}

static enum MHD_Result reply(const struct control_server *server, struct MHD_Connection *connection,
	struct control_answer answer, const char *allowed_method)
{
	struct MHD_Response *response = response_of(server, &answer);
	enum MHD_Result result;

	if (response == NULL)
		return MHD_NO;
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.content_type);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_SERVER, CONTROL_SERVER_NAME);
	if (allowed_method != NULL)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allowed_method);
	result = MHD_queue_response(connection, answer.http_status, response);
	MHD_destroy_response(response);
	return result;
}

static const struct route *find_route(const char *path)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (strcmp(path, routes[i].path) == 0)
			return &routes[i];
	}
	return NULL;
}

/* An action may take longer than a connection may be idle. A stream is never idle: it beats. */
static struct control_answer act(const struct route *route, struct MHD_Connection *connection,
	const struct control_request *request)
{
	struct control_answer answer;

	(void)MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
	answer = route->action(request);
	(void)MHD_set_connection_option(
		connection, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned int)IDLE_TIMEOUT_S);
	return answer;
}

static enum MHD_Result answer_request(struct control_server *server,
	struct MHD_Connection *connection, const char *path, const char *method,
	const struct upload *upload)
{
	const struct route *route = find_route(path);
	struct control_request request = {
		.subject = server->subject,
		.stopping = &server->stopping,
		.body = upload->data,
		.body_bytes = upload->size_bytes,
	};

	if (route == NULL)
		return reply(server, connection,
			control_error(MHD_HTTP_NOT_FOUND, -ENOENT, "there is nothing at this path"),
			NULL);
	if (strcmp(method, route->method) != 0)
		return reply(server, connection,
			control_error(MHD_HTTP_METHOD_NOT_ALLOWED, -EINVAL, "%s needs %s",
				route->path, route->method),
			route->method);
	if (upload->too_long)
		return reply(server, connection,
			control_error(MHD_HTTP_CONTENT_TOO_LARGE, -EFBIG,
				"the body is longer than %d bytes", CONTROL_MAX_BODY_BYTES),
			NULL);
	return reply(server, connection, act(route, connection, &request), NULL);
}

/* What does not fit, or has no memory, is dropped and answered for at the end. */
static void collect(struct upload *upload, const char *data, size_t data_bytes)
{
	size_t room_bytes = upload->room_bytes > 0 ? upload->room_bytes : FIRST_BODY_BYTES;
	char *grown;

	if (upload->too_long || data_bytes > CONTROL_MAX_BODY_BYTES - upload->size_bytes) {
		upload->too_long = true;
		return;
	}
	while (room_bytes < upload->size_bytes + data_bytes)
		room_bytes *= 2;
	if (room_bytes > upload->room_bytes) {
		grown = realloc(upload->data, room_bytes);
		if (grown == NULL) {
			upload->too_long = true;
			return;
		}
		upload->data = grown;
		upload->room_bytes = room_bytes;
	}
	memcpy(upload->data + upload->size_bytes, data, data_bytes);
	upload->size_bytes += data_bytes;
}

/* Called by libmicrohttpd at first with the headers, then with each part of the body, then with
 * none: then the request is complete. */
static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *path,
	const char *method, const char *version, const char *data, size_t *data_bytes,
	void **request_state)
{
	struct upload *upload = *request_state;

	(void)version;
	if (upload == NULL) {
		*request_state = calloc(1, sizeof(*upload));
		return *request_state != NULL ? MHD_YES : MHD_NO;
	}
	if (*data_bytes == 0)
		return answer_request(arg, connection, path, method, upload);
	collect(upload, data, *data_bytes);
	*data_bytes = 0;
	return MHD_YES;
}

static void forget_request(void *arg, struct MHD_Connection *connection, void **request_state,
	enum MHD_RequestTerminationCode code)
{
	struct upload *upload = *request_state;

	(void)arg;
	(void)connection;
	(void)code;
	if (upload != NULL)
		free(upload->data);
	free(upload);
	*request_state = NULL;
}

static struct MHD_Daemon *start_http(struct control_server *server, int fd)
{
	return MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
					MHD_USE_POLL | MHD_USE_ITC,
		0, NULL, NULL, handle, server, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_NOTIFY_COMPLETED, forget_request, NULL, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)CONTROL_MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned int)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_END);
}

int control_server_start(const char *socket_path, const struct control_subject *subject,
	struct control_server **ret, char **ret_message)
{
	struct control_server *server;
	CLEANUP_CLOSE int fd = control_listen(socket_path);

	if (fd < 0)
		return message_set(
			ret_message, fd, "cannot listen on '%s': %s", socket_path, strerror(-fd));
	server = calloc(1, sizeof(*server));
	if (server == NULL)
		return -ENOMEM;
	server->subject = subject;
	server->socket_path = strdup(socket_path);
	server->http = server->socket_path != NULL ? start_http(server, fd) : NULL;
	if (server->http == NULL) {
		control_server_stop(server);
		return message_set(ret_message, -EAGAIN,
			"cannot start the control server on '%s': no thread or no memory",
			socket_path);
	}
	(void)take_fd(&fd); /* libmicrohttpd's now */
	*ret = server;
	return 0;
}

void control_server_stop(struct control_server *server)
{
	if (server == NULL)
		return;
	atomic_store(&server->stopping, true);
	if (server->http != NULL) {
		MHD_stop_daemon(server->http);
		if (unlink(server->socket_path) < 0)
			log_debug("'%s' was not there any more", server->socket_path);
	}
	free(server->socket_path);
	free(server);
}
