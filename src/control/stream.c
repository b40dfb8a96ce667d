#include <config.h>
#include "control/stream.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "util/clock.h"
#include "util/lock.h"

/* How soon the end of the server is seen. */
#define LOOK_MS 200
#define BLOCK_BYTES 4096

struct control_stream {
	struct control_work *work;
	const _Atomic bool *server_stopping;
	_Atomic bool stopping;
	pthread_t thread;
	uint64_t started_ms;

	struct lock lock; /* progress, last_line, done */
	struct lock_condition ended;
	struct replicator_progress progress;
	char *last_line; /* NULL with done: no memory for it */
	bool done;

	/* Of the connection's thread. */
	char *line; /* what is being sent, or NULL */
	size_t line_bytes, sent_bytes;
	uint64_t next_beat_ms;
	bool last_sent;
};

/* One line, malloc()ed; gives the reference back. */
static char *line_of(json_t *root)
{
	char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
	size_t n = text != NULL ? strlen(text) : 0;
	char *line = text != NULL ? malloc(n + 2) : NULL;

	json_decref(root);
	if (line != NULL) {
		memcpy(line, text, n);
		memcpy(line + n, "\n", 2);
	}
	free(text);
	return line;
}

static void *run(void *arg)
{
	struct control_stream *s = arg;
	char *line = line_of(s->work->run(s->work, s));

	lock_acquire(&s->lock);
	s->last_line = line;
	s->done = true;
	lock_condition_signal(&s->ended);
	lock_release(&s->lock);
	return NULL;
}

static char *progress_line(const struct control_stream *s, const struct replicator_progress *p)
{
	return line_of(json_pack("{s:{s:I, s:I, s:I, s:I}}", "progress", "accounts_done",
		(json_int_t)p->accounts_done, "accounts_total", (json_int_t)p->accounts_total,
		"bytes_done", (json_int_t)p->bytes_done, "elapsed_ms",
		(json_int_t)control_stream_elapsed_ms(s)));
}

/* Waits for the next line; NULL: no memory. */
static char *next_line(struct control_stream *s)
{
	struct replicator_progress progress;
	char *line = NULL;
	bool done;

	lock_acquire(&s->lock);
	while (!s->done && clock_monotonic_ms() < s->next_beat_ms) {
		(void)lock_condition_wait_until(
			&s->ended, &s->lock, clock_monotonic_ms() + LOOK_MS);
		if (atomic_load(s->server_stopping))
			atomic_store(&s->stopping, true);
	}
	done = s->done;
	progress = s->progress;
	if (done) {
		line = s->last_line;
		s->last_line = NULL;
	}
	lock_release(&s->lock);
	s->last_sent = done;
	s->next_beat_ms = clock_monotonic_ms() + CONTROL_STREAM_BEAT_MS;
	return done ? line : progress_line(s, &progress);
}

/* As libmicrohttpd asks for bytes, in the connection's thread, which may block. */
static ssize_t give_bytes(void *arg, uint64_t position, char *buffer, size_t max_bytes)
{
	struct control_stream *s = arg;
	size_t n;

	(void)position;
	if (s->line == NULL) {
		if (s->last_sent)
			return MHD_CONTENT_READER_END_OF_STREAM;
		s->line = next_line(s);
		if (s->line == NULL)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		s->line_bytes = strlen(s->line);
		s->sent_bytes = 0;
	}
	n = s->line_bytes - s->sent_bytes < max_bytes ? s->line_bytes - s->sent_bytes : max_bytes;
	memcpy(buffer, s->line + s->sent_bytes, n);
	s->sent_bytes += n;
	if (s->sent_bytes == s->line_bytes) {
		free(s->line);
		s->line = NULL;
	}
	return (ssize_t)n;
}

static void free_stream(struct control_stream *s)
{
	s->work->free(s->work);
	free(s->last_line);
	free(s->line);
	lock_condition_done(&s->ended);
	lock_done(&s->lock);
	free(s);
}

/* The answer has been sent, or the client has gone. */
static void end_stream(void *arg)
{
	struct control_stream *s = arg;

	atomic_store(&s->stopping, true);
	(void)pthread_join(s->thread, NULL);
	free_stream(s);
}

struct MHD_Response *control_stream_new(
	struct control_work *work, const _Atomic bool *server_stopping)
{
	struct control_stream *s = calloc(1, sizeof(*s));
	struct MHD_Response *response;

	if (s == NULL) {
		work->free(work);
		return NULL;
	}
	s->work = work;
	s->server_stopping = server_stopping;
	s->started_ms = clock_monotonic_ms();
	s->next_beat_ms = s->started_ms + CONTROL_STREAM_BEAT_MS;
	lock_init(&s->lock);
	lock_condition_init(&s->ended);
	if (pthread_create(&s->thread, NULL, run, s) != 0) {
		free_stream(s);
		return NULL;
	}
	(void)pthread_setname_np(s->thread, "mfs-control");
	response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, BLOCK_BYTES, give_bytes, s, end_stream);
	if (response == NULL)
		end_stream(s);
	return response;
}

const _Atomic bool *control_stream_stopping(const struct control_stream *stream)
{
	return &stream->stopping;
}

void control_stream_progress(void *arg, const struct replicator_progress *progress)
{
	struct control_stream *s = arg;

	lock_acquire(&s->lock);
	s->progress = *progress;
	lock_release(&s->lock);
}

uint64_t control_stream_elapsed_ms(const struct control_stream *stream)
{
	return clock_monotonic_ms() - stream->started_ms;
}
