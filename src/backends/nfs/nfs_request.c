#include <config.h>
#include "backends/nfs/nfs_request.h"

#include <errno.h>
#include "util/clock.h"

static void landed(enum nfs_flight_end end, int error, void *owner)
{
	struct nfs_request *request = owner;

	request->flight = NULL;
	if (end == NFS_LOST) {
		request->is_repeated = true;
	} else {
		request->error = error;
		request->is_done = true;
	}
	nfs_task_wake(request->task);
}

static void abandon(struct nfs_request *requests, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (requests[i].flight != NULL)
			nfs_flight_abandon(requests[i].flight);
		requests[i].flight = NULL;
	}
}

static int send_missing(
	struct nfs_task *task, struct nfs_connection *c, struct nfs_request *requests, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct nfs_request *request = &requests[i];
		int r;

		if (request->is_done || request->flight != NULL)
			continue;
		request->task = task;
		r = nfs_connection_send(c, request->procedure, request->args, request->out, landed,
			request, &request->flight);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool all_are_done(const struct nfs_request *requests, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!requests[i].is_done)
			return false;
	}
	return true;
}

/* Sends what is not under way and waits for some change. */
static int step(
	struct nfs_task *task, struct nfs_connection *c, struct nfs_request *requests, size_t n)
{
	int r = 0;

	if (nfs_connection_is_up(c))
		r = send_missing(task, c, requests, n);
	else if (task->fails_fast && nfs_connection_failures(c) >= NFS_FAST_ATTEMPTS)
		r = -EHOSTUNREACH;
	else
		nfs_connection_want(c);
	return r < 0 ? r : nfs_task_wait(task, UINT64_MAX);
}

/* Marks what the server wants to be asked later. */
static bool take_back_busy(struct nfs_request *requests, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (requests[i].error == -EBUSY) {
			requests[i].is_done = false;
			requests[i].error = 0;
			any = true;
		}
	}
	return any;
}

static int pause_before_repeat(struct nfs_task *task, uint32_t *pause_ms)
{
	uint64_t until_ms = clock_monotonic_ms() + *pause_ms;
	int r = 0;

	*pause_ms = 2 * *pause_ms > NFS_LATER_MAX_MS ? NFS_LATER_MAX_MS : 2 * *pause_ms;
	while (r == 0)
		r = nfs_task_wait(task, until_ms);
	return r == -EAGAIN ? 0 : r;
}

int nfs_requests_run(
	struct nfs_task *task, struct nfs_connection *c, struct nfs_request *requests, size_t n)
{
	uint32_t pause_ms = NFS_LATER_MIN_MS;
	int r = nfs_task_check(task);

	while (r == 0 && !all_are_done(requests, n)) {
		r = step(task, c, requests, n);
		if (r == 0 && all_are_done(requests, n) && take_back_busy(requests, n))
			r = pause_before_repeat(task, &pause_ms);
	}
	if (r < 0)
		abandon(requests, n);
	return r;
}

int nfs_request_run(struct nfs_task *task, struct nfs_connection *c,
	const struct nfs_procedure *procedure, void *args, void *out, bool *ret_is_repeated)
{
	struct nfs_request request = {.procedure = procedure, .args = args, .out = out};
	int r = nfs_requests_run(task, c, &request, 1);

	if (ret_is_repeated != NULL)
		*ret_is_repeated = request.is_repeated;
	return r < 0 ? r : request.error;
}
