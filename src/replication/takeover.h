/*
 * takeover.h: ends the journals of all who owned the volume before: who has claimed it (owner.h)
 * seals each journal that is not his own, by writing its next segment himself.
 */
#ifndef MAILFS_REPLICATION_TAKEOVER_H
#define MAILFS_REPLICATION_TAKEOVER_H

#include <stdbool.h>
#include <stddef.h>
#include "backends/backend.h"
#include "replication/owner.h"
#include "replication/position.h"

/* Truncation leaves the last segment of every journal, sealed or not: it says where the end is, and
 * a node that comes back to life after it was fenced has to find its next number taken for ever. */

/* Journals that may stand on the backend, and how often a writer may be faster than the seal. */
#define TAKEOVER_MAX_JOURNALS (1U << 16)
#define TAKEOVER_MAX_ATTEMPTS 1000

struct takeover_options {
	struct backend *backend;
	const struct owner *self; /* its claim, which was put */
	bool plain_puts;
};

/* Seals every journal but that of self's incarnation: of those that stand on the backend, and those
 * that owner records name, at its end, which is before the first segment that is missing. On return
 * none of them can grow any more: what is read of them from now on is all there will ever be. Owner
 * records but the last OWNER_KEPT are removed. Again is harmless. Blocks for the backend.
 *   -ESTALE  there is a newer owner; -EBUSY  a writer is too fast; errors of the backend.
 * *ret_message: malloc()ed. */
int takeover_seal_others(const struct takeover_options *options, char **ret_message);

#endif
