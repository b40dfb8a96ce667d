#include <config.h>

#include "cache/cut.h"
#include "journal_answer.h"
#include "util/clock.h"

#define PATIENCE_MS 25000

static _Atomic unsigned int n_answers;

void journal_answer_take(void *answer, int error)
{
	struct journal_answer *a = answer;

	a->turn = ++n_answers;
	a->error = error;
}

void journal_answer_begin(struct journal_answer *a, struct journal *journal, struct node *node)
{
	a->error = 1;
	journal_wait(journal, cut_last_lsn(node), journal_answer_take, a);
}

int journal_answer_wait(struct journal_answer *a)
{
	uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

	while (a->error == 1 && clock_monotonic_ms() < end_ms)
		clock_sleep_ms(1);
	return a->error;
}

int journal_answer_now(struct journal *journal, struct node *node)
{
	struct journal_answer a;

	journal_answer_begin(&a, journal, node);
	return journal_answer_wait(&a);
}
