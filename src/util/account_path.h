/*
 * account_path.h: where the objects of an account are on a backend (doc/format-objects.md).
 *
 * accounts/<hash>/<account>: the hash spreads accounts over an object store's partitions.
 */
#ifndef MAILFS_UTIL_ACCOUNT_PATH_H
#define MAILFS_UTIL_ACCOUNT_PATH_H

#include <stdint.h>

#define ACCOUNT_PATH_BYTES 32 /* with the NUL */

void account_path_format(uint64_t account, char path[ACCOUNT_PATH_BYTES]);

/* If `key` begins with the path of an account and a slash, in the one spelling that
 * account_path_format() gives: *ret_account, and what follows the slash. Else NULL. */
const char *account_path_parse(const char *key, uint64_t *ret_account);

#endif
