/*
 * replicator_private.h: what the parts of a replicator share: replicator.c (life, figures),
 * replicator_accounts.c (what is here and what is not), replicator_jobs.c (what mailfs-admin asks
 * for), keeper.c (checkpoints, truncation).
 */
#ifndef MAILFS_REPLICATION_REPLICATOR_PRIVATE_H
#define MAILFS_REPLICATION_REPLICATOR_PRIVATE_H

#include <stdatomic.h>
#include "replication/journal.h"
#include "replication/loader.h"
#include "replication/owner.h"
#include "replication/replicator.h"
#include "util/lock.h"

struct keeper;

struct replicator {
	struct replicator_options options;
	struct owner owner;      /* this node's record: node, incarnation, epoch */
	struct journal *journal; /* of owner.node and owner.incarnation */
	struct loader *loader;
	struct keeper *keeper; /* NULL: it was not opened so far */
	atomic_bool stopping;  /* background work ends */
	struct lock lock;      /* for what the parts add here */
};

/* ---- replicator_accounts.c */

/* Finds out which accounts are here; brings the root account here if the backend has one. Blocks
 * for the backend. */
int replicator_find_accounts(struct replicator *r, char **ret_message);

/* ---- replicator_jobs.c */

/* Checkpoints of the job's accounts, which are here. Those that fail are told one by one, as far as
 * the keeper knows them. */
int replicator_job_checkpoint(struct replicator *r, const struct replicator_job *job);
void replicator_job_tell(const struct replicator_job *job, uint64_t done, uint64_t bytes_done);

/* Tells the failure (0), or gives it back if nobody wants to be told. */
int replicator_job_fail(const struct replicator_job *job, uint32_t account, int error);

#endif
