/*
 * journal_answer.h: what a journal says to somebody who waits. For tests.
 */
#ifndef MAILFS_TESTS_COMPONENT_JOURNAL_ANSWER_H
#define MAILFS_TESTS_COMPONENT_JOURNAL_ANSWER_H

#include "cache/node.h"
#include "replication/journal.h"

struct journal_answer {
	_Atomic int error;         /* 1: there is no answer yet */
	_Atomic unsigned int turn; /* it was the nth of all answers */
};

/* Takes an answer: the function for journal_wait(), with the answer as its argument. */
void journal_answer_take(void *answer, int error);

/* Asks for all that the node has done so far. The answer stays where it is until it is there. */
void journal_answer_begin(
	struct journal_answer *answer, struct journal *journal, struct node *node);

/* The answer's error, after 25 s at most; then 1, perhaps. */
int journal_answer_wait(struct journal_answer *answer);

/* Both. */
int journal_answer_now(struct journal *journal, struct node *node);

#endif
