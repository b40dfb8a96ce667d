#include <config.h>
#include "backends/retry_backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/timers.h"
#include "backends/wrapper.h"
#include "util/checksum.h"
#include "util/clock.h"

#define DEFAULT_INITIAL_PAUSE_MS 50
#define DEFAULT_MAX_PAUSE_MS 5000

/* Errors after which another attempt may help; all others are final. `maybe_done`: the store may
 * have done what was asked. */
static const struct passing {
	int error;
	bool maybe_done;
} table[] = {
	{-EIO, true}, /* S3's 500 also */
	{-ETIMEDOUT, true},
	{-ECONNRESET, true},
	{-EPIPE, true},
	{-EHOSTUNREACH, true},
	{-ENETUNREACH, true},
	{-EINTR, true},
	{-EPROTO, true}, /* an answer that cannot be understood */
	{-ECONNREFUSED, false},
	{-EBUSY, true}, /* slow down; between us and the store somebody else may have said it */
	{-EAGAIN, false},
	{-ENOBUFS, false},
};

struct retry_backend {
	struct wrapper wrapper; /* first */
	struct timers *timers;
	struct retry_backend_options options;
	atomic_uint_least64_t last_random, retries, resolved, gave_up;
};

/* attempt -> done, or pause -> attempt, or (refused after a lost answer) read back -> done, or
 * pause -> read back, or (absent) attempt. */
struct retry_call {
	struct wrapper_call call; /* first */
	struct timer timer;
	uint32_t n_attempts;
	bool maybe_done;
	bool reads_back;
	int refusal; /* the answer that made it read back */
};

static const struct passing *find_passing(int error)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].error == error)
			return &table[i];
	}
	return NULL;
}

bool retry_backend_is_passing(int error)
{
	return find_passing(error) != NULL;
}

static struct retry_backend *retry_of(const struct retry_call *call)
{
	return (struct retry_backend *)(void *)call->call.wrapper;
}

static uint64_t random_number(struct retry_backend *retry)
{
	uint64_t n = atomic_fetch_add(&retry->last_random, 1);

	return checksum_64(&n, sizeof(n));
}

static uint64_t pause_ms(struct retry_call *call)
{
	struct retry_backend *retry = retry_of(call);
	uint32_t doublings = call->n_attempts > 16 ? 15 : call->n_attempts - 1;
	uint64_t pause = (uint64_t)retry->options.initial_pause_ms << doublings;

	if (pause > retry->options.max_pause_ms)
		pause = retry->options.max_pause_ms;
	return pause / 2 + random_number(retry) % (pause / 2 + 1);
}

static void attempt(struct retry_call *call);

static void pause_is_over(struct timer *timer, int error)
{
	struct retry_call *call = LIST_ENTRY(timer, struct retry_call, timer);

	if (error < 0)
		wrapper_call_complete_error(&call->call, error);
	else
		attempt(call);
}

/* Tries again after a pause; false when there is no time or attempt left. */
static bool try_again(struct retry_call *call)
{
	struct retry_backend *retry = retry_of(call);
	uint64_t due_ms = clock_monotonic_ms() + pause_ms(call);

	if (due_ms >= call->call.deadline_ms ||
		(retry->options.max_attempts != 0 &&
			call->n_attempts >= retry->options.max_attempts)) {
		atomic_fetch_add(&retry->gave_up, 1);
		return false;
	}
	atomic_fetch_add(&retry->retries, 1);
	call->timer.fire = pause_is_over;
	call->timer.due_ms = due_ms;
	call->timer.cancellation = call->call.call.cancellation;
	timers_add(retry->timers, &call->timer);
	return true;
}

static bool is_own_content(const struct wrapper_call *call, const struct backend_result *result)
{
	const char *data = result->data;

	if (result->object_size_bytes != backend_parts_size_bytes(call->parts, call->n_parts) ||
		result->data_size_bytes != result->object_size_bytes)
		return false;
	for (int i = 0; i < call->n_parts; i++) {
		size_t size = call->parts[i].iov_len;

		if (size == 0)
			continue;
		if (memcmp(data, call->parts[i].iov_base, size) != 0)
			return false;
		data += size;
	}
	return true;
}

/* The condition was refused, and somebody's object is there: whose? */
static void read_back_done(struct backend_result *result, void *arg)
{
	struct retry_call *call = arg;
	struct backend_result answer = {.error = call->refusal};

	if (result->error == 0 && is_own_content(&call->call, result)) {
		answer.error = 0;
		answer.version = result->version;
		atomic_fetch_add(&retry_of(call)->resolved, 1);
	} else if (result->error == -ENOENT && call->refusal == -EEXIST) {
		call->reads_back = false; /* it went meanwhile: put it anew */
		if (try_again(call))
			return;
		answer.error = -EIO;
	} else if (find_passing(result->error) != NULL && try_again(call)) {
		return;
	} else if (result->error == -ECANCELED) {
		answer.error = -ECANCELED; /* may have taken place */
	} else if (result->error != 0 || call->refusal == -ESTALE) {
		answer.error = -EIO; /* may have taken place, and have been replaced since */
	}
	wrapper_call_complete(&call->call, &answer);
}

static void read_back(struct retry_call *call)
{
	struct wrapper_call *put = &call->call;
	uint64_t now_ms = clock_monotonic_ms();
	struct backend_call get = {
		.priority = put->call.priority,
		.timeout_ms = put->deadline_ms > now_ms ? (uint32_t)(put->deadline_ms - now_ms) : 1,
		.done = read_back_done,
		.arg = call,
		.cancellation = put->call.cancellation,
	};

	call->reads_back = true;
	backend_get(put->wrapper->next, put->key, 0,
		backend_parts_size_bytes(put->parts, put->n_parts) + 1, &get);
}

static bool is_refusal(const struct wrapper_call *call, int error)
{
	if (call->operation != WRAPPER_PUT)
		return false;
	return (call->condition.type == BACKEND_IF_ABSENT && error == -EEXIST) ||
	       (call->condition.type == BACKEND_IF_VERSION && error == -ESTALE);
}

static void attempt_done(struct backend_result *result, void *arg)
{
	struct retry_call *call = arg;
	const struct passing *passing = find_passing(result->error);

	if (call->maybe_done && is_refusal(&call->call, result->error)) {
		call->refusal = result->error;
		read_back(call);
		return;
	}
	if (passing != NULL) {
		call->maybe_done |= passing->maybe_done;
		if (try_again(call))
			return;
	}
	wrapper_call_complete(&call->call, result);
}

/* 0: no limit. */
static uint32_t attempt_limit_ms(const struct retry_call *call)
{
	const struct retry_backend_options *o = &retry_of(call)->options;
	uint64_t limit_ms = o->attempt_timeout_ms;

	if (limit_ms != 0 && o->attempt_bytes_per_s != 0 && call->call.operation == WRAPPER_PUT)
		limit_ms += backend_parts_size_bytes(call->call.parts, call->call.n_parts) /
			    o->attempt_bytes_per_s * 1000;
	return limit_ms < UINT32_MAX ? (uint32_t)limit_ms : 0;
}

static void attempt(struct retry_call *call)
{
	call->n_attempts++;
	if (call->reads_back)
		read_back(call);
	else
		wrapper_call_forward(&call->call, attempt_limit_ms(call), attempt_done);
}

static void start(struct wrapper_call *call)
{
	attempt((struct retry_call *)(void *)call);
}

static void retry_cancel(struct backend *b)
{
	struct retry_backend *retry = (struct retry_backend *)(void *)b;

	timers_look_for_cancelled(retry->timers);
	backend_look_for_cancelled(retry->wrapper.next);
}

static void retry_shutdown(struct backend *b)
{
	struct retry_backend *retry = (struct retry_backend *)(void *)b;

	timers_shutdown(retry->timers);
	backend_shutdown(retry->wrapper.next);
}

static void retry_free(struct backend *b)
{
	struct retry_backend *retry = (struct retry_backend *)(void *)b;

	backend_free(retry->wrapper.next);
	timers_free(retry->timers);
	free(retry);
}

static const struct backend_ops retry_ops = {
	.name = "retry",
	.answer = wrapper_answer,
	.put = wrapper_put,
	.get = wrapper_get,
	.head = wrapper_head,
	.copy = wrapper_copy,
	.remove = wrapper_remove,
	.remove_many = wrapper_remove_many,
	.list = wrapper_list,
	.space = wrapper_space,
	.get_capabilities = wrapper_get_capabilities,
	.cancel = retry_cancel,
	.shutdown = retry_shutdown,
	.free = retry_free,
};

int retry_backend_new(
	struct backend *next, const struct retry_backend_options *options, struct backend **ret)
{
	struct retry_backend *retry = calloc(1, sizeof(*retry));
	int r = retry == NULL ? -ENOMEM : timers_new("retry", &retry->timers);

	if (r < 0) {
		backend_free(next);
		free(retry);
		return r;
	}
	retry->wrapper = (struct wrapper){
		.base.ops = &retry_ops,
		.next = next,
		.call_size_bytes = sizeof(struct retry_call),
		.start = start,
	};
	if (options != NULL)
		retry->options = *options;
	if (retry->options.initial_pause_ms == 0)
		retry->options.initial_pause_ms = DEFAULT_INITIAL_PAUSE_MS;
	if (retry->options.max_pause_ms == 0)
		retry->options.max_pause_ms = DEFAULT_MAX_PAUSE_MS;
	atomic_init(&retry->last_random, clock_monotonic_ns());
	*ret = &retry->wrapper.base;
	return 0;
}

void retry_backend_read(struct backend *b, struct retry_backend_figures *ret)
{
	struct retry_backend *retry = (struct retry_backend *)(void *)b;

	ret->retries = atomic_load(&retry->retries);
	ret->resolved = atomic_load(&retry->resolved);
	ret->gave_up = atomic_load(&retry->gave_up);
}
