/*
 * coroutine.h: functions that can pause, for work in an event loop that reads like blocking code.
 *
 * A coroutine runs in the thread that starts or resumes it, on a stack of its own with a guard page
 * below it, until it pauses or returns; then the starter goes on. One coroutine must always be used
 * by the same thread, and must not start or resume another one. It may use any function, but its
 * own stack is what it has: no recursion without a bound. Between pauses it may hold locks, across
 * them it must not.
 */
#ifndef MAILFS_UTIL_COROUTINE_H
#define MAILFS_UTIL_COROUTINE_H

#include <stdbool.h>
#include <stddef.h>

struct coroutine;

/* stack_bytes is rounded up to pages; memory is used as far as the stack grows. -ENOMEM. */
int coroutine_new(size_t stack_bytes, struct coroutine **ret);

/* Runs run(arg) until it pauses or returns. Only when nothing runs in it; may be used again when
 * `run` has returned. */
void coroutine_start(struct coroutine *c, void (*run)(void *arg), void *arg);

/* Lets a paused one go on until it pauses again or returns. */
void coroutine_resume(struct coroutine *c);

/* From within: back to who started or resumed it. */
void coroutine_pause(struct coroutine *c);

/* Whether `run` has begun and has not returned. */
bool coroutine_is_busy(const struct coroutine *c);

/* Must not be busy. NULL is allowed. */
void coroutine_free(struct coroutine *c);

#endif
