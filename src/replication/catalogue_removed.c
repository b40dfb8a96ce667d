/*
 * catalogue_removed.c: what may have been removed for the sake of a checkpoint that cannot be read
 * (catalogue_private.h).
 *
 * Nothing but its key is known of it. That has the epoch of the owner who wrote it, and owner
 * records say which journal was whose: so what it had stood in journals up to that of its epoch.
 * Each journal loses its segments from the first one on. So of the journal that the account's
 * segments were followed into nothing behind the last of them is gone; but a later one may have
 * lost what came next, while that one is kept for the sake of other accounts.
 *
 * The records of the last owners are there (OWNER_KEPT). Where none of them names the journal that
 * was reached, any other may have come after it; but nothing is missing while no other has lost its
 * beginning.
 */
#include <config.h>
#include "replication/catalogue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "replication/catalogue_private.h"
#include "replication/keeper.h"
#include "replication/owner.h"
#include "util/log.h"

struct epochs {
	struct owner *owners; /* by epoch; owned */
	size_t n;
};

/* 0: it is not known. */
static uint64_t epoch_of(const struct epochs *epochs, const struct uuid *node, uint64_t incarnation)
{
	for (size_t i = epochs->n; i > 0; i--) {
		const struct owner *owner = &epochs->owners[i - 1];

		if (owner->incarnation == incarnation &&
			memcmp(owner->node.bytes, node->bytes, UUID_BYTES) == 0)
			return owner->epoch;
	}
	return 0;
}

static bool is_of(
	const struct catalogue_journal *journal, const struct uuid *node, uint64_t incarnation)
{
	return journal->incarnation == incarnation &&
	       memcmp(journal->node.bytes, node->bytes, UUID_BYTES) == 0;
}

/* Not all that it ever had is there. */
static bool has_lost(const struct catalogue_journal *journal)
{
	return journal->first > 1 || journal->has_holes;
}

/* One that is not there has never had anything: the last segment stays. */
static bool owner_has_lost(const struct catalogue *c, const struct owner *owner)
{
	for (size_t i = 0; i < c->n_journals; i++) {
		if (is_of(&c->journals[i], &owner->node, owner->incarnation))
			return has_lost(&c->journals[i]);
	}
	return false;
}

/* Behind the journal of epoch `reached`, up to that of `written_in`. */
static bool any_between_has_lost(const struct catalogue *c, const struct epochs *epochs,
	uint64_t reached, uint64_t written_in)
{
	uint64_t next = reached + 1;

	for (size_t i = 0; i < epochs->n && next <= written_in; i++) {
		const struct owner *owner = &epochs->owners[i];

		if (owner->epoch < next)
			continue;
		if (owner->epoch > next || owner_has_lost(c, owner))
			return true;
		next++;
	}
	return next <= written_in;
}

/* Nobody knows when `last` was written. */
static bool any_has_lost(const struct catalogue *c, const struct epochs *epochs,
	const struct position *last, uint64_t written_in)
{
	for (size_t i = 0; i < c->n_journals; i++) {
		const struct catalogue_journal *journal = &c->journals[i];

		if (has_lost(journal) && !is_of(journal, &last->node, last->incarnation) &&
			epoch_of(epochs, &journal->node, journal->incarnation) <= written_in)
			return true;
	}
	return false;
}

int catalogue_may_lack(const struct catalogue *c, uint64_t number, const struct position *last,
	bool *ret, char **ret_message)
{
	struct epochs epochs = {NULL, 0};
	uint64_t reached, written_in = number >> KEEPER_EPOCH_SHIFT;
	int r = owner_list(
		c->options.backend, &c->options.volume, &epochs.owners, &epochs.n, ret_message);

	if (r == -EBADMSG) { /* without them less is known */
		log_warning("%s", *ret_message);
		free(*ret_message);
		*ret_message = NULL;
		r = 0;
	}
	if (r < 0)
		return r;
	reached = epoch_of(&epochs, &last->node, last->incarnation);
	*ret = reached != 0 ? any_between_has_lost(c, &epochs, reached, written_in)
			    : any_has_lost(c, &epochs, last, written_in);
	free(epochs.owners);
	return 0;
}
