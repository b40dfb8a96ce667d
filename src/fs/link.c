#include <config.h>
#include "fs/fs.h"

#include <errno.h>
#include <stdlib.h>
#include "fs/entry.h"
#include "fs/fs_private.h"

/* A file with several names: deferred only if all of them say so; of the classes the one that
 * keeps more (a published mail does not become temporary by a link into tmp/). */
static int add_traits(struct transaction *t, struct inode *inode, const struct file_traits *added)
{
	struct file_traits traits = *added;

	if (inode->deferral == 0)
		traits.deferral = NULL;
	if (inode->file_class != FILE_CLASS_ORDINARY && inode->file_class != FILE_CLASS_TEMPORARY)
		traits.class = inode->file_class;
	return fs_apply_traits(t, inode, &traits);
}

static int link_locked(struct fs *fs, struct inode *inode, uint64_t new_parent, const char *name,
	bool *ret_publishes)
{
	struct file_traits traits;
	struct timespec now = fs_now();
	struct inode parent;
	struct entry existing;
	struct transaction t;
	int r = fs_load_directory(fs, new_parent, &parent);

	if (r < 0)
		return r; /* -ENOENT here is not that of a free name */
	r = entry_find(fs, new_parent, name, &existing);
	if (r != -ENOENT)
		return r == 0 ? -EEXIST : r;
	traits = file_class_file(parent.directory_kind, name);
	*ret_publishes = traits.publishes && S_ISREG(inode->mode);
	r = transaction_begin(fs->node, &t);
	if (r < 0)
		return r;
	if (S_ISREG(inode->mode))
		r = add_traits(&t, inode, &traits);
	inode->nlink++;
	inode->ctime = now;
	entry_add(&t, &parent, name, inode->ino, inode->mode);
	fs_touch_directory(&parent, &now);
	transaction_put_inode(&t, &parent);
	transaction_put_inode(&t, inode);
	if (r == 0)
		return transaction_commit(&t);
	transaction_abort(&t);
	return r;
}

static int check_link(struct fs *fs, uint64_t ino, uint64_t new_parent, struct inode *ret)
{
	int r;

	if (key_ino_account(ino) != key_ino_account(new_parent))
		return -EXDEV;
	r = node_load_inode(fs->node, ino, ret);
	if (r < 0)
		return r;
	if (inode_is_directory(ret))
		return -EPERM;
	if (ret->nlink == 0)
		return -ENOENT;
	return ret->nlink >= FS_LINK_MAX ? -EMLINK : 0;
}

struct link_op {
	fs_done_fn *done;
	void *arg;
	struct fs *fs;
	struct fs_attributes attributes;
};

static void link_done(void *arg, const struct fs_reply *reply)
{
	struct link_op *op = arg;
	struct fs_reply full = {.error = reply->error, .attributes = &op->attributes};

	if (reply->error < 0)
		fs_forget(op->fs, op->attributes.ino, 1); /* it may be an orphan by now */
	op->done(op->arg, &full);
	free(op);
}

void fs_link(struct fs *fs, uint64_t ino, uint64_t new_parent, const char *new_name,
	fs_done_fn *done, void *arg)
{
	uint64_t inos[] = {ino, new_parent};
	struct link_op *op = calloc(1, sizeof(*op));
	bool publishes = false;
	struct inode_lock_set locks;
	struct inode inode;
	int r = op == NULL ? -ENOMEM : fs_check_name(new_name);

	if (r == 0)
		r = fs_check_growth(fs);
	if (r == 0) {
		inode_locks_write(fs->node->locks, inos, 2, &locks);
		r = check_link(fs, ino, new_parent, &inode);
		if (r == 0)
			r = inode_refs_take(fs->node->refs, ino);
		if (r == 0) {
			r = link_locked(fs, &inode, new_parent, new_name, &publishes);
			if (r < 0)
				fs_drop_reference(fs, ino);
		}
		inode_locks_release(&locks);
	}
	if (r < 0) {
		free(op);
		fs_reply_error(done, arg, r);
		return;
	}
	*op = (struct link_op){.done = done, .arg = arg, .fs = fs};
	fs_fill_attributes(&inode, &op->attributes);
	if (publishes)
		fs_wait_for_commit(fs, ino, inode.changed_lsn, link_done, op);
	else
		link_done(op, &(struct fs_reply){.error = 0});
}
