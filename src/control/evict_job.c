#include <config.h>
#include "control/actions.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/key.h"
#include "control/job.h"
#include "control/request_fields.h"
#include "fs/account_names.h"
#include "util/cleanup.h"

#define DEFAULT_TIMEOUT_MS (10 * 60 * 1000)

/* So many accounts are flushed and dropped together: few enough that little time passes between the
 * look at their open files and their end, and that none is away for long. */
#define GROUP 32

/* ---- bodies only: the local copies beyond a size */

static struct control_answer evict_bodies(const struct control_request *request)
{
	uint64_t keep_bytes = 0, evicted_bytes = 0;
	const struct request_field fields[] = {
		{.name = "keep_bytes", .number = &keep_bytes, .max = INT64_MAX}, {.name = NULL}};
	struct node_figures figures = {0};
	CLEANUP_FREE char *message = NULL;
	int r = request_fields_take(request, fields, &message);

	if (r < 0)
		return control_error(
			MHD_HTTP_BAD_REQUEST, r, "%s", message != NULL ? message : strerror(-r));
	r = node_evict(request->subject->node, keep_bytes, &evicted_bytes);
	if (r < 0)
		return control_error(MHD_HTTP_SERVICE_UNAVAILABLE, r,
			"cannot drop local copies: %s", strerror(-r));
	node_get_figures(request->subject->node, &figures);
	return control_json_answer(
		json_pack("{s:I, s:I}", "evicted_bytes", (json_int_t)evicted_bytes,
			"body_cache_bytes", (json_int_t)figures.body_cache_bytes));
}

/* ---- accounts */

struct eviction {
	struct job *job;
	uint64_t absent;  /* were not here */
	uint64_t skipped; /* in use, and nobody had named them */
	uint64_t evicted;
	struct open_files *open_files; /* when the group began; NULL: it does not matter */
};

/* Those that have not changed for long enough. */
static int choose_idle(struct job *job)
{
	struct account_set all = {.n = 0};
	int r = account_set_all(job->subject->fs, &all);

	for (size_t i = 0; i < all.n && r == 0; i++) {
		struct replicator_account a;

		if (replicator_get_account(job->subject->replicator, all.numbers[i], &a) &&
			a.place == REPLICATOR_HERE && a.idle_ms >= job->idle_ms)
			r = account_set_add(&job->accounts, all.names[i], all.numbers[i]);
	}
	account_set_done(&all);
	return r;
}

/* Inode numbers say which account they belong to. NULL: nobody. */
static char *who_uses(const struct open_files *files, uint32_t account)
{
	CLEANUP_FREE char *who = open_files_text(
		files, key_ino_compose(account, 0), key_ino_compose(account, KEY_INO_LOCAL_MAX));
	char *text = NULL;

	if (who != NULL && asprintf(&text,
				   "it is in use by %s; end that, or use --force to evict it all "
				   "the same",
				   who) < 0)
		text = NULL;
	return text;
}

/* False: it is refused, which is told, or there is nothing to do. */
static bool may_go(struct eviction *e, size_t i)
{
	struct job *job = e->job;
	const struct control_subject *subject = job->subject;
	uint32_t account = job->accounts.numbers[i];
	CLEANUP_FREE char *who = NULL;
	struct replicator_account a;

	if (account == ACCOUNT_NAMES_ROOT_NUMBER) {
		job_fail(job, account, -EBUSY,
			"the root account has the names of all others and stays here");
		return false;
	}
	if (replicator_get_account(subject->replicator, account, &a) &&
		a.place == REPLICATOR_ABSENT) {
		e->absent++;
		return false;
	}
	if (e->open_files != NULL)
		who = who_uses(e->open_files, account);
	if (who == NULL) {
		/* What the kernel keeps is right, and comes back the same: but it is memory. Before
		 * the account goes, since the kernel waits for those who look it up. */
		if (subject->drop_kernel_caches != NULL)
			subject->drop_kernel_caches(subject->source, job->accounts.names[i]);
		return true;
	}
	if (job->by_idle)
		e->skipped++;
	else
		job_fail(job, account, -EBUSY, who);
	return false;
}

static int evict_group(struct eviction *e, size_t first, size_t end)
{
	struct job *job = e->job;
	uint64_t failures_before;
	uint32_t numbers[GROUP];
	struct replicator_job r;
	size_t n = 0;
	int result;

	if (!job->force && job->subject->list_open_files != NULL)
		e->open_files = job->subject->list_open_files(job->subject->source);
	for (size_t i = first; i < end; i++) {
		if (may_go(e, i))
			numbers[n++] = job->accounts.numbers[i];
	}
	open_files_free(e->open_files);
	e->open_files = NULL;
	if (n == 0)
		return 0;
	failures_before = job->n_failures;
	r = job_for_replicator(job, numbers, n);
	result = replicator_evict(job->subject->replicator, &r);
	if (result == 0)
		e->evicted += n - (job->n_failures - failures_before);
	return result;
}

static json_t *run_evict(struct job *job)
{
	struct eviction e = {.job = job};
	int r = job->by_idle ? choose_idle(job) : 0;

	for (size_t i = 0; i < job->accounts.n && r == 0; i += GROUP) {
		size_t end = job->accounts.n - i < GROUP ? job->accounts.n : i + GROUP;

		r = job_is_stopping(job) ? -ECANCELED : evict_group(&e, i, end);
		job->accounts_before = end;
	}
	if (r < 0)
		return job_error(job, r,
			"%llu of %zu accounts were evicted, then: %s; the others are as they were",
			(unsigned long long)e.evicted, job->accounts.n, strerror(-r));
	return job_result(
		job, json_pack("{s:I, s:I, s:I, s:I}", "accounts", (json_int_t)job->accounts.n,
			     "evicted", (json_int_t)e.evicted, "absent", (json_int_t)e.absent,
			     "skipped", (json_int_t)e.skipped));
}

/* Bodies if that is all that is said. */
static bool is_about_accounts(const struct control_request *request)
{
	json_t *root = request->body_bytes > 0
			       ? json_loadb(request->body, request->body_bytes, 0, NULL)
			       : NULL;
	bool accounts = json_object_get(root, "accounts") != NULL ||
			json_object_get(root, "idle_ms") != NULL;

	json_decref(root);
	return accounts;
}

struct control_answer control_action_evict(const struct control_request *request)
{
	static const struct job_form form = {
		.verb = "evict",
		.run = run_evict,
		.default_timeout_ms = DEFAULT_TIMEOUT_MS,
		.takes_force = true,
		.takes_idle = true,
		.needs_accounts = true,
	};

	if (!is_about_accounts(request))
		return evict_bodies(request);
	if (request->subject->replicator == NULL)
		return control_error(MHD_HTTP_NOT_IMPLEMENTED, -EOPNOTSUPP,
			"accounts cannot leave a mount without replication");
	return job_start(request, &form);
}
