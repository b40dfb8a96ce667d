/*
 * backend_chain.h: what a running mailfs puts around a driver, and what it knows of the store.
 *
 *     statistics -> retry -> (faults, if rules were given) -> driver
 *
 * Statistics are of calls as the node sees them, with their repetitions.
 */
#ifndef MAILFS_BACKENDS_BACKEND_CHAIN_H
#define MAILFS_BACKENDS_BACKEND_CHAIN_H

#include "backends/backend.h"
#include "backends/probe.h"

struct backend_chain {
	struct backend *backend; /* what to call; the outermost. NULL: not built */
	struct backend *retry;   /* for retry_backend_read() */
	struct backend *faults;  /* for fault_backend.h; NULL: there is none */
	struct probe_result probe;
	char *probe_message; /* the promise that was broken, or NULL */
};

/* Takes over `driver`, also on failure. `faults`: rules of fault_rules.h; NULL: no such wrapper.
 * Starts threads. -EINVAL for rules that are none, -ENOMEM, -EAGAIN. */
int backend_chain_build(
	struct backend *driver, const char *faults, struct backend_chain *ret, char **ret_message);

/* Runs the probe and keeps its result. A store that breaks a promise of conditional writes is a
 * success; one that cannot be used gives its error. Blocking. */
int backend_chain_prove(struct backend_chain *chain, char **ret_message);

/* Frees everything in it, the driver too. One that was never built is allowed. */
void backend_chain_done(struct backend_chain *chain);

#endif
