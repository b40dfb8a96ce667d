#include <config.h>
#include "daemon/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/cleanup.h"
#include "util/file_io.h"

#define REPORT_MAX_BYTES 4096

struct background background_none(void)
{
	return (struct background){.report_fd = -1};
}

static void print_message(const char *message)
{
	if (message != NULL && *message != '\0')
		fprintf(stderr, "mailfs: %s\n", message);
}

/* Everything up to the child's end of the pipe; the count. */
static size_t read_report(int fd, char *report, size_t max_bytes)
{
	size_t size = 0;

	while (size < max_bytes) {
		ssize_t n = read(fd, report + size, max_bytes - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		size += (size_t)n;
	}
	return size;
}

/* No report: the child was killed, or ended without a word. */
static int explain_silence(pid_t child)
{
	int status = 0;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		fprintf(stderr, "mailfs: ended before the mount served, by signal %d (%s)\n",
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		fprintf(stderr, "mailfs: ended before the mount served, with status %d\n",
			WEXITSTATUS(status));
	return EXIT_FAILURE;
}

static _Noreturn void wait_for_report(int fd, pid_t child)
{
	char report[REPORT_MAX_BYTES + 1];
	size_t size = read_report(fd, report, REPORT_MAX_BYTES);

	if (size == 0)
		_exit(explain_silence(child));
	report[size] = '\0';
	print_message(report + 1);
	_exit((unsigned char)report[0]);
}

int background_fork(struct background *ret)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	(void)fflush(NULL);
	child = fork();
	if (child < 0) {
		int error = -errno;

		close(fds[0]);
		close(fds[1]);
		return error;
	}
	if (child > 0) {
		close(fds[1]);
		wait_for_report(fds[0], child);
	}
	close(fds[0]);
	(void)setsid();
	ret->report_fd = fds[1];
	return 0;
}

int background_report(struct background *background, int status, const char *message)
{
	CLEANUP_CLOSE int fd = take_fd(&background->report_fd);
	unsigned char byte = (unsigned char)status;
	struct iovec parts[2] = {{&byte, 1}, {NULL, 0}};

	if (fd < 0) {
		print_message(message);
		return 0;
	}
	if (message != NULL) {
		parts[1].iov_base = (void *)(uintptr_t)message;
		parts[1].iov_len = strnlen(message, REPORT_MAX_BYTES - 1);
	}
	return file_io_write_all(fd, parts, 2);
}

void background_close_stdio(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fflush(NULL);
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		(void)dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);
}
