#include <config.h>
#include "daemon/rescue_thread.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/state_superseded.h"
#include "transfer/rescue.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file_io.h"
#include "util/lock.h"
#include "util/log.h"

#define PAUSE_MS 60000
#define FLUSH_TIMEOUT_MS 5000 /* each try; a longer one would hold up the end of the mount */

struct rescue_thread {
	struct rescue_thread_options options;
	pthread_t thread;
	atomic_bool stopping;
	struct lock lock;
	struct lock_condition changed;
};

/* Until the backend has it, however long that is away. */
static int flush(void *arg)
{
	struct rescue_thread *t = arg;
	int r;

	do
		r = atomic_load(&t->stopping)
			    ? -ECANCELED
			    : replicator_commit(t->options.replicator, FLUSH_TIMEOUT_MS);
	while (r == -ETIMEDOUT);
	return r;
}

static void tell(
	const char *name, int error, const char *message, const struct rescue_figures *figures)
{
	if (error == -ECANCELED)
		return;
	if (error < 0)
		log_error(
			"what the superseded node %s had cannot be brought below /" RESCUE_DIRECTORY
			" yet: %s; it stays in the state directory",
			name, message != NULL ? message : strerror(-error));
	else if (figures->accounts == 0)
		log_info("superseded node %s: all that it had was shipped", name);
	else
		log_warning("superseded node %s: %" PRIu64 " files of %" PRIu64
			    " accounts with changes that were never shipped are below "
			    "/" RESCUE_DIRECTORY "/%s, %" PRIu64 " could not be had",
			name, figures->files, figures->accounts, name, figures->lost);
}

static int rescue_one(void *arg, const struct state_superseded *superseded)
{
	struct rescue_thread *t = arg;
	struct rescue_options options = {.node = t->options.node,
		.fs = t->options.fs,
		.backend = t->options.backend,
		.account_depth = t->options.account_depth,
		.path = superseded->path,
		.name = superseded->name,
		.stopping = &t->stopping,
		.flush = flush,
		.arg = t};
	CLEANUP_FREE char *message = NULL;
	struct rescue_figures figures = {0};
	int r = -EBADMSG;

	if (uuid_parse(superseded->identity.node_uuid, &options.old_node))
		r = rescue_run(&options, &figures, &message);
	tell(superseded->name, r, message, &figures);
	/* The kernel may have looked while it was not there, or not whole. */
	if (figures.accounts > 0)
		(void)session_forget_entry(t->options.session, FS_ROOT_INO, RESCUE_DIRECTORY);
	return r;
}

/* What was being removed when the last process ended. */
static void remove_leftover(const struct rescue_thread *t)
{
	CLEANUP_FREE char *path = NULL;

	if (asprintf(&path, "%s/" STATE_SUPERSEDED_NAME "/" RESCUE_REMOVING_NAME,
		    t->options.state->path) >= 0)
		(void)file_io_remove_tree(path);
}

static void *run(void *arg)
{
	struct rescue_thread *t = arg;
	uint64_t until_ms;

	remove_leftover(t);
	while (!atomic_load(&t->stopping) &&
		state_superseded_each(t->options.state->path, rescue_one, t) < 0) {
		until_ms = clock_monotonic_ms() + PAUSE_MS;
		lock_acquire(&t->lock);
		while (!atomic_load(&t->stopping) &&
			lock_condition_wait_until(&t->changed, &t->lock, until_ms) == 0)
			;
		lock_release(&t->lock);
	}
	return NULL;
}

int rescue_thread_start(const struct rescue_thread_options *options, struct rescue_thread **ret)
{
	struct rescue_thread *t = calloc(1, sizeof(*t));
	int r;

	if (t == NULL)
		return -ENOMEM;
	t->options = *options;
	lock_init(&t->lock);
	lock_condition_init(&t->changed);
	r = -pthread_create(&t->thread, NULL, run, t);
	if (r < 0) {
		lock_condition_done(&t->changed);
		lock_done(&t->lock);
		free(t);
		return r;
	}
	pthread_setname_np(t->thread, "mfs-rescue");
	*ret = t;
	return 0;
}

void rescue_thread_stop(struct rescue_thread *t)
{
	if (t == NULL)
		return;
	lock_acquire(&t->lock);
	atomic_store(&t->stopping, true);
	lock_condition_broadcast(&t->changed);
	lock_release(&t->lock);
	pthread_join(t->thread, NULL);
	lock_condition_done(&t->changed);
	lock_done(&t->lock);
	free(t);
}
