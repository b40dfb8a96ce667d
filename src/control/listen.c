#include <config.h>
#include "control/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "util/cleanup.h"

#define BACKLOG 16

/* The directory through its descriptor, so that the address is short whatever the path. */
static int make_address(int directory, const char *name, struct sockaddr_un *ret)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int n = snprintf(
		address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", directory, name);

	if (n < 0 || n >= (int)sizeof(address.sun_path))
		return -ENAMETOOLONG;
	*ret = address;
	return 0;
}

int control_listen(const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];
	struct sockaddr_un address;
	CLEANUP_CLOSE int directory = -1;
	CLEANUP_CLOSE int fd = -1;
	int r;

	if (slash == NULL || (size_t)(slash - path) >= sizeof(parent))
		return -EINVAL;
	(void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (directory < 0 || fd < 0)
		return -errno;
	r = make_address(directory, slash + 1, &address);
	if (r < 0)
		return r;
	if (unlinkat(directory, slash + 1, 0) < 0 && errno != ENOENT)
		return -errno;
	/* The socket takes its mode from its descriptor, so it is never open to others. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(fd, BACKLOG) < 0)
		return -errno;
	return take_fd(&fd);
}
