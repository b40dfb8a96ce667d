/*
 * state_directory.h: where a node keeps what is its own on this machine.
 *
 *   lock          held with flock() while a daemon uses the directory; its pid and mountpoint
 *   state.json    whose state this is (state_identity.h)
 *   control.sock  where the daemon listens
 *   db/           the node (cache/node.h)
 *   superseded/   nodes that were here and own nothing any more (state_superseded.h)
 *
 * state.json is written last when a directory is made; without it nothing in it is worth keeping.
 * So a crash in between leaves a directory that the next start takes for a new one.
 */
#ifndef MAILFS_DAEMON_STATE_DIRECTORY_H
#define MAILFS_DAEMON_STATE_DIRECTORY_H

#include "daemon/state_identity.h"

#define STATE_DIRECTORY_ROOT "/var/lib/mailfs"

struct state_directory {
	char *path;
	char *node_path;           /* db/ */
	char *control_socket_path; /* control.sock */
	struct state_identity identity;
	int lock_fd;
};

/* For whom the directory is opened. */
struct state_request {
	const char *path; /* absolute; NULL: STATE_DIRECTORY_ROOT/<volume_uuid> */
	const char *volume_uuid;
	const char *url;
	const char *mountpoint;
};

/*
 * Makes the directory (mode 0700) if it is missing or empty, locks it and checks whose it is.
 * Blocks on the local disk. On failure *ret is untouched and *ret_message set:
 *   -EBUSY             a daemon uses it          -ENOTDIR  not a directory
 *   -EEXIST            of another volume         -ENOTEMPTY  holds what is not ours
 *   -EPROTONOSUPPORT   of a newer format         -EBADMSG  state.json is damaged
 *   -EACCES, -EROFS, -ENOSPC, …  as the system says
 */
int state_directory_open(
	const struct state_request *request, struct state_directory **ret, char **ret_message);

/* Writes state.json as the identity is now; durable on return. */
int state_directory_write_identity(const struct state_directory *state);

/* Gives the lock back. NULL is allowed. */
void state_directory_close(struct state_directory *state);

#endif
