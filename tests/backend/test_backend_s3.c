/*
 * test_backend_s3.c: the battery against a real S3 store; skipped without one.
 */
#include <config.h>
#include "battery.h"
#include "check_main.h"
#include "s3_target.h"

#include <stdlib.h>

Suite *test_suite(void)
{
	Suite *suite = suite_create("backend_s3");

	if (!s3_target_is_there())
		exit(EXIT_SUCCESS);
	battery_target = &s3_target;
	battery_add_cases(suite);
	return suite;
}
