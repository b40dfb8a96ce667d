/*
 * probe.h: does the store keep the promises of conditional writes? Some ignore the conditions.
 */
#ifndef MAILFS_BACKENDS_PROBE_H
#define MAILFS_BACKENDS_PROBE_H

#include "backends/backend.h"

/* Writers that race in each of the probe's rounds. */
#define PROBE_WRITERS 8
#define PROBE_ROUNDS 4

struct probe_result {
	bool put_if_absent;    /* proven: exactly one of the racing writers won, in every round */
	bool compare_and_swap; /* proven likewise; a wrong version was refused */
};

/* Races writers on keys below `probe/` with a random part, and removes them afterwards. Blocking.
 * A store that does not keep a promise is a success, with the promise false and *ret_message (may
 * be NULL on return) saying what it did; a store that cannot be used gives its error. */
int backend_probe(struct backend *b, struct probe_result *ret, char **ret_message);

#endif
