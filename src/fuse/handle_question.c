#include <config.h>
#include "fuse/session_private.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include "util/mount_question.h"

/* How mailfs-admin and umount find the daemon of a mount. An ioctl and no extended attribute, so
 * that it works without those. */
void handle_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int command, void *arg,
	struct fuse_file_info *fi, unsigned int flags, const void *in, size_t in_bytes,
	size_t out_bytes)
{
	const struct session *s = session_of(req);
	struct mount_answer answer = {.pid = (uint32_t)getpid()};

	(void)arg, (void)fi, (void)flags, (void)in, (void)in_bytes;
	if (ino != FUSE_ROOT_ID || command != (unsigned int)MOUNT_QUESTION ||
		out_bytes != sizeof(answer)) {
		reply_error(req, -ENOTTY);
		return;
	}
	if (fuse_req_ctx(req)->uid != 0 && fuse_req_ctx(req)->uid != geteuid()) {
		reply_error(req, -EACCES);
		return;
	}
	(void)snprintf(answer.control_socket, sizeof(answer.control_socket), "%s",
		s->control_socket != NULL ? s->control_socket : "");
	fuse_reply_ioctl(req, 0, &answer, sizeof(answer));
}
