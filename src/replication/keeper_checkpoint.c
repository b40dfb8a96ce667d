/*
 * keeper_checkpoint.c: accounts get checkpoints, several from one moment of the node.
 */
#include <config.h>
#include "replication/keeper_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/log.h"

#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 300000
#define ABSENT_PAUSE_MS 60000

struct batch {
	struct keeper *keeper;
	size_t n;
	uint32_t accounts[KEEPER_BATCH_ACCOUNTS];
	struct position positions[KEEPER_BATCH_ACCOUNTS];
	bool has_position[KEEPER_BATCH_ACCOUNTS];
	uint64_t numbers[KEEPER_BATCH_ACCOUNTS];
	struct journal_snapshot moment;
	int64_t created_ms; /* of all of them */
	uint64_t bytes;
	int error; /* the first */
};

/* ---- what becomes of it */

static uint64_t pause_ms(unsigned int failures)
{
	uint64_t pause = PAUSE_MIN_MS;

	while (failures-- > 0 && pause < PAUSE_MAX_MS)
		pause *= 2;
	return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

static void fail(struct batch *b, uint32_t account, int error)
{
	struct keeper *k = b->keeper;
	struct keeper_tail *tail;

	if (b->error == 0)
		b->error = error;
	if (error == -ECANCELED)
		return;
	lock_acquire(&k->lock);
	tail = keeper_find_locked(k, account);
	if (tail != NULL) {
		if (tail->failures == 0 && error != -ENOENT)
			log_warning("account %" PRIu32 " gets no checkpoint yet: %s", account,
				strerror(-error));
		tail->error = error;
		tail->not_before_ms =
			clock_monotonic_ms() +
			(error == -ENOENT ? ABSENT_PAUSE_MS : pause_ms(tail->failures++));
		tail->is_looked = false; /* there may be parts of it */
	}
	lock_release(&k->lock);
	if (error != -ENOENT)
		keeper_note_error(k, error);
}

/* The checkpoint has what is in segments of journals that are over, and up to its own moment. */
static bool is_behind(const void *arg, const struct keeper_item *item)
{
	const struct batch *b = arg;

	return item->journal == KEEPER_OWN && item->sequence > b->moment.sequence;
}

static int note_checkpoint_locked(struct keeper *k, const struct batch *b, uint32_t account,
	uint64_t number, const struct checkpoint_writer_result *result) REQUIRES(k->lock)
{
	struct keeper_tail *tail = keeper_find_locked(k, account);
	struct keeper_old old = {
		.number = number, .created_ms = b->created_ms, .n_parts = result->n_parts};
	int r = tail == NULL ? -ENOENT : keeper_add_old_locked(k, tail, &old);

	k->figures.checkpoints++;
	k->figures.checkpoint_bytes += result->bytes;
	if (r < 0)
		return r;
	keeper_drop_items_locked(k, tail, is_behind, b);
	tail->covered = b->moment.sequence;
	tail->is_empty = result->n_sections == 0;
	tail->failures = 0;
	tail->error = 0;
	tail->not_before_ms = 0;
	return 0;
}

static void take_results(struct batch *b)
{
	struct checkpoint_writer_result result;
	struct keeper *k = b->keeper;

	while (checkpoint_writer_take(k->writer, &result)) {
		size_t i = (size_t)((const uint32_t *)result.arg - b->accounts);
		int r = result.error;

		b->bytes += result.bytes;
		if (r == 0) {
			failpoint("keeper.checkpoint");
			lock_acquire(&k->lock);
			r = note_checkpoint_locked(k, b, b->accounts[i], b->numbers[i], &result);
			lock_release(&k->lock);
		}
		if (r < 0)
			fail(b, b->accounts[i], r);
	}
}

/* ---- one account */

/* Above all that there are, but never in the epoch of an owner to come: he may have gone on from
 * here already, and then his checkpoints have to count. */
static uint64_t next_number_locked(struct keeper *k, struct keeper_tail *tail) REQUIRES(k->lock)
{
	uint64_t first = (uint64_t)k->options.epoch << KEEPER_EPOCH_SHIFT;
	uint64_t end = ((uint64_t)k->options.epoch + 1) << KEEPER_EPOCH_SHIFT;

	if (tail->number < first)
		tail->number = first;
	return tail->number + 1 < end ? ++tail->number : 0;
}

/* Only accounts with a tail stay in the batch. */
static void prepare(struct batch *b, uint32_t account)
{
	struct keeper *k = b->keeper;
	struct keeper_tail *tail;
	bool is_looked = false, has_tail;
	int r = 0;

	lock_acquire(&k->lock);
	tail = keeper_find_locked(k, account);
	has_tail = tail != NULL && tail->n_items > 0;
	if (has_tail)
		is_looked = tail->is_looked;
	lock_release(&k->lock);
	if (!has_tail)
		return;
	if (k->options.is_here != NULL && !k->options.is_here(k->options.arg, account))
		r = -ENOENT;
	if (r == 0 && !is_looked)
		r = keeper_look(k, account);
	if (r < 0) {
		fail(b, account, r);
		return;
	}
	lock_acquire(&k->lock);
	tail = keeper_find_locked(k, account);
	has_tail = tail != NULL && tail->n_items > 0;
	if (has_tail)
		b->numbers[b->n] = next_number_locked(k, tail);
	lock_release(&k->lock);
	if (!has_tail)
		return;
	if (b->numbers[b->n] == 0) {
		fail(b, account, -ESTALE);
		return;
	}
	if (k->options.pack != NULL && k->options.pack(k->options.arg, account) < 0)
		log_debug(
			"account %" PRIu32 " is not packed: its checkpoint carries more", account);
	b->accounts[b->n++] = account;
}

/* What the store says counts: without it an account that has just gone would look empty. */
static int begin_one(struct batch *b, size_t i)
{
	struct checkpoint_writer_request request = {.cut = b->moment.cut,
		.cut_ms = b->created_ms,
		.account = b->accounts[i],
		.number = b->numbers[i],
		.position = b->positions[i],
		.arg = &b->accounts[i]};
	int r = cut_has_account(b->moment.cut, b->accounts[i]);

	if (r < 0)
		return r;
	if (r == 0 || !b->has_position[i])
		return -ENOENT;
	return checkpoint_writer_begin(b->keeper->writer, &request);
}

static void write_all(struct batch *b)
{
	struct keeper *k = b->keeper;
	int64_t newest_ms;
	int r = 0;

	lock_acquire(&k->lock);
	newest_ms = k->newest_completed_ms > k->newest_ms ? k->newest_completed_ms : k->newest_ms;
	lock_release(&k->lock);
	/* Whatever clocks did: later than all segments that it includes. */
	b->created_ms = b->moment.cut_ms > newest_ms ? b->moment.cut_ms : newest_ms + 1;
	k->snapshot_end_ms = clock_monotonic_ms() + KEEPER_SNAPSHOT_MS;
	for (size_t i = 0; i < b->n; i++) {
		r = atomic_load(&k->stopping) ? -ECANCELED : begin_one(b, i);
		if (r < 0)
			fail(b, b->accounts[i], r);
		take_results(b);
	}
	checkpoint_writer_drain(k->writer);
	take_results(b);
}

int keeper_make_checkpoints(
	struct keeper *k, const uint32_t *accounts, size_t n, uint64_t *ret_bytes)
{
	struct batch b = {.keeper = k};
	int r;

	for (size_t i = 0; i < n && !atomic_load(&k->stopping); i++)
		prepare(&b, accounts[i]);
	if (b.n == 0)
		return b.error;
	b.moment = (struct journal_snapshot){.accounts = b.accounts,
		.n_accounts = b.n,
		.positions = b.positions,
		.has_position = b.has_position};
	r = journal_snapshot(k->options.journal, &b.moment, k->is_for_job, KEEPER_SNAPSHOT_WAIT_MS,
		&k->stopping);
	failpoint("keeper.snapshot");
	if (r == 0)
		write_all(&b);
	for (size_t i = 0; r < 0 && i < b.n; i++)
		fail(&b, b.accounts[i], r);
	cut_done(b.moment.cut);
	*ret_bytes += b.bytes;
	return b.error;
}
