/*
 * catalogue_choice.c: which checkpoint an account is built upon (catalogue_private.h).
 */
#include <config.h>
#include "replication/catalogue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include "replication/catalogue_private.h"
#include "util/log.h"

/* Who removes a checkpoint has put a newer one before: then there is that. What is still listed,
 * and is not there, is damage. */
#define MOST_LISTINGS 3

/* Asked first: what is wrong with a later one is of no interest. */
static bool is_wanted(const struct catalogue *c, const struct checkpoint *checkpoint)
{
	int64_t not_after_ms = c->options.not_after_ms;

	return not_after_ms == 0 || checkpoint->created_ms <= not_after_ms;
}

static void pass_over_unreadable(
	struct catalogue_choice *choice, uint64_t number, const char *problem)
{
	if (choice->n_unreadable++ > 0)
		return;
	choice->unreadable = number;
	choice->problem = problem;
}

/* *ret_problem stays NULL for one that can be used, or is not wanted. */
static int try_one(const struct catalogue *c, uint32_t account, enum backend_priority priority,
	const struct catalogue_number *number, struct catalogue_choice *choice,
	const char **ret_problem)
{
	const char *problem = "it is missing";
	struct checkpoint checkpoint;
	bool is_readable;
	int r = catalogue_read_checkpoint(
		c, account, number->number, priority, &checkpoint, &problem);

	is_readable = r == 0;
	choice->is_any_gone = choice->is_any_gone || r == -ENOENT;
	if (r == -EBADMSG)
		r = catalogue_read_header(c, account, number->number, priority, &checkpoint);
	if (r == -EBADMSG || r == -ENOENT) {
		pass_over_unreadable(choice, number->number, problem);
		*ret_problem = problem;
		return 0;
	}
	if (r < 0)
		return r;
	if (!is_wanted(c, &checkpoint)) {
		choice->n_unreadable = 0; /* what is above a later one is later too */
	} else if (is_readable && catalogue_is_whole(number, &checkpoint)) {
		choice->checkpoint = checkpoint;
		choice->has_checkpoint = true;
		return 0;
	} else {
		*ret_problem = is_readable ? "parts of it are missing" : problem;
		choice->lost[choice->n_lost++] =
			(struct catalogue_lost){number->number, checkpoint.position, *ret_problem};
	}
	checkpoint_done(&checkpoint);
	return 0;
}

/* From the newest one down to the first that can be read, has all its parts, and is wanted. The
 * others are noted and passed over: the planner refuses unless the segments lead as far as they. */
static int choose(const struct catalogue *c, uint32_t account, enum backend_priority priority,
	const struct catalogue_numbers *numbers, struct catalogue_choice *choice)
{
	int r = 0;

	for (size_t i = numbers->n; i > 0 && r == 0 && !choice->has_checkpoint; i--) {
		const struct catalogue_number *number = &numbers->numbers[i - 1];
		const char *problem = NULL;

		if (choice->n_lost + choice->n_unreadable == CATALOGUE_CHECKPOINTS_TRIED)
			break;
		r = try_one(c, account, priority, number, choice, &problem);
		if (problem != NULL)
			log_error("checkpoint %" PRIu64 " of account %" PRIu32
				  " cannot be used: %s",
				number->number, account, problem);
	}
	return r;
}

static int list_and_choose(const struct catalogue *c, uint32_t account,
	enum backend_priority priority, struct catalogue_choice *ret, char **ret_message)
{
	struct catalogue_choice choice = {.has_checkpoint = false};
	struct catalogue_numbers numbers;
	int r = catalogue_list_checkpoints(c, account, &numbers, ret_message);

	if (r == 0)
		r = choose(c, account, priority, &numbers, &choice);
	free(numbers.numbers);
	if (r == 0)
		*ret = choice;
	else
		catalogue_choice_done(&choice);
	return r;
}

int catalogue_choose(const struct catalogue *c, uint32_t account, enum backend_priority priority,
	struct catalogue_choice *ret, char **ret_message)
{
	int r = list_and_choose(c, account, priority, ret, ret_message);

	for (int i = 1; r == 0 && ret->is_any_gone && i < MOST_LISTINGS; i++) {
		catalogue_choice_done(ret);
		r = list_and_choose(c, account, priority, ret, ret_message);
	}
	return r;
}

void catalogue_choice_done(struct catalogue_choice *choice)
{
	if (choice->has_checkpoint)
		checkpoint_done(&choice->checkpoint);
	choice->has_checkpoint = false;
}
