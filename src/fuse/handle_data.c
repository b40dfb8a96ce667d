#include <config.h>
#include "fuse/session_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Declined once: the kernel then never sends OPEN, OPENDIR, RELEASE or RELEASEDIR again, keeps
 * pages and directories cached, and tells by FORGET when an unlinked file is not used any more
 * (doc/decisions/0002-no-open.md). CREATE and FLUSH are declined by not being there at all. */
void handle_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	reply_error(req, -ENOSYS);
}

void handle_read(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	reply_begin_waiting(req);
	fs_read(session_of(req)->fs, ino, (uint64_t)offset, size, reply_data_when_done, req);
}

void handle_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
	struct fuse_file_info *fi)
{
	struct fs_caller caller = reply_caller(req);

	/* Written back from a shared mapping: by the kernel, on nobody's behalf. */
	if (fi->writepage)
		caller.uid = 0;
	reply_begin_waiting(req);
	fs_write(session_of(req)->fs, &caller, ino, (uint64_t)offset, data, size,
		reply_written_when_done, req);
}

void handle_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	(void)fi;
	reply_begin_waiting(req);
	fs_fsync(session_of(req)->fs, ino, data_only != 0, reply_when_done, req);
}

void handle_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
	struct fuse_file_info *fi)
{
	struct fs_caller caller = reply_caller(req);

	(void)fi;
	reply_begin_waiting(req);
	fs_fallocate(session_of(req)->fs, &caller, ino, mode, (uint64_t)offset, (uint64_t)length,
		reply_when_done, req);
}

void handle_lseek(
	fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	uint64_t found;
	int r = fs_lseek(session_of(req)->fs, ino, (uint64_t)offset, whence, &found);

	(void)fi;
	if (r < 0)
		reply_error(req, r);
	else
		fuse_reply_lseek(req, (off_t)found);
}

/* ---- directories */
struct listing {
	fuse_req_t req;
	bool plus;
	char *data;
	size_t used, capacity;
};

/* False when the entry does not fit any more. */
static bool add_entry(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	struct listing *l = arg;
	struct fuse_entry_param entry = {0};
	size_t left = l->capacity - l->used, n;

	if (attributes != NULL)
		reply_fill_entry(&entry, attributes);
	/* Without attributes ("." and "..") the node id is 0: the kernel takes no reference. */
	entry.attr.st_ino = ino;
	entry.attr.st_mode = attributes != NULL ? entry.attr.st_mode : mode;
	if (l->plus)
		n = fuse_add_direntry_plus(
			l->req, l->data + l->used, left, name, &entry, (off_t)next);
	else
		n = fuse_add_direntry(
			l->req, l->data + l->used, left, name, &entry.attr, (off_t)next);
	if (n > left)
		return false;
	l->used += n;
	return true;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	struct listing l = {.req = req, .plus = plus, .data = malloc(size), .capacity = size};
	int r;

	if (l.data == NULL) {
		reply_error(req, -ENOMEM);
		return;
	}
	r = fs_readdir(session_of(req)->fs, ino, (uint64_t)offset, plus, add_entry, &l);
	/* An error behind entries that were taken must not lose their references. */
	if (r < 0 && l.used == 0)
		reply_error(req, r);
	else
		fuse_reply_buf(req, l.data, l.used);
	free(l.data);
}

void handle_readdir(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, offset, false);
}

void handle_readdirplus(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, offset, true);
}
