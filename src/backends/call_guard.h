/*
 * call_guard.h: proves in debug builds that a driver completes each call exactly once and never
 * from within the call. For backend.c only.
 */
#ifndef MAILFS_BACKENDS_CALL_GUARD_H
#define MAILFS_BACKENDS_CALL_GUARD_H

#include "backends/backend.h"

struct call_guard;

/* *ret is the call to give to the driver, with its timeout set. NULL where nothing is guarded. */
struct call_guard *call_guard_enter(
	struct backend *b, const struct backend_call *call, struct backend_call *ret);

/* The driver's function has returned. NULL is allowed. */
void call_guard_leave(struct call_guard *guard);

#endif
