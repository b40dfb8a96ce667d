#include <config.h>
#include "fuse/session_private.h"

#define BACKGROUND_REQUESTS 64

static void unwant(struct fuse_conn_info *conn, unsigned int capabilities)
{
	conn->want &= ~capabilities;
}

static void want(struct fuse_conn_info *conn, unsigned int capabilities)
{
	conn->want |= conn->capable & capabilities;
}

/* Why each: doc/decisions/0002-no-open.md. */
static void handle_init(void *userdata, struct fuse_conn_info *conn)
{
	struct session *s = userdata;

	/* O_TRUNC has to come as SETATTR, since OPEN does not come. */
	unwant(conn, FUSE_CAP_ATOMIC_O_TRUNC);
	/* Only the kernel changes files: an mtime that moved is no reason to drop pages. */
	unwant(conn, FUSE_CAP_AUTO_INVAL_DATA);
	/* Requests pass through kernel_init.c, and are small. */
	unwant(conn, FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	/* Pages that were not sent to us yet would die with this process. */
	unwant(conn, FUSE_CAP_WRITEBACK_CACHE);
	want(conn, FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_CACHE_SYMLINKS |
			   FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO |
			   FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
	conn->max_background = BACKGROUND_REQUESTS;
	conn->congestion_threshold = BACKGROUND_REQUESTS * 3 / 4;
	conn->time_gran = 1;
	if (s->on_serving != NULL)
		s->on_serving(s->on_serving_arg);
}

const struct fuse_lowlevel_ops handlers = {
	.init = handle_init,
	.lookup = handle_lookup,
	.forget = handle_forget,
	.forget_multi = handle_forget_multi,
	.getattr = handle_getattr,
	.setattr = handle_setattr,
	.readlink = handle_readlink,
	.mknod = handle_mknod,
	.mkdir = handle_mkdir,
	.unlink = handle_unlink,
	.rmdir = handle_rmdir,
	.symlink = handle_symlink,
	.rename = handle_rename,
	.link = handle_link,
	.open = handle_open,
	.read = handle_read,
	.write = handle_write,
	.fsync = handle_fsync,
	.opendir = handle_open,
	.readdir = handle_readdir,
	.readdirplus = handle_readdirplus,
	.fsyncdir = handle_fsync,
	.statfs = handle_statfs,
	.setxattr = handle_setxattr,
	.getxattr = handle_getxattr,
	.listxattr = handle_listxattr,
	.removexattr = handle_removexattr,
	.ioctl = handle_ioctl,
	.fallocate = handle_fallocate,
	.lseek = handle_lseek,
};
