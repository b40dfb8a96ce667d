#include <config.h>
#include "util/mount_question.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "util/cleanup.h"

int mount_question_ask(const char *mountpoint, struct mount_answer *ret)
{
	CLEANUP_CLOSE int fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, MOUNT_QUESTION, ret) < 0)
		return -errno;
	return memchr(ret->control_socket, '\0', sizeof(ret->control_socket)) != NULL ? 0 : -EPROTO;
}
