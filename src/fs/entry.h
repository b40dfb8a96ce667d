/*
 * entry.h: names in directories. Called with the directory's lock held.
 */
#ifndef MAILFS_FS_ENTRY_H
#define MAILFS_FS_ENTRY_H

#include "cache/record.h"
#include "cache/transaction.h"
#include "fs/fs.h"

/* -ENOENT. The entry's name is not filled in. */
int entry_find(struct fs *fs, uint64_t directory, const char *name, struct entry *ret);

/* A new name; counts it in the directory, whose inode the caller puts. */
void entry_add(struct transaction *t, struct inode *directory, const char *name, uint64_t ino,
	uint32_t mode);

/* The name leads to another inode from now on, at the same place in the directory. */
void entry_replace(struct transaction *t, const struct inode *directory, const char *name,
	const struct entry *old, uint64_t ino, uint32_t mode);
void entry_remove(struct transaction *t, struct inode *directory, const char *name,
	const struct entry *old);

#endif
