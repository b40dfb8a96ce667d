/*
 * proxy_rules.h: what the proxy shall do, as text and as a table.
 *
 *     RULES  = RULE { ";" RULE }
 *     RULE   = OPERATION { ":" TERM }      OPERATION as the protocol names it, or "any"
 *     TERM   = nth=N | from=N | every=N    of the requests of that operation, counted from 1
 *            | times=N                     at most N times
 *            | percent=N                   with this probability, always in the same sequence
 *            | delay=N                     ms, before the request is passed on
 *            | ACTION                      at most one
 *     ACTION = reset           the connection, instead of passing the request on
 *            | hang            never answer
 *            | status=N        answer with this (HTTP status, NFS3ERR_*)
 *            | after           with the three above: the request is passed on, its answer lost
 *            | cut_request     pass half of it on, then reset
 *            | spoil_request   change a bit of its body
 *            | cut_answer      pass half of it on, then reset
 *            | short_answer    cut the body, with lengths that fit
 *            | long_length     announce more than there is, then close
 *            | short_length    announce less than there is
 *            | corrupt         change a bit of the answer's body
 *
 * The first rule that matches a request and is due applies.
 */
#ifndef MAILFS_TESTS_SUPPORT_PROXY_PROXY_RULES_H
#define MAILFS_TESTS_SUPPORT_PROXY_PROXY_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROXY_OPERATION_BYTES 24
#define PROXY_RULES_MAX 16
#define PROXY_RULES_MAX_DELAY_MS 3600000

enum proxy_action {
	PROXY_PASS,
	PROXY_RESET,
	PROXY_HANG,
	PROXY_STATUS,
	PROXY_CUT_REQUEST,
	PROXY_SPOIL_REQUEST,
	PROXY_CUT_ANSWER,
	PROXY_SHORT_ANSWER,
	PROXY_LONG_LENGTH,
	PROXY_SHORT_LENGTH,
	PROXY_CORRUPT,
};

struct proxy_rule {
	char operation[PROXY_OPERATION_BYTES];
	uint64_t first, last, every; /* last 0: no end */
	uint64_t times;              /* 0: without limit */
	uint64_t percent;
	uint64_t delay_ms;
	enum proxy_action action;
	uint64_t status;
	bool after;
	uint64_t n_seen, n_hits;
};

struct proxy_rules {
	size_t n;
	struct proxy_rule rules[PROXY_RULES_MAX];
	uint64_t random; /* of percent */
};

/* -EINVAL: *ret_message is a malloc()ed sentence. */
int proxy_rules_parse(const char *text, struct proxy_rules *ret, char **ret_message);

/* Counts a request; the rule for it, or NULL. */
const struct proxy_rule *proxy_rules_choose(struct proxy_rules *rules, const char *operation);

#endif
