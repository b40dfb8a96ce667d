#include <config.h>
#include "replication/replicator.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cache/account_list.h"
#include "cache/adoption.h"
#include "cache/key.h"
#include "cache/packer.h"
#include "replication/keeper.h"
#include "replication/replicator_private.h"
#include "replication/takeover.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/log.h"
#include "util/message.h"

/* Each begins another incarnation, which nothing can be on its way to. */
#define MAX_INCARNATIONS_BEGUN 3

/* ---- ownership */

static int note(struct replicator *r, uint64_t incarnation, uint64_t epoch, char **ret_message)
{
	int result = r->options.note == NULL
			     ? 0
			     : r->options.note(r->options.note_arg, incarnation, epoch);

	return result < 0 ? message_set(ret_message, result,
				    "cannot note the ownership in the state directory: %s",
				    strerror(-result))
			  : 0;
}

static int superseded(char **ret_message)
{
	return message_set(ret_message, -ESTALE,
		"another node owns the volume now: what is in the state directory is superseded");
}

/* What this node claims: the epoch behind `newest` (NULL: the first). */
static int claim(struct replicator *r, const struct owner *newest, char **ret_message)
{
	int result;

	r->owner.epoch = newest != NULL ? newest->epoch + 1 : 1;
	result = owner_claim(r->options.backend, &r->owner, r->options.plain_puts, ret_message);
	if (result == -EEXIST)
		return -ESTALE;
	if (result == 0)
		log_info("this node owns the volume in epoch %" PRIu64 ", incarnation %" PRIu64,
			r->owner.epoch, r->owner.incarnation);
	return result;
}

/* From here on nobody else writes; then that is noted, so that the next start need not look. */
static int end_others(struct replicator *r, char **ret_message)
{
	struct takeover_options options = {.backend = r->options.backend,
		.self = &r->owner,
		.plain_puts = r->options.plain_puts};
	int result = takeover_seal_others(&options, ret_message);

	if (result == 0)
		result = note(r, r->owner.incarnation, r->owner.epoch, ret_message);
	return result;
}

/* What was never shipped would be mixed with what the other has done since. */
static int check_claim(struct replicator *r, const struct owner *newest, char **ret_message)
{
	int has;

	if (newest == NULL || memcmp(newest->node.bytes, r->owner.node.bytes, UUID_BYTES) == 0)
		return 0;
	if (r->options.plain_puts)
		return message_set(ret_message, -EOPNOTSUPP,
			"another node owns the volume, and this store does not keep the promise "
			"of conditional writes, so that its journal cannot be ended safely; when "
			"that node is gone for ever, remove the objects below %s",
			OWNER_PREFIX);
	has = account_list_has(r->options.node, KEY_ROOT_ACCOUNT);
	return has > 0 ? superseded(ret_message) : has;
}

static int become_owner(struct replicator *r, char **ret_message)
{
	struct owner found, *newest = &found;
	int result = owner_find(r->options.backend, &r->options.volume, &found, ret_message);

	if (result == -ENOENT)
		newest = NULL;
	else if (result < 0)
		return result;
	switch (owner_relate(newest, &r->owner.node, r->owner.incarnation, r->options.epoch)) {
	case OWNER_SUPERSEDED:
		return superseded(ret_message);
	case OWNER_MINE:
		r->owner = found;
		return found.epoch == r->options.epoch ? 0 : end_others(r, ret_message);
	case OWNER_CLAIMABLE:
		break;
	}
	result = check_claim(r, newest, ret_message);
	if (result == 0)
		result = claim(r, newest, ret_message);
	return result == 0 ? end_others(r, ret_message) : result;
}

/* Something of this node's own may still land in the journal of its present incarnation. It is
 * noted first: a start that finds a higher one than the owner record has goes on with the claim. */
static int begin_incarnation(struct replicator *r, char **ret_message)
{
	struct owner before = r->owner;
	int result = note(r, before.incarnation + 1, before.epoch, ret_message);

	failpoint("replicator.incarnation");
	r->owner.incarnation = before.incarnation + 1;
	if (result == 0)
		result = claim(r, &before, ret_message);
	return result == 0 ? end_others(r, ret_message) : result;
}

/* ---- opening */

static int try_journal(struct replicator *r, char **ret_message)
{
	const struct replicator_options *o = &r->options;
	struct journal_options options = {.node = r->owner.node,
		.incarnation = r->owner.incarnation,
		.commit_interval_ms = o->commit_interval_ms,
		.commit_window_ms = o->commit_window_ms,
		.commit_timeout_ms = o->commit_timeout_ms,
		.max_in_flight = JOURNAL_IN_FLIGHT,
		.plain_puts = o->plain_puts,
		.syncs_notes = o->syncs_notes,
		.catches_up = true,
		.never_reuses = true};

	return journal_open(o->node, o->backend, &options, &r->journal, ret_message);
}

static int open_journal(struct replicator *r, char **ret_message)
{
	int result = try_journal(r, ret_message);

	for (int i = 0; result == -EALREADY && i < MAX_INCARNATIONS_BEGUN; i++) {
		log_info("%s: a new incarnation begins",
			*ret_message != NULL ? *ret_message : "the journal is in doubt");
		free(*ret_message);
		*ret_message = NULL;
		result = begin_incarnation(r, ret_message);
		if (result == 0)
			result = try_journal(r, ret_message);
	}
	return result;
}

static void wait_for_journal(
	void *arg, uint64_t lsn, void (*wait_done)(void *arg, int error), void *done_arg)
{
	struct replicator *r = arg;

	journal_wait(r->journal, lsn, wait_done, done_arg);
}

static void load(void *arg, uint32_t account)
{
	struct replicator *r = arg;

	loader_load(r->loader, account, loader_thread_priority());
}

/* Also tells the node when nothing is put any more, for those who wait for nothing. */
static uint64_t lag(void *arg)
{
	struct replicator *r = arg;
	struct journal_figures figures;

	journal_get_figures(r->journal, &figures);
	if (figures.error == -ESTALE)
		node_fence(r->options.node);
	return figures.lag_ms;
}

/* Also one that is about to go: it is flushed before. */
static bool is_here(void *arg, uint32_t account)
{
	const struct replicator *r = arg;

	return adoption_place(r->options.node, account, NULL) == ADOPTION_HERE;
}

static int pack(void *arg, uint32_t account)
{
	struct replicator *r = arg;
	uint64_t rate = r->options.background_bytes_per_s;
	struct packer_options options = {.rate_bytes_per_s = rate != 0 ? rate : KEEPER_BYTES_PER_S,
		.stopping = &r->stopping};
	struct packer_figures figures = {0};

	return packer_pack_account(r->options.node, account, &options, &figures);
}

static int start_keeper(struct replicator *r)
{
	struct keeper_options options = {.node = r->options.node,
		.backend = r->options.backend,
		.journal = r->journal,
		.volume = r->options.volume,
		.node_uuid = r->owner.node,
		.incarnation = r->owner.incarnation,
		.epoch = (uint32_t)r->owner.epoch,
		.plain_puts = r->options.plain_puts,
		.retention_ms = r->options.retention_ms,
		.quiet_ms = r->options.quiet_ms,
		.tail_max_bytes = r->options.tail_max_bytes,
		.background_bytes_per_s = r->options.background_bytes_per_s,
		.pack = pack,
		.is_here = is_here,
		.arg = r};

	return keeper_start(&options, &r->keeper);
}

static int open_all(struct replicator *r, char **ret_message)
{
	struct loader_options loader = {.node = r->options.node,
		.backend = r->options.backend,
		.volume = r->options.volume};
	struct node_replication replication = {.wait = wait_for_journal,
		.load = load,
		.lag = lag,
		.retention_ms = r->options.retention_ms,
		.arg = r};
	int result = become_owner(r, ret_message);

	failpoint("replicator.owner");
	if (result == 0)
		result = open_journal(r, ret_message);
	if (result == 0)
		result = loader_new(&loader, &r->loader);
	if (result < 0)
		return result;
	node_set_replication(r->options.node, &replication);
	result = replicator_find_accounts(r, ret_message);
	return result == 0 ? start_keeper(r) : result;
}

int replicator_open(
	const struct replicator_options *options, struct replicator **ret, char **ret_message)
{
	struct replicator *r = calloc(1, sizeof(*r));
	int result;

	*ret_message = NULL;
	if (r == NULL)
		return -ENOMEM;
	r->options = *options;
	lock_init(&r->lock);
	r->owner = (struct owner){.volume = options->volume,
		.node = options->node_uuid,
		.incarnation = options->incarnation > 0 ? options->incarnation : 1};
	result = open_all(r, ret_message);
	if (result < 0) {
		if (*ret_message == NULL)
			(void)message_set(ret_message, result, "cannot begin to replicate: %s",
				strerror(-result));
		(void)replicator_close(r, 0, false);
		return result;
	}
	*ret = r;
	return 0;
}

static uint32_t left_ms(uint64_t until_ms)
{
	uint64_t now_ms = clock_monotonic_ms();

	return until_ms > now_ms ? (uint32_t)(until_ms - now_ms) : 0;
}

/* Those that are not made in time are made later: nothing is lost without them. */
static int write_checkpoints(struct replicator *r, uint32_t timeout_ms)
{
	struct keeper_job job = {.timeout_ms = timeout_ms, .unlimited = true};
	int result;

	if (r->keeper == NULL)
		return 0;
	result = keeper_checkpoint(r->keeper, &job);
	if (result < 0)
		log_info("not every account has a checkpoint (%s): the journal has the rest",
			strerror(-result));
	return result == -ESTALE ? result : 0;
}

int replicator_close(struct replicator *r, uint32_t timeout_ms, bool with_checkpoints)
{
	uint64_t until_ms = clock_monotonic_ms() + timeout_ms;
	int result, closed;

	if (r == NULL)
		return 0;
	loader_stop(r->loader);
	result = with_checkpoints ? write_checkpoints(r, timeout_ms) : 0;
	atomic_store(&r->stopping, true);
	keeper_stop(r->keeper);
	node_set_replication(r->options.node, NULL); /* from now on nobody begins to wait */
	closed = journal_close(r->journal, left_ms(until_ms));
	if (closed < 0)
		result = closed;
	loader_free(r->loader);
	lock_done(&r->lock);
	free(r);
	return result;
}

int replicator_commit(struct replicator *r, uint32_t timeout_ms)
{
	return journal_flush(r->journal, timeout_ms);
}

/* ---- figures */

void replicator_get_figures(struct replicator *r, struct replicator_figures *ret)
{
	struct adoption_figures adoption;
	struct keeper_figures keeper;

	adoption_get_figures(r->options.node, &adoption);
	*ret = (struct replicator_figures){
		.epoch = r->owner.epoch,
		.incarnation = r->owner.incarnation,
		.accounts_here = account_list_count(r->options.node),
		.accounts_absent = adoption.absent,
		.accounts_loading = adoption.loading,
		.accounts_failed = adoption.failed,
	};
	journal_get_figures(r->journal, &ret->journal);
	keeper_get_figures(r->keeper, &keeper);
	ret->checkpoints = keeper.checkpoints;
	ret->checkpoint_bytes = keeper.checkpoint_bytes;
	ret->segments_removed = keeper.segments_removed;
	ret->checkpoints_removed = keeper.checkpoints_removed;
	ret->journal_segments = keeper.journal_segments;
	ret->journal_bytes = keeper.journal_bytes;
	ret->background_error = keeper.error;
}

bool replicator_get_account(struct replicator *r, uint32_t account, struct replicator_account *ret)
{
	static const int places[] = {
		[ADOPTION_HERE] = REPLICATOR_HERE,
		[ADOPTION_ABSENT] = REPLICATOR_ABSENT,
		[ADOPTION_LOADING] = REPLICATOR_LOADING,
		[ADOPTION_FAILED] = REPLICATOR_FAILED,
	};
	struct replicator_account result = {.account = account};
	struct keeper_account kept;
	enum adoption_place place = adoption_place(r->options.node, account, &result.error);

	if (place == ADOPTION_HERE && account_list_has(r->options.node, account) <= 0)
		return false;
	result.place = places[place];
	(void)journal_get_pending(r->journal, account, &result.pending_ms, &result.pending_bytes);
	if (keeper_get_account(r->keeper, account, &kept)) {
		result.tail_bytes = kept.tail_bytes;
		result.tail_segments = kept.tail_segments;
		result.idle_ms = kept.idle_ms;
		result.checkpoint_number = kept.checkpoint_number;
	}
	*ret = result;
	return true;
}
