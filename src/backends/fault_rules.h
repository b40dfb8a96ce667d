/*
 * fault_rules.h: what shall go wrong, as text and as a table.
 *
 *     RULES  = RULE { ";" RULE }
 *     RULE   = OPERATION { ":" TERM }
 *     OPERATION = put | get | head | remove | remove_many | list | copy | any
 *     TERM   = key=PATTERN     only keys (list: prefixes) that match, as of fnmatch(3); '*' also
 *                              matches '/'
 *            | nth=N           only the Nth call that matches, counted from 1
 *            | from=N          from the Nth one on
 *            | every=N         each Nth one
 *            | times=N         at most N times
 *            | p=SHARE         with this probability, 0 to 1
 *            | seed=N          for p; the same seed makes the same choices
 *            | error=NAME      EIO, ENOSPC …, or a number
 *            | after           the error comes after the real call: its answer is lost
 *            | delay=DURATION  before the call: 30ms, 2s
 *            | hang            until released, or the deadline
 *            | corrupt         get: one bit of the data is wrong
 *            | truncate=N      get: only the first N bytes come
 *
 * The first rule that matches a call and is due applies. No character needs quoting in mount
 * options: there is no comma. Example: put:key=journal*:nth=3:error=EIO:after;get:delay=30ms
 */
#ifndef MAILFS_BACKENDS_FAULT_RULES_H
#define MAILFS_BACKENDS_FAULT_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/wrapper.h"

#define FAULT_RULES_MAX 32
#define FAULT_RULES_MAX_TEXT_BYTES 4096
#define FAULT_RULES_PATTERN_BYTES 128
#define FAULT_RULES_MAX_DELAY_MS 3600000

struct fault_rule {
	bool any_operation;
	enum wrapper_operation operation;
	char pattern[FAULT_RULES_PATTERN_BYTES]; /* "": every key */
	uint64_t first, last, every;             /* which of the matching calls; last 0: no end */
	uint64_t times;                          /* 0: without limit */
	double probability;
	uint64_t seed;
	int error; /* 0 or negative errno */
	bool after;
	uint32_t delay_ms;
	bool hang;
	bool corrupt;
	bool truncate;
	uint64_t truncate_bytes;
};

struct fault_rules {
	size_t n;
	struct fault_rule rules[FAULT_RULES_MAX];
};

/* "" gives no rules. -EINVAL: *ret_message is a malloc()ed sentence for the user. */
int fault_rules_parse(const char *text, struct fault_rules *ret, char **ret_message);

/* Whether the rule is about this call; counting and chance are not looked at. */
bool fault_rule_matches(const struct fault_rule *rule, const struct wrapper_call *call);

/* Whether the count-th call that matches (from 1) is hit. */
bool fault_rule_is_due(const struct fault_rule *rule, uint64_t count);

#endif
