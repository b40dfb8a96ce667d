/*
 * state_superseded.h: what a state directory held when its node lost the volume to another.
 *
 *   superseded/<node>-<incarnation>/db          the node's store, as it was
 *   superseded/<node>-<incarnation>/state.json  its identity (state_identity.h)
 *
 * Nothing of it is ever mixed in silently: what was not shipped is only here. It stays until
 * somebody has made files of it, or removes it by hand.
 */
#ifndef MAILFS_DAEMON_STATE_SUPERSEDED_H
#define MAILFS_DAEMON_STATE_SUPERSEDED_H

#include "daemon/state_directory.h"

#define STATE_SUPERSEDED_NAME "superseded"
#define STATE_SUPERSEDED_MAX 100 /* of one node and incarnation: copies of a directory */

/* Moves db/ away and gives the directory a new identity, both durable on return; says so in the
 * log. No node may be open there. After a crash the same is done again, and nothing twice. */
int state_superseded_set_aside(struct state_directory *state, char **ret_message);

/* One that was set aside and is still there. */
struct state_superseded {
	const char *name; /* <node>-<incarnation>, perhaps with a number behind it */
	const char *path; /* of the directory with db/ and state.json */
	struct state_identity identity;
};

/* A result other than 0 ends the walk and is given back; -errno if the directory cannot be read.
 * Those whose state.json is damaged are logged and passed over. state_path: state_directory.path.
 */
typedef int state_superseded_fn(void *arg, const struct state_superseded *superseded);
int state_superseded_each(const char *state_path, state_superseded_fn *take, void *arg);

#endif
