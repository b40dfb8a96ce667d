/*
 * account_path.h: where the objects of an account are on a backend (doc/format-objects.md).
 *
 * accounts/<hash>/<account>: the hash spreads accounts over an object store's partitions.
 */
#ifndef MAILFS_UTIL_ACCOUNT_PATH_H
#define MAILFS_UTIL_ACCOUNT_PATH_H

#include <stdbool.h>
#include <stdint.h>
#include "util/uuid.h"

#define ACCOUNT_PATH_BYTES 32     /* with the NUL */
#define ACCOUNT_PATH_KEY_BYTES 96 /* likewise */

void account_path_format(uint64_t account, char path[ACCOUNT_PATH_BYTES]);

/* If `key` begins with the path of an account and a slash, in the one spelling that
 * account_path_format() gives: *ret_account, and what follows the slash. Else NULL. */
const char *account_path_parse(const char *key, uint64_t *ret_account);

/* Of an object that has an id: accounts/<hash>/<account>/<folder>/<id>. The folder has at most 20
 * characters. */
void account_path_key(uint64_t account, const char *folder, const struct uuid *id,
	char key[ACCOUNT_PATH_KEY_BYTES]);

/* False when the key is not exactly one that account_path_key() makes with this folder. */
bool account_path_parse_key(
	const char *key, const char *folder, uint64_t *ret_account, struct uuid *ret_id);

#endif
