#include <config.h>
#include "fs/fs.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include "fs/entry.h"
#include "fs/fs_private.h"

struct creation {
	const struct fs_caller *caller;
	uint64_t parent;
	const char *name;
	uint32_t mode, rdev;
	const char *target; /* of a symbolic link */
};

/* A directory at the volume's account depth is an account of its own. */
static bool begins_account(const struct fs *fs, const struct inode *parent, uint32_t mode)
{
	return S_ISDIR(mode) && key_ino_account(parent->ino) == KEY_ROOT_ACCOUNT &&
	       parent->depth + 1u == fs->node->account_depth;
}

static int allocate_ino(struct fs *fs, const struct inode *parent, uint32_t mode, uint64_t *ret)
{
	uint32_t account = 0;
	int r;

	if (!begins_account(fs, parent, mode))
		return account_table_allocate_ino(
			fs->node->accounts, key_ino_account(parent->ino), ret);
	r = account_table_create(fs->node->accounts, &account);
	if (r == 0)
		*ret = key_ino_compose(account, KEY_INO_LOCAL_ROOT);
	return r;
}

static void init_inode(const struct fs *fs, const struct creation *c, const struct inode *parent,
	struct inode *inode)
{
	struct timespec now = fs_now();

	inode->mode = c->mode;
	inode->nlink = 1;
	inode->uid = c->caller->uid;
	inode->gid = c->caller->gid;
	inode->rdev = S_ISCHR(c->mode) || S_ISBLK(c->mode) ? c->rdev : 0;
	inode->atime = inode->mtime = inode->ctime = inode->btime = now;
	if (parent->mode & S_ISGID) {
		inode->gid = parent->gid;
		if (S_ISDIR(c->mode))
			inode->mode |= S_ISGID;
	}
	inode->parent = parent->ino;
	if (!S_ISDIR(c->mode))
		return;
	inode->nlink = 2;
	inode->next_cookie = FS_FIRST_COOKIE;
	inode->depth = (uint8_t)(parent->depth < UINT8_MAX ? parent->depth + 1 : UINT8_MAX);
	inode->directory_kind = DIRECTORY_ORDINARY;
	if (!begins_account(fs, parent, c->mode) && parent->depth + 1u > fs->node->account_depth)
		inode->directory_kind =
			(uint8_t)file_class_directory(parent->directory_kind, c->name);
}

static int set_traits(struct transaction *t, const struct creation *c, const struct inode *parent,
	struct inode *inode)
{
	struct file_traits traits = file_class_file(parent->directory_kind, c->name);

	inode->block_shift = traits.block_shift;
	return fs_apply_traits(t, inode, &traits);
}

static int put_all(
	struct fs *fs, const struct creation *c, struct inode *parent, struct inode *inode)
{
	struct key target = key_symlink(inode->ino);
	struct transaction t;
	int r = transaction_begin(fs->node, &t);

	if (r < 0)
		return r;
	if (S_ISREG(inode->mode))
		r = set_traits(&t, c, parent, inode);
	if (c->target != NULL) {
		inode->size_bytes = strlen(c->target);
		transaction_put(&t, STORE_META, &target, c->target, inode->size_bytes);
	}
	entry_add(&t, parent, c->name, inode->ino, inode->mode);
	parent->nlink += S_ISDIR(inode->mode) ? 1 : 0;
	fs_touch_directory(parent, &inode->ctime);
	transaction_put_inode(&t, parent);
	transaction_put_inode(&t, inode);
	if (r == 0)
		return transaction_commit(&t);
	transaction_abort(&t);
	return r;
}

static int create_locked(struct fs *fs, const struct creation *c, struct fs_attributes *ret)
{
	struct inode parent, inode = {0};
	struct entry existing;
	int r = fs_load_directory(fs, c->parent, &parent);

	if (r < 0)
		return r; /* -ENOENT here is not that of a free name */
	r = entry_find(fs, c->parent, c->name, &existing);
	if (r != -ENOENT)
		return r == 0 ? -EEXIST : r;
	if (S_ISDIR(c->mode) && parent.nlink >= FS_LINK_MAX)
		return -EMLINK;
	r = allocate_ino(fs, &parent, c->mode, &inode.ino);
	if (r < 0)
		return r;
	init_inode(fs, c, &parent, &inode);
	r = inode_refs_take(fs->node->refs, inode.ino);
	if (r < 0)
		return r;
	r = put_all(fs, c, &parent, &inode);
	if (r < 0)
		fs_drop_reference(fs, inode.ino);
	else
		fs_fill_attributes(&inode, ret);
	if (r == 0)
		publisher_note_file(fs->publishers, c->caller->thread, c->name, inode.ino);
	return r;
}

static int create(struct fs *fs, const struct creation *c, struct fs_attributes *ret)
{
	struct inode_lock_set locks;
	int r = fs_check_name(c->name);

	if (r == 0)
		r = fs_check_growth(fs);
	if (r < 0)
		return r;
	inode_locks_write(fs->node->locks, &c->parent, 1, &locks);
	r = create_locked(fs, c, ret);
	inode_locks_release(&locks);
	if (r == 0 && S_ISDIR(c->mode) && key_ino_account(c->parent) == KEY_ROOT_ACCOUNT)
		fs_resolve_acks(fs);
	return r;
}

int fs_mknod(struct fs *fs, const struct fs_caller *caller, uint64_t parent, const char *name,
	uint32_t mode, uint32_t rdev, struct fs_attributes *ret)
{
	struct creation c = {
		.caller = caller,
		.parent = parent,
		.name = name,
		.mode = (mode & S_IFMT) == 0 ? mode | S_IFREG : mode,
		.rdev = rdev,
	};

	if (S_ISDIR(mode) || S_ISLNK(mode))
		return -EINVAL;
	return create(fs, &c, ret);
}

int fs_mkdir(struct fs *fs, const struct fs_caller *caller, uint64_t parent, const char *name,
	uint32_t mode, struct fs_attributes *ret)
{
	struct creation c = {
		.caller = caller,
		.parent = parent,
		.name = name,
		.mode = (mode & ~(uint32_t)S_IFMT) | S_IFDIR,
	};

	return create(fs, &c, ret);
}

int fs_symlink(struct fs *fs, const struct fs_caller *caller, const char *target, uint64_t parent,
	const char *name, struct fs_attributes *ret)
{
	struct creation c = {
		.caller = caller,
		.parent = parent,
		.name = name,
		.mode = S_IFLNK | 0777,
		.target = target,
	};

	if (strlen(target) >= PATH_MAX)
		return -ENAMETOOLONG;
	return create(fs, &c, ret);
}
