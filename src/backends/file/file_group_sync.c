#include <config.h>
#include "backends/file/file_group_sync.h"

#include <errno.h>
#include <unistd.h>

struct joiner {
	struct list_node node;
	bool done;
	int error;
};

void file_group_sync_init(struct file_group_sync *g, int root_fd, bool each_by_itself)
{
	*g = (struct file_group_sync){.root_fd = root_fd, .each_by_itself = each_by_itself};
	lock_init(&g->lock);
	lock_condition_init(&g->ended);
	list_init(&g->gathering);
}

void file_group_sync_done(struct file_group_sync *g)
{
	lock_condition_done(&g->ended);
	lock_done(&g->lock);
}

/* Syncs for all that have gathered. An error is everybody's: each put is tried again. */
static void lead_locked(struct file_group_sync *g, int fd) REQUIRES(g->lock)
{
	bool alone = g->gathering.next == g->gathering.previous;
	struct list_node round, *node;
	int r;

	list_init(&round);
	list_splice(&round, &g->gathering);
	g->running = true;
	lock_release(&g->lock);
	r = (alone ? fsync(fd) : syncfs(g->root_fd)) < 0 ? -errno : 0;
	lock_acquire(&g->lock);
	g->running = false;
	while ((node = list_take_first(&round)) != NULL) {
		struct joiner *joiner = LIST_ENTRY(node, struct joiner, node);

		joiner->error = r;
		joiner->done = true;
	}
	lock_condition_broadcast(&g->ended);
}

int file_group_sync(struct file_group_sync *g, int fd)
{
	struct joiner joiner = {.done = false};

	if (g->each_by_itself)
		return fsync(fd) < 0 ? -errno : 0;
	lock_acquire(&g->lock);
	list_append(&g->gathering, &joiner.node);
	while (!joiner.done) {
		if (g->running)
			lock_condition_wait(&g->ended, &g->lock);
		else
			lead_locked(g, fd);
	}
	lock_release(&g->lock);
	return joiner.error;
}
