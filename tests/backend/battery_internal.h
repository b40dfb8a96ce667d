/*
 * battery_internal.h: the groups of the battery, and what they share.
 */
#ifndef MAILFS_TESTS_BACKEND_BATTERY_INTERNAL_H
#define MAILFS_TESTS_BACKEND_BATTERY_INTERNAL_H

#include "battery.h"

#include "util/lock.h"

#ifdef MAILFS_SANITIZED
#define BATTERY_LIST_KEYS 1500
#define BATTERY_ROUNDS 40
#else
#define BATTERY_LIST_KEYS 10000
#define BATTERY_ROUNDS 200
#endif
#define BATTERY_RACERS 32

/* How often to race, how many to list; at most the numbers above. */
static inline unsigned int battery_rounds(void)
{
	return battery_target->is_another ? BATTERY_ROUNDS / 4 : BATTERY_ROUNDS;
}

static inline size_t battery_list_keys(void)
{
	return battery_target->is_another ? BATTERY_LIST_KEYS / 4 : BATTERY_LIST_KEYS;
}

extern struct backend *battery_backend;

TCase *battery_case(const char *name, double timeout_s);

TCase *battery_basic_case(void);
TCase *battery_cancel_case(void);
TCase *battery_copy_case(void);
TCase *battery_list_case(void);
TCase *battery_limits_case(void);
TCase *battery_race_case(void);
TCase *battery_process_case(void);

/* Counts asynchronous calls that are under way. */
struct battery_gate {
	struct lock lock;
	struct lock_condition changed;
	size_t n_left;
	size_t n_ok;
	int last_error; /* of those that failed */
};

void battery_gate_init(struct battery_gate *gate, size_t n);
void battery_gate_wait(struct battery_gate *gate);
/* A backend_done_fn that counts down the gate that is its argument. */
void battery_gate_pass(struct backend_result *result, void *arg);

#endif
