#include <config.h>
#include "fs/fs.h"

#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cache/adoption.h"
#include "cache/body_evictor.h"
#include "cache/body_fetcher.h"
#include "cache/file_data.h"
#include "cache/torn_write.h"
#include "fs/fs_private.h"

/*
 * An operation on content. It runs at once on the caller's thread; when it meets a part that only
 * the backend has, it is copied to the heap, and runs again from the start when that has come.
 */
struct data_op {
	int (*run)(struct data_op *op, struct extent *ret_missing);
	struct fs *fs;
	struct fs_caller caller;
	uint64_t ino, offset, size_bytes;
	const void *source; /* write: the caller's, or owned_source */
	void *owned_source;
	void *buffer;     /* read */
	int mode;         /* fallocate */
	bool may_be_half; /* write: torn_write.h */
	uint64_t old_size_bytes;
	struct extent fetching;       /* what it waits for */
	struct fetched_part *fetched; /* read: what could not be stored */
	fs_done_fn *done;
	void *arg;
};

static void finish(struct data_op *op, int error)
{
	struct fs_reply reply = {
		.error = error,
		.data = op->buffer,
		.size_bytes = (size_t)op->size_bytes,
	};

	op->done(op->arg, &reply);
	free(op->buffer);
	free(op->owned_source);
	fetched_parts_free(op->fetched);
}

static void fetched(void *arg, int error, const void *content, size_t content_bytes);
static int run_read(struct data_op *op, struct extent *ret_missing);

/* A copy that outlives the caller's stack and buffer. */
static struct data_op *keep(const struct data_op *op)
{
	struct data_op *kept = malloc(sizeof(*kept));

	if (kept == NULL)
		return NULL;
	*kept = *op;
	if (op->source != NULL && op->owned_source == NULL) {
		kept->owned_source = malloc((size_t)op->size_bytes);
		if (kept->owned_source == NULL) {
			free(kept);
			return NULL;
		}
		memcpy(kept->owned_source, op->source, (size_t)op->size_bytes);
		kept->source = kept->owned_source;
	}
	return kept;
}

/* Runs the operation; true when it is over and answered. */
static bool attempt(struct data_op *op, struct extent *ret_missing)
{
	int r = op->run(op, ret_missing);

	if (r == -EINPROGRESS)
		return false;
	finish(op, r);
	return true;
}

static void fetch(struct data_op *op, const struct extent *missing)
{
	op->fetching = *missing;
	body_fetcher_fetch(op->fs->node->fetcher, op->ino, missing, fetched, op);
}

/* A read needs nothing stored: the other operations build on what is. */
static int use_unstored(struct data_op *op, int error, const void *content, size_t content_bytes)
{
	if (content == NULL || op->run != run_read)
		return error;
	return fetched_parts_add(&op->fetched, &op->fetching, op->offset,
		op->offset + op->size_bytes, content, content_bytes);
}

static void fetched(void *arg, int error, const void *content, size_t content_bytes)
{
	struct data_op *op = arg;
	struct node *node = op->fs->node; /* once answered, the fs may go; the node waits for us */
	struct extent missing;

	error = use_unstored(op, error, content, content_bytes);
	/* Also after a failure: the object may have gone because a newer one has taken its place.
	 */
	if (!attempt(op, &missing)) {
		if (error == 0 || !record_same_content(&missing, &op->fetching)) {
			fetch(op, &missing);
			return;
		}
		finish(op, error);
	}
	adoption_leave(node, key_ino_account(op->ino));
	free(op);
}

static void start(struct data_op *op)
{
	struct extent missing;
	struct data_op *kept;

	if (attempt(op, &missing))
		return;
	kept = keep(op);
	if (kept == NULL) {
		finish(op, -ENOMEM);
		return;
	}
	adoption_hold(op->fs->node, key_ino_account(op->ino));
	fetch(kept, &missing);
}

static int load_file(struct fs *fs, uint64_t ino, struct inode *ret)
{
	int r = node_load_inode(fs->node, ino, ret);

	if (r < 0)
		return r;
	return S_ISREG(ret->mode) ? 0 : inode_is_directory(ret) ? -EISDIR : -EINVAL;
}

/* ---- reading */
static int read_locked(struct data_op *op, struct inode *inode, struct extent *ret_missing)
{
	struct file_data_span span = {.offset_bytes = op->offset, .data = op->buffer};
	int r = load_file(op->fs, op->ino, inode);

	if (r < 0)
		return r;
	if (op->offset >= inode->size_bytes)
		op->size_bytes = 0;
	else if (op->size_bytes > inode->size_bytes - op->offset)
		op->size_bytes = inode->size_bytes - op->offset;
	span.size_bytes = (size_t)op->size_bytes;
	span.fetched = op->fetched;
	return file_data_read(op->fs->node, inode, &span, ret_missing);
}

static int run_read(struct data_op *op, struct extent *ret_missing)
{
	struct inode_lock_set locks;
	struct inode inode;
	int r;

	inode_locks_read(op->fs->node->locks, op->ino, &locks);
	r = read_locked(op, &inode, ret_missing);
	inode_locks_release(&locks);
	if (r == 0 && (inode.flags & INODE_BODY))
		body_evictor_touch(op->fs->node->evictor, op->ino);
	return r;
}

void fs_read(struct fs *fs, uint64_t ino, uint64_t offset, size_t size_bytes, fs_done_fn *done,
	void *arg)
{
	struct data_op op = {
		.run = run_read,
		.fs = fs,
		.ino = ino,
		.offset = offset,
		.size_bytes = size_bytes,
		.done = done,
		.arg = arg,
	};

	op.buffer = malloc(size_bytes > 0 ? size_bytes : 1);
	if (op.buffer == NULL)
		fs_reply_error(done, arg, -ENOMEM);
	else
		start(&op);
}

/* ---- changing */

/* An ordinary file that has grown big is kept as a body from now on. */
static int become_body_if_big(struct transaction *t, struct inode *inode)
{
	if ((inode->flags & INODE_BODY) ||
		!file_class_is_body(inode->file_class, inode->size_bytes))
		return 0;
	return file_data_become_body(t, inode);
}

/* Ends a change of content: times, privileges, commit. */
static int commit_content(struct data_op *op, struct transaction *t, struct inode *inode, int r)
{
	if (r == 0)
		r = become_body_if_big(t, inode);
	if (r < 0) {
		transaction_abort(t);
		return r;
	}
	if (op->caller.uid != 0)
		fs_clear_privileges(inode);
	inode->mtime = inode->ctime = fs_now();
	transaction_put_inode(t, inode);
	if (op->may_be_half) {
		torn_write_note(t, op->ino, op->old_size_bytes);
		inode->torn = true;
	}
	return transaction_commit(t);
}

/* Of the files that Dovecot appends records to; see torn_write.h. */
static bool may_be_half(const struct inode *inode, uint64_t offset, uint64_t old_size)
{
	return (inode->file_class == FILE_CLASS_INDEX || inode->file_class == FILE_CLASS_CONTROL) &&
	       offset == old_size && torn_write_is_likely(old_size, inode->size_bytes);
}

static int write_locked(struct data_op *op, struct extent *ret_missing)
{
	struct transaction t;
	struct inode inode;
	int r = load_file(op->fs, op->ino, &inode);
	uint64_t old_size;

	if (r == 0)
		r = transaction_begin(op->fs->node, &t);
	if (r < 0)
		return r;
	old_size = inode.size_bytes;
	r = file_data_write(
		&t, &inode, op->offset, op->source, (size_t)op->size_bytes, ret_missing);
	op->may_be_half = r == 0 && may_be_half(&inode, op->offset, old_size);
	op->old_size_bytes = old_size;
	return commit_content(op, &t, &inode, r);
}

static int run_write(struct data_op *op, struct extent *ret_missing)
{
	struct inode_lock_set locks;
	int r;

	inode_locks_write(op->fs->node->locks, &op->ino, 1, &locks);
	r = write_locked(op, ret_missing);
	inode_locks_release(&locks);
	if (r == 0 && op->may_be_half)
		torn_writes_expect(op->fs->node->torn_writes, op->ino, op->caller.thread);
	return r;
}

void fs_note_request(struct fs *fs, pid_t thread, uint64_t written_ino)
{
	torn_writes_returned(fs->node->torn_writes, thread, written_ino);
}

void fs_write(struct fs *fs, const struct fs_caller *caller, uint64_t ino, uint64_t offset,
	const void *data, size_t size_bytes, fs_done_fn *done, void *arg)
{
	struct data_op op = {
		.run = run_write,
		.fs = fs,
		.caller = *caller,
		.ino = ino,
		.offset = offset,
		.size_bytes = size_bytes,
		.source = data,
		.done = done,
		.arg = arg,
	};
	int r = fs_check_growth(fs);

	if (offset > FS_FILE_MAX_BYTES || size_bytes > FS_FILE_MAX_BYTES - offset)
		r = -EFBIG;
	if (r < 0)
		fs_reply_error(done, arg, r);
	else
		start(&op);
}

/* Space is not set aside: the local store is checked at each write. */
static int allocate(
	struct data_op *op, struct transaction *t, struct inode *inode, struct extent *ret_missing)
{
	uint64_t end = op->offset + op->size_bytes;
	bool zeroes = op->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
	bool grows = !(op->mode & FALLOC_FL_KEEP_SIZE) && end > inode->size_bytes;
	int r = 0;

	if (zeroes && op->offset < inode->size_bytes)
		r = file_data_punch(t, inode, op->offset, op->size_bytes, ret_missing);
	if (r == 0 && grows)
		r = file_data_resize(t, inode, end);
	return r;
}

static int allocate_locked(struct data_op *op, struct extent *ret_missing)
{
	struct transaction t;
	struct inode inode;
	int r = load_file(op->fs, op->ino, &inode);

	if (r == 0)
		r = transaction_begin(op->fs->node, &t);
	if (r < 0)
		return r == -EINVAL ? -ENODEV : r;
	r = allocate(op, &t, &inode, ret_missing);
	return commit_content(op, &t, &inode, r);
}

static int run_allocate(struct data_op *op, struct extent *ret_missing)
{
	struct inode_lock_set locks;
	int r;

	inode_locks_write(op->fs->node->locks, &op->ino, 1, &locks);
	r = allocate_locked(op, ret_missing);
	inode_locks_release(&locks);
	return r;
}

static int check_allocate(int mode, uint64_t offset, uint64_t size_bytes)
{
	int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;

	if (mode & ~known)
		return -EOPNOTSUPP;
	if (size_bytes == 0)
		return -EINVAL;
	if (offset > FS_FILE_MAX_BYTES || size_bytes > FS_FILE_MAX_BYTES - offset)
		return -EFBIG;
	return 0;
}

void fs_fallocate(struct fs *fs, const struct fs_caller *caller, uint64_t ino, int mode,
	uint64_t offset, uint64_t size_bytes, fs_done_fn *done, void *arg)
{
	struct data_op op = {
		.run = run_allocate,
		.fs = fs,
		.caller = *caller,
		.ino = ino,
		.offset = offset,
		.size_bytes = size_bytes,
		.mode = mode,
		.done = done,
		.arg = arg,
	};
	int r = check_allocate(mode, offset, size_bytes);

	if (r == 0)
		r = mode & FALLOC_FL_PUNCH_HOLE ? fs_check_change(fs) : fs_check_growth(fs);
	if (r < 0)
		fs_reply_error(done, arg, r);
	else
		start(&op);
}

int fs_lseek(struct fs *fs, uint64_t ino, uint64_t offset, int whence, uint64_t *ret)
{
	struct inode_lock_set locks;
	struct inode inode;
	int r;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	inode_locks_read(fs->node->locks, ino, &locks);
	r = load_file(fs, ino, &inode);
	if (r == 0)
		r = file_data_seek(fs->node, &inode, offset, whence, ret);
	inode_locks_release(&locks);
	return r;
}
