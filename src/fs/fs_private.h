/*
 * fs_private.h: what the files of fs/ share.
 */
#ifndef MAILFS_FS_FS_PRIVATE_H
#define MAILFS_FS_FS_PRIVATE_H

#include <stdatomic.h>
#include "cache/node_private.h"
#include "cache/record.h"
#include "cache/transaction.h"
#include "fs/file_class.h"
#include "fs/fs.h"
#include "fs/publisher.h"
#include "util/lock.h"
#include "util/map64.h"

#define FS_OWED_SLOTS 256

/* Cookies below are "." and ".."; entries begin here. */
#define FS_FIRST_COOKIE 3

/* Names of one inode, and directories in one directory. */
#define FS_LINK_MAX 2000000000u

struct fs {
	struct node *node;

	/* Renames of directories into other directories, one at a time: nobody may become their
	 * own ancestor. Taken before inode locks. */
	struct lock tree_lock;

	/* For each account (by hash): the newest change whose sync was deferred. The next sync in
	 * that account must cover it (file_class.h). */
	_Atomic uint64_t owed_lsn[FS_OWED_SLOTS];

	/* ack.c */
	_Atomic size_t n_acks; /* n_overrides, without the lock */
	struct lock ack_lock;
	struct fs_ack_override *overrides; /* owned; protected by ack_lock */
	size_t n_overrides;                /* protected by ack_lock */
	struct map64 acks;                 /* account + 1 -> remote; protected by ack_lock */

	struct publishers *publishers;
};

struct timespec fs_now(void);

/* -ENAMETOOLONG; also -EINVAL for an empty name. */
int fs_check_name(const char *name);

/* For programs: from the record. */
void fs_fill_attributes(const struct inode *inode, struct fs_attributes *ret);

/* The directory, with its lock held: -ENOTDIR, -ENOENT also when it has been removed. */
int fs_load_directory(struct fs *fs, uint64_t ino, struct inode *ret);

/* mtime and ctime of a directory whose entries change. */
void fs_touch_directory(struct inode *directory, const struct timespec *now);

/* What the name says is noted in the file's inode; its content becomes a body if it must. */
int fs_apply_traits(struct transaction *t, struct inode *file, const struct file_traits *traits);

/* Clears what Linux clears when somebody changes a file: S_ISUID, and S_ISGID with group execute.
 */
void fs_clear_privileges(struct inode *file);

/* The inode's attributes, and one reference of the kernel to it; -ENOENT when it has just lost its
 * last name. Takes the inode's lock. */
int fs_refer(struct fs *fs, uint64_t ino, struct fs_attributes *ret);

/* Takes away the kernel's reference after an operation that failed behind inode_refs_take(). */
void fs_drop_reference(struct fs *fs, uint64_t ino);

/* Notes in the transaction that the inode has just lost its last name. */
void fs_note_orphan(struct transaction *t, struct inode *inode);

/* After the commit, without locks: ends it unless somebody still refers to it. */
void fs_end_if_unused(struct fs *fs, uint64_t ino);

/* The account that an entry of the directory `parent` leads into, if that is another one: it stays
 * here until fs_leave_entry(). -EINPROGRESS. */
int fs_enter_entry(struct fs *fs, uint64_t parent, uint64_t ino);
void fs_leave_entry(struct fs *fs, uint64_t parent, uint64_t ino);

/* -ESTALE: another node has the accounts now (node_fence()). */
int fs_check_change(struct fs *fs);

/* Also -ENOSPC: what needs room is refused, by the local disk or while the backend is too far
 * behind (cache/backlog.h). */
int fs_check_growth(struct fs *fs);

/* Directories of accounts were made, renamed or removed: whose acknowledgement is which? Without
 * inode locks. */
void fs_resolve_acks(struct fs *fs);
void fs_forget_acks(struct fs *fs);

/* The newest change of the account whose sync was deferred. */
_Atomic uint64_t *fs_owed_of(struct fs *fs, uint64_t ino);

/* Calls `done` when all of the account up to `lsn`, and what it owes, is durable: on this disk, or
 * with ack=remote on the backend. Errors are those for programs: -EIO, -ESTALE, -ENOSPC. */
void fs_wait_for_commit(struct fs *fs, uint64_t ino, uint64_t lsn, fs_done_fn *done, void *arg);

/* The sync of that change is left to the next one in the account that is not deferred. */
void fs_owe(struct fs *fs, uint64_t ino, uint64_t lsn);

void fs_reply_error(fs_done_fn *done, void *arg, int error);

#endif
