#include <config.h>
#include "fs/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cache/file_data.h"
#include "cache/inode_remove.h"
#include "cache/torn_write.h"
#include "fs/entry.h"
#include "fs/fs_private.h"
#include "util/map64.h"

/* What df shows where the backend has no end. */
#define ENDLESS_BYTES (UINT64_C(1) << 50)
#define ENDLESS_FILES (UINT64_C(1) << 40)
#define USAGE_BLOCK_BYTES 4096

struct timespec fs_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now;
}

int fs_check_name(const char *name)
{
	size_t n = strlen(name);

	return n == 0 ? -EINVAL : n > FS_NAME_MAX_BYTES ? -ENAMETOOLONG : 0;
}

void fs_fill_attributes(const struct inode *inode, struct fs_attributes *ret)
{
	*ret = (struct fs_attributes){
		.ino = inode->ino,
		.mode = inode->mode,
		.nlink = inode->nlink,
		.uid = inode->uid,
		.gid = inode->gid,
		.rdev = inode->rdev,
		.size_bytes = inode->size_bytes,
		.allocated_bytes = inode->blocks << inode->block_shift,
		.atime = inode->atime,
		.mtime = inode->mtime,
		.ctime = inode->ctime,
	};
	if (inode_is_directory(inode))
		ret->size_bytes = ret->allocated_bytes = USAGE_BLOCK_BYTES;
}

int fs_load_directory(struct fs *fs, uint64_t ino, struct inode *ret)
{
	int r = node_load_inode(fs->node, ino, ret);

	if (r < 0)
		return r;
	if (!inode_is_directory(ret))
		return -ENOTDIR;
	return ret->nlink == 0 ? -ENOENT : 0;
}

void fs_touch_directory(struct inode *directory, const struct timespec *now)
{
	directory->mtime = directory->ctime = *now;
}

int fs_apply_traits(struct transaction *t, struct inode *file, const struct file_traits *traits)
{
	if (!S_ISREG(file->mode))
		return 0;
	file->file_class = (uint8_t)traits->class;
	file->deferral = traits->deferral != NULL ? traits->deferral->number : 0;
	if (!file_class_is_body(traits->class, file->size_bytes))
		return 0;
	if (file->size_bytes == 0) {
		file->flags |= INODE_BODY; /* nothing is dirty yet; writes will note it */
		return 0;
	}
	return file_data_become_body(t, file);
}

void fs_clear_privileges(struct inode *file)
{
	if (inode_is_directory(file))
		return;
	file->mode &= ~(uint32_t)S_ISUID;
	if (file->mode & S_IXGRP)
		file->mode &= ~(uint32_t)S_ISGID;
}

void fs_drop_reference(struct fs *fs, uint64_t ino)
{
	(void)inode_refs_drop(fs->node->refs, ino, 1);
}

void fs_note_orphan(struct transaction *t, struct inode *inode)
{
	inode->nlink = 0;
	inode_remove_note_orphan(t, inode->ino);
}

void fs_end_if_unused(struct fs *fs, uint64_t ino)
{
	/* On failure the note in the store stays for the next start. */
	if (inode_refs_orphan(fs->node->refs, ino))
		(void)inode_remove(fs->node, ino);
}

void fs_forget(struct fs *fs, uint64_t ino, uint64_t count)
{
	if (!inode_refs_drop(fs->node->refs, ino, count))
		return;
	/* Of an account that has gone nothing is here; orphans end when it is loaded again. */
	if (fs_enter(fs, ino) < 0)
		return;
	(void)inode_remove(fs->node, ino);
	fs_leave(fs, ino);
}

void fs_reply_error(fs_done_fn *done, void *arg, int error)
{
	struct fs_reply reply = {.error = error};

	done(arg, &reply);
}

/* ---- syncs */
void fs_owe(struct fs *fs, uint64_t ino, uint64_t lsn)
{
	_Atomic uint64_t *owed = fs_owed_of(fs, ino);
	uint64_t seen = atomic_load(owed);
	/* Deferred or not, what is synced is not the half of anything. */
	uint64_t settled = torn_writes_settle(fs->node->torn_writes, key_ino_account(ino));

	if (lsn < settled)
		lsn = settled;
	while (seen < lsn && !atomic_compare_exchange_weak(owed, &seen, lsn))
		;
	atomic_fetch_add(&fs->node->syncs_elided, 1);
}

/* Whether the row still holds: its neighbour is looked for now, not when the file was made. */
static bool may_defer(struct fs *fs, const struct inode *inode)
{
	const struct file_class_deferral *row;
	struct inode_lock_set locks;
	struct entry neighbour;
	int r = 0;

	if (fs->node->strict_sync || !S_ISREG(inode->mode) || inode->deferral == 0)
		return false;
	row = file_class_deferral_row(inode->deferral);
	if (row != NULL && row->beside != NULL) {
		inode_locks_read(fs->node->locks, inode->parent, &locks);
		r = entry_find(fs, inode->parent, row->beside, &neighbour);
		inode_locks_release(&locks);
	}
	return row != NULL && r == 0;
}

void fs_fsync(struct fs *fs, uint64_t ino, bool data_only, fs_done_fn *done, void *arg)
{
	struct inode_lock_set locks;
	struct inode inode;
	int r;

	(void)data_only; /* one log: attributes and content are durable together */
	inode_locks_read(fs->node->locks, ino, &locks);
	r = node_load_inode(fs->node, ino, &inode);
	inode_locks_release(&locks);
	if (r == 0)
		r = fs_check_change(fs); /* also where a sync may wait for the next one */
	if (r < 0) {
		fs_reply_error(done, arg, r);
	} else if (may_defer(fs, &inode)) {
		fs_owe(fs, ino, inode.changed_lsn);
		fs_reply_error(done, arg, 0);
	} else {
		fs_wait_for_commit(fs, ino, inode.changed_lsn, done, arg);
	}
}

/* ---- life */
static int make_root(struct fs *fs)
{
	struct timespec now = fs_now();
	struct inode root = {
		.ino = FS_ROOT_INO,
		.parent = FS_ROOT_INO,
		.mode = S_IFDIR | 0755,
		.nlink = 2,
		.uid = geteuid(),
		.gid = getegid(),
		.next_cookie = FS_FIRST_COOKIE,
		.atime = now,
		.mtime = now,
		.ctime = now,
		.btime = now,
		.directory_kind = DIRECTORY_ORDINARY,
	};
	struct transaction t;
	int r = transaction_begin(fs->node, &t);

	if (r < 0)
		return r;
	transaction_put_inode(&t, &root);
	return transaction_commit(&t);
}

int fs_open(struct node *node, struct fs **ret)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	struct inode_lock_set locks;
	struct inode root;
	uint64_t ino = FS_ROOT_INO;
	int r;

	if (fs == NULL)
		return -ENOMEM;
	fs->node = node;
	lock_init(&fs->tree_lock);
	lock_init(&fs->ack_lock);
	map64_init(&fs->acks);
	fs->publishers = publisher_new();
	if (fs->publishers == NULL) {
		fs_close(fs);
		return -ENOMEM;
	}
	inode_locks_write(node->locks, &ino, 1, &locks);
	r = node_load_inode(node, ino, &root);
	if (r == -ENOENT)
		r = make_root(fs);
	inode_locks_release(&locks);
	if (r < 0) {
		fs_close(fs);
		return r;
	}
	*ret = fs;
	return 0;
}

void fs_close(struct fs *fs)
{
	if (fs == NULL)
		return;
	fs_forget_acks(fs);
	lock_done(&fs->ack_lock);
	publisher_free(fs->publishers);
	lock_done(&fs->tree_lock);
	free(fs);
}

int fs_statfs(struct fs *fs, struct fs_usage *ret)
{
	struct backend_space space = {0};
	int r = backend_space(fs->node->backend, &space);

	if (r < 0 && r != -EOPNOTSUPP)
		return r;
	if (r == -EOPNOTSUPP || space.total_bytes == 0)
		space = (struct backend_space){ENDLESS_BYTES, ENDLESS_BYTES};
	*ret = (struct fs_usage){
		.block_size_bytes = USAGE_BLOCK_BYTES,
		.total_blocks = space.total_bytes / USAGE_BLOCK_BYTES,
		.free_blocks = space.free_bytes / USAGE_BLOCK_BYTES,
		.available_blocks = space.free_bytes / USAGE_BLOCK_BYTES,
		.total_files = ENDLESS_FILES,
		.free_files = ENDLESS_FILES,
	};
	return 0;
}
