#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/background.h"
#include "daemon/mountpoint.h"
#include "daemon/notify.h"

/* ---- background: the test's child plays the mount command, its child the daemon */

enum ending {
	ENDS_WELL,
	ENDS_BADLY,
	ENDS_SILENTLY,
	ENDS_KILLED,
};

/* Runs a mount command whose daemon ends like this; its exit status, and what it printed. */
static int run_command(enum ending ending, char *output, size_t size_bytes)
{
	int fds[2], status;
	ssize_t n;
	pid_t child;

	ck_assert_int_eq(pipe(fds), 0);
	child = fork();
	if (child == 0) {
		struct background background;

		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		if (background_fork(&background) < 0)
			_exit(99);
		if (ending == ENDS_WELL)
			background_report(&background, 0, NULL);
		if (ending == ENDS_BADLY)
			background_report(&background, 7, "no such thing");
		if (ending == ENDS_KILLED)
			raise(SIGKILL);
		_exit(3);
	}
	close(fds[1]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	n = read(fds[0], output, size_bytes - 1);
	output[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(test_background)
{
	char output[512];

	ck_assert_int_eq(run_command(ENDS_WELL, output, sizeof(output)), 0);
	ck_assert_str_eq(output, "");
	ck_assert_int_eq(run_command(ENDS_BADLY, output, sizeof(output)), 7);
	ck_assert_str_eq(output, "mailfs: no such thing\n");
	ck_assert_int_eq(run_command(ENDS_SILENTLY, output, sizeof(output)), 1);
	ck_assert_ptr_nonnull(strstr(output, "status 3"));
	ck_assert_int_eq(run_command(ENDS_KILLED, output, sizeof(output)), 1);
	ck_assert_ptr_nonnull(strstr(output, "signal 9"));
}
END_TEST

START_TEST(test_the_parent_is_gone)
{
	struct background background;
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe(fds), 0);
	close(fds[0]);
	background.report_fd = fds[1];
	ck_assert_int_eq(background_report(&background, 0, NULL), -EPIPE);
	ck_assert_int_eq(background_report(&background, 0, NULL), 0);
}
END_TEST

/* ---- notify */

START_TEST(test_notify)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[64], text[64];
	socklen_t size;
	ssize_t n;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(notify_send("READY=1"), 0);
	snprintf(name, sizeof(name), "@mailfs-test-%ld", (long)getpid());
	memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	ck_assert_int_eq(notify_send("READY=1"), 0);
	n = recv(fd, text, sizeof(text), MSG_DONTWAIT);
	ck_assert_int_eq(n, 7);
	ck_assert_int_eq(memcmp(text, "READY=1", 7), 0);
	close(fd);
	ck_assert_int_eq(notify_send("READY=1"), -ECONNREFUSED);
	unsetenv("NOTIFY_SOCKET");
}
END_TEST

/* ---- mountpoint */

static void check_refused(const char *path, int error, const char *part_of_message)
{
	char *resolved = NULL, *message = NULL;

	ck_assert_int_eq(mountpoint_resolve(path, "file:///v", &resolved, &message), error);
	ck_assert_ptr_nonnull(strstr(message, part_of_message));
	free(message);
}

START_TEST(test_mountpoint)
{
	char *resolved = NULL, *message = NULL;

	check_refused("/no/such/place", -ENOENT, "'/no/such/place' does not exist");
	check_refused("/proc/self/status", -ENOTDIR, "not a directory");
	ck_assert_int_eq(mountpoint_resolve("/usr/../proc", "file:///v", &resolved, &message), 0);
	ck_assert_str_eq(resolved, "/proc");
	free(resolved);
}
END_TEST

START_TEST(test_keep_clear)
{
	char *message = NULL;

	ck_assert_int_eq(mountpoint_keep_clear("/usr", "/var/x", "it", &message), 0);
	ck_assert_int_eq(mountpoint_keep_clear("/us", "/usr", "it", &message), 0);
	ck_assert_int_eq(mountpoint_keep_clear("/usr", "relative", "it", &message), 0);
	ck_assert_int_eq(mountpoint_keep_clear("/usr", "/usr", "it", &message), -ELOOP);
	free(message);
	ck_assert_int_eq(mountpoint_keep_clear("/usr", "/usr/no/such", "it", &message), -ELOOP);
	ck_assert_ptr_nonnull(strstr(message, "/usr/no/such"));
	free(message);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("daemon");
	TCase *tc = tcase_create("daemon");

	tcase_add_test(tc, test_background);
	tcase_add_test(tc, test_the_parent_is_gone);
	tcase_add_test(tc, test_notify);
	tcase_add_test(tc, test_mountpoint);
	tcase_add_test(tc, test_keep_clear);
	suite_add_tcase(suite, tc);
	return suite;
}
