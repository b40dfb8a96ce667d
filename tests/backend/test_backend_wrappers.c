/*
 * test_backend_wrappers.c: the battery over memory under a stack of wrappers.
 *
 * Built once for each stack: WRAPPER_STACK has a letter for each wrapper, the innermost first.
 */
#include <config.h>
#include "battery.h"
#include "check_main.h"

#include <string.h>
#include "backends/fault_backend.h"
#include "backends/memory_backend.h"
#include "backends/retry_backend.h"
#include "backends/stats_backend.h"

/* Faults that the retry wrapper above must hide: lost answers, refusals, delays. */
#define LOSSY                                                            \
	"put:p=0.2:seed=1:error=EIO:after;put:p=0.1:seed=2:error=EBUSY;" \
	"get:p=0.2:seed=3:error=ECONNRESET;any:p=0.05:seed=4:delay=1ms"

static struct backend *wrap(struct backend *b, char kind)
{
	static const struct retry_backend_options quick = {
		.initial_pause_ms = 1, .max_pause_ms = 2};
	struct fault_rules rules;

	switch (kind) {
	case 's':
		ck_assert_int_eq(stats_backend_new(b, &b), 0);
		break;
	case 'r':
		ck_assert_int_eq(retry_backend_new(b, &quick, &b), 0);
		break;
	default:
		ck_assert_int_eq(fault_rules_parse(kind == 'l' ? LOSSY : "", &rules, NULL), 0);
		ck_assert_int_eq(fault_backend_new(b, &rules, &b), 0);
	}
	return b;
}

static struct backend *open_stack(void)
{
	struct backend *b = NULL;

	ck_assert_int_eq(memory_backend_new(&b), 0);
	for (const char *kind = WRAPPER_STACK; *kind != '\0'; kind++)
		b = wrap(b, *kind);
	return b;
}

static void clean_nothing(void)
{
}

static struct battery_target target = {.open = open_stack, .clean = clean_nothing};

Suite *test_suite(void)
{
	Suite *suite = suite_create("backend_wrapper_" WRAPPER_STACK);

	target.is_unsure = strchr(WRAPPER_STACK, 'l') != NULL;
	battery_target = &target;
	battery_add_cases(suite);
	return suite;
}
