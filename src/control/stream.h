/*
 * stream.h: answers of work that takes long, as lines of JSON that come while it is done:
 *
 *   {"progress": {"accounts_done": 3, "accounts_total": 50, "bytes_done": 4711, "elapsed_ms": 900}}
 *   …                                                   one each second, also when nothing moves
 *   {"result": {…}}          or         {"error": "a sentence", "errno": "ETIMEDOUT"}
 *
 * The last line is the result or the error, and without it the answer is not whole. The work has a
 * thread of its own. It is told to stop when the server ends and when the client has gone.
 */
#ifndef MAILFS_CONTROL_STREAM_H
#define MAILFS_CONTROL_STREAM_H

#include <jansson.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "replication/replicator.h"

#define CONTROL_STREAM_BEAT_MS 1000
#define CONTROL_STREAM_CONTENT_TYPE "application/x-ndjson"

struct control_stream;

/* The head of some work, which embeds it. */
struct control_work {
	/* Does it, and returns the last line, a new reference; NULL: out of memory. */
	json_t *(*run)(struct control_work *work, struct control_stream *stream);
	void (*free)(struct control_work *work);
};

/* Starts the work and makes the answer of it; the work is freed with the answer, or here if this
 * fails (NULL: no thread or no memory). `server_stopping` outlives it. */
struct MHD_Response *control_stream_new(
	struct control_work *work, const _Atomic bool *server_stopping);

/* ---- for the work, in its thread */

/* Set when it is to stop. */
const _Atomic bool *control_stream_stopping(const struct control_stream *stream);

/* As replicator_progress_fn; `arg` is the stream. Cheap: only the last one before each beat counts.
 */
void control_stream_progress(void *arg, const struct replicator_progress *progress);

uint64_t control_stream_elapsed_ms(const struct control_stream *stream);

#endif
