#include <config.h>
#include "battery.h"
#include "check_main.h"

#include "backends/memory_backend.h"

static struct backend *open_memory(void)
{
	struct backend *b = NULL;

	ck_assert_int_eq(memory_backend_new(&b), 0);
	return b;
}

static void clean_nothing(void)
{
}

static const struct battery_target target = {.open = open_memory, .clean = clean_nothing};

Suite *test_suite(void)
{
	Suite *suite = suite_create("backend_memory");

	battery_target = &target;
	battery_add_cases(suite);
	return suite;
}
