#include <config.h>
#include "fsck/fsck_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void fsck_orphans_add(struct fsck *f, const char *key, const char *what, int64_t modified_ms)
{
	struct fsck_orphan *bigger;
	size_t capacity;
	int r = 0;

	lock_acquire(&f->lock);
	if (f->n_orphans == f->orphans_capacity && f->n_orphans < FSCK_MAX_ORPHANS) {
		capacity = f->orphans_capacity ? f->orphans_capacity * 2 : 64;
		bigger = reallocarray(f->orphans, capacity, sizeof(*bigger));
		if (bigger != NULL) {
			f->orphans = bigger;
			f->orphans_capacity = capacity;
		}
	}
	if (f->n_orphans < f->orphans_capacity) {
		f->orphans[f->n_orphans] = (struct fsck_orphan){
			.key = strdup(key), .what = what, .modified_ms = modified_ms};
		if (f->orphans[f->n_orphans].key != NULL)
			f->n_orphans++;
		else
			r = -ENOMEM;
	} else {
		r = f->n_orphans >= FSCK_MAX_ORPHANS ? 0 : -ENOMEM; /* the next run has them */
	}
	lock_release(&f->lock);
	if (r < 0)
		fsck_fail(f, r, "the list of orphans cannot be kept: %s", strerror(-r));
}

static bool is_old(const struct fsck *f, const struct fsck_orphan *orphan)
{
	int64_t limit_ms = f->newest_cut_ms < f->begun_ms ? f->newest_cut_ms : f->begun_ms;

	return orphan->modified_ms < limit_ms - (int64_t)f->options.grace_ms;
}

/* One by one, so that each is told as what became of it. */
static void judge(struct fsck *f, const struct fsck_orphan *orphan)
{
	struct fsck_problem problem = {.severity = FSCK_ORPHAN, .subject = orphan->key};
	int r = f->options.repair ? backend_remove_wait(f->options.backend, orphan->key) : 0;

	problem.text = orphan->what;
	problem.is_repaired = f->options.repair && r == 0;
	lock_acquire(&f->lock);
	f->figures.orphans++;
	f->figures.repaired += problem.is_repaired;
	f->options.problem(f->options.arg, &problem);
	lock_release(&f->lock);
	if (r < 0)
		fsck_fail(f, r, "%s cannot be removed: %s", orphan->key, strerror(-r));
}

void fsck_orphans_judge(struct fsck *f)
{
	size_t n_old = 0;

	fsck_begin_phase(f, "orphans", f->n_orphans);
	for (size_t i = 0; i < f->n_orphans; i++)
		n_old += is_old(f, &f->orphans[i]);
	f->figures.young = f->n_orphans - n_old;
	if (n_old > 0 && (f->is_blind || f->references.is_incomplete)) {
		fsck_problem(f, FSCK_NOTE, "orphans",
			"%zu objects are named by nothing that could be read; since not all could, "
			"they are left alone",
			n_old);
		return;
	}
	for (size_t i = 0; i < f->n_orphans && !fsck_is_over(f); i++) {
		if (is_old(f, &f->orphans[i]))
			judge(f, &f->orphans[i]);
		fsck_step(f);
	}
}
