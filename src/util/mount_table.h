/*
 * mount_table.h: what is mounted, from /proc/self/mountinfo.
 */
#ifndef MAILFS_UTIL_MOUNT_TABLE_H
#define MAILFS_UTIL_MOUNT_TABLE_H

#define MOUNT_TABLE_FSTYPE "fuse.mailfs"

struct mount_entry {
	unsigned int major, minor; /* of the filesystem's device number */
	char *mountpoint;
	char *fstype;
	char *source;
};

/* Parses one line. -EINVAL when it is none; -ENOMEM. */
int mount_table_parse(const char *line, struct mount_entry *ret);

/* The topmost mount at exactly this absolute path, without touching the path. -ENOENT: none. */
int mount_table_find(const char *mountpoint, struct mount_entry *ret);

/* The only mounted filesystem of this source. -ENOENT: none; -EEXIST: several of them. */
int mount_table_find_source(const char *fstype, const char *source, struct mount_entry *ret);

/* How many mounts of this device number there are in this mount namespace; or negative errno. */
int mount_table_count(unsigned int major, unsigned int minor);

void mount_entry_done(struct mount_entry *entry);

#endif
