/*
 * checkpoint_writer.h: puts accounts whole on the backend, one after the other.
 *
 * An account is read from a cut section by section. What does not fit into one object goes into
 * parts, which are put before the checkpoint itself; several objects are on their way at a time.
 * In memory are at most CHECKPOINT_WRITER_WINDOW_BYTES of objects in flight, one that is being
 * gathered (part_bytes), and one section (SECTION_MAX_CONTENT_BYTES): less than 64 MiB. For one
 * thread.
 */
#ifndef MAILFS_REPLICATION_CHECKPOINT_WRITER_H
#define MAILFS_REPLICATION_CHECKPOINT_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include "backends/backend.h"
#include "cache/cut.h"
#include "replication/position.h"

#define CHECKPOINT_WRITER_PART_BYTES (UINT64_C(12) << 20) /* of sections as they are stored */
#define CHECKPOINT_WRITER_WINDOW_BYTES (UINT64_C(24) << 20)
#define CHECKPOINT_WRITER_PUTS_IN_FLIGHT 16

struct checkpoint_writer;

struct checkpoint_writer_options {
	struct backend *backend; /* outlives the writer */
	struct uuid volume;
	bool plain_puts;     /* the store does not keep the promise of put-if-absent */
	uint64_t part_bytes; /* 0: CHECKPOINT_WRITER_PART_BYTES */

	/* Called before each put, in the caller's thread; may block. An error ends the checkpoint
	 * with it. NULL: nothing. */
	int (*admit)(void *arg, uint64_t bytes);
	void *arg;
};

/* NULL without memory. */
struct checkpoint_writer *checkpoint_writer_new(const struct checkpoint_writer_options *options);

struct checkpoint_writer_request {
	const struct cut *cut; /* the account as of this moment; no longer needed on return */
	int64_t cut_ms;        /* when it was taken, since 1970 */
	uint32_t account;
	uint64_t number; /* higher than those that there are or were */

	/* Of the account's latest segment, of those whose changes are in the cut: what its next
	 * segment will name as the one before. In whatever journal that is. */
	struct position position;
	void *arg; /* not NULL; comes back with the result */
};

struct checkpoint_writer_result {
	void *arg;
	int error; /* 0: it is on the backend; -EEXIST: the number is taken; -EFBIG: there would be
		      more than DIRECTORY_MAX_PARTS parts; others of the store and the backend */
	uint32_t n_sections; /* 0: nothing is left of the account */
	uint16_t n_parts;
	uint64_t bytes; /* of all objects */
};

/* Reads the account and begins to put it. Blocks for the store, for room in the window, and if
 * there are parts for these. Exactly one result follows, unless -ENOMEM is returned. After an error
 * there may be parts left of it, which nothing names. */
int checkpoint_writer_begin(
	struct checkpoint_writer *writer, const struct checkpoint_writer_request *request);

/* One that has ended. False: there is none now. */
bool checkpoint_writer_take(struct checkpoint_writer *writer, struct checkpoint_writer_result *ret);

/* Waits until all that was begun has ended. */
void checkpoint_writer_drain(struct checkpoint_writer *writer);

/* What is on its way ends with -ECANCELED, or as it would. From any thread. */
void checkpoint_writer_cancel(struct checkpoint_writer *writer);

/* Drains. NULL is allowed. */
void checkpoint_writer_free(struct checkpoint_writer *writer);

/* One alone, blocking. Its error. */
int checkpoint_writer_write(const struct checkpoint_writer_options *options,
	const struct checkpoint_writer_request *request, struct checkpoint_writer_result *ret);

#endif
