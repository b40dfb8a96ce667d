#include <config.h>
#include "fsck/fsck_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/account_check.h"
#include "cache/body_map.h"
#include "cache/key.h"
#include "util/cleanup.h"

#define SUBJECT_BYTES 64
#define PATH_BYTES 4096
#define PATH_MAX_DEPTH 256

/* ---- names for messages */

struct name_search {
	uint64_t wanted, above;
	char name[FS_NAME_MAX_BYTES + 1];
};

static bool match(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	struct name_search *s = arg;

	(void)mode;
	(void)next;
	(void)attributes;
	if (strcmp(name, "..") == 0)
		s->above = ino;
	else if (strcmp(name, ".") != 0 && ino == s->wanted)
		(void)snprintf(s->name, sizeof(s->name), "%s", name);
	return true;
}

/* "/user/Maildir/cur/mail", as far as it can be found out; else what is known. */
static void path_of(struct fsck *f, const struct inode *inode, char path[PATH_BYTES])
{
	struct fs *fs = tree_node_fs(f->tree);
	struct name_search s = {.wanted = inode->ino, .above = inode->parent};
	char *begin = path + PATH_BYTES - 1;

	*begin = '\0';
	for (int depth = 0; fs != NULL && depth < PATH_MAX_DEPTH && s.wanted != FS_ROOT_INO;
		depth++) {
		uint64_t directory = s.above;
		size_t n;

		s.name[0] = '\0';
		if (fs_readdir(fs, directory, 0, false, match, &s) < 0)
			break;
		n = strlen(s.name);
		if (n == 0 || n + 1 > (size_t)(begin - path))
			break;
		begin -= n;
		memcpy(begin, s.name, n);
		*--begin = '/';
		s.wanted = directory;
	}
	if (*begin == '\0')
		(void)snprintf(path, PATH_BYTES, "inode %" PRIu64, inode->ino);
	else
		memmove(path, begin, strlen(begin) + 1);
}

/* ---- what was found */

/* While the volume is in use the account is looked at once more, before anything is told. */
static bool comes_again(struct fsck_account *a)
{
	struct fsck *f = a->fsck;
	size_t capacity;
	uint32_t *bigger;
	bool again = false;

	a->is_damaged = true;
	if (!f->options.is_online || f->is_second_try)
		return false;
	lock_acquire(&f->lock);
	for (size_t i = 0; i < f->n_retry && !again; i++)
		again = f->retry[i] == a->account;
	if (!again && f->n_retry == f->retry_capacity) {
		capacity = f->retry_capacity ? f->retry_capacity * 2 : 16;
		bigger = reallocarray(f->retry, capacity, sizeof(*bigger));
		if (bigger != NULL) {
			f->retry = bigger;
			f->retry_capacity = capacity;
		}
	}
	if (!again && f->n_retry < f->retry_capacity) {
		f->retry[f->n_retry++] = a->account;
		again = true;
	}
	lock_release(&f->lock);
	return again;
}

static void tell(struct fsck_account *a, const char *subject, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void tell(struct fsck_account *a, const char *subject, const char *format, ...)
{
	CLEANUP_FREE char *text = NULL;
	va_list arguments;

	if (comes_again(a))
		return;
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	fsck_problem(a->fsck, FSCK_ERROR, subject, "%s", text != NULL ? text : format);
}

/* ---- checkpoints, of which some are older than what is loaded */

static void check_object(struct fsck_account *a, const struct fsck_checkpoint *c, const char *key,
	uint32_t *ret_n_parts)
{
	struct fsck_frame frame = {.type = c->part == 0 ? FSCK_CHECKPOINT : FSCK_CHECKPOINT_PART,
		.account = a->account,
		.number = c->number,
		.part = c->part,
		.key = key,
		.references = &a->old};

	fsck_frame_check(a->fsck, &frame);
	if (frame.is_missing && !a->fsck->options.is_online)
		tell(a, key, "it is missing");
	if (c->part == 0)
		*ret_n_parts = frame.has_head ? frame.n_parts : UINT32_MAX;
	lock_acquire(&a->fsck->lock);
	a->fsck->figures.checkpoints += c->part == 0;
	a->fsck->figures.parts += c->part != 0;
	lock_release(&a->fsck->lock);
}

/* Parts that the head (n_parts; UINT32_MAX: it cannot be read) names. They are put before it. One
 * that came late (doc/format-objects.md) looks as one that lost them does: orphans stay then. */
static void check_parts(struct fsck_account *a, uint64_t number, uint32_t n_parts, size_t n_found)
{
	char key[POSITION_CHECKPOINT_KEY_BYTES];

	if (n_parts == UINT32_MAX || n_found >= n_parts || a->fsck->options.is_online)
		return;
	position_checkpoint_part_key(a->account, number, 0, key);
	tell(a, key, "%" PRIu32 " of its %" PRIu32 " parts are missing",
		n_parts - (uint32_t)n_found, n_parts);
	fsck_note_damage(a->fsck);
}

/* Of one number: the checkpoint, if it is there, and parts. Gives how many there were. */
static size_t check_checkpoint(struct fsck_account *a, const struct fsck_checkpoint *list, size_t n)
{
	bool has_head = list[0].part == 0;
	char key[POSITION_CHECKPOINT_KEY_BYTES];
	size_t i = 0, n_found = 0;
	uint32_t n_parts = 0;

	for (; i < n && list[i].number == list[0].number && !fsck_is_over(a->fsck); i++) {
		position_checkpoint_part_key(a->account, list[i].number, list[i].part, key);
		if (list[i].part == 0 || (has_head && list[i].part <= n_parts)) {
			check_object(a, &list[i], key, &n_parts);
			n_found += list[i].part != 0;
		} else {
			fsck_orphans_add(
				a->fsck, key, "a part without its checkpoint", list[i].modified_ms);
		}
	}
	if (has_head)
		check_parts(a, list[0].number, n_parts, n_found);
	return i;
}

static void check_checkpoints(struct fsck_account *a)
{
	size_t i = 0;

	while (i < a->n_checkpoints && !fsck_is_over(a->fsck))
		i += check_checkpoint(a, &a->checkpoints[i], a->n_checkpoints - i);
}

/* ---- what the account names */

static int compare_objects(const void *a, const void *b)
{
	const struct fsck_object *x = a, *y = b;

	return fsck_reference_compare(&x->reference, &y->reference);
}

/* Of packs, to be verified when the pack is read. */
static void note_piece(struct fsck_account *a, const struct extent *extent)
{
	size_t capacity = a->pieces_capacity ? a->pieces_capacity * 2 : 64;
	struct fsck_piece *bigger;

	if (!a->fsck->options.deep || extent->kind != OBJECT_PACK)
		return;
	if (a->n_pieces == a->pieces_capacity) {
		bigger = reallocarray(a->pieces, capacity, sizeof(*bigger));
		if (bigger == NULL) {
			fsck_fail(a->fsck, -ENOMEM, "out of memory");
			return;
		}
		a->pieces = bigger;
		a->pieces_capacity = capacity;
	}
	a->pieces[a->n_pieces++] = (struct fsck_piece){.pack = extent->object, .extent = *extent};
}

static void check_extent(
	struct fsck_account *a, const struct inode *inode, const struct extent *extent)
{
	struct fsck_object wanted = {0}, *object = NULL;
	char key[BACKEND_KEY_MAX_BYTES], path[PATH_BYTES];

	fsck_body_reference(a->account, extent, &wanted.reference);
	if (a->n_objects > 0)
		object =
			bsearch(&wanted, a->objects, a->n_objects, sizeof(wanted), compare_objects);
	if (object != NULL)
		object->is_named = true;
	if (object != NULL && fsck_body_size_fits(object->size_bytes, extent)) {
		note_piece(a, extent);
		return;
	}
	fsck_object_key(&wanted.reference, key);
	path_of(a->fsck, inode, path);
	if (object == NULL)
		tell(a, key, "it is missing: '%s' needs it", path);
	else
		tell(a, key,
			"its size, %" PRIu64 ", cannot be right for the %" PRIu64
			" bytes that '%s' has there",
			object->size_bytes, extent->object_size_bytes, path);
}

static int check_inode(void *arg, const struct inode *inode, const struct upload *local)
{
	struct fsck_account *a = arg;
	struct extent_list extents = {.extents = NULL};
	int r;

	(void)local;
	if (!S_ISREG(inode->mode))
		return 0;
	r = body_map_load_extents(
		tree_node_node(a->fsck->tree), inode->ino, 0, BODY_MAP_TO_THE_END, &extents);
	for (size_t i = 0; i < extents.n && r == 0; i++)
		check_extent(a, inode, &extents.extents[i]);
	extent_list_done(&extents);
	lock_acquire(&a->fsck->lock);
	a->fsck->figures.files++;
	lock_release(&a->fsck->lock);
	return r < 0 ? r : fsck_is_over(a->fsck) ? -ECANCELED : 0;
}

static void check_state(struct fsck_account *a, const char *subject)
{
	struct fsck *f = a->fsck;
	CLEANUP_FREE char *message = NULL;
	struct tree_node_state state;
	int r;

	if (a->account == KEY_ROOT_ACCOUNT && tree_node_fs(f->tree) == NULL) {
		a->is_damaged = true; /* that was told */
		return;
	}
	r = tree_node_load(f->tree, a->account, &state, &message);

	/* Nothing of it is there but objects: it was never shipped, or its last trace is gone. */
	if (r == -ENOENT && !a->is_expected)
		return;
	if (r == 0 && state.is_uncertain)
		tell(a, subject,
			"a segment behind its last one, or its newest checkpoint, is missing or "
			"damaged: its last changes may be lost");
	if (r == 0)
		r = account_check(tree_node_node(f->tree), a->account, check_inode, a, &message);
	if (r == -ECANCELED && fsck_is_over(f))
		return;
	if (r < 0)
		tell(a, subject, "%s", message != NULL ? message : strerror(-r));
}

static void find_orphans(struct fsck_account *a)
{
	char key[BACKEND_KEY_MAX_BYTES];

	fsck_references_sort(&a->old);
	if (a->old.is_incomplete)
		fsck_note_damage(a->fsck);
	for (size_t i = 0; i < a->n_objects; i++) {
		const struct fsck_object *o = &a->objects[i];

		if (o->is_named || fsck_references_have(&a->old, &o->reference) ||
			fsck_references_have(&a->fsck->references, &o->reference))
			continue;
		fsck_object_key(&o->reference, key);
		fsck_orphans_add(a->fsck, key, "nothing names it", o->modified_ms);
	}
}

static void check(struct fsck_account *a)
{
	struct fsck *f = a->fsck;
	char subject[SUBJECT_BYTES];

	(void)snprintf(subject, sizeof(subject), "account %" PRIu32, a->account);
	if (a->n_objects > 1)
		qsort(a->objects, a->n_objects, sizeof(*a->objects), compare_objects);
	check_checkpoints(a);
	check_state(a, subject);
	if (f->options.deep)
		fsck_body_check_all(a);
	if (!a->is_damaged)
		find_orphans(a);
	else if (!f->options.is_online || f->is_second_try)
		fsck_note_damage(f);
	if (a->account != KEY_ROOT_ACCOUNT)
		(void)tree_node_unload(f->tree, a->account);
}

void fsck_account_check(void *arg)
{
	struct fsck_account *a = arg;
	struct fsck *f = a->fsck;

	if (!fsck_is_over(f))
		check(a);
	lock_acquire(&f->lock);
	f->figures.accounts++;
	f->figures.bodies += a->n_objects;
	lock_release(&f->lock);
	fsck_step(f);
	fsck_references_done(&a->old);
	free(a->objects);
	free(a->pieces);
	free(a->checkpoints);
	free(a);
}
