/*
 * file_target.h: a file backend over a new temporary directory, as a target of the battery.
 */
#ifndef MAILFS_TESTS_BACKEND_FILE_TARGET_H
#define MAILFS_TESTS_BACKEND_FILE_TARGET_H

#include "battery.h"

extern const struct battery_target file_target;

/* The directory of the test at hand. */
const char *file_target_path(void);

#endif
