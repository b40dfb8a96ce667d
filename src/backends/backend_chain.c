#include <config.h>
#include "backends/backend_chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/fault_backend.h"
#include "backends/retry_backend.h"
#include "backends/stats_backend.h"
#include "util/message.h"

/* One attempt may not use up a call's time, or a lost packet would be an error to the caller. */
#define ATTEMPT_TIMEOUT_MS 20000
#define ATTEMPT_BYTES_PER_S 65536

static int add_faults(struct backend_chain *chain, const char *text, char **ret_message)
{
	struct fault_rules rules;
	int r = fault_rules_parse(text, &rules, ret_message);

	if (r < 0) {
		backend_free(chain->backend);
		return r;
	}
	r = fault_backend_new(chain->backend, &rules, &chain->faults);
	chain->backend = chain->faults;
	return r;
}

int backend_chain_build(
	struct backend *driver, const char *faults, struct backend_chain *ret, char **ret_message)
{
	static const struct retry_backend_options options = {
		.attempt_timeout_ms = ATTEMPT_TIMEOUT_MS,
		.attempt_bytes_per_s = ATTEMPT_BYTES_PER_S};
	struct backend_chain chain = {.backend = driver};
	int r = 0;

	if (faults != NULL) {
		r = add_faults(&chain, faults, ret_message);
		if (r == -EINVAL)
			return r;
	}
	if (r == 0) {
		r = retry_backend_new(chain.backend, &options, &chain.retry);
		chain.backend = chain.retry;
	}
	if (r == 0)
		r = stats_backend_new(chain.backend, &chain.backend);
	if (r < 0)
		return message_set(ret_message, r, "cannot prepare the backend: %s", strerror(-r));
	*ret = chain;
	return 0;
}

int backend_chain_prove(struct backend_chain *chain, char **ret_message)
{
	char *message = NULL;
	int r = backend_probe(chain->backend, &chain->probe, &message);

	if (r < 0) {
		r = message_set(ret_message, r, "cannot use the store: %s",
			message != NULL ? message : strerror(-r));
		free(message);
		return r;
	}
	free(chain->probe_message);
	chain->probe_message = message;
	return 0;
}

void backend_chain_done(struct backend_chain *chain)
{
	backend_free(chain->backend);
	free(chain->probe_message);
	*chain = (struct backend_chain){.backend = NULL};
}
