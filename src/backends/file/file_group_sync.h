/*
 * file_group_sync.h: one sync for many files that are to be made durable at the same time.
 *
 * Whoever comes while a sync is running waits for the next, which serves all that wait by then:
 * fsync() for one, syncfs() for several, since on a journalling file system one commit costs about
 * the same for one file as for many. Not on network file systems, where each file is synced by
 * itself. Blocking.
 */
#ifndef MAILFS_BACKENDS_FILE_FILE_GROUP_SYNC_H
#define MAILFS_BACKENDS_FILE_FILE_GROUP_SYNC_H

#include <stdbool.h>
#include "util/list.h"
#include "util/lock.h"

struct file_group_sync {
	struct lock lock;
	struct lock_condition ended;
	struct list_node gathering; /* those who wait for the next round; protected by lock */
	bool running;               /* a round is being synced; protected by lock */
	int root_fd;                /* any file of the file system */
	bool each_by_itself;
};

/* root_fd stays the caller's. */
void file_group_sync_init(struct file_group_sync *g, int root_fd, bool each_by_itself);
void file_group_sync_done(struct file_group_sync *g);

/* Returns when the file or directory is durable. Negative errno. */
int file_group_sync(struct file_group_sync *g, int fd);

#endif
