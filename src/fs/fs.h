/*
 * fs.h: one function for each filesystem operation, on types of our own.
 *
 * The whole filesystem without the kernel: component tests call this, and fuse/ translates to it.
 * All functions may be called from many threads. Results are 0 or a negative errno. Each operation
 * is atomic: one write batch in the store, all or nothing, also across a crash of the process.
 *
 * Permissions are not checked here (the kernel does, by default_permissions); what depends on who
 * calls (setuid clearing, ownership of new files) is taken from struct fs_caller.
 *
 * References. Every attribute that lookup, mknod, mkdir, symlink, link and readdirplus hand out
 * counts as one reference of the kernel to that inode; fs_forget() gives them back. An inode
 * without names lives until its last reference is gone.
 *
 * Waiting. Functions that take an fs_done_fn may have to wait for the disk or the backend. They
 * call `done` exactly once, either before they return or later from another thread.
 */
#ifndef MAILFS_FS_FS_H
#define MAILFS_FS_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define FS_ROOT_INO 1
#define FS_NAME_MAX_BYTES 255
#define FS_FILE_MAX_BYTES (UINT64_C(1) << 44) /* 16 TiB */
#define FS_XATTR_VALUE_MAX_BYTES 65536

struct fs;

struct fs_caller {
	uid_t uid;
	gid_t gid;
	pid_t thread; /* 0: not known */
};

struct fs_attributes {
	uint64_t ino;
	uint32_t mode; /* type and permission bits */
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev;
	uint64_t size_bytes;
	uint64_t allocated_bytes;
	struct timespec atime, mtime, ctime;
};

/* Result of a waiting operation. `data` lives until `done` returns. */
struct fs_reply {
	int error;                              /* 0 or negative errno */
	const struct fs_attributes *attributes; /* setattr, link */
	const void *data;                       /* read */
	size_t size_bytes;                      /* read, write */
	uint64_t offset;                        /* lseek */
};

typedef void fs_done_fn(void *arg, const struct fs_reply *reply);

enum fs_set {
	FS_SET_MODE = 1 << 0,
	FS_SET_UID = 1 << 1,
	FS_SET_GID = 1 << 2,
	FS_SET_SIZE = 1 << 3,
	FS_SET_ATIME = 1 << 4,
	FS_SET_MTIME = 1 << 5,
	FS_SET_ATIME_NOW = 1 << 6,
	FS_SET_MTIME_NOW = 1 << 7,
	FS_SET_CTIME = 1 << 8,
};

/* ---- life */
struct node;

/* The node stays the caller's and outlives the fs. Makes the root directory (mode 0755, owned by
 * the process) if there is none. */
int fs_open(struct node *node, struct fs **ret);

/* No operation may be running. */
void fs_close(struct fs *fs);

/* A request of this thread has come: a write to written_ino, or (0) something else. To be called
 * before it is served: it says that the thread's last write() has returned (cache/torn_write.h). */
void fs_note_request(struct fs *fs, pid_t thread, uint64_t written_ino);

/* ---- accounts that are not here (account.c)
 *
 * Whoever serves a request that names an inode (its own, or the directory of a name) is in that
 * account from before the call into fs/ until it returns. -ESTALE: another node has the accounts
 * now. -EINPROGRESS: the account is on the backend only, and the request is made again when
 * fs_wait_for_account() has called `done` without an error. What waits for the backend inside of
 * fs/ stays in by itself. fs_forget() needs nothing.
 *
 * A name may lead into another account: fs_unlink(), fs_rmdir() and fs_rename() give
 * -EINPROGRESS when that one is not here, before anything has changed. */
int fs_enter(struct fs *fs, uint64_t ino);
void fs_leave(struct fs *fs, uint64_t ino);

/* As adoption_wait(): `error` may be -ESTALE, -ECANCELED, -ENOBUFS, -ENOMEM or any other. */
void fs_wait_for_account(
	struct fs *fs, uint64_t ino, void (*done)(void *arg, int error), void *arg);

/* What to wait for before the name is asked for again. -ENOENT: nothing any more. */
int fs_find_absent(struct fs *fs, uint64_t parent, const char *name, uint64_t *ret_ino);

/* All waits end with -ECANCELED, also those that come later. No `done` runs when it returns. */
void fs_end_waits(struct fs *fs);

/* ---- names (lookup.c, create.c, link.c, remove.c, rename.c) */

/* 1: it leads to an account that is not here: there is a reference, but of the attributes only the
 * inode's number and type are known. */
int fs_lookup(struct fs *fs, uint64_t parent, const char *name, struct fs_attributes *ret);
void fs_forget(struct fs *fs, uint64_t ino, uint64_t count);
int fs_mknod(struct fs *fs, const struct fs_caller *caller, uint64_t parent, const char *name,
	uint32_t mode, uint32_t rdev, struct fs_attributes *ret);
int fs_mkdir(struct fs *fs, const struct fs_caller *caller, uint64_t parent, const char *name,
	uint32_t mode, struct fs_attributes *ret);
int fs_symlink(struct fs *fs, const struct fs_caller *caller, const char *target, uint64_t parent,
	const char *name, struct fs_attributes *ret);
int fs_unlink(struct fs *fs, uint64_t parent, const char *name);
int fs_rmdir(struct fs *fs, uint64_t parent, const char *name);

/* Waits for a commit when the new name publishes a mail (file_class.h), unless the caller is one
 * who syncs it himself (publisher.h). `flags` are those of renameat2(); -EINVAL for
 * RENAME_WHITEOUT; -EXDEV between accounts. */
void fs_rename(struct fs *fs, const struct fs_caller *caller, uint64_t parent, const char *name,
	uint64_t new_parent, const char *new_name, unsigned int flags, fs_done_fn *done, void *arg);
void fs_link(struct fs *fs, uint64_t ino, uint64_t new_parent, const char *new_name,
	fs_done_fn *done, void *arg);

/* The target, NUL-terminated, at most size_bytes with the NUL. */
int fs_readlink(struct fs *fs, uint64_t ino, char *target, size_t size_bytes);

/* ---- attributes (attributes.c, xattr.c) */
int fs_getattr(struct fs *fs, uint64_t ino, struct fs_attributes *ret);
void fs_setattr(struct fs *fs, const struct fs_caller *caller, uint64_t ino, unsigned int set,
	const struct fs_attributes *values, fs_done_fn *done, void *arg);
int fs_setxattr(struct fs *fs, uint64_t ino, const char *name, const void *value, size_t size_bytes,
	int flags);

/* The size of the value; with size_bytes 0 nothing is copied. -ERANGE when it does not fit. */
ssize_t fs_getxattr(struct fs *fs, uint64_t ino, const char *name, void *value, size_t size_bytes);
ssize_t fs_listxattr(struct fs *fs, uint64_t ino, char *names, size_t size_bytes);
int fs_removexattr(struct fs *fs, uint64_t ino, const char *name);

/* ---- content (data.c) */
void fs_read(struct fs *fs, uint64_t ino, uint64_t offset, size_t size_bytes, fs_done_fn *done,
	void *arg);

/* `data` may be reused when the call returns. */
void fs_write(struct fs *fs, const struct fs_caller *caller, uint64_t ino, uint64_t offset,
	const void *data, size_t size_bytes, fs_done_fn *done, void *arg);
void fs_fallocate(struct fs *fs, const struct fs_caller *caller, uint64_t ino, int mode,
	uint64_t offset, uint64_t size_bytes, fs_done_fn *done, void *arg);
int fs_lseek(struct fs *fs, uint64_t ino, uint64_t offset, int whence, uint64_t *ret);
void fs_fsync(struct fs *fs, uint64_t ino, bool data_only, fs_done_fn *done, void *arg);

/* ---- directories (directory.c) */

/* False stops the scan; the entry was not taken and will come again. `attributes` is NULL unless
 * they were asked for; then the receiver owns one reference to the inode if it takes the entry
 * (not for ".", "..", an inode whose record is damaged, and one in an account that is not here:
 * these come without). */
typedef bool fs_entry_fn(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes);

/* Entries behind `offset` (0: from the start; else a `next` from earlier). Offsets stay valid
 * while the directory changes: an entry there all the time comes exactly once. */
int fs_readdir(struct fs *fs, uint64_t ino, uint64_t offset, bool with_attributes,
	fs_entry_fn *take, void *arg);

/* ---- acknowledgements (ack.c) */

/* Of one account another than node_options.ack. An account is named by its path below the root. */
struct fs_ack_override {
	const char *account;
	bool remote;
};

/* Takes the place of all before; also for accounts that will be made later. Copied. -ENOMEM. */
int fs_set_acks(struct fs *fs, const struct fs_ack_override *overrides, size_t n);

/* By how much a change is to be delayed before it is asked for: the backend is behind. */
uint32_t fs_delay_ms(struct fs *fs);

/* ---- the whole */
struct fs_usage {
	uint64_t block_size_bytes;
	uint64_t total_blocks, free_blocks, available_blocks;
	uint64_t total_files, free_files;
};
int fs_statfs(struct fs *fs, struct fs_usage *ret);

#endif
