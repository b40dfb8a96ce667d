#include <config.h>
#include "fsck/fsck_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"
#include "util/clock.h"

#define QUEUE 64
#define MAX_OBJECTS (2U << 20)
#define SECOND_LOOK_MS 3000

struct object {
	struct fsck *fsck;
	struct fsck_frame frame; /* its key is set for the check only */
	int64_t modified_ms;
	bool is_stray; /* behind the end of its journal */
};

struct objects {
	struct object *list; /* in the order of the listing: parts behind their segment */
	size_t n, capacity;
};

/* ---- listing */

static int add_object(struct fsck *f, struct objects *objects, const struct object *one)
{
	size_t capacity = objects->capacity ? objects->capacity * 2 : 256;
	struct object *bigger;

	(void)f;
	if (objects->n == MAX_OBJECTS)
		return -EFBIG;
	if (objects->n == objects->capacity) {
		bigger = reallocarray(objects->list, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		objects->list = bigger;
		objects->capacity = capacity;
	}
	objects->list[objects->n++] = *one;
	return 0;
}

static int add_entry(struct fsck *f, struct objects *objects, const struct backend_entry *entry)
{
	struct object one = {.fsck = f, .modified_ms = entry->modified_ms};

	if (!position_parse_segment_key(entry->key, &one.frame.position, &one.frame.part)) {
		fsck_problem(f, FSCK_NOTE, entry->key, "no object of a journal; left alone");
		return 0;
	}
	one.frame.type = one.frame.part == 0 ? FSCK_SEGMENT : FSCK_PART;
	one.frame.references = &f->references;
	one.frame.references_lock = &f->lock;
	return add_object(f, objects, &one);
}

static int list_objects(struct fsck *f, struct objects *objects)
{
	CLEANUP_FREE char *continuation = NULL;
	struct backend_result page;
	int r;

	do {
		r = backend_list_wait(f->options.backend, "journal/", continuation,
			BACKEND_LIST_MAX_ENTRIES, &page);
		if (r < 0)
			return r;
		for (size_t i = 0; i < page.n_entries && r == 0; i++)
			r = add_entry(f, objects, &page.entries[i]);
		free(continuation);
		continuation = TAKE_PTR(page.continuation);
		backend_result_done(&page);
	} while (r == 0 && continuation != NULL && !fsck_is_over(f));
	return r;
}

/* ---- each object */

static void check_object(void *arg)
{
	struct object *o = arg;
	struct fsck *f = o->fsck;
	char key[POSITION_SEGMENT_KEY_BYTES];

	if (fsck_is_over(f))
		return;
	position_segment_key(&o->frame.position, o->frame.part, key);
	o->frame.key = key;
	fsck_frame_check(f, &o->frame);
	o->frame.key = NULL;
	lock_acquire(&f->lock);
	if (o->frame.type == FSCK_SEGMENT)
		f->figures.segments++;
	else
		f->figures.parts++;
	lock_release(&f->lock);
	fsck_step(f);
}

/* What came behind the seal never counted. (Where there are holes nobody knows where that is.) */
static bool is_behind_seal(const struct catalogue *catalogue, const struct position *position)
{
	for (size_t i = 0; i < catalogue_n_journals(catalogue); i++) {
		const struct catalogue_journal *journal = catalogue_journal(catalogue, i);

		if (memcmp(&journal->node, &position->node, sizeof(journal->node)) == 0 &&
			journal->incarnation == position->incarnation)
			return journal->is_sealed && !journal->has_holes &&
			       position->sequence >= journal->end;
	}
	return false;
}

/* What makes it superfluous; NULL: nothing. `segment` is the one of its position; NULL: none. */
static const char *problem_of(const struct object *o, const struct object *segment)
{
	if (o->is_stray)
		return "it is behind the end of its journal, and never counted";
	if (o->frame.type == FSCK_PART && segment == NULL)
		return "a part without its segment";
	if (o->frame.type == FSCK_PART && segment->frame.has_head &&
		o->frame.part > segment->frame.n_parts)
		return "a part that its segment does not name";
	return NULL;
}

/* Segments first: they say which parts count. */
static void check_type(
	struct fsck *f, struct objects *objects, struct worker_pool *pool, bool segments)
{
	const struct object *segment = NULL;

	for (size_t i = 0; i < objects->n && !fsck_is_over(f); i++) {
		struct object *o = &objects->list[i];
		bool is_segment = o->frame.type == FSCK_SEGMENT;

		if (is_segment)
			segment = o;
		else if (segment != NULL &&
			 !position_equal(&segment->frame.position, &o->frame.position))
			segment = NULL;
		if (is_segment == segments && problem_of(o, segment) == NULL)
			worker_pool_submit(pool, check_object, o);
	}
	worker_pool_wait(pool);
}

static int check_objects(struct fsck *f, struct objects *objects)
{
	const struct catalogue *catalogue = tree_node_catalogue(f->tree);
	struct worker_pool *pool;
	int r = worker_pool_new(FSCK_IN_FLIGHT, QUEUE, "mfs-fsck", &pool);

	if (r < 0)
		return r;
	for (size_t i = 0; i < objects->n; i++)
		objects->list[i].is_stray =
			is_behind_seal(catalogue, &objects->list[i].frame.position);
	check_type(f, objects, pool, true);
	check_type(f, objects, pool, false);
	worker_pool_free(pool);
	return 0;
}

/* ---- what belongs to nothing, and what is missing */

static void check_parts(
	struct fsck *f, const struct object *segment, const struct object *parts, size_t n)
{
	char key[POSITION_SEGMENT_KEY_BYTES];

	for (uint32_t part = 1; part <= segment->frame.n_parts; part++) {
		bool found = false;

		for (size_t i = 0; i < n && !found; i++)
			found = parts[i].frame.part == part && !parts[i].frame.is_missing;
		if (found || f->options.is_online)
			continue;
		position_segment_key(&segment->frame.position, (uint16_t)part, key);
		fsck_problem(f, FSCK_ERROR, key, "it is missing: its segment names it");
		fsck_note_damage(f);
	}
}

/* The objects of one position: a segment if there is one, then parts. */
static void check_position(struct fsck *f, const struct object *objects, size_t n)
{
	bool has_segment = objects[0].frame.type == FSCK_SEGMENT;
	const struct object *segment = &objects[0];
	char key[POSITION_SEGMENT_KEY_BYTES];

	if (has_segment && segment->frame.has_head)
		check_parts(f, segment, objects + 1, n - 1);
	for (size_t i = 0; i < n; i++) {
		const struct object *o = &objects[i];
		const char *what = problem_of(o, has_segment ? segment : NULL);

		if (what == NULL || o->frame.is_missing)
			continue;
		position_segment_key(&o->frame.position, o->frame.part, key);
		fsck_orphans_add(f, key, what, o->modified_ms);
	}
}

static void check_positions(struct fsck *f, const struct objects *objects)
{
	size_t first = 0;

	for (size_t i = 1; i <= objects->n; i++) {
		if (i < objects->n && position_equal(&objects->list[i].frame.position,
					      &objects->list[first].frame.position))
			continue;
		check_position(f, &objects->list[first], i - first);
		first = i;
	}
}

void fsck_journal_check(struct fsck *f)
{
	struct objects objects = {.list = NULL};
	int r = list_objects(f, &objects);

	fsck_begin_phase(f, "journals", objects.n);
	if (r == 0)
		r = check_objects(f, &objects);
	if (r == 0 && !fsck_is_over(f))
		check_positions(f, &objects);
	if (r < 0)
		fsck_fail(f, r, "the journals cannot be read: %s", strerror(-r));
	lock_acquire(&f->lock);
	fsck_references_sort(&f->references);
	lock_release(&f->lock);
	free(objects.list);
}

/* ---- chains */

static void tell_hole(struct fsck *f, const struct catalogue_hole *hole)
{
	char key[POSITION_SEGMENT_KEY_BYTES], last[POSITION_SEGMENT_KEY_BYTES];
	struct position position = hole->position;

	/* Damage of one object was told with the object. */
	if (strcmp(hole->problem, CATALOGUE_MISSING) != 0 &&
		strcmp(hole->problem, CATALOGUE_NOT_NEXT) != 0 &&
		strcmp(hole->problem, CATALOGUE_LOST) != 0)
		return;
	position_segment_key(&position, 0, key);
	position.sequence = hole->last_sequence;
	position_segment_key(&position, 0, last);
	if (hole->last_sequence > hole->position.sequence)
		fsck_problem(f, FSCK_ERROR, key, "%s, up to %s", hole->problem, last);
	else
		fsck_problem(f, FSCK_ERROR, key, "%s", hole->problem);
	fsck_note_damage(f);
}

static bool has_hole(const struct position *list, size_t n, const struct position *position)
{
	for (size_t i = 0; i < n; i++) {
		if (position_equal(&list[i], position))
			return true;
	}
	return false;
}

/* A segment may overtake the one before it, for a moment. */
static int look_again(struct fsck *f, struct position **ret, size_t *ret_n)
{
	const struct catalogue *catalogue = tree_node_catalogue(f->tree);
	CLEANUP_FREE char *message = NULL;
	size_t n = catalogue_n_holes(catalogue);
	int r;

	*ret = calloc(n + 1, sizeof(**ret));
	if (*ret == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = catalogue_hole(catalogue, i)->position;
	*ret_n = n;
	clock_sleep_ms(SECOND_LOOK_MS);
	r = tree_node_reload(f->tree, &message);
	if (r < 0)
		fsck_fail(f, r, "%s", message != NULL ? message : strerror(-r));
	return r;
}

void fsck_journal_check_chains(struct fsck *f)
{
	CLEANUP_FREE struct position *before = NULL;
	const struct catalogue *catalogue = tree_node_catalogue(f->tree);
	size_t n_before = 0;

	if (catalogue_n_holes(catalogue) == 0)
		return;
	if (f->options.is_online && look_again(f, &before, &n_before) < 0)
		return;
	catalogue = tree_node_catalogue(f->tree);
	for (size_t i = 0; i < catalogue_n_holes(catalogue); i++) {
		const struct catalogue_hole *hole = catalogue_hole(catalogue, i);

		if (before == NULL || has_hole(before, n_before, &hole->position))
			tell_hole(f, hole);
	}
}
