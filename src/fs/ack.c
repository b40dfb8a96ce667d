/*
 * ack.c: what has to be durable, and where, before an operation is acknowledged; and when nothing
 * may be changed any more.
 *
 * No error of a commit is remembered, because none is ever forgotten: a change that is not on the
 * backend keeps its number, so each sync of it waits again and fails again, until it is there; and
 * a journal that is fenced, or a local log that failed, fails for ever.
 */
#include <config.h>
#include "fs/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/backlog.h"
#include "cache/body_uploader.h"
#include "cache/torn_write.h"
#include "fs/entry.h"
#include "fs/fs_private.h"
#include "util/map64.h"

/* ---- what may change */

int fs_check_change(struct fs *fs)
{
	return atomic_load(&fs->node->is_fenced) ? -ESTALE : 0;
}

int fs_check_growth(struct fs *fs)
{
	int r = fs_check_change(fs);

	if (r == 0)
		r = store_check_space(fs->node->store);
	return r == 0 ? backlog_check(fs->node->backlog) : r;
}

uint32_t fs_delay_ms(struct fs *fs)
{
	return backlog_delay_ms(fs->node->backlog);
}

/* ---- accounts with an acknowledgement of their own */

/* The inode that a path below the root leads to; 0: nothing that is here. */
static uint64_t find_path(struct fs *fs, const char *path)
{
	uint64_t ino = FS_ROOT_INO;
	char name[FS_NAME_MAX_BYTES + 1];

	while (*path != '\0' && ino != 0) {
		size_t n = strcspn(path, "/");

		if (n > 0) {
			if (n > FS_NAME_MAX_BYTES || key_ino_account(ino) != KEY_ROOT_ACCOUNT)
				return 0;
			memcpy(name, path, n);
			name[n] = '\0';
			if (entry_peek(fs, ino, name, &ino) < 0)
				return 0;
		}
		path += n + (path[n] == '/');
	}
	return ino;
}

static void ack_resolve_locked(struct fs *fs) REQUIRES(fs->ack_lock)
{
	map64_done(&fs->acks);
	map64_init(&fs->acks);
	for (size_t i = 0; i < fs->n_overrides; i++) {
		uint64_t ino = find_path(fs, fs->overrides[i].account);
		uint64_t *place = NULL;

		if (ino != 0 && key_ino_local(ino) == KEY_INO_LOCAL_ROOT)
			place = map64_insert(&fs->acks, (uint64_t)key_ino_account(ino) + 1);
		if (place != NULL)
			*place = fs->overrides[i].remote;
	}
}

void fs_resolve_acks(struct fs *fs)
{
	if (atomic_load(&fs->n_acks) == 0)
		return;
	lock_acquire(&fs->ack_lock);
	ack_resolve_locked(fs);
	lock_release(&fs->ack_lock);
}

static void free_overrides(struct fs_ack_override *overrides, size_t n)
{
	for (size_t i = 0; i < n && overrides != NULL; i++)
		free((void *)(uintptr_t)overrides[i].account);
	free(overrides);
}

int fs_set_acks(struct fs *fs, const struct fs_ack_override *overrides, size_t n)
{
	struct fs_ack_override *copy = calloc(n + 1, sizeof(*copy)), *before;
	size_t n_before;

	for (size_t i = 0; i < n && copy != NULL; i++) {
		copy[i] = (struct fs_ack_override){
			.account = strdup(overrides[i].account), .remote = overrides[i].remote};
		if (copy[i].account == NULL) {
			free_overrides(copy, i);
			return -ENOMEM;
		}
	}
	if (copy == NULL)
		return -ENOMEM;
	lock_acquire(&fs->ack_lock);
	before = fs->overrides;
	n_before = fs->n_overrides;
	fs->overrides = copy;
	fs->n_overrides = n;
	ack_resolve_locked(fs);
	atomic_store(&fs->n_acks, n);
	lock_release(&fs->ack_lock);
	free_overrides(before, n_before);
	return 0;
}

void fs_forget_acks(struct fs *fs)
{
	free_overrides(fs->overrides, fs->n_overrides);
	map64_done(&fs->acks);
}

static bool is_remote(struct fs *fs, uint64_t ino)
{
	bool remote = fs->node->ack == NODE_ACK_REMOTE;
	uint64_t *place;

	if (atomic_load(&fs->n_acks) == 0)
		return remote;
	lock_acquire(&fs->ack_lock);
	place = map64_find(&fs->acks, (uint64_t)key_ino_account(ino) + 1);
	if (place != NULL)
		remote = *place != 0;
	lock_release(&fs->ack_lock);
	return remote;
}

/* ---- commits */
struct commit_op {
	struct fs *fs;
	uint64_t lsn;
	fs_done_fn *done;
	void *arg;
};

/* What a program is told: it knows neither time limits nor journals. */
static int for_programs(int error)
{
	return error == 0 || error == -ESTALE || error == -ENOSPC ? error : -EIO;
}

static void commit_done(void *arg, int error)
{
	struct commit_op *op = arg;

	if (error == -ESTALE)
		node_fence(op->fs->node);
	fs_reply_error(op->done, op->arg, for_programs(error));
	free(op);
}

_Atomic uint64_t *fs_owed_of(struct fs *fs, uint64_t ino)
{
	return &fs->owed_lsn[map64_hash(key_ino_account(ino) + 1) % FS_OWED_SLOTS];
}

/* Nobody who is asked for a remote acknowledgement gives a local one. Where an upload has failed
 * the journal carries the content. */
static void uploaded(void *arg, int error)
{
	struct commit_op *op = arg;
	const struct node_replication *replication = &op->fs->node->replication;

	(void)error;
	if (replication->wait == NULL)
		commit_done(op, -EIO);
	else
		replication->wait(replication->arg, op->lsn, commit_done, op);
}

/* Large bodies go as objects of their own before the segment that names them, so that it need not
 * carry their content too. */
static void wait_remotely(struct fs *fs, uint64_t ino, struct commit_op *op)
{
	atomic_fetch_add(&fs->node->remote_waits, 1);
	body_uploader_hurry_account(fs->node, key_ino_account(ino), uploaded, op);
}

void fs_wait_for_commit(struct fs *fs, uint64_t ino, uint64_t lsn, fs_done_fn *done, void *arg)
{
	struct commit_op *op = malloc(sizeof(*op));
	uint64_t owed = atomic_load(fs_owed_of(fs, ino));
	uint64_t settled = torn_writes_settle(fs->node->torn_writes, key_ino_account(ino));

	if (op == NULL) {
		fs_reply_error(done, arg, -ENOMEM);
		return;
	}
	*op = (struct commit_op){.fs = fs, .lsn = lsn, .done = done, .arg = arg};
	if (op->lsn < owed)
		op->lsn = owed;
	if (op->lsn < settled)
		op->lsn = settled;
	if (fs_check_change(fs) < 0)
		commit_done(op, -ESTALE);
	else if (is_remote(fs, ino))
		wait_remotely(fs, ino, op);
	else
		commit_wait(fs->node->commit, op->lsn, commit_done, op);
}
