/*
 * journal_seal.h: a seal as another node puts it, wherever a test wants it. For tests.
 */
#ifndef MAILFS_TESTS_COMPONENT_JOURNAL_SEAL_H
#define MAILFS_TESTS_COMPONENT_JOURNAL_SEAL_H

#include "backends/backend.h"
#include "replication/position.h"
#include "util/uuid.h"

/* Replaces what is there. It names no checksum of the segment before it. */
void journal_seal_put(
	struct backend *backend, const struct position *position, const struct uuid *taker);

#endif
