/*
 * put_window.h: objects on their way to the backend, several at a time, within a bound of memory.
 *
 * For one thread; completions of the backend only note what has come. All puts have
 * BACKEND_BACKGROUND.
 */
#ifndef MAILFS_REPLICATION_PUT_WINDOW_H
#define MAILFS_REPLICATION_PUT_WINDOW_H

#include "backends/backend.h"
#include "replication/frame.h"

#define PUT_WINDOW_TIMEOUT_MS 300000 /* of each put, retries included */

struct put_window;

/* max_bytes of objects, but at least one; max_puts of them. The backend outlives it. NULL without
 * memory. */
struct put_window *put_window_new(
	struct backend *backend, uint64_t max_bytes, unsigned int max_puts);

/* Waits for room, then begins. Takes over the frame, and the n_contents blocks that it points to,
 * which are freed when the put has ended; also on failure. -ENOMEM. */
int put_window_put(struct put_window *window, const char *key, enum backend_condition_type type,
	struct frame *frame, void **contents, size_t n_contents, void *arg);

/* What has ended and was not taken; NULL: none. *ret_error 0 or negative errno. */
void *put_window_take(struct put_window *window, int *ret_error);

/* Waits until all that was begun has ended. */
void put_window_drain(struct put_window *window);

/* Puts that have not begun to run end with -ECANCELED. Any thread. */
void put_window_cancel(struct put_window *window);

/* After put_window_drain(). NULL is allowed. */
void put_window_free(struct put_window *window);

#endif
