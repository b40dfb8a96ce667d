/*
 * checkpoint_writer.h: puts one account whole on the backend.
 *
 * The object is one put, so it stands in memory, compressed, until that has ended; what is not
 * compressed yet is one section. An account that would take more than the limit cannot have a
 * checkpoint in this form of the format: it stays in the journal.
 */
#ifndef MAILFS_REPLICATION_CHECKPOINT_WRITER_H
#define MAILFS_REPLICATION_CHECKPOINT_WRITER_H

#include <stdint.h>
#include "backends/backend.h"
#include "cache/cut.h"
#include "replication/position.h"

/* Of sections as they are stored. Bodies that are in objects are not in it, so this is about a
 * million mails and their index. */
#define CHECKPOINT_WRITER_MAX_BYTES (UINT64_C(256) << 20)
#define CHECKPOINT_WRITER_TIMEOUT_MS 300000

struct checkpoint_writer_request {
	struct backend *backend;
	const struct cut *cut; /* the account as of this moment; no longer needed on return */
	int64_t cut_ms;        /* when it was taken, since 1970 */
	uint32_t account;
	struct uuid volume;
	uint64_t number; /* higher than those that there are */

	/* Of the account's latest segment, of those whose changes are in the cut: what its next
	 * segment will name as the one before. In whatever journal that is. */
	struct position position;
	uint64_t max_bytes; /* 0: CHECKPOINT_WRITER_MAX_BYTES */
};

struct checkpoint_writer_figures {
	uint32_t n_sections;
	uint64_t object_bytes;
};

/* Blocks; with BACKEND_BACKGROUND. On success it is on the backend. -EEXIST: the number is taken;
 * -EFBIG: the account is too large; errors of the store and of the backend; -ENOMEM. */
int checkpoint_writer_write(const struct checkpoint_writer_request *request,
	struct checkpoint_writer_figures *ret_figures);

#endif
