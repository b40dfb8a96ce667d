/*
 * job.h: long work on accounts: what flush, evict and warm have in common. A job is the work of one
 * stream (stream.h); its result tells of each account that it did not work for, and the rest went
 * on all the same.
 */
#ifndef MAILFS_CONTROL_JOB_H
#define MAILFS_CONTROL_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "control/account_set.h"
#include "control/actions.h"
#include "control/stream.h"

/* More are counted, but not named. */
#define JOB_MAX_NAMED_FAILURES 1000

struct job;
typedef json_t *job_run_fn(struct job *job);

struct job {
	struct control_work work;
	job_run_fn *run;
	const char *verb;
	const struct control_subject *subject;
	struct control_stream *stream; /* while it runs */

	/* What is asked for. */
	struct account_set accounts;
	bool all; /* instead of `accounts` */
	bool by_idle;
	uint64_t idle_ms; /* the accounts that have not changed for so long */
	uint64_t timeout_ms;
	bool with_checkpoint, force;

	/* What comes of it. */
	uint64_t accounts_before; /* done by earlier calls of replication */
	json_t *failures;         /* {account, error, errno} */
	uint64_t n_failures;
	struct account_set names; /* of accounts that failed, when `accounts` does not have them */
	bool names_tried;
};

/* How a verb's request looks. */
struct job_form {
	const char *verb;
	job_run_fn *run;
	uint64_t default_timeout_ms;
	bool takes_checkpoint, takes_force, takes_idle;
	bool needs_accounts; /* else none means all */
};

/* The answer is the job, to be started, or a refusal. */
struct control_answer job_start(const struct control_request *request, const struct job_form *form);

uint64_t job_left_ms(const struct job *job);
bool job_is_stopping(const struct job *job);

/* What replication is to do with these accounts; numbers NULL: with all. */
struct replicator_job job_for_replicator(struct job *job, const uint32_t *numbers, size_t n);

/* It did not work for this account; reason: a sentence, NULL: what the error says. */
void job_fail(struct job *job, uint32_t account, int error, const char *reason);

/* The last line of the stream: the result with `result`'s fields (taken), or an error. */
json_t *job_result(struct job *job, json_t *result);
json_t *job_error(struct job *job, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
