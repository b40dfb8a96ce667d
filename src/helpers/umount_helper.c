/*
 * umount.fuse.mailfs: what umount(8) runs for a mailfs mount.
 *
 * Unmounts, and then waits until the daemon has ended, so that everything accepted is in its state
 * directory and as much as possible on the backend when umount returns. It does not wait after
 * -l and -f, when the daemon is unknown, or while the filesystem is mounted in other places too.
 */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include "helpers/daemon_watch.h"
#include "util/cleanup.h"
#include "util/mount_table.h"

/* As umount(8) has them. */
#define EXIT_USAGE 1
#define EXIT_FAILED 32

#define ASK_TIMEOUT_MS 5000
#define WAIT_SLICE_MS 1000

/* The end of a mount that is in other mount namespaces too shows within this many slices. */
#define ELSEWHERE_SLICES 5

struct request {
	char *mountpoint; /* absolute, not ending in '/' */
	bool force, lazy, verbose;
};

static int usage(const char *problem, const char *word)
{
	fprintf(stderr,
		"umount.fuse.mailfs: %s%s%s\n"
		"usage: umount.fuse.mailfs MOUNTPOINT [-flnrv] [-t TYPE] [-N NS]\n",
		problem, word != NULL ? " " : "", word != NULL ? word : "");
	return EXIT_USAGE;
}

static int parse(int argc, char **argv, struct request *request)
{
	int option;

	opterr = 0;
	while ((option = getopt(argc, argv, ":cdfilnrvt:N:")) != -1) {
		if (option == 'f')
			request->force = true;
		else if (option == 'l')
			request->lazy = true;
		else if (option == 'v')
			request->verbose = true;
		else if (option == ':' || option == '?')
			return usage("cannot understand", argv[optind - 1]);
	}
	if (argc - optind != 1)
		return usage("a mountpoint is needed", NULL);
	request->mountpoint = argv[optind];
	return 0;
}

/* Others than root have fusermount3 do it. Returns only when that cannot be run. */
static int unmount_by_fusermount(const struct request *request)
{
	execlp("fusermount3", "fusermount3", request->lazy ? "-uz" : "-u", "--",
		request->mountpoint, (char *)NULL);
	fprintf(stderr, "umount.fuse.mailfs: cannot run fusermount3: %s\n", strerror(errno));
	return EXIT_FAILED;
}

static int unmount(const struct request *request)
{
	int flags = UMOUNT_NOFOLLOW;

	flags |= request->force ? MNT_FORCE : 0;
	flags |= request->lazy ? MNT_DETACH : 0;
	if (umount2(request->mountpoint, flags) == 0)
		return 0;
	fprintf(stderr, "umount.fuse.mailfs: %s: %s\n", request->mountpoint,
		errno == EBUSY    ? "target is busy"
		: errno == EINVAL ? "not mounted"
				  : strerror(errno));
	return EXIT_FAILED;
}

/* While the kernel has the connection, the filesystem is mounted somewhere. False also when that
 * cannot be told. */
static bool is_connected(unsigned int minor)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u", minor);
	return access(path, F_OK) == 0;
}

static void wait_for_end(
	int watch_fd, const struct mount_entry *entry, const struct request *request)
{
	for (unsigned int slices = 0; daemon_watch_wait(watch_fd, WAIT_SLICE_MS) == -ETIMEDOUT;
		slices++) {
		if (mount_table_count(entry->major, entry->minor) > 0 ||
			(slices >= ELSEWHERE_SLICES && is_connected(entry->minor))) {
			fprintf(stderr,
				"umount.fuse.mailfs: still mounted in another place; not waiting "
				"for its end\n");
			return;
		}
		if (request->verbose && slices == 0)
			fprintf(stderr, "umount.fuse.mailfs: waiting for the daemon to finish\n");
	}
}

int main(int argc, char **argv)
{
	struct request request = {0};
	struct mount_entry entry = {0};
	CLEANUP_CLOSE int watch_fd = -1;
	pid_t pid;
	int status;

	if (parse(argc, argv, &request) != 0)
		return EXIT_USAGE;
	if (geteuid() != 0)
		return unmount_by_fusermount(&request);
	if (!request.force && !request.lazy && mount_table_find(request.mountpoint, &entry) == 0 &&
		strcmp(entry.fstype, MOUNT_TABLE_FSTYPE) == 0 &&
		daemon_watch_find(request.mountpoint, ASK_TIMEOUT_MS, &pid) == 0)
		watch_fd = daemon_watch_open(pid);
	status = unmount(&request);
	if (status == 0 && watch_fd >= 0)
		wait_for_end(watch_fd, &entry, &request);
	mount_entry_done(&entry);
	return status;
}
