#include <config.h>
#include "fsck/fsck.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/key.h"
#include "fsck/fsck_private.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/message.h"

/* ---- for the other files */

void fsck_problem(
	struct fsck *f, enum fsck_severity severity, const char *subject, const char *format, ...)
{
	CLEANUP_FREE char *text = NULL;
	struct fsck_problem problem = {.severity = severity, .subject = subject};
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	problem.text = text != NULL ? text : format;
	lock_acquire(&f->lock);
	if (severity == FSCK_ERROR)
		f->figures.errors++;
	else
		f->figures.notes++;
	f->options.problem(f->options.arg, &problem);
	lock_release(&f->lock);
}

static void show_progress_locked(struct fsck *f) REQUIRES(f->lock)
{
	if (f->options.progress != NULL)
		f->options.progress(f->options.arg, f->phase, f->progress_done, f->progress_total);
}

void fsck_begin_phase(struct fsck *f, const char *phase, uint64_t total)
{
	lock_acquire(&f->lock);
	f->phase = phase;
	f->progress_done = 0;
	f->progress_total = total;
	show_progress_locked(f);
	lock_release(&f->lock);
}

void fsck_step(struct fsck *f)
{
	lock_acquire(&f->lock);
	f->progress_done++;
	show_progress_locked(f);
	lock_release(&f->lock);
}

bool fsck_is_over(struct fsck *f)
{
	bool over;

	lock_acquire(&f->lock);
	if (f->error == 0 && f->options.stopping != NULL && atomic_load(f->options.stopping))
		f->error = -ECANCELED;
	over = f->error < 0;
	lock_release(&f->lock);
	return over;
}

void fsck_fail(struct fsck *f, int error, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	lock_acquire(&f->lock);
	if (f->error == 0) {
		f->error = error;
		f->message = TAKE_PTR(text);
	}
	lock_release(&f->lock);
	free(text);
}

void fsck_note_cut(struct fsck *f, int64_t created_ms)
{
	lock_acquire(&f->lock);
	if (created_ms > f->newest_cut_ms)
		f->newest_cut_ms = created_ms;
	lock_release(&f->lock);
}

void fsck_note_damage(struct fsck *f)
{
	lock_acquire(&f->lock);
	f->is_blind = true;
	lock_release(&f->lock);
}

/* ---- the whole */

static int open_tree(struct fsck *f, char **ret_message)
{
	const struct fsck_options *o = &f->options;
	struct tree_node_options options = {.backend = o->backend,
		.volume = o->volume,
		.account_depth = o->account_depth,
		.parent_directory = o->parent_directory,
		.stopping = o->stopping,
		.without_root = true};

	return tree_node_open(&options, &f->tree, ret_message);
}

/* Without it there are no names, and all else can be verified. */
static void open_root(struct fsck *f)
{
	CLEANUP_FREE char *message = NULL;
	int r = tree_node_open_root(f->tree, &message);

	if (r == -ENOENT)
		fsck_problem(f, FSCK_NOTE, "account 0", "%s", message);
	else if (r < 0)
		fsck_problem(f, FSCK_ERROR, "account 0", "the root account cannot be loaded: %s",
			message != NULL ? message : strerror(-r));
	if (r < 0 && r != -ENOENT)
		fsck_note_damage(f);
}

static void check(struct fsck *f)
{
	bool all = f->options.accounts == NULL || f->options.accounts[0] == NULL;

	open_root(f);
	if (all) {
		fsck_owner_check(f);
		fsck_journal_check(f);
		fsck_quiet_check(f);
	}
	if (!fsck_is_over(f))
		fsck_accounts_check(f);
	if (all && !fsck_is_over(f))
		fsck_journal_check_chains(f);
	fsck_quiet_end(f);
	if (all && !fsck_is_over(f))
		fsck_orphans_judge(f);
}

int fsck_run(const struct fsck_options *options, struct fsck_figures *ret, char **ret_message)
{
	struct fsck f = {.options = *options, .begun_ms = clock_realtime_ms()};
	int r;

	*ret_message = NULL;
	lock_init(&f.lock);
	fsck_quiet_begin(&f); /* before anything is read */
	r = open_tree(&f, ret_message);
	if (r == 0) {
		check(&f);
		r = f.error;
		*ret_message = f.message;
	}
	if (r == -ECANCELED && *ret_message == NULL)
		(void)message_set(ret_message, r, "interrupted");
	tree_node_close(f.tree);
	for (size_t i = 0; i < f.n_orphans; i++)
		free(f.orphans[i].key);
	free(f.orphans);
	free(f.retry);
	fsck_references_done(&f.references);
	lock_done(&f.lock);
	*ret = f.figures;
	return r;
}
