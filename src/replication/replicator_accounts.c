/*
 * replicator_accounts.c: which accounts are here, and which on the backend only.
 *
 * Names in the root account lead to all others. So once that is here, an account that a name leads
 * to and of which there is nothing in the store is on the backend: after a takeover, and after a
 * crash at any step of one. That is looked at by every start, and needs no list of its own.
 */
#include <config.h>
#include "replication/replicator_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/account_list.h"
#include "cache/adoption.h"
#include "cache/key.h"
#include "util/cleanup.h"
#include "util/failpoint.h"
#include "util/log.h"
#include "util/message.h"

static const uint32_t root = KEY_ROOT_ACCOUNT;

/* Nothing is known of a root: then nothing at all may be known, or something is damaged. */
static int check_is_new(const struct catalogue *catalogue, char **ret_message)
{
	bool is_new = catalogue_next_account(catalogue) == 0 && catalogue_n_holes(catalogue) == 0;

	for (size_t i = 0; i < catalogue_n_journals(catalogue); i++)
		is_new = is_new && catalogue_journal(catalogue, i)->first == 1;
	if (is_new)
		return 0;
	return message_set(ret_message, -EBADMSG,
		"the journals have accounts, but nothing of the root account; see mailfs-admin "
		"fsck");
}

/* The store has no root: either the volume is new, or the root is on the backend. */
static int look_for_root(struct replicator *r, char **ret_message)
{
	const struct catalogue *catalogue;
	struct catalogue_plan plan;
	int result = loader_get_catalogue(r->loader, &catalogue, ret_message);

	if (result == 0)
		result = catalogue_plan(catalogue, root, BACKEND_READER, &plan, ret_message);
	if (result == -ENOENT)
		return check_is_new(catalogue, ret_message);
	if (result < 0)
		return result;
	catalogue_plan_done(&plan);
	log_info("the state directory is empty: accounts are loaded from the backend");
	result = adoption_expect(r->options.node, &root, 1);
	failpoint("replicator.expected");
	return result;
}

struct wait {
	struct lock lock;
	struct lock_condition changed;
	bool is_done;
	int error;
};

static void done(void *arg, int error)
{
	struct wait *wait = arg;

	lock_acquire(&wait->lock);
	wait->is_done = true;
	wait->error = error;
	lock_condition_signal(&wait->changed);
	lock_release(&wait->lock);
}

static int load_root(struct replicator *r, char **ret_message)
{
	CLEANUP_FREE char *problem = NULL;
	struct wait wait = {.is_done = false};

	lock_init(&wait.lock);
	lock_condition_init(&wait.changed);
	adoption_wait(r->options.node, root, done, &wait);
	lock_acquire(&wait.lock);
	while (!wait.is_done)
		lock_condition_wait(&wait.changed, &wait.lock);
	lock_release(&wait.lock);
	lock_condition_done(&wait.changed);
	lock_done(&wait.lock);
	failpoint("replicator.root");
	if (wait.error == 0)
		return 0;
	problem = loader_take_problem(r->loader);
	return message_set(ret_message, wait.error, "the root account cannot be loaded: %s",
		problem != NULL ? problem : strerror(-wait.error));
}

static int expect_missing(struct replicator *r)
{
	CLEANUP_FREE uint32_t *accounts = NULL;
	size_t n = 0;
	int result = account_list_missing(r->options.node, &accounts, &n);

	if (result == 0 && n > 0)
		result = adoption_expect(r->options.node, accounts, n);
	if (result == 0 && n > 0)
		log_info("%zu accounts are on the backend and are loaded when they are used", n);
	return result;
}

int replicator_find_accounts(struct replicator *r, char **ret_message)
{
	int ignored, result = 0, has = account_list_has(r->options.node, root);

	if (has < 0)
		return has;
	if (has == 0 && adoption_place(r->options.node, root, &ignored) == ADOPTION_HERE)
		result = look_for_root(r, ret_message);
	if (result == 0 && adoption_place(r->options.node, root, &ignored) != ADOPTION_HERE)
		result = load_root(r, ret_message);
	return result == 0 ? expect_missing(r) : result;
}
