#include <config.h>
#include "battery.h"
#include "check_main.h"
#include "nfs_target.h"

Suite *test_suite(void)
{
	Suite *suite = suite_create("backend_nfs");

	nfs_target_require();
	battery_target = &nfs_target;
	battery_add_cases(suite);
	return suite;
}
