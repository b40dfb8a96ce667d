/*
 * account.c: accounts that are on the backend only (cache/adoption.h), for who serves requests.
 */
#include <config.h>
#include "fs/fs.h"

#include <errno.h>
#include "cache/adoption.h"
#include "fs/entry.h"
#include "fs/fs_private.h"

int fs_enter(struct fs *fs, uint64_t ino)
{
	int r = fs_check_change(fs);

	return r < 0 ? r : adoption_enter(fs->node, key_ino_account(ino));
}

void fs_leave(struct fs *fs, uint64_t ino)
{
	adoption_leave(fs->node, key_ino_account(ino));
}

void fs_wait_for_account(struct fs *fs, uint64_t ino, void (*done)(void *arg, int error), void *arg)
{
	adoption_wait(fs->node, key_ino_account(ino), done, arg);
}

void fs_end_waits(struct fs *fs)
{
	adoption_end_waits(fs->node);
}

int fs_enter_entry(struct fs *fs, uint64_t parent, uint64_t ino)
{
	if (ino == 0 || key_ino_account(ino) == key_ino_account(parent))
		return 0;
	return fs_enter(fs, ino);
}

void fs_leave_entry(struct fs *fs, uint64_t parent, uint64_t ino)
{
	if (ino != 0 && key_ino_account(ino) != key_ino_account(parent))
		fs_leave(fs, ino);
}

int fs_find_absent(struct fs *fs, uint64_t parent, const char *name, uint64_t *ret)
{
	uint64_t ino = 0;
	int r = fs_enter(fs, parent);

	if (r == -ESTALE)
		return r;
	if (r < 0) {
		*ret = parent;
		return 0;
	}
	r = entry_peek(fs, parent, name, &ino);
	fs_leave(fs, parent);
	if (r == 0)
		r = adoption_check(fs->node, key_ino_account(ino)) < 0 ? 0 : -ENOENT;
	if (r == 0)
		*ret = ino;
	return r;
}
