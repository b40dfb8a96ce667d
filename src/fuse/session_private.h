/*
 * session_private.h: what the files of fuse/ share.
 */
#ifndef MAILFS_FUSE_SESSION_PRIVATE_H
#define MAILFS_FUSE_SESSION_PRIVATE_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <stdatomic.h>
#include "fuse/session.h"
#include "util/lock.h"

#define SESSION_OPCODES 64
#define SESSION_MAX_THREADS 256

struct park;

struct session {
	struct fs *fs;
	struct fuse_session *fuse;
	char *control_socket;
	bool no_xattrs;
	char *mountpoint;
	void (*on_serving)(void *arg);
	void (*on_hangup)(void *arg);
	void *on_serving_arg; /* of both */
	unsigned int n_threads;
	struct park *park; /* requests for accounts that are not here */
	bool mounted;
	int wake_fd; /* an eventfd: somebody wants session_run() to look */
	_Atomic bool exiting;
	_Atomic bool hangs_up; /* on_hangup is to be called */
	_Atomic unsigned int running_threads;
	_Atomic unsigned int waiting_requests; /* answered later, from another thread */

	/* kernel_init.c */
	_Atomic uint64_t init_unique;
	_Atomic uint32_t init_flags;
	_Atomic uint64_t requests[SESSION_OPCODES];
};

/* handle_*.c; the table is in handlers.c */
extern const struct fuse_lowlevel_ops handlers;

struct session *session_of(fuse_req_t req);

/* kernel_init.c: reads and writes of the device, which count requests and complete libfuse's
 * answer to INIT with what this libfuse does not know yet. */
int kernel_init_install(struct session *s);

/* reply.c */
void reply_error(fuse_req_t req, int error);
void reply_entry(fuse_req_t req, int error, const struct fs_attributes *attributes);
void reply_attributes(fuse_req_t req, int error, const struct fs_attributes *attributes);
void reply_fill_entry(struct fuse_entry_param *entry, const struct fs_attributes *attributes);
struct fs_caller reply_caller(fuse_req_t req);

/* For requests that wait: begin before the call into fs/, and use the matching fs_done_fn, with the
 * request as its argument. */
void reply_begin_waiting(fuse_req_t req);
void reply_when_done(void *arg, const struct fs_reply *reply);
void reply_data_when_done(void *arg, const struct fs_reply *reply);
void reply_written_when_done(void *arg, const struct fs_reply *reply);
void reply_attributes_when_done(void *arg, const struct fs_reply *reply);
void reply_entry_when_done(void *arg, const struct fs_reply *reply);

/* handle_*.c */
void handle_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void handle_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count);
void handle_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void handle_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void handle_setattr(
	fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi);
void handle_readlink(fuse_req_t req, fuse_ino_t ino);
void handle_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void handle_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void handle_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void handle_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void handle_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void handle_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	const char *new_name, unsigned int flags);
void handle_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name);
void handle_statfs(fuse_req_t req, fuse_ino_t ino);

void handle_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void handle_read(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void handle_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
	struct fuse_file_info *fi);
void handle_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi);
void handle_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
	struct fuse_file_info *fi);
void handle_lseek(
	fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi);
void handle_readdir(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void handle_readdirplus(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);

void handle_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int command, void *arg,
	struct fuse_file_info *fi, unsigned int flags, const void *in, size_t in_bytes,
	size_t out_bytes);

void handle_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
	size_t size, int flags);
void handle_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void handle_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void handle_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

#endif
