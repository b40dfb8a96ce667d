/*
 * canned_server.h: an HTTP server on loopback that answers whatever the test says, lies included.
 */
#ifndef MAILFS_TESTS_SUPPORT_CANNED_SERVER_H
#define MAILFS_TESTS_SUPPORT_CANNED_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#define CANNED_MAX_BYTES 65536

struct canned_request {
	char method[16];
	char target[4096];           /* path and query */
	char head[CANNED_MAX_BYTES]; /* all of it */
	char body[CANNED_MAX_BYTES];
	size_t body_bytes;
};

/* Exactly these bytes are sent; then the connection is closed if the answer says so. Without any
 * bytes it is closed at once. */
struct canned_answer {
	char data[CANNED_MAX_BYTES];
	size_t size_bytes;
	bool closes;
};

/* In a thread of the server's, for one request at a time. */
typedef void canned_fn(
	void *arg, const struct canned_request *request, struct canned_answer *answer);

struct canned_server;

/* Aborts the test when it cannot. */
struct canned_server *canned_server_new(canned_fn *answer, void *arg);
unsigned int canned_server_port(const struct canned_server *s);

/* Between these nothing is answered, so what the answering function uses may be looked at. */
void canned_server_hold(struct canned_server *s);
void canned_server_go_on(struct canned_server *s);

void canned_server_free(struct canned_server *s);

/* "HTTP/1.1 STATUS", the headers (each ends with CR LF; NULL: none), Content-Length and the body.
 */
void canned_answer_set(
	struct canned_answer *answer, const char *status, const char *headers, const char *body);

/* The value of a request's header in a static buffer of the calling thread, or "". */
const char *canned_header(const struct canned_request *request, const char *name);

#endif
