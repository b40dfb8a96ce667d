/*
 * background.h: the mount command ends when the mount serves, the daemon goes on.
 *
 * The fork comes first, before any thread, and the child opens everything. The parent waits for
 * the child's one report and leaves with its status: mount(8), systemd and scripts may rely on
 * "exit 0 means that it serves".
 */
#ifndef MAILFS_DAEMON_BACKGROUND_H
#define MAILFS_DAEMON_BACKGROUND_H

struct background {
	int report_fd; /* towards the waiting parent; -1: nobody waits */
};

/* For a daemon that stays in the foreground: reports go nowhere but to standard error. */
struct background background_none(void);

/* Forks. Returns 0 in the child, a session leader of its own. Never returns in the parent unless
 * the fork fails: then negative errno. No thread may be running. */
int background_fork(struct background *ret);

/* The child's one report: what exit status the parent shall have, and a message for standard error
 * (NULL: none). -EPIPE when the parent is no longer there, which means that nobody knows of the
 * mount: the child then has to undo it. Later calls do nothing. */
int background_report(struct background *background, int status, const char *message);

/* Standard input, output and error become /dev/null. */
void background_close_stdio(void);

#endif
