/*
 * proxy.h: a TCP proxy on the loopback interface that does to requests and answers what its rules
 * say (proxy_rules.h). It knows the messages of the protocol that it carries (proxy_protocol.h).
 *
 * It has one thread, takes a request whole before it is passed on, and an answer likewise, so that
 * what a rule does is exact: "half of the answer" is half of it, every time. One process may have
 * several. All functions may be called from any thread.
 */
#ifndef MAILFS_TESTS_SUPPORT_PROXY_PROXY_H
#define MAILFS_TESTS_SUPPORT_PROXY_PROXY_H

#include <stdbool.h>
#include <stdint.h>
#include "proxy/proxy_protocol.h"

/* A longer message ends its connection. */
#define PROXY_MAX_MESSAGE_BYTES (64u << 20)

struct proxy;

/* Listens on a free port of 127.0.0.1 and connects to upstream_port there, which need not be
 * listening yet. Negative errno. */
int proxy_new(const struct proxy_protocol *protocol, uint16_t upstream_port, struct proxy **ret);

uint16_t proxy_port(const struct proxy *proxy);

/* New rules, counted anew; "" for none. Requests that are under way keep theirs. -EINVAL with a
 * malloc()ed message. */
int proxy_set_rules(struct proxy *proxy, const char *text, char **ret_message);

/* How often a rule was applied since the rules were set. */
uint64_t proxy_hits(struct proxy *proxy);

/* Requests that came, since the beginning. */
uint64_t proxy_requests(struct proxy *proxy);

/* true: resets all connections and has new ones refused, until false. In effect on return. */
void proxy_refuse(struct proxy *proxy, bool refuse);

/* Resets all connections. NULL is allowed. */
void proxy_free(struct proxy *proxy);

#endif
