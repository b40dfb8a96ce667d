/*
 * client.h: one HTTP request to a daemon's control socket.
 */
#ifndef MAILFS_ADMIN_CLIENT_H
#define MAILFS_ADMIN_CLIENT_H

#include <stdint.h>

#define CLIENT_ANSWER_MAX_BYTES (4 * 1024 * 1024)

struct client_request {
	const char *method;
	const char *path;
	const char *body; /* JSON, or NULL */
	uint64_t timeout_ms;

	/* For an answer in lines, if all is well: called with each when it comes, without its
	 * newline; then timeout_ms is how long the daemon may say nothing, and `body` is what is
	 * behind the last newline. NULL: the answer is collected. */
	void (*take_line)(void *arg, const char *line);
	void *arg;
};

#define CLIENT_SERVER_BYTES 64

struct client_answer {
	long http_status;
	char server[CLIENT_SERVER_BYTES]; /* as it calls itself; "": it does not */
	char *body;                       /* malloc()ed, NUL-terminated */
};

/* Blocks. -ECONNREFUSED when nobody listens, -ETIMEDOUT, -EIO; *ret_message says what to do. */
int client_ask(const char *socket_path, const struct client_request *request,
	struct client_answer *ret, char **ret_message);

#endif
