#include <config.h>
#include "helpers/daemon_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/mount_question.h"

struct finding {
	int error;
	pid_t pid;
};

static struct finding ask(const char *mountpoint)
{
	struct mount_answer answer;
	int r = mount_question_ask(mountpoint, &answer);

	if (r < 0)
		return (struct finding){.error = r};
	return answer.pid > 1 ? (struct finding){.pid = (pid_t)answer.pid}
			      : (struct finding){.error = -ENODATA};
}

static int poll_until(int fd, uint64_t deadline_ms)
{
	for (;;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		uint64_t now_ms = clock_monotonic_ms();
		uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
		int r = poll(&wait, 1, (int)(left_ms < INT_MAX ? left_ms : INT_MAX));

		if (r > 0)
			return 0;
		if (r == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* The question may hang, and then nothing but the answer ends it: so a child asks. */
int daemon_watch_find(const char *mountpoint, uint32_t timeout_ms, pid_t *ret)
{
	struct finding finding = {.error = -EIO};
	int fds[2], r;
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child == 0) {
		finding = ask(mountpoint);
		_exit(write(fds[1], &finding, sizeof(finding)) < 0);
	}
	close(fds[1]);
	r = child < 0 ? -EAGAIN : poll_until(fds[0], clock_monotonic_ms() + timeout_ms);
	if (r == 0 && read(fds[0], &finding, sizeof(finding)) == (ssize_t)sizeof(finding))
		r = finding.error;
	else if (r == 0)
		r = -EIO;
	close(fds[0]);
	if (child > 0) {
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, r == -ETIMEDOUT ? WNOHANG : 0);
	}
	if (r == 0)
		*ret = finding.pid;
	return r;
}

int daemon_watch_open(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int daemon_watch_wait(int watch_fd, uint32_t timeout_ms)
{
	return poll_until(watch_fd, clock_monotonic_ms() + timeout_ms);
}
