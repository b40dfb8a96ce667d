#include <config.h>

#include "path_ops.h"
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static int keep_or_close(int fd)
{
	return fd < 0 ? -1 : close(fd);
}

static int op_stat(const char *path)
{
	struct stat st;
	return stat(path, &st);
}

static int op_lstat(const char *path)
{
	struct stat st;
	return lstat(path, &st);
}

static int op_access(const char *path)
{
	return faccessat(AT_FDCWD, path, F_OK, AT_EACCESS); /* cases change effective ids */
}

static int op_open_read(const char *path)
{
	return keep_or_close(open(path, O_RDONLY));
}

static int op_open_write(const char *path)
{
	return keep_or_close(open(path, O_RDWR));
}

static int op_creat(const char *path)
{
	return keep_or_close(open(path, O_RDWR | O_CREAT, 0644));
}

static int op_creat_excl(const char *path)
{
	return keep_or_close(open(path, O_RDWR | O_CREAT | O_EXCL, 0644));
}

static int op_opendir(const char *path)
{
	return keep_or_close(open(path, O_RDONLY | O_DIRECTORY));
}

static int op_truncate(const char *path)
{
	return truncate(path, 10);
}

static int op_mkdir(const char *path)
{
	return mkdir(path, 0755);
}

static int op_mkfifo(const char *path)
{
	return mkfifo(path, 0644);
}

static int op_mksocket(const char *path)
{
	return mknod(path, S_IFSOCK | 0644, 0);
}

static int op_symlink(const char *path)
{
	return symlink("anything", path);
}

static int op_readlink(const char *path)
{
	char text[16];
	return readlink(path, text, sizeof(text)) < 0 ? -1 : 0;
}

static int op_link_from(const char *path)
{
	return link(path, "linked");
}

static int op_link_to(const char *path)
{
	return link("plain", path);
}

static int op_rename_from(const char *path)
{
	return rename(path, "renamed");
}

static int op_rename_to(const char *path)
{
	return rename("plain", path);
}

static int op_chmod(const char *path)
{
	return chmod(path, 0640);
}

static int op_chown(const char *path)
{
	return chown(path, geteuid(), (gid_t)-1);
}

static int op_lchown(const char *path)
{
	return lchown(path, geteuid(), (gid_t)-1);
}

static int op_utimens(const char *path)
{
	return utimensat(AT_FDCWD, path, NULL, 0);
}

static int op_statvfs(const char *path)
{
	struct statvfs sv;
	return statvfs(path, &sv);
}

static int op_setxattr(const char *path)
{
	return setxattr(path, "user.x", "y", 1, 0);
}

static int op_listxattr(const char *path)
{
	return listxattr(path, NULL, 0) < 0 ? -1 : 0;
}

static int op_unlink(const char *path)
{
	return unlink(path);
}

static int op_rmdir(const char *path)
{
	return rmdir(path);
}

const struct path_op path_ops[] = {
	{"stat", op_stat, false, true, true},
	{"lstat", op_lstat, false, false, true},
	{"access", op_access, false, true, true},
	{"open_read", op_open_read, false, true, true},
	{"open_write", op_open_write, false, true, true},
	{"open_creat", op_creat, true, true, true},
	{"open_creat_excl", op_creat_excl, true, false, false},
	{"open_directory", op_opendir, false, true, false},
	{"truncate", op_truncate, false, true, true},
	{"mkdir", op_mkdir, true, false, false},
	{"mkfifo", op_mkfifo, true, false, false},
	{"mknod_socket", op_mksocket, true, false, false},
	{"symlink", op_symlink, true, false, false},
	{"readlink", op_readlink, false, false, false},
	{"link_from", op_link_from, false, false, true},
	{"link_to", op_link_to, true, false, false},
	{"rename_from", op_rename_from, false, false, true},
	{"rename_to", op_rename_to, true, false, true},
	{"chmod", op_chmod, false, true, true},
	{"chown", op_chown, false, true, true},
	{"lchown", op_lchown, false, false, true},
	{"utimensat", op_utimens, false, true, true},
	{"statvfs", op_statvfs, false, true, true},
	{"setxattr", op_setxattr, false, true, true},
	{"listxattr", op_listxattr, false, true, true},
	{"unlink", op_unlink, false, false, true},
	{"rmdir", op_rmdir, false, false, false},
};
const size_t path_op_count = COUNT_OF(path_ops);
