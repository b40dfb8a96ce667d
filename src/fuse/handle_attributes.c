#include <config.h>
#include "fuse/session_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void handle_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs_attributes attributes;
	int r = fs_getattr(session_of(req)->fs, ino, &attributes);

	(void)fi;
	reply_attributes(req, r, &attributes);
}

static unsigned int translate_set(int to_set)
{
	static const struct {
		int fuse;
		unsigned int ours;
	} bits[] = {
		{FUSE_SET_ATTR_MODE, FS_SET_MODE},
		{FUSE_SET_ATTR_UID, FS_SET_UID},
		{FUSE_SET_ATTR_GID, FS_SET_GID},
		{FUSE_SET_ATTR_SIZE, FS_SET_SIZE},
		{FUSE_SET_ATTR_ATIME, FS_SET_ATIME},
		{FUSE_SET_ATTR_MTIME, FS_SET_MTIME},
		{FUSE_SET_ATTR_ATIME_NOW, FS_SET_ATIME_NOW},
		{FUSE_SET_ATTR_MTIME_NOW, FS_SET_MTIME_NOW},
		{FUSE_SET_ATTR_CTIME, FS_SET_CTIME},
	};
	unsigned int set = 0;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		set |= to_set & bits[i].fuse ? bits[i].ours : 0;
	return set;
}

void handle_setattr(
	fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	struct fs_caller caller = reply_caller(req);
	struct fs_attributes values = {
		.mode = attr->st_mode,
		.uid = attr->st_uid,
		.gid = attr->st_gid,
		.size_bytes = (uint64_t)attr->st_size,
		.atime = attr->st_atim,
		.mtime = attr->st_mtim,
		.ctime = attr->st_ctim,
	};

	(void)fi;
	reply_begin_waiting(req);
	fs_setattr(session_of(req)->fs, &caller, ino, translate_set(to_set), &values,
		reply_attributes_when_done, req);
}

/* ---- extended attributes
 *
 * After the first ENOSYS the kernel never asks again, also not for security.capability, which it
 * otherwise does at each write() that follows a change of the attributes. */
void handle_setxattr(
	fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	struct session *s = session_of(req);

	reply_error(
		req, s->no_xattrs ? -ENOSYS : fs_setxattr(s->fs, ino, name, value, size, flags));
}

void handle_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct session *s = session_of(req);

	reply_error(req, s->no_xattrs ? -ENOSYS : fs_removexattr(s->fs, ino, name));
}

/* Sends what was asked for: the value, or with size 0 how long it is. */
static void reply_value(fuse_req_t req, ssize_t r, const char *value, size_t size)
{
	if (r < 0)
		reply_error(req, (int)r);
	else if (size == 0)
		fuse_reply_xattr(req, (size_t)r);
	else
		fuse_reply_buf(req, value, (size_t)r);
}

void handle_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct session *s = session_of(req);
	char *value = s->no_xattrs ? NULL : malloc(size > 0 ? size : 1);

	if (value == NULL) {
		reply_error(req, s->no_xattrs ? -ENOSYS : -ENOMEM);
		return;
	}
	reply_value(req, fs_getxattr(s->fs, ino, name, value, size), value, size);
	free(value);
}

void handle_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct session *s = session_of(req);
	char *names = s->no_xattrs ? NULL : malloc(size > 0 ? size : 1);

	if (names == NULL) {
		reply_error(req, s->no_xattrs ? -ENOSYS : -ENOMEM);
		return;
	}
	reply_value(req, fs_listxattr(s->fs, ino, names, size), names, size);
	free(names);
}
