#include <config.h>
#include "backends/nfs/nfs_connection.h"

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "backends/nfs/nfs_status.h"
#include "util/clock.h"

/* IDLE -> CONNECTING -> UP -> IDLE; CONNECTING -> IDLE after a failure, and not before retry_ms
 * again. libnfs' context lives in CONNECTING and UP, and is ended outside of its callbacks only. */
enum state {
	IDLE,
	CONNECTING,
	UP,
};

struct nfs_connection {
	struct nfs_endpoint endpoint;
	nfs_changed_fn *changed;
	void *changed_arg;
	enum state state;
	struct rpc_context *rpc;
	struct list_node flights; /* the oldest first */
	unsigned int n_flights;
	uint64_t retry_ms;    /* IDLE: not earlier */
	uint64_t give_up_ms;  /* CONNECTING */
	uint64_t up_since_ms; /* UP */
	uint32_t pause_ms;
	unsigned int n_failures;
	bool is_wanted;       /* IDLE: connect as soon as retry_ms allows */
	bool is_broken;       /* to be ended when libnfs has returned */
	bool is_ending;       /* callbacks that come now are those of rpc_destroy_context() */
	bool awaits_callback; /* connected() has not been called */
	char error[160];
};

struct nfs_flight {
	struct list_node node;
	struct nfs_connection *connection;
	const struct nfs_procedure *procedure;
	uint64_t sent_ms;
	void *out;
	nfs_landed_fn *landed; /* NULL: abandoned */
	void *owner;
};

int nfs_connection_new(const struct nfs_endpoint *endpoint, nfs_changed_fn *changed, void *arg,
	struct nfs_connection **ret)
{
	struct nfs_connection *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->endpoint = *endpoint;
	c->changed = changed;
	c->changed_arg = arg;
	c->pause_ms = NFS_RECONNECT_MIN_MS;
	list_init(&c->flights);
	*ret = c;
	return 0;
}

static void land(struct nfs_flight *flight, enum nfs_flight_end end, int error)
{
	list_remove(&flight->node);
	flight->connection->n_flights--;
	if (flight->landed != NULL)
		flight->landed(end, error, flight->owner);
	free(flight);
}

static void set_error(struct nfs_connection *c, const char *what)
{
	snprintf(c->error, sizeof(c->error), "%s", what != NULL && *what != '\0' ? what : "?");
}

/* Ends the context and all its flights. */
static void end(struct nfs_connection *c)
{
	struct list_node *node;

	if (c->rpc != NULL) {
		c->is_ending = true;
		if (c->awaits_callback) /* else libnfs forgets to free what it keeps for that */
			(void)rpc_service(c->rpc, POLLHUP);
		rpc_destroy_context(c->rpc);
		c->is_ending = false;
		c->rpc = NULL;
	}
	while ((node = c->flights.next) != &c->flights)
		land(LIST_ENTRY(node, struct nfs_flight, node), NFS_LOST, -ECONNRESET);
	c->is_broken = c->awaits_callback = false;
}

/* One that did not last waits like one that did not come up. */
static void fail(struct nfs_connection *c)
{
	uint64_t now_ms = clock_monotonic_ms();
	bool was_up = c->state == UP;

	c->state = IDLE;
	c->is_wanted = false;
	end(c);
	if (was_up && now_ms - c->up_since_ms >= NFS_RECONNECT_MAX_MS)
		c->pause_ms = NFS_RECONNECT_MIN_MS;
	c->retry_ms = now_ms + c->pause_ms;
	c->pause_ms = 2 * c->pause_ms;
	if (c->pause_ms > NFS_RECONNECT_MAX_MS)
		c->pause_ms = NFS_RECONNECT_MAX_MS;
	if (was_up)
		return;
	c->n_failures++;
	c->changed(c, c->changed_arg);
}

void nfs_connection_free(struct nfs_connection *c)
{
	if (c == NULL)
		return;
	end(c);
	free(c);
}

/* The callers of the process's identity get its groups too. */
static struct AUTH *make_credentials(const struct nfs_endpoint *e)
{
	uint32_t groups[NFS_MAX_GROUPS];
	gid_t all[256];
	char host[64] = "";
	int n = 0;

	if (e->uid == UINT32_MAX && e->gid == UINT32_MAX)
		n = getgroups(sizeof(all) / sizeof(all[0]), all);
	if (n < 0)
		n = 0;
	if (n > NFS_MAX_GROUPS)
		n = NFS_MAX_GROUPS;
	for (int i = 0; i < n; i++)
		groups[i] = all[i];
	if (gethostname(host, sizeof(host) - 1) < 0)
		snprintf(host, sizeof(host), "mailfs");
	return libnfs_authunix_create(host, e->uid == UINT32_MAX ? geteuid() : e->uid,
		e->gid == UINT32_MAX ? getegid() : e->gid, (uint32_t)n, groups);
}

static void connected(struct rpc_context *rpc, int status, void *data, void *arg)
{
	struct nfs_connection *c = arg;
	int one = 1;

	c->awaits_callback = false;
	if (c->is_ending)
		return;
	if (status != RPC_STATUS_SUCCESS) {
		set_error(
			c, status == RPC_STATUS_ERROR && data != NULL ? data : rpc_get_error(rpc));
		c->is_broken = true;
		return;
	}
	(void)setsockopt(rpc_get_fd(rpc), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->state = UP;
	c->n_failures = 0;
	c->up_since_ms = clock_monotonic_ms();
	c->changed(c, c->changed_arg);
}

static void connect_now(struct nfs_connection *c)
{
	const struct nfs_endpoint *e = &c->endpoint;
	struct AUTH *credentials = make_credentials(e);
	int r = -1;

	c->is_wanted = false;
	c->state = CONNECTING;
	c->give_up_ms = clock_monotonic_ms() + NFS_CONNECT_TIMEOUT_MS;
	c->rpc = rpc_init_context();
	if (c->rpc != NULL && credentials != NULL) {
		rpc_set_auth(c->rpc, credentials);
		credentials = NULL;
		if (e->port != 0)
			r = rpc_connect_port_async(c->rpc, e->address, (int)e->port, e->program,
				e->version, connected, c);
		else
			r = rpc_connect_program_async(
				c->rpc, e->address, e->program, e->version, connected, c);
		c->awaits_callback = r == 0;
		if (r < 0)
			set_error(c, rpc_get_error(c->rpc));
	}
	if (credentials != NULL)
		libnfs_auth_destroy(credentials);
	if (r < 0)
		c->is_broken = true;
}

void nfs_connection_want(struct nfs_connection *c)
{
	if (c->state == IDLE)
		c->is_wanted = true;
}

bool nfs_connection_is_up(const struct nfs_connection *c)
{
	return c->state == UP && !c->is_broken;
}

unsigned int nfs_connection_failures(const struct nfs_connection *c)
{
	return c->n_failures;
}

const char *nfs_connection_error(const struct nfs_connection *c)
{
	return c->error;
}

static void answered(struct rpc_context *rpc, int status, void *data, void *arg)
{
	struct nfs_flight *flight = arg;
	struct nfs_connection *c = flight->connection;

	(void)rpc;
	if (c->is_ending || (status != RPC_STATUS_SUCCESS && status != RPC_STATUS_ERROR)) {
		land(flight, NFS_LOST, -ECONNRESET);
	} else if (status == RPC_STATUS_ERROR) {
		int error = nfs_status_rpc_error(data);

		set_error(c, data);
		if (error == 0) /* no answer of the server's: libnfs gives the connection up */
			c->is_broken = true;
		land(flight, error == 0 ? NFS_LOST : NFS_ANSWERED, error);
	} else if (flight->landed != NULL) {
		land(flight, NFS_ANSWERED, flight->procedure->decode(data, flight->out));
	} else {
		land(flight, NFS_ANSWERED, 0);
	}
}

int nfs_connection_send(struct nfs_connection *c, const struct nfs_procedure *procedure, void *args,
	void *out, nfs_landed_fn *landed, void *owner, struct nfs_flight **ret)
{
	struct nfs_flight *flight;

	if (c->n_flights >= NFS_MAX_FLIGHTS)
		return -ENOBUFS;
	flight = malloc(sizeof(*flight));
	if (flight == NULL)
		return -ENOMEM;
	*flight = (struct nfs_flight){.connection = c,
		.procedure = procedure,
		.sent_ms = clock_monotonic_ms(),
		.out = out,
		.landed = landed,
		.owner = owner};
	if (procedure->send(c->rpc, answered, args, flight) != 0) {
		set_error(c, rpc_get_error(c->rpc));
		free(flight);
		return -ENOMEM;
	}
	list_append(&c->flights, &flight->node);
	c->n_flights++;
	*ret = flight;
	return 0;
}

void nfs_flight_abandon(struct nfs_flight *flight)
{
	flight->landed = NULL;
}

int nfs_connection_fd(const struct nfs_connection *c)
{
	return c->rpc == NULL ? -1 : rpc_get_fd(c->rpc);
}

int nfs_connection_events(const struct nfs_connection *c)
{
	return c->rpc == NULL ? 0 : rpc_which_events(c->rpc) | POLLRDHUP;
}

/* Why connecting failed: libnfs only says that it did. */
static void note_socket_error(struct nfs_connection *c)
{
	socklen_t size = sizeof(int);
	int error = 0;

	if (getsockopt(rpc_get_fd(c->rpc), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0)
		set_error(c, strerror(error));
	else
		set_error(c, "the server ended the connection");
}

/* What has arrived is read before the end of the connection is looked at. */
static bool serve(struct nfs_connection *c, int revents)
{
	if (c->state == CONNECTING && revents & (POLLHUP | POLLERR)) {
		note_socket_error(c);
		return false;
	}
	if (c->state == UP && revents & (POLLRDHUP | POLLHUP | POLLERR)) {
		if (revents & POLLIN && rpc_service(c->rpc, POLLIN) < 0)
			return false;
		revents = POLLHUP | (revents & POLLERR);
	}
	return !c->is_broken && rpc_service(c->rpc, revents & ~POLLRDHUP) == 0;
}

void nfs_connection_service(struct nfs_connection *c, int revents)
{
	if (c->rpc == NULL)
		return;
	if (!serve(c, revents))
		c->is_broken = true;
	if (!c->is_broken)
		return;
	if (c->state == UP)
		set_error(c, rpc_get_error(c->rpc));
	fail(c);
}

static uint64_t oldest_overdue_ms(const struct nfs_connection *c)
{
	if (list_is_empty(&c->flights))
		return UINT64_MAX;
	return LIST_ENTRY(c->flights.next, struct nfs_flight, node)->sent_ms +
	       c->endpoint.answer_timeout_ms;
}

uint64_t nfs_connection_next_ms(const struct nfs_connection *c)
{
	if (c->is_broken)
		return 0;
	switch (c->state) {
	case IDLE:
		return c->is_wanted ? c->retry_ms : UINT64_MAX;
	case CONNECTING:
		return c->give_up_ms;
	default:
		return oldest_overdue_ms(c);
	}
}

void nfs_connection_check(struct nfs_connection *c, uint64_t now_ms)
{
	if (now_ms < nfs_connection_next_ms(c))
		return;
	if (c->is_broken) {
		fail(c);
	} else if (c->state == IDLE) {
		connect_now(c);
		if (c->is_broken)
			fail(c);
	} else {
		set_error(c, c->state == UP ? "the server does not answer"
					    : "connecting takes too long");
		fail(c);
	}
}
