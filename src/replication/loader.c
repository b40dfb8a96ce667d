#include <config.h>
#include "replication/loader.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "cache/adoption.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/list.h"
#include "util/lock.h"
#include "util/log.h"

/* A catalogue, and what works from it. An old one stays until its last load has ended. */
struct source {
	struct list_node node;
	struct catalogue *catalogue;
	struct restore *restore;
	uint64_t read_ms; /* monotonic */
	uint64_t generation;
	size_t n_running; /* loads; protected by the loader's lock */
};

struct request {
	struct list_node node;
	struct loader *loader;
	struct source *source; /* that it was last tried with */
	uint32_t account;
	enum backend_priority priority;
};

struct loader {
	struct loader_options options;
	pthread_t thread;
	bool is_running;
	atomic_bool stopping;
	struct backend_cancellation cancellation; /* of its reads, when it stops */
	struct lock reading; /* while a catalogue is read: one at a time; before `lock` */
	struct lock lock;
	struct lock_condition changed;
	struct list_node requests; /* all below: protected by lock */
	size_t n_requests;
	uint64_t generation;     /* catalogues of an earlier one are too old for new loads */
	struct source *source;   /* the newest, or NULL */
	char *problem;           /* of the last load that failed, or NULL */
	struct list_node others; /* older ones */
};

static _Thread_local enum backend_priority thread_priority = BACKEND_READER;

void loader_set_thread_priority(enum backend_priority priority)
{
	thread_priority = priority;
}

enum backend_priority loader_thread_priority(void)
{
	return thread_priority;
}

/* ---- catalogues */

static void free_source(struct source *source)
{
	if (source == NULL)
		return;
	if (source->restore != NULL)
		restore_stop(source->restore);
	restore_free(source->restore);
	catalogue_free(source->catalogue);
	free(source);
}

static int read_source(struct loader *l, struct source **ret, char **ret_message)
{
	struct catalogue_options options = {.backend = l->options.backend,
		.priority = BACKEND_READER,
		.volume = l->options.volume,
		.cancelled = &l->stopping,
		.cancellation = &l->cancellation};
	struct restore_options restore = {.node = l->options.node,
		.backend = l->options.backend,
		.cancellation = &l->cancellation,
		.ends_orphans = true};
	struct source *source = calloc(1, sizeof(*source));
	int r;

	if (source == NULL)
		return -ENOMEM;
	source->read_ms = clock_monotonic_ms();
	lock_acquire(&l->lock);
	source->generation = l->generation;
	lock_release(&l->lock);
	r = catalogue_load(&options, &source->catalogue, ret_message);
	restore.catalogue = source->catalogue;
	if (r == 0)
		r = restore_new(&restore, &source->restore);
	if (r < 0) {
		free_source(source);
		return r;
	}
	*ret = source;
	return 0;
}

static void warn_of_holes(const struct catalogue *catalogue)
{
	char key[POSITION_SEGMENT_KEY_BYTES];

	for (size_t i = 0; i < catalogue_n_holes(catalogue); i++) {
		const struct catalogue_hole *hole = catalogue_hole(catalogue, i);

		position_segment_key(&hole->position, 0, key);
		log_warning("%s to %016" PRIx64 ": %s", key, hole->last_sequence, hole->problem);
	}
}

/* The newest one, if it is newer than `old`; else reads one. */
static int renew(struct loader *l, const struct source *old, char **ret_message)
{
	struct source *source = NULL;
	bool is_there;
	int r = 0;

	lock_acquire(&l->reading);
	lock_acquire(&l->lock);
	is_there = l->source != NULL && l->source != old && l->source->generation == l->generation;
	lock_release(&l->lock);
	if (!is_there)
		r = read_source(l, &source, ret_message);
	if (source != NULL) {
		warn_of_holes(source->catalogue);
		lock_acquire(&l->lock);
		if (l->source != NULL)
			list_append(&l->others, &l->source->node);
		l->source = source;
		lock_release(&l->lock);
	}
	lock_release(&l->reading);
	return r;
}

/* Older ones without loads. */
static void free_unused(struct loader *l)
{
	struct list_node unused, *next, *node;

	list_init(&unused);
	lock_acquire(&l->lock);
	for (struct list_node *n = l->others.next; n != &l->others; n = next) {
		next = n->next;
		if (LIST_ENTRY(n, struct source, node)->n_running > 0)
			continue;
		list_remove(n);
		list_append(&unused, n);
	}
	lock_release(&l->lock);
	while ((node = list_take_first(&unused)) != NULL)
		free_source(LIST_ENTRY(node, struct source, node));
}

int loader_get_catalogue(struct loader *l, const struct catalogue **ret, char **ret_message)
{
	int r;

	*ret_message = NULL;
	r = renew(l, NULL, ret_message);
	if (r < 0)
		return r;
	lock_acquire(&l->lock);
	*ret = l->source->catalogue;
	lock_release(&l->lock);
	return 0;
}

void loader_expire(struct loader *l)
{
	lock_acquire(&l->lock);
	l->generation++;
	lock_release(&l->lock);
}

/* ---- loads */

static void finish(struct request *q, int error)
{
	adoption_finish(q->loader->options.node, q->account, error);
	free(q);
}

static int enqueue(struct loader *l, struct request *q)
{
	int r = 0;

	lock_acquire(&l->lock);
	if (atomic_load(&l->stopping))
		r = -ECANCELED;
	else if (l->n_requests == LOADER_MAX_REQUESTS)
		r = -EBUSY;
	if (r == 0) {
		list_append(&l->requests, &q->node);
		l->n_requests++;
		lock_condition_signal(&l->changed);
	}
	lock_release(&l->lock);
	return r;
}

/* The catalogue may be older than what the account is made of now. */
static bool is_worth_another(const struct request *q, int error)
{
	return (error == -EBADMSG || error == -ENOENT) &&
	       q->source->read_ms + LOADER_RELOAD_MS <= clock_monotonic_ms();
}

static void report_failure(struct loader *l, uint32_t account, int error, const char *message)
{
	char *problem = message != NULL ? strdup(message) : NULL;

	log_error("account %" PRIu32 " cannot be loaded: %s", account,
		message != NULL ? message : strerror(-error));
	lock_acquire(&l->lock);
	free(l->problem);
	l->problem = problem;
	lock_release(&l->lock);
}

char *loader_take_problem(struct loader *l)
{
	char *problem;

	lock_acquire(&l->lock);
	problem = TAKE_PTR(l->problem);
	lock_release(&l->lock);
	return problem;
}

static void report(struct loader *l, const struct restore_result *result)
{
	if (result->error < 0)
		report_failure(l, result->account, result->error, result->message);
	else
		log_debug("account %" PRIu32 " is here: %" PRIu64 " sections, %" PRIu64 " bytes",
			result->account, result->n_sections, result->stored_bytes);
}

static void loaded(void *arg, const struct restore_result *result)
{
	struct request *q = arg;
	struct loader *l = q->loader;
	struct source *source = q->source;

	/* Once it is queued again it is the thread's. */
	if (!is_worth_another(q, result->error) || enqueue(l, q) < 0) {
		report(l, result);
		finish(q, result->error);
	}
	lock_acquire(&l->lock);
	source->n_running--;
	lock_release(&l->lock);
}

static int start(struct loader *l, struct request *q)
{
	char *message = NULL;
	int r = renew(l, q->source, &message);

	if (r < 0) {
		report_failure(l, q->account, r, message);
		free(message);
		return r;
	}
	lock_acquire(&l->lock);
	q->source = l->source;
	q->source->n_running++;
	lock_release(&l->lock);
	r = restore_account(q->source->restore, q->account, q->priority, loaded, q);
	if (r < 0) {
		lock_acquire(&l->lock);
		q->source->n_running--;
		lock_release(&l->lock);
	}
	return r;
}

static struct request *take_locked(struct loader *l) REQUIRES(l->lock)
{
	struct list_node *node;

	while (list_is_empty(&l->requests) && !atomic_load(&l->stopping))
		lock_condition_wait(&l->changed, &l->lock);
	node = atomic_load(&l->stopping) ? NULL : list_take_first(&l->requests);
	if (node == NULL)
		return NULL;
	l->n_requests--;
	return LIST_ENTRY(node, struct request, node);
}

static void *run(void *arg)
{
	struct loader *l = arg;
	struct request *q;
	int r;

	for (;;) {
		lock_acquire(&l->lock);
		q = take_locked(l);
		lock_release(&l->lock);
		if (q == NULL)
			return NULL;
		r = start(l, q);
		if (r < 0)
			finish(q, r);
		free_unused(l);
	}
}

void loader_load(struct loader *l, uint32_t account, enum backend_priority priority)
{
	struct request *q = malloc(sizeof(*q));
	int r = -ENOMEM;

	if (q != NULL) {
		*q = (struct request){.loader = l, .account = account, .priority = priority};
		r = enqueue(l, q);
	}
	if (r == 0)
		return;
	free(q);
	adoption_finish(l->options.node, account, r);
}

/* ---- life */

int loader_new(const struct loader_options *options, struct loader **ret)
{
	struct loader *l = calloc(1, sizeof(*l));
	int r;

	if (l == NULL)
		return -ENOMEM;
	l->options = *options;
	lock_init(&l->reading);
	lock_init(&l->lock);
	lock_condition_init(&l->changed);
	list_init(&l->requests);
	list_init(&l->others);
	r = -pthread_create(&l->thread, NULL, run, l);
	if (r < 0) {
		loader_free(l);
		return r;
	}
	(void)pthread_setname_np(l->thread, "mfs-loader");
	l->is_running = true;
	*ret = l;
	return 0;
}

void loader_stop(struct loader *l)
{
	struct list_node *node;

	if (l == NULL)
		return;
	lock_acquire(&l->lock);
	atomic_store(&l->stopping, true);
	lock_condition_broadcast(&l->changed);
	lock_release(&l->lock);
	backend_cancel(l->options.backend, &l->cancellation);
	if (l->is_running)
		(void)pthread_join(l->thread, NULL);
	l->is_running = false;
	while ((node = list_take_first(&l->others)) != NULL)
		free_source(LIST_ENTRY(node, struct source, node));
	if (l->source != NULL && l->source->restore != NULL) {
		restore_stop(l->source->restore);
		restore_free(l->source->restore);
		l->source->restore = NULL;
	}
	while ((node = list_take_first(&l->requests)) != NULL)
		finish(LIST_ENTRY(node, struct request, node), -ECANCELED);
}

void loader_free(struct loader *l)
{
	if (l == NULL)
		return;
	free_source(l->source);
	free(l->problem);
	lock_condition_done(&l->changed);
	lock_done(&l->lock);
	lock_done(&l->reading);
	free(l);
}
