/*
 * mount_options.h: mailfs' command line, and through it fstab's fourth field.
 *
 * Parsing opens nothing and starts nothing: it may run before the fork.
 */
#ifndef MAILFS_CONFIG_MOUNT_OPTIONS_H
#define MAILFS_CONFIG_MOUNT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include "util/log.h"

#define MOUNT_OPTIONS_MAX_BACKLOG_AGE_MS (UINT64_C(366) * 24 * 60 * 60 * 1000)
#define MOUNT_OPTIONS_MAX_THREADS 256
#define MOUNT_OPTIONS_DEFAULT_COMMIT_INTERVAL_MS 1000
#define MOUNT_OPTIONS_MAX_COMMIT_INTERVAL_MS (60 * 60 * 1000)
#define MOUNT_OPTIONS_DEFAULT_COMMIT_WINDOW_MS 2
#define MOUNT_OPTIONS_MAX_COMMIT_WINDOW_MS 1000
#define MOUNT_OPTIONS_DEFAULT_COMMIT_TIMEOUT_MS (10 * 60 * 1000)
#define MOUNT_OPTIONS_MAX_COMMIT_TIMEOUT_MS (60 * 60 * 1000)
#define MOUNT_OPTIONS_MAX_RETENTION_MS (UINT64_C(3650) * 24 * 60 * 60 * 1000)
#define MOUNT_OPTIONS_DEFAULT_UMOUNT_TIMEOUT_MS (30 * 1000)
#define MOUNT_OPTIONS_MAX_UMOUNT_TIMEOUT_MS (24 * 60 * 60 * 1000)

enum mount_action {
	MOUNT_ACTION_MOUNT,
	MOUNT_ACTION_HELP,
	MOUNT_ACTION_VERSION,
};

/* What "acknowledged" means to fsync(). */
enum mount_ack {
	MOUNT_ACK_DEFAULT, /* as the backend's capabilities suggest */
	MOUNT_ACK_LOCAL,
	MOUNT_ACK_REMOTE,
};

struct mount_options {
	enum mount_action action;
	char *url;
	char *mountpoint;       /* as given, also /dev/fd/N */
	char *state_directory;  /* absolute, or NULL: derived from the volume */
	char *fuse_options;     /* comma list for the kernel mount, never NULL */
	char *user_options;     /* comma list for libmount's table (_netdev), or NULL */
	char **backend_options; /* text_list.h: unknown here; the backend's, or nobody's */
	char *faults;           /* rules for the backend's calls to fail by, or NULL */
	char *failpoint;        /* util/failpoint.h, or NULL */
	enum mount_ack ack;
	char *ack_accounts;          /* ack_file.h, or NULL */
	uint64_t backlog_size_bytes; /* what may be here and not on the backend; 0: the default */
	uint64_t backlog_age_ms;     /* and how old it may be; 0: the default */
	uint64_t cache_size_bytes;   /* 0: the default */
	uint64_t memory_bytes;       /* 0: the default */
	uint64_t commit_interval_ms;
	uint64_t commit_window_ms;  /* how long a commit gathers others before it begins */
	uint64_t commit_timeout_ms; /* how long a program waits for one, with ack=remote */
	uint64_t retention_ms;      /* how long what was replaced or removed stays on the backend */
	uint64_t umount_timeout_ms; /* how long the end may wait for uploads */
	unsigned int threads;       /* 0: the default */
	enum log_level log_level;
	bool strict_sync;
	bool no_xattrs;
	bool foreground;
	bool debug;  /* trace of every request on standard error */
	bool sloppy; /* unknown options are warned about, not refused */
};

/*
 * Fills *ret from argv. On failure *ret_message is a malloc()ed sentence for the user and *ret
 * holds nothing: -EINVAL for wrong use, -ENOMEM.
 */
int mount_options_parse(int argc, char **argv, struct mount_options *ret, char **ret_message);

/* Frees what the fields hold. */
void mount_options_done(struct mount_options *options);

/* The text of -h. */
const char *mount_options_help(void);

#endif
