/*
 * check_main.h: the main() that every Check program shares; it speaks TAP for Automake's driver.
 *
 * A test file defines `Suite *test_suite(void)`.
 */
#ifndef MAILFS_TESTS_SUPPORT_CHECK_MAIN_H
#define MAILFS_TESTS_SUPPORT_CHECK_MAIN_H

#include <check.h>

Suite *test_suite(void);

#endif
