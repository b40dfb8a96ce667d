/*
 * nfs_connection.h: one TCP connection to one RPC program of the server.
 *
 * libnfs' own reconnection is not used: it sends again what may have been done already without
 * telling. Here a connection that breaks, or whose oldest call has waited too long, is given up
 * whole: each flight on it ends as lost, and who asked decides whether to ask again, on the next
 * connection. Nothing is sent again by itself.
 *
 * Everything happens in the loop's thread. A flight's owner may go away before the answer comes:
 * then the answer is dropped, and no memory of the owner is touched (libnfs copies what it sends,
 * and gives answers in memory of its own).
 */
#ifndef MAILFS_BACKENDS_NFS_NFS_CONNECTION_H
#define MAILFS_BACKENDS_NFS_NFS_CONNECTION_H

#include <nfsc/libnfs.h>
#include <nfsc/libnfs-raw.h>
#include <stdbool.h>
#include <stdint.h>
#include "util/list.h"

#define NFS_ADDRESS_BYTES 64
#define NFS_CONNECT_TIMEOUT_MS 10000
#define NFS_RECONNECT_MIN_MS 50
#define NFS_RECONNECT_MAX_MS 2000
#define NFS_MAX_FLIGHTS 1024 /* with those that nobody waits for any more */
#define NFS_MAX_GROUPS 16    /* of AUTH_SYS */

struct nfs_endpoint {
	char address[NFS_ADDRESS_BYTES]; /* numeric, so that reconnecting does not wait for a name
					    server */
	uint32_t port;                   /* 0: the portmapper is asked */
	int program, version;
	uint32_t uid, gid; /* UINT32_MAX: the process's */
	uint32_t answer_timeout_ms;
};

/* One procedure of NFS or MOUNT. decode copies what is needed and gives the error of the answer. */
struct nfs_procedure {
	const char *name;
	int (*send)(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg);
	int (*decode)(const void *data, void *out);
};

enum nfs_flight_end {
	NFS_ANSWERED, /* `error` is the server's answer, 0 or negative errno */
	NFS_LOST,     /* the connection broke: it may have been done or not */
};

struct nfs_connection;
struct nfs_flight;

/* Called when a flight ends, never from within nfs_connection_send(). */
typedef void nfs_landed_fn(enum nfs_flight_end end, int error, void *owner);

/* Called when the connection is up, or an attempt has failed. */
typedef void nfs_changed_fn(struct nfs_connection *c, void *arg);

/* -ENOMEM. Does not connect. */
int nfs_connection_new(const struct nfs_endpoint *endpoint, nfs_changed_fn *changed, void *arg,
	struct nfs_connection **ret);

/* Every flight ends as lost. NULL is allowed. */
void nfs_connection_free(struct nfs_connection *c);

/* Somebody has something to send: connects unless that is done, under way, or has just failed. */
void nfs_connection_want(struct nfs_connection *c);

bool nfs_connection_is_up(const struct nfs_connection *c);

/* Attempts to connect that failed since the connection was up last. */
unsigned int nfs_connection_failures(const struct nfs_connection *c);

/* Why the last attempt failed or the connection broke; "" at first. */
const char *nfs_connection_error(const struct nfs_connection *c);

/* Only when it is up. `args` and what it points to is copied; `out` must live until `landed` or
 * nfs_flight_abandon(). -ENOMEM; -ENOBUFS: NFS_MAX_FLIGHTS are in the air. */
int nfs_connection_send(struct nfs_connection *c, const struct nfs_procedure *procedure, void *args,
	void *out, nfs_landed_fn *landed, void *owner, struct nfs_flight **ret);

/* `landed` will not be called. */
void nfs_flight_abandon(struct nfs_flight *flight);

/* ---- for the loop */

/* -1: there is nothing to poll. */
int nfs_connection_fd(const struct nfs_connection *c);
int nfs_connection_events(const struct nfs_connection *c);
void nfs_connection_service(struct nfs_connection *c, int revents);

/* When nfs_connection_check() has something to do; UINT64_MAX: never. */
uint64_t nfs_connection_next_ms(const struct nfs_connection *c);
void nfs_connection_check(struct nfs_connection *c, uint64_t now_ms);

#endif
