/*
 * tree_text.h: an account's tree as text, to be compared: paths, inode numbers, modes, links,
 * owners, sizes, times, the attribute user.x, targets, checksums of content. For tests.
 */
#ifndef MAILFS_TESTS_CRASH_TREE_TEXT_H
#define MAILFS_TESTS_CRASH_TREE_TEXT_H

#include <stddef.h>
#include "fs/fs.h"

/* "" when there is no such account. Aborts the test (ck_assert) when it cannot be read or does not
 * fit. */
void tree_text(struct fs *fs, const char *account, char *ret, size_t size);

#endif
