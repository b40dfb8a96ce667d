/*
 * coroutine.c: by ucontext(3); the sanitizers are told of each change of stack.
 */
#include <config.h>
#include "util/coroutine.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN
#endif
#if __has_feature(thread_sanitizer)
#define WITH_TSAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN
#endif
#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN
#endif
#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif

struct coroutine {
	ucontext_t inside, outside;
	uint8_t *stack; /* with the guard page at its low end */
	size_t stack_bytes, guard_bytes;
	void (*run)(void *arg);
	void *arg;
	bool is_busy;
#ifdef WITH_ASAN
	const void *outside_stack;
	size_t outside_stack_bytes;
#endif
#ifdef WITH_TSAN
	void *fiber, *outside_fiber;
#endif
};

int coroutine_new(size_t stack_bytes, struct coroutine **ret)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct coroutine *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->guard_bytes = page;
	c->stack_bytes = (stack_bytes + page - 1) / page * page + page;
	c->stack = mmap(NULL, c->stack_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	if (c->stack == MAP_FAILED || mprotect(c->stack, page, PROT_NONE) < 0) {
		if (c->stack != MAP_FAILED)
			(void)munmap(c->stack, c->stack_bytes);
		free(c);
		return -ENOMEM;
	}
#ifdef WITH_TSAN
	c->fiber = __tsan_create_fiber(0);
#endif
	*ret = c;
	return 0;
}

/* The first thing on the other stack. */
static void arrived_inside(struct coroutine *c, void *saved)
{
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(saved, &c->outside_stack, &c->outside_stack_bytes);
#endif
	(void)c, (void)saved;
}

static void go_inside(struct coroutine *c)
{
#ifdef WITH_ASAN
	void *saved;

	__sanitizer_start_switch_fiber(
		&saved, c->stack + c->guard_bytes, c->stack_bytes - c->guard_bytes);
#endif
#ifdef WITH_TSAN
	c->outside_fiber = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(c->fiber, 0);
#endif
	(void)swapcontext(&c->outside, &c->inside);
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(saved, NULL, NULL);
#endif
}

static void go_outside(struct coroutine *c)
{
#ifdef WITH_ASAN
	void *saved = NULL;

	/* Without a place to save it, what ASan keeps of this stack is freed. */
	__sanitizer_start_switch_fiber(
		c->is_busy ? &saved : NULL, c->outside_stack, c->outside_stack_bytes);
#endif
#ifdef WITH_TSAN
	__tsan_switch_to_fiber(c->outside_fiber, 0);
#endif
	(void)swapcontext(&c->inside, &c->outside);
#ifdef WITH_ASAN
	arrived_inside(c, saved);
#endif
}

/* makecontext(3) passes int arguments only. */
static void enter(unsigned int high, unsigned int low)
{
	struct coroutine *c = (struct coroutine *)((uintptr_t)high << 32 | (uintptr_t)low);

	arrived_inside(c, NULL);
	c->run(c->arg);
	c->is_busy = false;
	go_outside(c);
	abort(); /* a finished coroutine is not resumed */
}

void coroutine_start(struct coroutine *c, void (*run)(void *arg), void *arg)
{
	uintptr_t self = (uintptr_t)c;

	assert(!c->is_busy);
	c->run = run;
	c->arg = arg;
	c->is_busy = true;
	(void)getcontext(&c->inside);
	c->inside.uc_stack.ss_sp = c->stack + c->guard_bytes;
	c->inside.uc_stack.ss_size = c->stack_bytes - c->guard_bytes;
	c->inside.uc_link = NULL;
	makecontext(&c->inside, (void (*)(void))(void *)enter, 2, (unsigned int)(self >> 32),
		(unsigned int)self);
	go_inside(c);
}

void coroutine_resume(struct coroutine *c)
{
	assert(c->is_busy);
	go_inside(c);
}

void coroutine_pause(struct coroutine *c)
{
	go_outside(c);
}

bool coroutine_is_busy(const struct coroutine *c)
{
	return c->is_busy;
}

void coroutine_free(struct coroutine *c)
{
	if (c == NULL)
		return;
	assert(!c->is_busy);
#ifdef WITH_TSAN
	__tsan_destroy_fiber(c->fiber);
#endif
	(void)munmap(c->stack, c->stack_bytes);
	free(c);
}
