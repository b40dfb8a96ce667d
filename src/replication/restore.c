#include <config.h>
#include "replication/restore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cache/replay.h"
#include "cache/shipped.h"
#include "replication/fetch_queue.h"
#include "util/cleanup.h"
#include "util/failpoint.h"
#include "util/list.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/message.h"

struct waiter {
	struct list_node node;
	restore_done_fn *done;
	void *arg;
};

struct job {
	struct list_node node;
	struct restore *restore;
	uint32_t account;
	enum backend_priority priority; /* set when it begins to run: the highest asked for */
	bool running;
	struct list_node waiters; /* protected by the restore's lock until it ends */

	/* While it runs; its thread's. */
	struct catalogue_plan plan;
	struct fetch_queue *queue;
	struct replay *replay;
	size_t next;             /* section to fetch */
	uint64_t fetching_bytes; /* begun and not applied */
	char *message;
};

struct restore {
	struct restore_options options;
	struct lock lock;
	struct lock_condition changed;
	struct list_node jobs; /* waiting and running; protected by lock */
	atomic_bool stopping;
	unsigned int n_threads;
	pthread_t threads[RESTORE_MAX_THREADS];
};

/* ---- one account */

static int bad_section(struct job *job, const struct catalogue_section *section, const char *how)
{
	return message_set(&job->message, -EBADMSG,
		"account %" PRIu32 " cannot be restored: its section at %" PRIu64 " of %s: %s",
		job->account, section->offset_bytes, section->key, how);
}

static bool has_room(const struct job *job)
{
	const struct catalogue_section *section = &job->plan.sections[job->next];
	size_t length = fetch_queue_length(job->queue);

	if (length == 0)
		return true;
	return length < RESTORE_READS_IN_FLIGHT &&
	       job->fetching_bytes + section->info.stored_bytes <= RESTORE_WINDOW_BYTES;
}

static int fetch_ahead(struct job *job)
{
	int r = 0;

	while (r == 0 && job->next < job->plan.n_sections && has_room(job)) {
		struct catalogue_section *section = &job->plan.sections[job->next++];

		job->fetching_bytes += section->info.stored_bytes;
		r = fetch_queue_get(job->queue, section->key, section->offset_bytes,
			section->info.stored_bytes, section);
	}
	return r;
}

static int apply_record(struct job *job, const struct section_record *record)
{
	enum store_table table = record->table == SECTION_META ? STORE_META : STORE_DATA;

	if (record->to != NULL)
		return replay_remove_range(job->replay, table, record->key, record->key_bytes,
			record->to, record->to_bytes);
	if (record->is_removal)
		return replay_remove(job->replay, table, record->key, record->key_bytes);
	return replay_put(job->replay, table, record->key, record->key_bytes, record->value,
		record->value_bytes);
}

static int apply_section(struct job *job, const struct catalogue_section *section,
	const struct fetch_queue_result *read)
{
	struct section_reader reader;
	struct section_record record;
	const char *problem = NULL;
	int r = section_reader_open(
		&reader, &section->info, read->data, read->size_bytes, &problem);

	if (r == -EBADMSG)
		return bad_section(job, section, problem);
	if (r < 0)
		return r;
	if (section->begins_step)
		r = replay_step(job->replay);
	while (r == 0 && section_reader_next(&reader, &record))
		r = apply_record(job, &record);
	section_reader_close(&reader);
	return r == -EBADMSG ? bad_section(job, section, "a record is none, or out of order") : r;
}

static int take_section(struct job *job)
{
	struct fetch_queue_result read;
	const struct catalogue_section *section;
	int r = fetch_queue_take(job->queue, &read);

	if (r < 0)
		return r;
	section = read.arg;
	job->fetching_bytes -= section->info.stored_bytes;
	r = read.error;
	if (r == -ENOENT || r == -ERANGE)
		r = bad_section(job, section, "it is missing");
	else if (r < 0)
		(void)message_set(
			&job->message, r, "%s cannot be read: %s", section->key, strerror(-r));
	else
		r = apply_section(job, section, &read);
	free(read.data);
	return r;
}

static int load_sections(struct job *job)
{
	int r = fetch_ahead(job);

	while (r == 0 && fetch_queue_length(job->queue) > 0) {
		r = atomic_load(&job->restore->stopping) ? -ECANCELED : take_section(job);
		if (r == 0)
			r = fetch_ahead(job);
	}
	return r;
}

static int refuse_uncertain(struct job *job)
{
	char key[POSITION_SEGMENT_KEY_BYTES], checkpoint[POSITION_CHECKPOINT_KEY_BYTES];

	if (job->plan.uncertain_checkpoint != 0) {
		position_checkpoint_key(job->account, job->plan.uncertain_checkpoint, checkpoint);
		return message_set(&job->message, -EBADMSG,
			"account %" PRIu32 " may lack its last changes: %s cannot be read, and "
			"segments that it had may have been removed",
			job->account, checkpoint);
	}
	position_segment_key(&job->plan.uncertain_from, 0, key);
	return message_set(&job->message, -EBADMSG,
		"account %" PRIu32 " may lack changes from %s on: this segment is missing or "
		"damaged, or was, and is a seal now",
		job->account, key);
}

static int make_plan(struct job *job)
{
	const struct restore_options *o = &job->restore->options;
	int r = catalogue_plan(
		o->catalogue, job->account, job->priority, &job->plan, &job->message);

	if (r == 0 && job->plan.is_uncertain && !o->accepts_uncertain)
		r = refuse_uncertain(job);
	return r;
}

static int finish(struct job *job)
{
	const struct restore_options *o = &job->restore->options;
	const struct position *last = &job->plan.last;
	struct shipped_position latest = {last->node, last->incarnation, last->sequence};
	int r;

	/* Before the account is here: a crash between leaves an account that is loaded again. */
	r = shipped_set_latest(o->node, job->account, &latest);
	failpoint("restore.latest");
	if (r < 0)
		return r;
	r = replay_finish(
		TAKE_PTR(job->replay), catalogue_next_account(o->catalogue), &job->message);
	failpoint("restore.finished");

	/* The account is whole without it: the next start of the node ends them. */
	if (r == 0 && o->ends_orphans && replay_end_orphans(o->node, job->account) < 0)
		log_warning("account %" PRIu32 ": files without names could not be removed",
			job->account);
	return r;
}

static int load(struct job *job)
{
	const struct restore_options *o = &job->restore->options;
	int r = make_plan(job);

	if (r == 0)
		r = replay_begin(o->node, job->account, &job->replay);
	if (r == 0) {
		job->queue = fetch_queue_new(o->backend, job->priority, o->cancellation);
		r = job->queue == NULL ? -ENOMEM : load_sections(job);
	}
	fetch_queue_free(job->queue);
	if (r == 0)
		r = finish(job);
	replay_abort(TAKE_PTR(job->replay));
	return r;
}

/* ---- jobs */

/* The job is out of the list: nobody can join it any more. */
static void answer(struct job *job, int error)
{
	struct restore_result result = {
		.account = job->account,
		.error = error,
		.message = error < 0 ? job->message : NULL,
		.last = job->plan.last,
		.is_uncertain = job->plan.is_uncertain,
		.n_sections = job->plan.n_sections,
		.stored_bytes = job->plan.stored_bytes,
		.time_ms = job->plan.time_ms,
		.is_early = job->plan.is_early,
	};
	struct list_node *node;

	while ((node = list_take_first(&job->waiters)) != NULL) {
		struct waiter *w = LIST_ENTRY(node, struct waiter, node);

		w->done(w->arg, &result);
		free(w);
	}
	catalogue_plan_done(&job->plan);
	free(job->message);
	free(job);
}

/* The first that waits, readers before others. */
static struct job *choose_locked(struct restore *restore) REQUIRES(restore->lock)
{
	struct job *best = NULL;

	for (struct list_node *n = restore->jobs.next; n != &restore->jobs; n = n->next) {
		struct job *job = LIST_ENTRY(n, struct job, node);

		if (!job->running && (best == NULL || job->priority < best->priority))
			best = job;
	}
	return best;
}

static void *run(void *arg)
{
	struct restore *restore = arg;
	struct job *job;
	int r;

	lock_acquire(&restore->lock);
	while (!atomic_load(&restore->stopping)) {
		job = choose_locked(restore);
		if (job == NULL) {
			lock_condition_wait(&restore->changed, &restore->lock);
			continue;
		}
		job->running = true;
		lock_release(&restore->lock);
		r = load(job);
		lock_acquire(&restore->lock);
		list_remove(&job->node);
		lock_release(&restore->lock);
		answer(job, r);
		lock_acquire(&restore->lock);
	}
	lock_release(&restore->lock);
	return NULL;
}

static struct job *find_locked(struct restore *restore, uint32_t account) REQUIRES(restore->lock)
{
	for (struct list_node *n = restore->jobs.next; n != &restore->jobs; n = n->next) {
		struct job *job = LIST_ENTRY(n, struct job, node);

		if (job->account == account)
			return job;
	}
	return NULL;
}

int restore_account(struct restore *restore, uint32_t account, enum backend_priority priority,
	restore_done_fn *done, void *arg)
{
	struct job *fresh = calloc(1, sizeof(*fresh)), *job = NULL;
	struct waiter *w = calloc(1, sizeof(*w));
	int r = fresh == NULL || w == NULL ? -ENOMEM : 0;

	lock_acquire(&restore->lock);
	if (r == 0 && atomic_load(&restore->stopping))
		r = -ECANCELED;
	if (r == 0) {
		*w = (struct waiter){.done = done, .arg = arg};
		job = find_locked(restore, account);
		if (job == NULL) {
			job = fresh;
			job->restore = restore;
			job->account = account;
			job->priority = priority;
			list_init(&job->waiters);
			list_append(&restore->jobs, &job->node);
			lock_condition_signal(&restore->changed);
		}
		if (!job->running && priority < job->priority)
			job->priority = priority;
		list_append(&job->waiters, &w->node);
	}
	lock_release(&restore->lock);
	if (job != fresh)
		free(fresh);
	if (r < 0)
		free(w);
	return r;
}

/* ---- life */

int restore_new(const struct restore_options *options, struct restore **ret)
{
	struct restore *restore = calloc(1, sizeof(*restore));
	unsigned int n = options->n_threads ? options->n_threads : RESTORE_DEFAULT_THREADS;
	int r = 0;

	if (restore == NULL)
		return -ENOMEM;
	restore->options = *options;
	lock_init(&restore->lock);
	lock_condition_init(&restore->changed);
	list_init(&restore->jobs);
	for (unsigned int i = 0; i < n && i < RESTORE_MAX_THREADS && r == 0; i++) {
		r = -pthread_create(&restore->threads[i], NULL, run, restore);
		if (r == 0) {
			restore->n_threads++;
			pthread_setname_np(restore->threads[i], "mfs-restore");
		}
	}
	if (restore->n_threads == 0) {
		restore_free(restore);
		return r;
	}
	*ret = restore;
	return 0;
}

void restore_stop(struct restore *restore)
{
	struct list_node *node;

	lock_acquire(&restore->lock);
	atomic_store(&restore->stopping, true);
	lock_condition_broadcast(&restore->changed);
	lock_release(&restore->lock);
	for (unsigned int i = 0; i < restore->n_threads; i++)
		pthread_join(restore->threads[i], NULL);
	restore->n_threads = 0;
	while ((node = list_take_first(&restore->jobs)) != NULL)
		answer(LIST_ENTRY(node, struct job, node), -ECANCELED);
}

void restore_free(struct restore *restore)
{
	if (restore == NULL)
		return;
	lock_condition_done(&restore->changed);
	lock_done(&restore->lock);
	free(restore);
}
