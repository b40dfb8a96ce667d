/*
 * retry_backend.h: a wrapper that tries again after passing failures, under the call's deadline.
 *
 * The pause before an attempt doubles from initial_pause_ms to max_pause_ms, of which a random half
 * is used. Which errors are tried again is the table in retry_backend.c.
 *
 * A conditional put whose answer is lost may have taken place. If its repetition is refused
 * (-EEXIST, -ESTALE), the object is read back: when its content is the caller's, the put succeeded.
 * So two writers must never put the same content under one condition; a token in it sees to that.
 * When the object is somebody else's: put-if-absent gives -EEXIST (the caller's own cannot have
 * been there, as no object is removed and made anew within a call); compare-and-swap gives -EIO,
 * for the caller's may have been there and have been replaced since.
 */
#ifndef MAILFS_BACKENDS_RETRY_BACKEND_H
#define MAILFS_BACKENDS_RETRY_BACKEND_H

#include "backends/backend.h"

struct retry_backend_options {
	uint32_t initial_pause_ms;   /* 0: 50 */
	uint32_t max_pause_ms;       /* 0: 5000 */
	uint32_t max_attempts;       /* 0: until the deadline */
	uint32_t attempt_timeout_ms; /* for one attempt; 0: all the time that is left */
	/* What a put may take in addition, so that one which is merely large is not begun anew
	 * for ever on a slow line; 0: nothing. */
	uint32_t attempt_bytes_per_s;
};

struct retry_backend_figures {
	uint64_t retries;  /* attempts after the first */
	uint64_t resolved; /* lost answers recognised as the caller's own success */
	uint64_t gave_up;  /* failed although another attempt might have helped */
};

/* options NULL: the defaults. Takes over `next`, also on failure. Starts a thread. */
int retry_backend_new(
	struct backend *next, const struct retry_backend_options *options, struct backend **ret);

/* `b` is what retry_backend_new() gave. */
void retry_backend_read(struct backend *b, struct retry_backend_figures *ret);

/* Whether an attempt that failed like this is tried again. */
bool retry_backend_is_passing(int error);

#endif
