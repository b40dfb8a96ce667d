/*
 * account_names.h: accounts by the names people know them by: the path of the account's directory,
 * "user" or "domain/user", as deep as the volume's account depth. "/" is the root account.
 *
 * All is in the root account, so no account is loaded for it. No locks are held when `take` runs.
 */
#ifndef MAILFS_FS_ACCOUNT_NAMES_H
#define MAILFS_FS_ACCOUNT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#define ACCOUNT_NAMES_ROOT "/"
#define ACCOUNT_NAMES_ROOT_NUMBER 0
#define ACCOUNT_NAMES_MAX_BYTES 1024 /* of a name, with the NUL */

struct fs;

/* Slashes at the beginning and the end do not matter. -ENOENT: there is no such account; -EINVAL:
 * that is no name of an account: too few components or too many. */
int account_names_find(struct fs *fs, const char *name, uint32_t *ret);

/* The directory that has the account's directory, and its name there, within `name` (which ends
 * with it: no slash behind). -ENOENT, -EINVAL as above; -EINVAL also for the root account. */
int account_names_entry(
	struct fs *fs, const char *name, uint64_t *ret_directory, const char **ret_name);

/* False ends the listing. */
typedef bool account_names_take_fn(void *arg, const char *name, uint32_t account);

/* All accounts but the root account, in no order that means anything. */
int account_names_list(struct fs *fs, account_names_take_fn *take, void *arg);

#endif
