/*
 * fsck_accounts.c: which accounts there are, and what the backend has below accounts/, which is
 * listed account by account.
 */
#include <config.h>
#include "fsck/fsck_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/key.h"
#include "util/account_path.h"
#include "util/cleanup.h"

struct listing {
	struct fsck *fsck;
	struct worker_pool *pool;
	struct fsck_account *current; /* NULL: none */
	uint8_t *seen, *expected;     /* a bit for each account */
};

static bool has_bit(const uint8_t *bits, uint32_t account)
{
	return (bits[account / 8] >> account % 8 & 1) != 0;
}

static void set_bit(uint8_t *bits, uint32_t account)
{
	bits[account / 8] |= (uint8_t)(1 << account % 8);
}

static struct fsck_account *new_account(struct listing *l, uint32_t number)
{
	struct fsck_account *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		fsck_fail(l->fsck, -ENOMEM, "out of memory");
		return NULL;
	}
	a->fsck = l->fsck;
	a->account = number;
	a->is_expected = has_bit(l->expected, number);
	set_bit(l->seen, number);
	return a;
}

/* Its listing is over. */
static void submit(struct listing *l)
{
	if (l->current != NULL)
		worker_pool_submit(l->pool, fsck_account_check, TAKE_PTR(l->current));
}

/* ---- what is listed */

static int add_object(struct fsck_account *a, const struct fsck_reference *reference,
	const struct backend_entry *e)
{
	size_t capacity = a->capacity ? a->capacity * 2 : 64;
	struct fsck_object *bigger;

	if (a->n_objects == a->capacity) {
		bigger = reallocarray(a->objects, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		a->objects = bigger;
		a->capacity = capacity;
	}
	a->objects[a->n_objects++] = (struct fsck_object){.reference = *reference,
		.size_bytes = e->size_bytes,
		.modified_ms = e->modified_ms};
	return 0;
}

static int add_checkpoint(struct fsck_account *a, const struct fsck_checkpoint *checkpoint)
{
	size_t capacity = a->checkpoints_capacity ? a->checkpoints_capacity * 2 : 4;
	struct fsck_checkpoint *bigger;

	if (a->n_checkpoints == a->checkpoints_capacity) {
		bigger = reallocarray(a->checkpoints, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		a->checkpoints = bigger;
		a->checkpoints_capacity = capacity;
	}
	a->checkpoints[a->n_checkpoints++] = *checkpoint;
	return 0;
}

static void add_entry(struct listing *l, const struct backend_entry *entry)
{
	struct fsck_reference reference;
	struct fsck_checkpoint checkpoint = {.modified_ms = entry->modified_ms};
	uint64_t account;
	uint32_t owner;
	int r = 0;

	if (account_path_parse(entry->key, &account) == NULL || account > KEY_ACCOUNT_MAX) {
		fsck_problem(l->fsck, FSCK_NOTE, entry->key, "no object of an account; left alone");
		return;
	}
	if (l->current == NULL || l->current->account != account) {
		submit(l);
		l->current = new_account(l, (uint32_t)account);
	}
	if (l->current == NULL)
		return;
	if (fsck_object_parse(entry->key, &reference))
		r = add_object(l->current, &reference, entry);
	else if (position_parse_checkpoint_part_key(
			 entry->key, &owner, &checkpoint.number, &checkpoint.part))
		r = add_checkpoint(l->current, &checkpoint);
	else
		fsck_problem(l->fsck, FSCK_NOTE, entry->key, "not known here; left alone");
	if (r < 0)
		fsck_fail(l->fsck, r, "out of memory");
}

static void list_below(struct listing *l, const char *prefix)
{
	CLEANUP_FREE char *continuation = NULL;
	struct backend_result page;
	int r;

	do {
		r = backend_list_wait(l->fsck->options.backend, prefix, continuation,
			BACKEND_LIST_MAX_ENTRIES, &page);
		if (r < 0) {
			fsck_fail(l->fsck, r, "%s cannot be listed: %s", prefix, strerror(-r));
			break;
		}
		for (size_t i = 0; i < page.n_entries && !fsck_is_over(l->fsck); i++)
			add_entry(l, &page.entries[i]);
		free(continuation);
		continuation = TAKE_PTR(page.continuation);
		backend_result_done(&page);
	} while (continuation != NULL && !fsck_is_over(l->fsck));
	submit(l);
}

/* ---- one account, or all */

static void check_one(struct listing *l, uint32_t account)
{
	char path[ACCOUNT_PATH_BYTES], prefix[ACCOUNT_PATH_BYTES + 2];

	account_path_format(account, path);
	(void)snprintf(prefix, sizeof(prefix), "%s/", path);
	l->current = new_account(l, account);
	list_below(l, prefix);
}

/* Those of which nothing but segments is there, and those of which nothing is. */
static void check_unlisted(struct listing *l, const struct tree_node_accounts *names)
{
	const struct catalogue *catalogue = tree_node_catalogue(l->fsck->tree);

	for (uint32_t n = 0; n < catalogue_next_account(catalogue) && !fsck_is_over(l->fsck); n++) {
		if (has_bit(l->seen, n) || !catalogue_has_account(catalogue, n))
			continue;
		l->current = new_account(l, n);
		submit(l);
	}
	for (size_t i = 0; i < names->n && !fsck_is_over(l->fsck); i++) {
		if (has_bit(l->seen, names->accounts[i].account))
			continue;
		l->current = new_account(l, names->accounts[i].account);
		submit(l);
	}
}

static void check_named(struct listing *l)
{
	for (char *const *name = l->fsck->options.accounts; *name != NULL; name++) {
		CLEANUP_FREE char *message = NULL;
		uint32_t account = UINT32_MAX;

		if (tree_node_fs(l->fsck->tree) == NULL)
			fsck_fail(l->fsck, -EBADMSG,
				"without the root account there are no names of accounts");
		else if (tree_node_find(l->fsck->tree, *name, &account, &message) < 0)
			fsck_problem(l->fsck, FSCK_ERROR, *name, "%s",
				message != NULL ? message : "it cannot be found");
		if (fsck_is_over(l->fsck) || account == UINT32_MAX)
			continue;
		set_bit(l->expected, account);
		check_one(l, account);
	}
}

static void check_all(struct listing *l)
{
	struct tree_node_accounts names = {.n = 0};
	int r = 0;

	if (tree_node_fs(l->fsck->tree) != NULL)
		r = tree_node_list(l->fsck->tree, &names);
	if (r < 0)
		fsck_fail(l->fsck, r, "the accounts cannot be listed: %s", strerror(-r));
	for (size_t i = 0; i < names.n; i++)
		set_bit(l->expected, names.accounts[i].account);
	fsck_begin_phase(l->fsck, "accounts", names.n + 1);
	list_below(l, "accounts/");
	check_unlisted(l, &names);
	tree_node_list_done(&names);
}

/* What failed while the volume is in use may have failed since something was moved meanwhile. */
static void check_again(struct listing *l)
{
	struct fsck *f = l->fsck;
	CLEANUP_FREE char *message = NULL;
	int r;

	if (f->n_retry == 0 || fsck_is_over(f))
		return;
	r = tree_node_reload(f->tree, &message);
	if (r < 0) {
		fsck_fail(f, r, "%s", message != NULL ? message : strerror(-r));
		return;
	}
	f->is_second_try = true;
	for (size_t i = 0; i < f->n_retry && !fsck_is_over(f); i++)
		check_one(l, f->retry[i]);
	worker_pool_wait(l->pool);
}

void fsck_accounts_check(struct fsck *f)
{
	struct listing l = {.fsck = f,
		.seen = calloc(1, (KEY_ACCOUNT_MAX + 1) / 8),
		.expected = calloc(1, (KEY_ACCOUNT_MAX + 1) / 8)};
	int r = l.seen == NULL || l.expected == NULL
			? -ENOMEM
			: worker_pool_new(FSCK_ACCOUNTS_AT_ONCE, FSCK_ACCOUNTS_AT_ONCE, "mfs-fsck",
				  &l.pool);

	if (r < 0) {
		fsck_fail(f, r, "out of memory");
		free(l.seen);
		free(l.expected);
		return;
	}
	if (f->options.accounts != NULL && f->options.accounts[0] != NULL)
		check_named(&l);
	else
		check_all(&l);
	worker_pool_wait(l.pool);
	check_again(&l);
	worker_pool_free(l.pool);
	free(l.seen);
	free(l.expected);
}
