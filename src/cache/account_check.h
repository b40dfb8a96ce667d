/*
 * account_check.h: whether the records of an account fit to each other.
 *
 * Checked is: every record belongs to an inode, every name leads to one of its kind, names and
 * cookies are the same entries, link counts and counts of entries are right, directories have the
 * parent that they are found in, content and extents lie within the file, as many blocks exist
 * as the inode says, and the records of packs say of what is live what extents do.
 *
 * One pass over the account in the order of its inodes; memory is about 60 bytes for each of them.
 */
#ifndef MAILFS_CACHE_ACCOUNT_CHECK_H
#define MAILFS_CACHE_ACCOUNT_CHECK_H

#include <stdint.h>
#include "cache/node.h"
#include "cache/record.h"

/* Called for every inode; `local` covers the blocks of a body that are here (n_dirty 0: none). A
 * result other than 0 ends the check. */
typedef int account_check_fn(void *arg, const struct inode *inode, const struct upload *local);

/* Nobody may change the account meanwhile. -EBADMSG: *ret_message is a malloc()ed sentence that
 * says what is broken; errors of the store, -ENOMEM. */
int account_check(struct node *node, uint32_t account, account_check_fn *visit, void *arg,
	char **ret_message);

#endif
