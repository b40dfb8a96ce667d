#include <config.h>
#include "daemon/mount_record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/cleanup.h"
#include "util/mount_table.h"

#define MOUNT_PROGRAM "/bin/mount"
#define UMOUNT_PROGRAM "/bin/umount"
#define OUR_OPTION "x-mailfs.umount=waits"
#define TIMEOUT_MS 5000

/* No input and no output, and none of the daemon's ways with signals. */
static int spawn(const char *program, const char *const *words, pid_t *ret)
{
	static char *const environment[] = {
		(char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		(char *)(uintptr_t) "LC_ALL=C", NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	r = posix_spawn(
		ret, program, &files, &attributes, (char *const *)(uintptr_t)words, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

static int run(const char *program, const char *const *words)
{
	struct pollfd end = {.fd = -1, .events = POLLIN};
	int status = 0;
	pid_t pid;
	int r = spawn(program, words, &pid);

	if (r < 0)
		return r;
	end.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (end.fd < 0 || poll(&end, 1, TIMEOUT_MS) != 1)
		(void)kill(pid, SIGKILL);
	if (end.fd >= 0)
		close(end.fd);
	if (waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int mount_record_add(const char *url, const char *mountpoint, const char *user_options)
{
	CLEANUP_FREE char *options = NULL;
	const char *words[] = {"mount", "--fake", "--internal-only", "--no-canonicalize", "-t",
		MOUNT_TABLE_FSTYPE, "-o", NULL, "--", url, mountpoint, NULL};

	if (geteuid() != 0)
		return -EPERM;
	if (asprintf(&options, OUR_OPTION "%s%s", user_options != NULL ? "," : "",
		    user_options != NULL ? user_options : "") < 0)
		return -ENOMEM;
	words[7] = options;
	return run(MOUNT_PROGRAM, words);
}

int mount_record_remove(const char *mountpoint)
{
	const char *words[] = {
		"umount", "--fake", "--internal-only", "--no-canonicalize", "--", mountpoint, NULL};
	struct mount_entry entry;

	if (geteuid() != 0)
		return -EPERM;
	if (mount_table_find(mountpoint, &entry) == 0) {
		mount_entry_done(&entry);
		return -EBUSY;
	}
	return run(UMOUNT_PROGRAM, words);
}
