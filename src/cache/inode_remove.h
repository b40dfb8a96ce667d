/*
 * inode_remove.h: the end of an inode without names and references.
 */
#ifndef MAILFS_CACHE_INODE_REMOVE_H
#define MAILFS_CACHE_INODE_REMOVE_H

#include <stdint.h>
#include "cache/node.h"
#include "cache/transaction.h"

/* Notes in the store that the inode (nlink 0 in this transaction) awaits its end. */
void inode_remove_note_orphan(struct transaction *t, uint64_t ino);

/* Deletes the inode and all that hangs on it, in one batch; its objects become garbage. Takes its
 * lock. Success when it is gone already or has a name. On failure the note stays, and the next
 * start tries again. */
int inode_remove(struct node *node, uint64_t ino);

/* Ends all that a crash left without names. Before the kernel can know any of them. */
int inode_remove_leftovers(struct node *node);

#endif
