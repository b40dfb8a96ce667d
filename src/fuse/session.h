/*
 * session.h: the mount: libfuse's session, its threads, and its end.
 *
 * Order of calls: new, mount, run, free. Nothing here starts a thread before run().
 */
#ifndef MAILFS_FUSE_SESSION_H
#define MAILFS_FUSE_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include "fs/fs.h"

struct session;

struct session_options {
	const char *source;         /* shown as fsname, the volume's URL */
	const char *mountpoint;     /* passed on unchanged, also /dev/fd/N */
	const char *fuse_options;   /* comma list for the kernel mount, e.g. "allow_other,nodev" */
	unsigned int threads;       /* 0: the default */
	const char *control_socket; /* told to mailfs-admin: util/mount_question.h */
	bool no_xattrs;             /* the filesystem has no extended attributes */
	bool debug;                 /* libfuse's trace on stderr */
	void (*on_serving)(void *arg); /* called once, as the kernel's INIT is answered */
	void (*on_hangup)(void *arg);  /* after session_hangup(), in the thread of session_run() */
	void *arg;
};

/* -EINVAL for options that libfuse refuses, with a message already printed by it. */
int session_new(struct fs *fs, const struct session_options *options, struct session **ret);
int session_mount(struct session *s);

/* Serves until the mount is gone or session_exit() was called, then unmounts and returns. */
int session_run(struct session *s);

/* Makes session_run() return. Async-signal-safe. */
void session_exit(struct session *s);

/* Has on_hangup called soon. Async-signal-safe. */
void session_hangup(struct session *s);
void session_free(struct session *s);

/* The kernel drops what it has cached of a name and all below it, but for what is in use. For an
 * account that is about to go. Blocks; for threads that serve no requests, and not while an
 * eviction is under way: a RENAME or RMDIR of its directory that waits for it holds the parent in
 * the kernel. 0 also when there is nothing; -ENOTCONN: no mount. */
int session_forget_entry(struct session *s, uint64_t parent, const char *name);

/* Requests that wait for their account. */
uint64_t session_count_parked(const struct session *s);

/* Requests answered so far, by FUSE opcode name; for `status`. Calls `take` for each non-zero. */
void session_count_requests(const struct session *s,
	void (*take)(void *arg, const char *opcode, uint64_t count), void *arg);

#endif
