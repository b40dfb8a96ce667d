/*
 * inode_refs.h: how many references the kernel holds to each inode it knows.
 *
 * An inode without names is kept while there are references: it is "orphaned" here, and the last
 * inode_refs_drop() says that its time has come. 16 bytes for each inode the kernel knows.
 */
#ifndef MAILFS_CACHE_INODE_REFS_H
#define MAILFS_CACHE_INODE_REFS_H

#include <stdbool.h>
#include <stdint.h>

struct inode_refs;

struct inode_refs *inode_refs_new(void);
void inode_refs_free(struct inode_refs *refs);

/* Call with the inode or its directory locked, so that it cannot lose its last name meanwhile. */
int inode_refs_take(struct inode_refs *refs, uint64_t ino);

/* True when this was the last reference of an orphan: the caller now deletes the inode. */
bool inode_refs_drop(struct inode_refs *refs, uint64_t ino, uint64_t count);

/* The last name is gone. True when nobody holds a reference: the caller deletes the inode. */
bool inode_refs_orphan(struct inode_refs *refs, uint64_t ino);

#endif
