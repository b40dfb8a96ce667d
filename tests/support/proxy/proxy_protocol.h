/*
 * proxy_protocol.h: what the proxy has to know of a protocol: where a message ends, what a request
 * is called, and how to answer in the server's place.
 *
 * Two there are: HTTP/1.1 without pipelining (RFC 9112; operations named as those of backend.h, by
 * method and query of S3) and ONC RPC over TCP (record marking, RFC 5531) with NFSv3 (RFC 1813;
 * operations are the procedures' names in lower case, "mount" for all of the mount protocol).
 */
#ifndef MAILFS_TESTS_SUPPORT_PROXY_PROXY_PROTOCOL_H
#define MAILFS_TESTS_SUPPORT_PROXY_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "proxy/proxy_buffer.h"
#include "proxy/proxy_rules.h"

struct proxy_request {
	char operation[PROXY_OPERATION_BYTES];
	uint64_t id;  /* the same in its answer */
	bool is_bare; /* the answer has no body whatever it says: HEAD */
};

struct proxy_protocol {
	/* Size of the whole message at the front, 0: more must come; -EPROTO: it is none.
	 * request: NULL, or to which `data` is the answer. */
	ssize_t (*frame)(const uint8_t *data, size_t size, const struct proxy_request *request);
	/* -EPROTO: none of this protocol. */
	int (*identify)(const uint8_t *data, size_t size, struct proxy_request *ret);
	/* The id of the request it answers. A preliminary answer, to be dropped: false. */
	bool (*identify_answer)(const uint8_t *data, size_t size, uint64_t *ret_id);
	/* Answers in the server's place. */
	void (*refuse)(const struct proxy_request *request, int status, struct proxy_buffer *ret);
	/* Changes a whole request or answer as the action says. True: the connection has to be
	 * closed behind it. */
	bool (*alter)(const struct proxy_request *request, enum proxy_action action,
		struct proxy_buffer *message);
};

extern const struct proxy_protocol proxy_http;
extern const struct proxy_protocol proxy_rpc;

#endif
