#include <config.h>
#include "backends/fault_backend.h"

#include <errno.h>
#include <stdlib.h>
#include "backends/timers.h"
#include "util/clock.h"
#include "util/lock.h"

struct fault_backend {
	struct wrapper wrapper; /* first */
	struct timers *delays;
	struct timers *hangs;
	atomic_uint_least64_t n_hanging;
	struct lock lock; /* of all below */
	struct fault_rules rules;
	uint64_t matched[FAULT_RULES_MAX];
	uint64_t applied[FAULT_RULES_MAX];
};

struct fault_call {
	struct wrapper_call call; /* first */
	struct timer timer;
	struct fault_rule rule; /* a copy; all zero: nothing happens */
};

static struct fault_backend *fault_of(const struct fault_call *call)
{
	return (struct fault_backend *)(void *)call->call.wrapper;
}

/* The rule to apply to this call. */
static struct fault_rule choose(struct fault_backend *fault, const struct wrapper_call *call)
{
	struct fault_rule chosen = {.error = 0};

	lock_acquire(&fault->lock);
	for (size_t i = 0; i < fault->rules.n; i++) {
		const struct fault_rule *rule = &fault->rules.rules[i];

		if (!fault_rule_matches(rule, call))
			continue;
		if (rule->times != 0 && fault->applied[i] >= rule->times)
			continue;
		if (!fault_rule_is_due(rule, ++fault->matched[i]))
			continue;
		fault->applied[i]++;
		chosen = *rule;
		break;
	}
	lock_release(&fault->lock);
	return chosen;
}

static void spoil(const struct fault_rule *rule, struct backend_result *result)
{
	uint8_t *data = result->data;

	if (rule->truncate && result->data_size_bytes > rule->truncate_bytes)
		result->data_size_bytes = (size_t)rule->truncate_bytes;
	if (rule->corrupt && result->data_size_bytes > 0)
		data[rule->seed % result->data_size_bytes] ^= 0x40;
}

static void real_call_done(struct backend_result *result, void *arg)
{
	struct fault_call *call = arg;

	if (call->rule.after && call->rule.error != 0) {
		wrapper_call_complete_error(&call->call, call->rule.error);
		return;
	}
	spoil(&call->rule, result);
	wrapper_call_complete(&call->call, result);
}

/* After the waiting. Completes from a thread of the next backend, as this may be the caller's. */
static void go_on(struct fault_call *call)
{
	if (call->rule.error != 0 && !call->rule.after)
		wrapper_call_answer(&call->call, call->rule.error);
	else
		wrapper_call_forward(&call->call, 0, real_call_done);
}

static void waited(struct timer *timer, int error)
{
	struct fault_call *call = LIST_ENTRY(timer, struct fault_call, timer);

	if (call->rule.hang)
		atomic_fetch_sub(&fault_of(call)->n_hanging, 1);
	if (error == 0 && clock_monotonic_ms() >= call->call.deadline_ms)
		error = -ETIMEDOUT;
	if (error < 0)
		wrapper_call_complete_error(&call->call, error);
	else
		go_on(call);
}

static void start(struct wrapper_call *wrapper_call)
{
	struct fault_call *call = (struct fault_call *)(void *)wrapper_call;
	struct fault_backend *fault = fault_of(call);
	uint64_t due_ms;

	call->rule = choose(fault, wrapper_call);
	call->timer.fire = waited;
	call->timer.cancellation = wrapper_call->call.cancellation;
	if (call->rule.hang) {
		call->timer.due_ms = wrapper_call->deadline_ms;
		atomic_fetch_add(&fault->n_hanging, 1);
		timers_add(fault->hangs, &call->timer);
	} else if (call->rule.delay_ms != 0) {
		due_ms = clock_monotonic_ms() + call->rule.delay_ms;
		call->timer.due_ms =
			due_ms < wrapper_call->deadline_ms ? due_ms : wrapper_call->deadline_ms;
		timers_add(fault->delays, &call->timer);
	} else {
		go_on(call);
	}
}

static void fault_cancel(struct backend *b)
{
	struct fault_backend *fault = (struct fault_backend *)(void *)b;

	timers_look_for_cancelled(fault->hangs);
	timers_look_for_cancelled(fault->delays);
	backend_look_for_cancelled(fault->wrapper.next);
}

static void fault_shutdown(struct backend *b)
{
	struct fault_backend *fault = (struct fault_backend *)(void *)b;

	timers_shutdown(fault->hangs);
	timers_shutdown(fault->delays);
	backend_shutdown(fault->wrapper.next);
}

static void fault_free(struct backend *b)
{
	struct fault_backend *fault = (struct fault_backend *)(void *)b;

	backend_free(fault->wrapper.next);
	timers_free(fault->hangs);
	timers_free(fault->delays);
	lock_done(&fault->lock);
	free(fault);
}

static const struct backend_ops fault_ops = {
	.name = "fault",
	.answer = wrapper_answer,
	.put = wrapper_put,
	.get = wrapper_get,
	.head = wrapper_head,
	.copy = wrapper_copy,
	.remove = wrapper_remove,
	.remove_many = wrapper_remove_many,
	.list = wrapper_list,
	.space = wrapper_space,
	.get_capabilities = wrapper_get_capabilities,
	.cancel = fault_cancel,
	.shutdown = fault_shutdown,
	.free = fault_free,
};

int fault_backend_new(struct backend *next, const struct fault_rules *rules, struct backend **ret)
{
	struct fault_backend *fault = calloc(1, sizeof(*fault));
	int r = fault == NULL ? -ENOMEM : timers_new("fault-hang", &fault->hangs);

	if (r == 0)
		r = timers_new("fault-delay", &fault->delays);
	if (r < 0) {
		backend_free(next);
		if (fault != NULL)
			timers_free(fault->hangs);
		free(fault);
		return r;
	}
	fault->wrapper = (struct wrapper){
		.base.ops = &fault_ops,
		.next = next,
		.call_size_bytes = sizeof(struct fault_call),
		.start = start,
	};
	lock_init(&fault->lock);
	fault->rules = *rules;
	*ret = &fault->wrapper.base;
	return 0;
}

int fault_backend_set(struct backend *b, const char *text, char **ret_message)
{
	struct fault_backend *fault = (struct fault_backend *)(void *)b;
	struct fault_rules rules;
	int r = fault_rules_parse(text, &rules, ret_message);

	if (r < 0)
		return r;
	lock_acquire(&fault->lock);
	fault->rules = rules;
	for (size_t i = 0; i < FAULT_RULES_MAX; i++)
		fault->matched[i] = fault->applied[i] = 0;
	lock_release(&fault->lock);
	return 0;
}

void fault_backend_release(struct backend *b)
{
	timers_hurry(((struct fault_backend *)(void *)b)->hangs);
}

uint64_t fault_backend_hits(struct backend *b, size_t i)
{
	struct fault_backend *fault = (struct fault_backend *)(void *)b;
	uint64_t hits;

	lock_acquire(&fault->lock);
	hits = i < FAULT_RULES_MAX ? fault->applied[i] : 0;
	lock_release(&fault->lock);
	return hits;
}

uint64_t fault_backend_hanging(struct backend *b)
{
	return atomic_load(&((struct fault_backend *)(void *)b)->n_hanging);
}
