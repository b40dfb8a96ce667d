#include <config.h>
#include "fuse/session_private.h"

#include <errno.h>
#include <string.h>
#include "fuse/park.h"

/* One owner for each account: what the kernel has cached is right until it changes it itself. */
#define FOR_EVER_SECONDS 1e12
#define PREFERRED_IO_BYTES 4096

struct session *session_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

struct fs_caller reply_caller(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct fs_caller){.uid = ctx->uid, .gid = ctx->gid, .thread = ctx->pid};
}

/* A damaged record must not look to a program like one of its own mistakes. */
static int for_programs(int error)
{
	return error == -EBADMSG ? EIO : -error;
}

void reply_error(fuse_req_t req, int error)
{
	if (error == -EINPROGRESS && park_repeat()) {
		fuse_reply_none(req); /* no answer yet: it is made again */
		return;
	}
	fuse_reply_err(req, for_programs(error));
}

static void fill_stat(struct stat *st, const struct fs_attributes *a)
{
	*st = (struct stat){
		.st_ino = a->ino,
		.st_mode = a->mode,
		.st_nlink = a->nlink,
		.st_uid = a->uid,
		.st_gid = a->gid,
		.st_rdev = a->rdev,
		.st_size = (off_t)a->size_bytes,
		.st_blksize = PREFERRED_IO_BYTES,
		.st_blocks = (blkcnt_t)((a->allocated_bytes + 511) / 512),
		.st_atim = a->atime,
		.st_mtim = a->mtime,
		.st_ctim = a->ctime,
	};
}

void reply_fill_entry(struct fuse_entry_param *entry, const struct fs_attributes *attributes)
{
	memset(entry, 0, sizeof(*entry));
	entry->ino = attributes->ino;
	entry->attr_timeout = FOR_EVER_SECONDS;
	entry->entry_timeout = FOR_EVER_SECONDS;
	fill_stat(&entry->attr, attributes);
}

void reply_entry(fuse_req_t req, int error, const struct fs_attributes *attributes)
{
	struct fuse_entry_param entry = {.entry_timeout = FOR_EVER_SECONDS};

	if (error < 0 && error != -ENOENT) {
		reply_error(req, error);
		return;
	}
	if (error >= 0)
		reply_fill_entry(&entry, attributes);
	if (error > 0)
		entry.attr_timeout = 0; /* not known: fs_lookup() */
	/* When the kernel has gone away, it has forgotten the reference as well. */
	if (fuse_reply_entry(req, &entry) < 0 && error >= 0)
		fs_forget(session_of(req)->fs, attributes->ino, 1);
}

void reply_attributes(fuse_req_t req, int error, const struct fs_attributes *attributes)
{
	struct stat st;

	if (error < 0) {
		reply_error(req, error);
		return;
	}
	fill_stat(&st, attributes);
	fuse_reply_attr(req, &st, FOR_EVER_SECONDS);
}

/* ---- requests that wait */
void reply_begin_waiting(fuse_req_t req)
{
	atomic_fetch_add(&session_of(req)->waiting_requests, 1);
}

static void end_waiting(struct session *s)
{
	atomic_fetch_sub(&s->waiting_requests, 1);
}

void reply_when_done(void *arg, const struct fs_reply *reply)
{
	fuse_req_t req = arg;
	struct session *s = session_of(req);

	reply_error(req, reply->error);
	end_waiting(s);
}

void reply_data_when_done(void *arg, const struct fs_reply *reply)
{
	fuse_req_t req = arg;
	struct session *s = session_of(req);

	if (reply->error < 0)
		reply_error(req, reply->error);
	else
		fuse_reply_buf(req, reply->data, reply->size_bytes);
	end_waiting(s);
}

void reply_written_when_done(void *arg, const struct fs_reply *reply)
{
	fuse_req_t req = arg;
	struct session *s = session_of(req);

	if (reply->error < 0)
		reply_error(req, reply->error);
	else
		fuse_reply_write(req, reply->size_bytes);
	end_waiting(s);
}

void reply_attributes_when_done(void *arg, const struct fs_reply *reply)
{
	fuse_req_t req = arg;
	struct session *s = session_of(req);

	reply_attributes(req, reply->error, reply->attributes);
	end_waiting(s);
}

void reply_entry_when_done(void *arg, const struct fs_reply *reply)
{
	fuse_req_t req = arg;
	struct session *s = session_of(req);

	if (reply->error < 0)
		reply_error(req, reply->error);
	else
		reply_entry(req, 0, reply->attributes);
	end_waiting(s);
}
