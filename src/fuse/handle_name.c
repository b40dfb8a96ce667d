#include <config.h>
#include "fuse/session_private.h"

#include <errno.h>
#include <limits.h>
#include <sys/statvfs.h>
#include "fuse/park.h"

void handle_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs_attributes attributes;
	int r = fs_lookup(session_of(req)->fs, parent, name, &attributes);

	reply_entry(req, r, &attributes);
}

void handle_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	fs_forget(session_of(req)->fs, ino, count);
	fuse_reply_none(req);
}

void handle_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		fs_forget(session_of(req)->fs, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

void handle_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[PATH_MAX + 1];
	int r = fs_readlink(session_of(req)->fs, ino, target, sizeof(target));

	if (r < 0)
		reply_error(req, r);
	else
		fuse_reply_readlink(req, target);
}

/* An entry that was to be made: not to be there is an error here. */
static void reply_made(fuse_req_t req, int error, const struct fs_attributes *attributes)
{
	if (error < 0)
		reply_error(req, error);
	else
		reply_entry(req, 0, attributes);
}

void handle_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct fs_caller caller = reply_caller(req);
	struct fs_attributes attributes;
	int r = fs_mknod(
		session_of(req)->fs, &caller, parent, name, mode, (uint32_t)rdev, &attributes);

	reply_made(req, r, &attributes);
}

void handle_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fs_caller caller = reply_caller(req);
	struct fs_attributes attributes;
	int r = fs_mkdir(session_of(req)->fs, &caller, parent, name, mode, &attributes);

	reply_made(req, r, &attributes);
}

void handle_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct fs_caller caller = reply_caller(req);
	struct fs_attributes attributes;
	int r = fs_symlink(session_of(req)->fs, &caller, target, parent, name, &attributes);

	reply_made(req, r, &attributes);
}

void handle_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	park_note_names(parent, name, 0, NULL);
	reply_error(req, fs_unlink(session_of(req)->fs, parent, name));
}

void handle_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	park_note_names(parent, name, 0, NULL);
	reply_error(req, fs_rmdir(session_of(req)->fs, parent, name));
}

void handle_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	const char *new_name, unsigned int flags)
{
	struct fs_caller caller = reply_caller(req);

	park_note_names(parent, name, new_parent, new_name);
	reply_begin_waiting(req);
	fs_rename(session_of(req)->fs, &caller, parent, name, new_parent, new_name, flags,
		reply_when_done, req);
}

void handle_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
	reply_begin_waiting(req);
	fs_link(session_of(req)->fs, ino, new_parent, new_name, reply_entry_when_done, req);
}

void handle_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct fs_usage usage;
	struct statvfs st;
	int r = fs_statfs(session_of(req)->fs, &usage);

	(void)ino;
	if (r < 0) {
		reply_error(req, r);
		return;
	}
	st = (struct statvfs){
		.f_bsize = usage.block_size_bytes,
		.f_frsize = usage.block_size_bytes,
		.f_blocks = usage.total_blocks,
		.f_bfree = usage.free_blocks,
		.f_bavail = usage.available_blocks,
		.f_files = usage.total_files,
		.f_ffree = usage.free_files,
		.f_favail = usage.free_files,
		.f_namemax = FS_NAME_MAX_BYTES,
	};
	fuse_reply_statfs(req, &st);
}
