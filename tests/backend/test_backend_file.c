#include <config.h>
#include "battery.h"
#include "check_main.h"
#include "file_target.h"

Suite *test_suite(void)
{
	Suite *suite = suite_create("backend_file");

	battery_target = &file_target;
	battery_add_cases(suite);
	return suite;
}
