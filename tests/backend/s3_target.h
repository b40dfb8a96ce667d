/*
 * s3_target.h: battery targets in the bucket of MAILFS_TEST_S3_URL (s3://BUCKET/PREFIX), with the
 * options of MAILFS_TEST_S3_OPTIONS (NAME=VALUE,…). Each store is a new prefix of it.
 */
#ifndef MAILFS_TESTS_BACKEND_S3_TARGET_H
#define MAILFS_TESTS_BACKEND_S3_TARGET_H

#include "battery.h"

/* Losers of a race may get -EIO: radosgw answers 500 to many of them. */
extern const struct battery_target s3_target;

/* Set before the cases run: behind the retry wrapper. */
extern bool s3_target_retries;

/* Whether there is a store to test with; if not, TAP is told that all is skipped. */
bool s3_target_is_there(void);

#endif
