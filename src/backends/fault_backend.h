/*
 * fault_backend.h: a wrapper that makes calls fail, wait or lie, by the rules of fault_rules.h.
 */
#ifndef MAILFS_BACKENDS_FAULT_BACKEND_H
#define MAILFS_BACKENDS_FAULT_BACKEND_H

#include "backends/fault_rules.h"

/* Takes over `next`, also on failure. Starts threads. */
int fault_backend_new(struct backend *next, const struct fault_rules *rules, struct backend **ret);

/* In all of these `b` is what fault_backend_new() gave. */

/* Parses and sets new rules, counted anew; calls that wait go on waiting. */
int fault_backend_set(struct backend *b, const char *text, char **ret_message);

/* Calls that hang go on. */
void fault_backend_release(struct backend *b);

/* How often the i-th rule was applied since the rules were set. */
uint64_t fault_backend_hits(struct backend *b, size_t i);

/* How many calls hang now. */
uint64_t fault_backend_hanging(struct backend *b);

#endif
