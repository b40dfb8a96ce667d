/*
 * battery.h: the contract of backend.h as one battery of tests, run against every driver and
 * wrapper. A test program defines a target and adds battery_cases() to its suite.
 */
#ifndef MAILFS_TESTS_BACKEND_BATTERY_H
#define MAILFS_TESTS_BACKEND_BATTERY_H

#include <check.h>
#include "backends/backend.h"

struct battery_target {
	/* An empty store, for the test that calls it alone. */
	struct backend *(*open)(void);
	/* Another backend on the same store, also from a forked process; NULL: cannot. */
	struct backend *(*open_again)(void);
	/* Removes what open() made, after backend_free(). */
	void (*clean)(void);
	/* Answers get lost: a refused swap may be -EIO, a get during swaps too, and other errors
	 * come through at a deadline. */
	bool is_unsure;
	/* Another target does the same with this driver on this store: a quarter of the rounds. */
	bool is_another;
};

/* Set by the test program before the cases run. */
extern const struct battery_target *battery_target;

/* Contract, listing, limits and races; with processes where open_again is there. */
void battery_add_cases(Suite *suite);

/* ---- for further tests of a target */

/* Puts a string; the error. */
int battery_put(struct backend *b, const char *key, const char *text,
	const struct backend_condition *condition, struct backend_version *ret_version);

/* As backend_get_wait(); again where the target is unsure and the answer -EIO. */
int battery_get(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	struct backend_result *ret);

/* Asserts that the object is this string. */
void battery_assert_is(struct backend *b, const char *key, const char *text);

#endif
