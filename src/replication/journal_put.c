#include <config.h>
#include "replication/journal_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/log.h"

void journal_put_free(struct journal_put *put)
{
	if (put == NULL)
		return;
	frame_done(&put->frame);
	for (size_t i = 0; i < put->n_contents; i++)
		free(put->contents[i]);
	free(put->contents);
	free(put);
}

/* Smoothed; a put that was looked at again has no duration. */
static void note_duration_locked(struct journal *j, const struct journal_put *put) REQUIRES(j->lock)
{
	uint64_t took_ms = clock_monotonic_ms() - put->started_ms;

	if (put->failures > 0 || put->looks)
		return;
	if (took_ms > JOURNAL_LONGEST_PACE_MS)
		took_ms = JOURNAL_LONGEST_PACE_MS;
	j->put_ms = j->put_ms == 0 ? took_ms : (3 * j->put_ms + took_ms + 2) / 4;
}

static void finish_locked(struct journal *j, struct journal_put *put) REQUIRES(j->lock)
{
	put->state = JOURNAL_PUT_DONE;
	put->segment->n_left--;
	j->memory_bytes -= put->frame.size_bytes;
	j->put_bytes += put->frame.size_bytes;
	if (put->part > 0) {
		j->put_parts++;
	} else {
		j->put_segments++;
		note_duration_locked(j, put);
	}
	j->last_error = 0;
	for (size_t i = 0; i < put->n_contents; i++) {
		free(put->contents[i]);
		put->contents[i] = NULL;
	}
}

static void fail_locked(struct journal *j, struct journal_put *put, int error) REQUIRES(j->lock)
{
	if (put->failures == 0)
		log_warning("%s cannot be put: %s", put->key, strerror(-error));
	put->state = JOURNAL_PUT_WAITS;
	put->not_before_ms = clock_monotonic_ms() + journal_pause_ms(put->failures++);
	j->last_error = error;
	j->failures++;
}

static void fence_locked(struct journal *j, struct journal_put *put) REQUIRES(j->lock)
{
	log_error("%s was written by another node, which has taken over the volume: nothing is "
		  "acknowledged here any more",
		put->key);
	put->state = JOURNAL_PUT_WAITS;
	j->error = j->last_error = -ESTALE;
	node_fence(j->node); /* also when nobody waits */
}

static void settle_put_locked(struct journal *j, struct journal_put *put, int error)
	REQUIRES(j->lock)
{
	if (error == 0) {
		finish_locked(j, put);
	} else if (error == -EEXIST) { /* perhaps by an attempt whose answer was lost */
		put->state = JOURNAL_PUT_WAITS;
		put->looks = true;
	} else {
		fail_locked(j, put, error);
	}
}

/* The head has a checksum of all of the rest. */
static bool is_ours(const struct journal_put *put, const struct backend_result *result)
{
	return result->object_size_bytes == put->frame.size_bytes &&
	       result->data_size_bytes == put->frame.head_bytes &&
	       memcmp(result->data, put->frame.head, put->frame.head_bytes) == 0;
}

static void settle_look_locked(struct journal *j, struct journal_put *put,
	const struct backend_result *result) REQUIRES(j->lock)
{
	if (result->error == 0 && is_ours(put, result)) {
		finish_locked(j, put);
	} else if (result->error == 0) {
		fence_locked(j, put);
	} else {
		put->looks = result->error != -ENOENT;
		fail_locked(j, put, result->error);
	}
}

static void done(struct backend_result *result, void *arg)
{
	struct journal_put *put = arg;
	struct journal *j = put->segment->journal;

	failpoint(put->part > 0 ? "journal.part_put" : "journal.put");
	lock_acquire(&j->lock);
	if (put->looks)
		settle_look_locked(j, put, result);
	else
		settle_put_locked(j, put, result->error);
	j->n_running--;
	journal_tell_locked(j);
	lock_release(&j->lock);
}

/* Parts may replace what an earlier attempt at this segment left: nothing names that. */
static void start(struct journal *j, struct journal_put *put)
{
	struct backend_call call = {.priority = BACKEND_COMMIT,
		.timeout_ms = JOURNAL_PUT_TIMEOUT_MS,
		.done = done,
		.arg = put,
		.cancellation = &j->cancellation};
	struct backend_condition condition = {.type = BACKEND_IF_ABSENT};

	if (put->part > 0 || j->options.plain_puts)
		condition.type = BACKEND_ALWAYS;
	if (put->looks)
		backend_get(j->backend, put->key, 0, put->frame.head_bytes, &call);
	else
		backend_put(j->backend, put->key, put->frame.parts, put->frame.n_parts, &condition,
			&call);
}

static bool can_run(const struct journal_put *put)
{
	if (put->state != JOURNAL_PUT_WAITS)
		return false;
	return put->part > 0 || put->segment->n_left == 1;
}

/* The first in order that is due, or NULL. */
static struct journal_put *find_due_locked(struct journal *j, uint64_t *ret_next_ms)
	REQUIRES(j->lock)
{
	uint64_t now_ms = clock_monotonic_ms();

	for (struct list_node *n = j->segments.next; n != &j->segments; n = n->next) {
		struct journal_segment *s = LIST_ENTRY(n, struct journal_segment, node);

		for (size_t i = 0; i < s->n_puts && !s->is_dropped; i++) {
			struct journal_put *put = s->puts[i];

			if (!can_run(put))
				continue;
			if (put->not_before_ms <= now_ms)
				return put;
			if (put->not_before_ms < *ret_next_ms)
				*ret_next_ms = put->not_before_ms;
		}
	}
	return NULL;
}

void journal_put_start_locked(struct journal *j, uint64_t *ret_next_ms)
{
	struct journal_put *put;

	while (j->error == 0 && !j->is_stopping &&
		(put = find_due_locked(j, ret_next_ms)) != NULL) {
		put->state = JOURNAL_PUT_RUNS;
		put->started_ms = clock_monotonic_ms();
		j->n_running++;
		lock_release(&j->lock);
		start(j, put); /* which may complete it at once, when the backend is shut down */
		lock_acquire(&j->lock);
	}
}
