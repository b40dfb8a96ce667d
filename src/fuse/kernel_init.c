/*
 * kernel_init.c: the device, read and written on libfuse's behalf.
 *
 * The kernel asks for the extended attribute security.capability before EVERY write() unless the
 * filesystem has promised to drop privileges itself (FUSE_HANDLE_KILLPRIV_V2, Linux 5.11; see
 * fs/fuse/inode.c, SB_NOSEC). libfuse 3.14 cannot make that promise, so it is added to its answer
 * to INIT here. It also forgets to pass on FUSE_PARALLEL_DIROPS, without which the kernel has one
 * LOOKUP at a time in a directory. The protocol is linux/fuse.h.
 */
#include <config.h>
#include "fuse/session_private.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static void note_request(struct session *s, const void *data, size_t size_bytes)
{
	struct fuse_in_header header;
	struct fuse_init_in init;

	if (size_bytes < sizeof(header))
		return;
	memcpy(&header, data, sizeof(header));
	if (header.opcode < SESSION_OPCODES)
		atomic_fetch_add_explicit(&s->requests[header.opcode], 1, memory_order_relaxed);
	fs_note_request(s->fs, (pid_t)header.pid, header.opcode == FUSE_WRITE ? header.nodeid : 0);
	if (header.opcode == FUSE_INIT && size_bytes >= sizeof(header) + 16) {
		memset(&init, 0, sizeof(init));
		memcpy(&init, (const char *)data + sizeof(header), 16);
		atomic_store(&s->init_flags, init.flags);
		atomic_store(&s->init_unique, header.unique);
	}
}

static ssize_t read_device(int fd, void *buffer, size_t size_bytes, void *userdata)
{
	ssize_t n = read(fd, buffer, size_bytes);

	if (n > 0)
		note_request(userdata, buffer, (size_t)n);
	return n;
}

/* The answer to INIT with our additions. */
static ssize_t write_init(struct session *s, int fd, const struct iovec *parts, int count)
{
	struct fuse_init_out init;
	struct iovec changed[2] = {parts[0], parts[1]};

	if (count != 2 || parts[1].iov_len < offsetof(struct fuse_init_out, flags) + 4 ||
		parts[1].iov_len > sizeof(init))
		return writev(fd, parts, count);
	memcpy(&init, parts[1].iov_base, parts[1].iov_len);
	init.flags |=
		atomic_load(&s->init_flags) & (FUSE_HANDLE_KILLPRIV_V2 | FUSE_PARALLEL_DIROPS);
	changed[1].iov_base = &init;
	return writev(fd, changed, count);
}

static ssize_t write_device(int fd, struct iovec *parts, int count, void *userdata)
{
	struct session *s = userdata;
	struct fuse_out_header header;
	uint64_t unique = atomic_load_explicit(&s->init_unique, memory_order_relaxed);

	if (unique == 0 || parts[0].iov_len != sizeof(header))
		return writev(fd, parts, count);
	memcpy(&header, parts[0].iov_base, sizeof(header));
	if (header.unique != unique || header.error != 0)
		return writev(fd, parts, count);
	atomic_store(&s->init_unique, 0);
	return write_init(s, fd, parts, count);
}

int kernel_init_install(struct session *s)
{
	static const struct fuse_custom_io io = {
		.read = read_device,
		.writev = write_device,
	};

	return fuse_session_custom_io(s->fuse, &io, fuse_session_fd(s->fuse)) == 0 ? 0 : -EIO;
}

/* Names as in linux/fuse.h, without FUSE_. */
static const char *const opcode_names[SESSION_OPCODES] = {
	[FUSE_LOOKUP] = "LOOKUP",
	[FUSE_FORGET] = "FORGET",
	[FUSE_GETATTR] = "GETATTR",
	[FUSE_SETATTR] = "SETATTR",
	[FUSE_READLINK] = "READLINK",
	[FUSE_SYMLINK] = "SYMLINK",
	[FUSE_MKNOD] = "MKNOD",
	[FUSE_MKDIR] = "MKDIR",
	[FUSE_UNLINK] = "UNLINK",
	[FUSE_RMDIR] = "RMDIR",
	[FUSE_RENAME] = "RENAME",
	[FUSE_LINK] = "LINK",
	[FUSE_OPEN] = "OPEN",
	[FUSE_READ] = "READ",
	[FUSE_WRITE] = "WRITE",
	[FUSE_STATFS] = "STATFS",
	[FUSE_RELEASE] = "RELEASE",
	[FUSE_FSYNC] = "FSYNC",
	[FUSE_SETXATTR] = "SETXATTR",
	[FUSE_GETXATTR] = "GETXATTR",
	[FUSE_LISTXATTR] = "LISTXATTR",
	[FUSE_REMOVEXATTR] = "REMOVEXATTR",
	[FUSE_FLUSH] = "FLUSH",
	[FUSE_INIT] = "INIT",
	[FUSE_OPENDIR] = "OPENDIR",
	[FUSE_READDIR] = "READDIR",
	[FUSE_RELEASEDIR] = "RELEASEDIR",
	[FUSE_FSYNCDIR] = "FSYNCDIR",
	[FUSE_GETLK] = "GETLK",
	[FUSE_SETLK] = "SETLK",
	[FUSE_SETLKW] = "SETLKW",
	[FUSE_ACCESS] = "ACCESS",
	[FUSE_CREATE] = "CREATE",
	[FUSE_INTERRUPT] = "INTERRUPT",
	[FUSE_BMAP] = "BMAP",
	[FUSE_DESTROY] = "DESTROY",
	[FUSE_IOCTL] = "IOCTL",
	[FUSE_POLL] = "POLL",
	[FUSE_BATCH_FORGET] = "BATCH_FORGET",
	[FUSE_FALLOCATE] = "FALLOCATE",
	[FUSE_READDIRPLUS] = "READDIRPLUS",
	[FUSE_RENAME2] = "RENAME2",
	[FUSE_LSEEK] = "LSEEK",
	[FUSE_COPY_FILE_RANGE] = "COPY_FILE_RANGE",
};

void session_count_requests(const struct session *s,
	void (*take)(void *arg, const char *opcode, uint64_t count), void *arg)
{
	for (unsigned int i = 0; i < SESSION_OPCODES; i++) {
		uint64_t count = atomic_load(&s->requests[i]);

		if (count > 0)
			take(arg, opcode_names[i] != NULL ? opcode_names[i] : "OTHER", count);
	}
}
